"""Owns the losses, each with the activation and threshold that go with it. Explained in 05_loss."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar
from weakref import WeakValueDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.data.image_io import IGNORE_INDEX
from seglib.errors import ShapeError, TrainingError


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
    function: Callable[..., Tensor]
    activation: Callable[[Tensor], Tensor]
    threshold: float | None  # on the raw output; None: the class with the largest output

    def __call__(self, outputs: Tensor, masks: Tensor) -> Tensor:
        """The loss, after `check_outputs_and_masks`; shapes and errors are those of the class."""
        check_outputs_and_masks(outputs, masks, several_classes=self.threshold is None)
        # A sum over many pixels overflows in half precision, in silence: Dice would be 1, cross-entropy infinite.
        outputs = outputs.float() if outputs.element_size() < 4 else outputs
        return self.function(outputs, masks)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1]: how sure the model is of the object, or of each class."""
        return self.activation(outputs)

    def predict(self, outputs: Tensor) -> Tensor:
        """(N, H, W) int64: the label of each pixel, 0 for the background."""
        if self.threshold is None:
            return outputs.argmax(dim=1)
        return (outputs[:, 0] > self.threshold).long()


def make_loss(name: str, class_weights: Sequence[float] | None = None) -> Loss:
    """A loss by its name: "mse" (the notes'), "bce", "dice", "bce_dice" (their sum); for classes "cross_entropy".

    Args:
        name: also "ce_dice", for classes: cross-entropy plus Dice of the classes but the background.
        class_weights: for classes, how much a pixel of each counts in the cross-entropy; None counts all alike.

    Raises:
        TrainingError: an unknown name; weights for a loss of one object, or that are not above 0.

    Example:
        >>> criterion = make_loss("bce")
        >>> criterion.predict(torch.tensor([[[[0.3, -0.3]]]]))  # logits: 0.3 is above 0, so it is the object
        tensor([[[1, 0]]])
    """
    if name not in _LOSSES:
        raise TrainingError(f'There is no loss "{name}".', f"one of {', '.join(_LOSSES)}", "Correct the name.")
    criterion = _LOSSES[name]
    if class_weights is None:
        return criterion
    if criterion.threshold is not None or not all(0 < weight < math.inf for weight in class_weights):
        raise TrainingError(
            f'class_weights = {list(class_weights)} for the loss "{name}".',
            "a number above 0 for each class, and a loss for classes: cross_entropy or ce_dice",
            "Leave the weights out, or name the classes and such a loss.",
        )
    return replace(criterion, function=functools.partial(criterion.function, class_weights=list(class_weights)))


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
    """1 - Dice of the whole batch; adding 1 above and below gives 0 instead of 0 / 0 where there is no object."""
    known = masks != IGNORE_INDEX
    probability = outputs.sigmoid() * known
    target = masks.where(known, 0)
    return 1 - (2 * (probability * target).sum() + 1) / (probability.sum() + target.sum() + 1)


def _cross_entropy(outputs: Tensor, masks: Tensor, class_weights: Sequence[float] | None = None) -> Tensor:
    known = masks != IGNORE_INDEX
    pixel_losses = F.cross_entropy(outputs, masks, ignore_index=IGNORE_INDEX, reduction="none")
    if class_weights is None:
        return _mean_where_known(pixel_losses, known)
    weights = _on_device(tuple(class_weights), outputs.device)[masks.where(known, 0)]  # (N, H, W)
    return (pixel_losses * weights * known).sum() / (weights * known).sum().clamp(min=1e-12)


@functools.lru_cache
def _on_device(numbers: tuple[float, ...], device: torch.device) -> Tensor:
    """Kept: to send them in each step would make Python wait for a GPU."""
    return torch.tensor(numbers, device=device)


def _ce_dice(outputs: Tensor, masks: Tensor, class_weights: Sequence[float] | None = None) -> Tensor:
    """Cross-entropy, plus 1 - Dice over the whole batch of each class but the background, averaged."""
    known = masks != IGNORE_INDEX
    probability = outputs.softmax(dim=1) * known[:, None]  # (N, C, H, W)
    target = F.one_hot(masks.where(known, 0), outputs.shape[1]).movedim(-1, 1) * known[:, None]  # (N, C, H, W)
    both = (probability * target).sum(dim=(0, 2, 3))  # (C,)
    total = probability.sum(dim=(0, 2, 3)) + target.sum(dim=(0, 2, 3))
    dice = (2 * both + 1) / (total + 1)
    return _cross_entropy(outputs, masks, class_weights) + 1 - dice[1:].mean()


def _intensity(outputs: Tensor) -> Tensor:
    return outputs.clamp(0, 1)


_LOSSES = {
    "mse": Loss("mse", _mse, _intensity, 0.5),
    "bce": Loss("bce", _bce, torch.sigmoid, 0.0),
    "dice": Loss("dice", _dice, torch.sigmoid, 0.0),
    "bce_dice": Loss("bce_dice", lambda *pair: _bce(*pair) + _dice(*pair), torch.sigmoid, 0.0),
    "cross_entropy": Loss("cross_entropy", _cross_entropy, functools.partial(torch.softmax, dim=1), None),
    "ce_dice": Loss("ce_dice", _ce_dice, functools.partial(torch.softmax, dim=1), None),
}


