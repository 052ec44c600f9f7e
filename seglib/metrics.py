"""Owns the one confusion matrix, and IoU, Dice and pixel accuracy read off it. Explained in 05_loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seglib.data.image_io import IGNORE_INDEX
from seglib.errors import ShapeError


def confusion_matrix(predicted: Tensor, target: Tensor, num_classes: int = 2) -> Tensor:
    """Count the pixels of each (true, predicted) pair of classes. The matrices of two batches may be added.

    Args:
        predicted: whole-number labels 0 to num_classes - 1, any shape.
        target: labels of the same shape; 255 is not counted.
        num_classes: 2 for object against background.

    Returns:
        (num_classes, num_classes) int64 on the CPU: rows are the truth, columns the prediction.

    Raises:
        ShapeError: the two shapes differ, or a label is outside the classes.

    Example:
        >>> confusion_matrix(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 255]))
        tensor([[1, 1],
                [0, 1]])
    """
    if predicted.shape != target.shape:
        raise ShapeError(
            f"predicted is {tuple(predicted.shape)}, target is {tuple(target.shape)}.",
            "two label maps of one shape",
            "masks.squeeze(1) takes away the channel of a binary mask; criterion.predict(outputs) has none.",
        )
    known = target != IGNORE_INDEX
    predicted, target = predicted[known], target[known]
    for name, labels in (("predicted", predicted), ("target", target)):
        whole = labels.long()  # cuts 0.9 off to 0, in silence
        if labels.numel() and not (0 <= whole.min() <= whole.max() < num_classes and (whole == labels).all()):
            raise ShapeError(
                f"{name} holds values from {labels.min().item():g} to {labels.max().item():g} that are no labels.",
                f"whole numbers, 0 to {num_classes - 1}",
                "Threshold the outputs first (criterion.predict), or correct num_classes.",
            )
    return count_pairs(predicted, target, num_classes).cpu()


def count_pairs(predicted: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """`confusion_matrix` without its checks, on the device of its arguments; what is no label is not counted."""
    known = (target >= 0) & (target < num_classes)
    pairs = torch.where(known, target.long() * num_classes + predicted.long(), num_classes**2)
    counts = torch.bincount(pairs.flatten(), minlength=num_classes**2 + 1)
    return counts[:-1].view(num_classes, num_classes)  # (C, C); the last count is of what is not counted


def iou(matrix: Tensor) -> Tensor:
    """Intersection over union of each class: (C,) float64 in [0, 1]; NaN where a class is absent from both sides.

    Example:
        >>> iou(torch.tensor([[1, 1], [0, 1]]))
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    hit, of_truth, of_prediction = _sums(matrix)
    return hit / (of_truth + of_prediction - hit)  # 0 / 0 is NaN: absent, neither right nor wrong


def dice(matrix: Tensor) -> Tensor:
    """Dice (F1) of each class: (C,) float64 in [0, 1]; NaN where a class is absent from both sides.

    Example:
        >>> dice(torch.tensor([[2, 2], [0, 2]]))
        tensor([0.6667, 0.6667], dtype=torch.float64)
    """
    hit, of_truth, of_prediction = _sums(matrix)
    return 2 * hit / (of_truth + of_prediction)


def mean_iou(matrix: Tensor) -> float:
    """The mean IoU over the classes that are present; NaN if none is.

    Example:
        >>> mean_iou(torch.tensor([[1, 1], [0, 1]]))
        0.5
    """
    return iou(matrix).nanmean().item()


def pixel_accuracy(matrix: Tensor) -> float:
    """The share of pixels that are right, in [0, 1]; NaN if none was counted.

    Example:
        >>> pixel_accuracy(torch.tensor([[1, 1], [0, 2]]))
        0.75
    """
    return (matrix.diag().sum().double() / matrix.sum()).item()


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: the mean loss over all images, and one confusion matrix over all their pixels."""

    loss: float
    matrix: Tensor  # (C, C) int64, rows are the truth

    @property
    def iou(self) -> float:
        """IoU of the object in [0, 1]; with several classes, the mean over those that are present."""
        return score_of(self.matrix)

    @property
    def class_iou(self) -> list[float]:
        """IoU of each class, the background's first; NaN where a class is absent."""
        return iou(self.matrix).tolist()


def score_of(matrix: Tensor) -> float:
    """IoU of the object of a (2, 2) matrix; of a larger one the mean over the classes that are present.

    Example:
        >>> score_of(torch.tensor([[6, 1], [1, 2]]))
        0.5
    """
    return iou(matrix)[1].item() if len(matrix) == 2 else mean_iou(matrix)


def trivial_ious(matrix: Tensor) -> Tensor:
    """What calling every pixel class c would score, for each c: (C,) float64.

    Of two classes it is the IoU of that class; of more the mean over those that are present.

    Example:
        >>> trivial_ious(torch.tensor([[60, 10], [20, 10]]))
        tensor([0.7000, 0.3000], dtype=torch.float64)
    """
    truth = matrix.double().sum(dim=1)
    shares = truth / truth.sum()
    return shares if len(matrix) == 2 else shares / (truth > 0).sum()


def describe_collapse(matrix: Tensor, names: Sequence[str]) -> list[str]:
    """What a score hides, in words: classes that are never predicted, and a model no better than one class alone.

    Args:
        matrix: (C, C), rows are the truth.
        names: of the classes, the background's first.

    Returns:
        Sentences; none if there is nothing to say.

    Example:
        >>> describe_collapse(torch.tensor([[20, 0], [80, 0]]), ["background", "cell"])
        ['"cell" is never predicted.']
        >>> describe_collapse(torch.tensor([[0, 20], [0, 80]]), ["background", "cell"])[1]
        'The IoU, 0.800, is no better than calling everything "cell", 0.800: so far nothing of use is learned.'
    """
    truth = matrix.sum(dim=1)
    predicted = matrix.sum(dim=0)
    missing = [f'"{name}"' for name, there, found in zip(names, truth, predicted, strict=True) if there and not found]
    sentences = [f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} never predicted."] if missing else []
    trivial = trivial_ious(matrix)
    best = int(trivial.argmax()) if len(matrix) > 2 else 1  # of one object, only "all object" has an IoU above 0
    score = score_of(matrix)
    if truth[best] and 0 < score <= trivial[best] + 0.01:
        sentences.append(
            f'The IoU, {score:.3f}, is no better than calling everything "{names[best]}", {trivial[best]:.3f}: so far '
            "nothing of use is learned."
        )
    return sentences


def _sums(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    counts = matrix.double()
    return counts.diag(), counts.sum(dim=1), counts.sum(dim=0)
