"""Owns the judgement of a trained model on a folder: at the pictures' own size, by class and by picture.

Explained in 11_predict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from seglib.data.dataset import CustomDataset
from seglib.data.image_io import IGNORE_INDEX
from seglib.errors import TrainingError
from seglib.inference.predict import predict
from seglib.metrics import (
    confusion_matrix,
    describe_collapse,
    dice,
    iou,
    mean_iou,
    pixel_accuracy,
    score_of,
    trivial_ious,
)
from seglib.training.checkpoint import TrainedModel

BOUNDARY = 0.02  # of the picture's diagonal: how far from the outline a pixel belongs to the boundary


@dataclass(frozen=True)
class PictureScore:
    """One picture: its confusion matrix (C, C), and intersection and union of the boundaries of each class, (2, C)."""

    stem: str
    matrix: Tensor
    boundary: Tensor

    @property
    def score(self) -> float:
        """IoU of the object, or the mean over the classes that are present; NaN if nothing can be found."""
        return score_of(self.matrix)


@dataclass(frozen=True)
class FolderScore:
    """A model on all pictures of a folder. `names` are the classes, the background's first."""

    names: Sequence[str]
    pictures: Sequence[PictureScore]

    @property
    def matrix(self) -> Tensor:
        """One confusion matrix over the pixels of all pictures: (C, C) int64, rows are the truth."""
        return torch.stack([one.matrix for one in self.pictures]).sum(dim=0)

    @property
    def boundary_iou(self) -> Tensor:
        """Boundary IoU of each class over all pictures: (C,) float64; NaN where a class is absent."""
        both, either = torch.stack([one.boundary for one in self.pictures]).sum(dim=0).double()
        return both / either

    @property
    def score(self) -> float:
        """IoU of the object; with several classes the mean over those that are present."""
        return score_of(self.matrix)

    def interval(self, samples: int = 2000, seed: int = 0) -> tuple[Tensor, tuple[float, float]]:
        """95 % bootstrap intervals: pictures are drawn with replacement, as many as there are.

        Args:
            samples: how often.
            seed: of the draws.

        Returns:
            Of the IoU of each class (2, C), low and high; and of the score.
        """
        matrices = torch.stack([one.matrix for one in self.pictures]).double()  # (N, C, C)
        draws = np.random.default_rng(seed).multinomial(len(matrices), [1 / len(matrices)] * len(matrices), samples)
        summed = torch.tensordot(torch.from_numpy(draws).double(), matrices, dims=1)  # (samples, C, C)
        ious = torch.stack([iou(matrix) for matrix in summed])  # (samples, C)
        scores = torch.tensor([score_of(matrix) for matrix in summed], dtype=torch.float64)
        ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
        low, high = torch.nanquantile(scores, ends).tolist()
        return torch.nanquantile(ious, ends, dim=0), (low, high)

    def worst_first(self) -> list[PictureScore]:
        """The pictures in the order of their score; those without one last."""
        return sorted(self.pictures, key=lambda one: (np.isnan(one.score), one.score, one.stem))

    def warnings(self) -> list[str]:
        """What the score hides: classes that are never predicted, a model no better than one class everywhere."""
        return describe_collapse(self.matrix, self.names)

    def as_plain_values(self) -> dict[str, Any]:
        """All figures, for JSON; what is no number is None."""
        ious, (low, high) = self.interval()
        columns = {
            "iou": iou(self.matrix),
            "iou_low": ious[0],
            "iou_high": ious[1],
            "dice": dice(self.matrix),
            "boundary_iou": self.boundary_iou,
            "share": self.matrix.sum(dim=1) / self.matrix.sum(),
        }
        classes = {
            name: {key: _plain(column[number]) for key, column in columns.items()}
            for number, name in enumerate(self.names)
        }
        pictures = {one.stem: _plain(one.score) for one in self.worst_first()}
        return {
            "score": _plain(self.score),
            "score_low": _plain(low),
            "score_high": _plain(high),
            "mean_iou": _plain(mean_iou(self.matrix)),
            "pixel_accuracy": _plain(pixel_accuracy(self.matrix)),
            "classes": classes,
            "score_of_calling_everything": dict(zip(self.names, map(_plain, trivial_ious(self.matrix)), strict=True)),
            "confusion_matrix": self.matrix.tolist(),
            "pictures": pictures,
            "warnings": self.warnings(),
        }


