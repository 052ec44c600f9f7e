"""Owns what 11_predict measures on predictions: scores at thresholds, calibration, kinds of mistakes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from seglib.data.image_io import IGNORE_INDEX
from seglib.inference.overlay import _grow, _shrink, to_labels


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
