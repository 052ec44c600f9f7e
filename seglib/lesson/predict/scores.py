"""Owns what 11_predict measures on predictions: scores and their interval, calibration, mistakes, specks, a colour."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seglib.data.image_io import IGNORE_INDEX
from seglib.inference.overlay import _grow, _shrink, to_labels
from seglib.inference.specks import pieces_of, remove_specks
from seglib.metrics import confusion_matrix, iou


def at_thresholds(probabilities: Tensor, masks: Tensor, thresholds: Sequence[float]) -> dict[str, list[float]]:
    """Precision, recall and IoU of the object, over all pixels, if a probability above each threshold means the object.

    Args:
        probabilities: any shape, in [0, 1].
        masks: the same shape, 0 and 1; 255 is not counted.
        thresholds: in [0, 1].

    Returns:
        "precision", "recall" and "iou", one number for each threshold; NaN where the divisor is 0.

    Example:
        >>> import torch
        >>> at_thresholds(torch.tensor([0.9, 0.6, 0.2]), torch.tensor([1, 0, 1]), [0.5])
        {'precision': [0.5], 'recall': [0.5], 'iou': [0.3333333333333333]}
    """
    known = masks != IGNORE_INDEX
    is_object = masks[known].numpy() == 1
    # Sorted once, so that the count above a threshold is a binary search and not a pass over all pixels.
    of_all = np.sort(probabilities[known].numpy())
    of_objects = np.sort(probabilities[known].numpy()[is_object])
    scores: dict[str, list[float]] = {"precision": [], "recall": [], "iou": []}
    for threshold in thresholds:
        predicted = _count_above(threshold, of_all)
        true_positives = _count_above(threshold, of_objects)
        union = len(of_objects) + predicted - true_positives
        scores["precision"].append(_ratio(true_positives, predicted))
        scores["recall"].append(_ratio(true_positives, len(of_objects)))
        scores["iou"].append(_ratio(true_positives, union))
    return scores


def _count_above(threshold: float, sorted_values: np.ndarray) -> int:
    return len(sorted_values) - int(np.searchsorted(sorted_values, threshold, "right"))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def calibration(probabilities: Tensor, masks: Tensor, bins: int = 10) -> list[dict[str, float]]:
    """A reliability diagram in numbers: how often the object is there, among pixels of about the same probability.

    Args:
        probabilities: any shape, in [0, 1].
        masks: the same shape, 0 and 1; 255 is not counted.
        bins: of equal width.

    Returns:
        For each bin that holds pixels: "predicted", their mean probability; "observed", the share of them that is the
        object; and "pixels", their number.
    """
    known = masks != IGNORE_INDEX
    predicted = probabilities[known].double()
    is_object = (masks[known] == 1).double()
    bin_of = (predicted * bins).long().clamp(max=bins - 1)  # a probability of 1.0 goes into the last bin
    rows = []
    for number in range(bins):
        inside = bin_of == number
        count = int(inside.sum())
        if count:
            mean = predicted[inside].mean().item()
            share = is_object[inside].mean().item()
            rows.append({"predicted": mean, "observed": share, "pixels": count})
    return rows


def kinds_of_mistakes(predicted: Any, target: Any, width: int = 2) -> dict[str, np.ndarray]:
    """Where a prediction is wrong, in three kinds: false negatives, false positives, and errors near an edge.

    Args:
        predicted: whatever `to_labels` takes; every value but 0 counts as the object.
        target: likewise.
        width: of the boundary, in pixels to each side of the target's edge.

    Returns:
        Three masks, (H, W) bool. "boundary": wrong, and within `width` of an edge of the target, where the coarse
        grid blurs. Of the rest, "missed" are the false negatives and "invented" the false positives.
    """
    is_predicted = to_labels(predicted) != 0
    is_object = to_labels(target) != 0
    edge = _grow(is_object, width) & ~_shrink(is_object, width)
    return {
        "missed": is_object & ~is_predicted & ~edge,
        "invented": is_predicted & ~is_object & ~edge,
        "boundary": (is_predicted != is_object) & edge,
    }


def without_specks(masks: Sequence[Tensor], truths: Sequence[Tensor], sizes: Sequence[int]) -> list[dict[str, float]]:
    """Scores over all pixels of several masks, after the pieces that are too small were removed.

    Args:
        masks: labels (H, W), 0 and 1.
        truths: the same shapes, 0 and 1; 255 is not counted.
        sizes: from how many pixels on a piece stays.

    Returns:
        For each size: "smallest", the size; "pieces", how many are left in all masks; "precision", "recall", "iou".
    """
    rows = []
    for smallest in sizes:
        kept = [remove_specks(mask, smallest) for mask in masks]
        pairs = zip(kept, truths, strict=True)
        matrix = torch.stack([confusion_matrix(mask, truth) for mask, truth in pairs]).sum(dim=0)
        (_, invented), (missed, hits) = matrix.tolist()
        rows.append(
            {
                "smallest": smallest,
                "pieces": sum(len(pieces_of(mask)[1]) for mask in kept),
                "precision": _ratio(hits, hits + invented),
                "recall": _ratio(hits, hits + missed),
                "iou": _ratio(hits, hits + invented + missed),
            }
        )
    return rows


def quarter_size(dataset: Iterable[tuple[Image.Image, Image.Image]]) -> tuple[list[Image.Image], list[Tensor]]:
    """The photographs of a dataset without transforms, and their masks, at a quarter of their width and height.

    Returns:
        PIL images; masks (H, W) int64 of 0 and 1.
    """
    images = []
    truths = []
    for image, mask in dataset:
        size = (image.width // 4, image.height // 4)
        images.append(image.resize(size))
        small = np.array(mask.resize(size, Image.Resampling.NEAREST))
        truths.append(torch.from_numpy(small // 255).long())
    return images, truths


def matrices_of(probabilities: Sequence[Tensor], truths: Sequence[Tensor], threshold: float = 0.5) -> Tensor:
    """One confusion matrix for each picture, (N, 2, 2) int64; rows are the truth. Above the threshold is the object."""
    pairs = zip(probabilities, truths, strict=True)
    return torch.stack([confusion_matrix((chance > threshold).long(), truth) for chance, truth in pairs])


def iou_interval(matrices: Tensor, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Between which numbers 95 of 100 IoUs lie, if pictures are drawn with replacement (the bootstrap of 09).

    Args:
        matrices: of `matrices_of`.
        draws: how often as many pictures as there are get drawn.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(draws):
        drawn = torch.from_numpy(rng.integers(len(matrices), size=len(matrices)))
        scores.append(iou(matrices[drawn].sum(dim=0))[1].item())
    low, high = np.quantile(scores, [0.025, 0.975]).tolist()
    return low, high


def in_colour_box(image: Image.Image, box: Sequence[Sequence[int]]) -> Tensor:
    """Which pixels lie in a box of colours: the simplest way to a mask, without any training.

    Args:
        image: PIL "RGB".
        box: for hue, saturation and value, each 0 to 255: from, and to (not included). The hue is a circle, so it
            may go past 256.

    Returns:
        (H, W) int64 of 0 and 1.
    """
    hsv = np.array(image.convert("HSV"))  # (H, W, 3)
    inside = np.ones(hsv.shape[:2], bool)
    for channel, (low, high) in enumerate(box):
        allowed = np.zeros(256, bool)
        allowed[np.arange(low, high) % 256] = True
        inside &= allowed[hsv[..., channel]]
    return torch.from_numpy(inside).long()