def check_outputs_and_masks(outputs: Tensor, masks: Tensor, several_classes: bool = False) -> None:
    """Raise a `ShapeError` unless outputs and masks fit each other exactly. Every loss calls it first."""
    if several_classes:
        wanted: tuple[int, ...] = (outputs.shape[0], *outputs.shape[2:])
        dtype = "int64"
        right = tuple(masks.shape) == wanted and masks.dtype == torch.int64
        fix = "Use class_mask_transform, or joint_transform with classes."
    else:
        wanted = tuple(outputs.shape)
        dtype = "float"
        right = tuple(masks.shape) == wanted and masks.is_floating_point()
        fix = "masks.unsqueeze(1) adds the channel, masks.float() changes the dtype. Give the model one output channel."
    if not right:
        raise ShapeError(
            f"outputs are {tuple(outputs.shape)} {_dtype(outputs)}, masks are {tuple(masks.shape)} {_dtype(masks)}.",
            f"masks of shape {wanted}, {dtype}",
            fix + " Without this check torch would spread one shape over the other and train on nonsense.",
        )
    if masks.device.type == "cpu":  # on a GPU this would wait: see labels_checked_once
        check_labels(masks, outputs.shape[1] if several_classes else None)


def check_labels(masks: Tensor, num_classes: int | None = None) -> None:
    """A `ShapeError` unless masks hold labels only: 0 to num_classes - 1; without a number, 0 and 1; 255 to ignore."""
    if num_classes is None:
        check_binary_masks(masks)
    else:
        check_class_masks(masks, num_classes)


def labels_checked_once(
    batches: Iterable[tuple[Tensor, Tensor]], criterion: object, model: nn.Module, device: torch.device
) -> Iterable[tuple[Tensor, Tensor]]:
    """The batches, as they are. On a GPU the labels of each are looked at while they are still on the CPU.

    A label that is none would end all work on the GPU there, or train on nonsense. Reading it there would make Python
    wait in each step. So it is done once for each dataloader: when all its batches have passed, it is not asked again.

    Args:
        batches: images and masks; a dataloader, or a list.
        criterion: only a `Loss` says which labels there are.
        model: with several classes, a DeepLab, whose last layer says how many.
        device: of the training. On a CPU the loss itself looks at the labels.

    Raises:
        ShapeError: while iterating, as `check_labels`.
    """
    if device.type == "cpu" or not isinstance(criterion, Loss) or _Checked.dataloaders.get(id(batches)) is batches:
        return batches
    return _Checked(batches, None if criterion.threshold is not None else _output_channels(model))


class _Checked:
    """Batches whose labels are looked at before they are given."""

    dataloaders: ClassVar[WeakValueDictionary] = WeakValueDictionary()  # that are in order, by id

    def __init__(self, batches: Iterable[tuple[Tensor, Tensor]], num_classes: int | None):
        self.batches = batches
        self.num_classes = num_classes

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, masks in self.batches:
            if masks.device.type == "cpu":
                check_labels(masks, self.num_classes)
            yield images, masks
        with contextlib.suppress(TypeError):  # of a list nobody can say later whether it is the same
            self.dataloaders[id(self.batches)] = self.batches


def _output_channels(model: nn.Module) -> int:
    """How many classes the last layer of a DeepLab has outputs for; for another model, as many as there are labels."""
    sizes = [len(bias) for name, bias in model.named_parameters() if name.endswith("classifier.4.bias")]
    return sizes[0] if sizes else IGNORE_INDEX


def are_labels(masks: Tensor, num_classes: int = 2) -> Tensor:
    """Where a mask holds a whole number from 0 to num_classes - 1, or 255 (ignore): bool, in the shape of `masks`."""
    return ((masks >= 0) & (masks < num_classes) & (masks == masks.round())) | (masks == IGNORE_INDEX)


def check_binary_masks(masks: Tensor) -> None:
    """A `ShapeError` unless a float mask holds 0.0, 1.0 and 255 (ignore) only, and nothing in between."""
    if not are_labels(masks).all():
        raise ShapeError(
            f"masks hold {len(masks.unique())} values from {masks.min().item():g} to {masks.max().item():g}.",
            f"0.0 and 1.0 only, and {IGNORE_INDEX} for ignore",
            "Resize masks by nearest, never bilinearly; scale 0 and 255 to 0 and 1 (mask_transform does both).",
        )


def check_class_masks(masks: Tensor, num_classes: int) -> None:
    """A `ShapeError` unless a mask of class labels holds 0 to num_classes - 1 and 255 (ignore) only."""
    strange = masks[~are_labels(masks, num_classes)]
    if strange.numel():
        raise ShapeError(
            f"masks hold labels that the model has no output for: {', '.join(map(str, strange.unique().tolist()))}.",
            f"0 to {num_classes - 1}, and {IGNORE_INDEX} for ignore",
            "Build the model with one output channel for each class, the background included.",
        )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def balanced_class_weights(pixels: Mapping[str, int]) -> list[float]:
    """Weights for classes of very different sizes: one over the square root of each share, 1 on average.

    Args:
        pixels: class -> how many pixels of it the training masks hold.

    Returns:
        One weight a class, in order; a class without pixels gets the largest weight of the others.

    Example:
        >>> [round(weight, 2) for weight in balanced_class_weights({"soil": 9000, "crop": 900, "weed": 100})]
        [0.22, 0.7, 2.09]
    """
    roots = [1 / math.sqrt(count) if count else 0.0 for count in pixels.values()]
    roots = [root or max(roots) for root in roots]
    mean = sum(roots) / len(roots) or 1.0
    return [root / mean for root in roots]