def _plain(value: Any) -> float | None:
    number = float(value)
    return None if np.isnan(number) else round(number, 6)


def evaluate_folder(trained: TrainedModel, dataset: CustomDataset, *, progress: bool = True) -> FolderScore:
    """Judge a model on the pictures of a dataset, each at its own size, as `predict` draws its mask.

    Args:
        trained: of `load_trained`.
        dataset: without transforms; its classes are those of the training.
        progress: show a bar.

    Raises:
        TrainingError: no picture, or other classes than those of the training.
        ImageError, MaskError: a pair cannot be right.

    Example:
        >>> from seglib import build_deeplab, make_loss
        >>> trained = TrainedModel(build_deeplab(weights=None, verbose=False), make_loss("bce"), size=(24, 32))
        >>> dataset = CustomDataset("data_samples/images", "data_samples/masks").subset(["fruit_007"])
        >>> evaluate_folder(trained, dataset, progress=False).names
        ['background', 'object']
    """
    if list(dataset.classes or []) != list(trained.classes or []):
        raise TrainingError(
            f"The masks have the classes {', '.join(dataset.classes or ['0 and 255'])}.",
            f"those of the training: {', '.join(trained.classes or ['0 and 255'])}",
            f"classes={list(trained.classes)!r}.".replace("'", '"') if trained.classes else "Leave the classes out.",
        )
    if not len(dataset):
        raise TrainingError("There is no picture to judge.", "one or more", "Correct the folder or the split.")
    names = list(dataset.classes) if dataset.classes else ["background", "object"]
    scores = []
    for idx in tqdm(range(len(dataset)), unit="picture", disable=None if progress else True):
        image, mask = dataset[idx]
        truth = torch.from_numpy(np.array(mask)).long()  # (H, W)
        if dataset.classes is None:
            truth = truth // 255
        predicted = predict(trained, image).mask.long()  # (H, W)
        matrix = confusion_matrix(predicted, truth, len(names))
        scores.append(PictureScore(dataset.stems[idx], matrix, boundary_counts(predicted, truth, len(names))))
    return FolderScore(names, scores)


def boundary_counts(predicted: Tensor, truth: Tensor, num_classes: int, share: float = BOUNDARY) -> Tensor:
    """Intersection and union of the boundaries of each class, in pixels; their quotient is the boundary IoU.

    A pixel belongs to the boundary of a class if it has that class, and the outline is at most `share` of the diagonal
    away (a square of so many pixels around it leaves the class, or the picture). After Cheng and others, "Boundary
    IoU", 2021.

    Args:
        predicted, truth: labels (H, W) int64; where `truth` is 255, nothing is counted.
        num_classes: the background included.
        share: of the diagonal.

    Returns:
        (2, num_classes) int64.

    Example:
        >>> labels = torch.zeros(40, 40, dtype=torch.int64); labels[10:30, 10:30] = 1
        >>> boundary_counts(labels, labels, 2)[:, 1].tolist()  # a ring, one pixel wide
        [76, 76]
    """
    height, width = truth.shape
    distance = max(1, round(share * (height**2 + width**2) ** 0.5))
    known = truth != IGNORE_INDEX
    counts = torch.zeros(2, num_classes, dtype=torch.int64)
    for label in range(num_classes):
        first = _boundary((predicted == label) & known, distance)
        second = _boundary((truth == label) & known, distance)
        counts[0, label] = (first & second).sum()
        counts[1, label] = (first | second).sum()
    return counts


def _boundary(inside: Tensor, distance: int) -> Tensor:
    """The pixels of a region whose square of `distance` to each side leaves the region or the picture; (H, W) bool."""
    outside = F.pad(~inside[None, None], [distance] * 4, value=True).float()
    side = 2 * distance + 1
    near = F.max_pool2d(F.max_pool2d(outside, (side, 1), 1), (1, side), 1)[0, 0] > 0  # rows, then columns: a square
    return inside & near


if __name__ == "__main__":
    raise SystemExit("Type: python -m seglib evaluate --help")
