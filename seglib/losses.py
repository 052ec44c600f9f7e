"""Owns the losses, each with the activation and threshold that go with it. Explained in 05_loss_and_optimizer."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.errors import TrainingError
from seglib.guard import are_labels, check_outputs_and_masks
from seglib.pictures import IGNORE_INDEX


@dataclass(frozen=True)
class Loss:
    """A loss together with the way to read the outputs of a model that was trained with it.

    After the notes' MSE an output *is* the intensity: no sigmoid, threshold 0.5. After BCE it is a logit: sigmoid,
    threshold 0. Metrics, checkpoints and predictions take both from here, so they cannot disagree with the training.

    Shape:
        outputs: (N, 1, H, W) float; for cross-entropy (N, C, H, W).
        masks: (N, 1, H, W) float of 0.0 and 1.0; for cross-entropy (N, H, W) int64 of 0 to C - 1. 255 is ignored.
        Returns a scalar, the mean over all pixels that count; 0 if none counts. Never in half precision.

    Raises:
        ShapeError: shapes or dtypes that torch would broadcast or convert in silence.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    activation: Callable[[Tensor], Tensor]
    threshold: float | None  # on the raw output; None: the class with the largest output

    def __call__(self, outputs: Tensor, masks: Tensor) -> Tensor:
        """Compare after the guard; shapes and errors are those of the class."""
        check_outputs_and_masks(outputs, masks, several_classes=self.threshold is None)
        # A sum over many pixels overflows in half precision, in silence: Dice would be 1, cross-entropy infinite.
        outputs = outputs.float() if outputs.element_size() < 4 else outputs
        if masks.device.type == "cpu":
            return self.function(outputs, masks)
        # Looking at a value would stop a GPU's queue. What is no label is ignored there, and makes the loss NaN.
        legal = are_labels(masks, max(2, outputs.shape[1]))
        return self.function(outputs, masks.where(legal, IGNORE_INDEX)).where(legal.all(), torch.nan)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1]: how sure the model is of the object, or of each class."""
        return self.activation(outputs)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, H, W) int64: the label of each pixel, 0 for the background."""
        if self.threshold is None:
            return outputs.argmax(dim=1)
        return (outputs[:, 0] > self.threshold).long()


def make_loss(name: str) -> Loss:
    """A loss by its name: "mse" (the notes'), "bce", "dice", "bce_dice" (their sum); for classes "cross_entropy".

    Example:
        >>> criterion = make_loss("bce")
        >>> criterion.predict(torch.tensor([[[[0.3, -0.3]]]]))  # logits: 0.3 is above 0, so it is the object
        tensor([[[1, 0]]])
    """
    if name not in _LOSSES:
        raise TrainingError(f'There is no loss "{name}".', f"one of {', '.join(_LOSSES)}", "Correct the name.")
    return _LOSSES[name]


def _mean_where_known(pixel_losses: Tensor, known: Tensor) -> Tensor:
    return (pixel_losses * known).sum() / known.sum().clamp(min=1)  # nothing known: 0, not 0 / 0


def _mse(outputs: Tensor, masks: Tensor) -> Tensor:
    known = masks != IGNORE_INDEX
    return _mean_where_known((outputs - masks.where(known, 0)) ** 2, known)


def _bce(outputs: Tensor, masks: Tensor) -> Tensor:
    known = masks != IGNORE_INDEX
    pixel_losses = F.binary_cross_entropy_with_logits(outputs, masks.where(known, 0), reduction="none")
    return _mean_where_known(pixel_losses, known)


def _dice(outputs: Tensor, masks: Tensor) -> Tensor:
    """1 - Dice of the whole batch; the two 1s make it 0, not 0 / 0, where there is no object at all."""
    known = masks != IGNORE_INDEX
    probability, target = outputs.sigmoid() * known, masks.where(known, 0)
    return 1 - (2 * (probability * target).sum() + 1) / (probability.sum() + target.sum() + 1)


def _cross_entropy(outputs: Tensor, masks: Tensor) -> Tensor:
    known = masks != IGNORE_INDEX
    pixel_losses = F.cross_entropy(outputs, masks, ignore_index=IGNORE_INDEX, reduction="none")
    return _mean_where_known(pixel_losses, known)


def _intensity(outputs: Tensor) -> Tensor:
    return outputs.clamp(0, 1)


_LOSSES = {
    "mse": Loss("mse", _mse, _intensity, 0.5),
    "bce": Loss("bce", _bce, torch.sigmoid, 0.0),
    "dice": Loss("dice", _dice, torch.sigmoid, 0.0),
    "bce_dice": Loss("bce_dice", lambda *pair: _bce(*pair) + _dice(*pair), torch.sigmoid, 0.0),
    "cross_entropy": Loss("cross_entropy", _cross_entropy, functools.partial(torch.softmax, dim=1), None),
}
