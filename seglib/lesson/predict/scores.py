"""Owns what 08 and 09 measure on predictions: thresholds, calibration, kinds of mistakes, and recorded histories."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from seglib.inference.overlay import _grow, _shrink, to_labels


def at_thresholds(probabilities: Tensor, masks: Tensor, thresholds: Sequence[float]) -> dict[str, list[float]]:
    """Precision, recall and IoU of the object, over all pixels, if a probability above each threshold means the object.

    Args:
        probabilities: any shape, in [0, 1].
        masks: the same shape, 0 and 1; 255 is not counted.
        thresholds: in [0, 1].

    Returns:
        "precision", "recall" and "iou", one number for each threshold; NaN where nothing was called the object.

    Example:
        >>> at_thresholds(torch.tensor([0.9, 0.6, 0.2]), torch.tensor([1, 0, 1]), [0.5])
        {'precision': [0.5], 'recall': [0.5], 'iou': [0.3333333333333333]}
    """
    known = masks != 255
    chances, true = probabilities[known].numpy(), masks[known].numpy() == 1
    found, called = (np.sort(part) for part in (chances[true], chances))
    scores: dict[str, list[float]] = {"precision": [], "recall": [], "iou": []}
    for threshold in thresholds:
        hit, all_called = (len(part) - np.searchsorted(part, threshold, "right") for part in (found, called))
        scores["precision"].append(float(hit / all_called) if all_called else float("nan"))
        scores["recall"].append(float(hit / len(found)) if len(found) else float("nan"))
        union = len(found) + all_called - hit
        scores["iou"].append(float(hit / union) if union else float("nan"))
    return scores


def calibration(probabilities: Tensor, masks: Tensor, bins: int = 10) -> list[dict[str, float]]:
    """How often the object is there, among pixels to which the model gives about the same probability.

    Args:
        probabilities: any shape, in [0, 1].
        masks: the same shape, 0 and 1; 255 is not counted.
        bins: of equal width.

    Returns:
        For each bin that holds pixels: "said", their mean probability; "true", the share that is the object; "pixels".
    """
    known = masks != 255
    chances, true = probabilities[known].double(), (masks[known] == 1).double()
    place = (chances * bins).long().clamp(max=bins - 1)
    rows = []
    for number in range(bins):
        inside = place == number
        if count := int(inside.sum()):
            rows.append({"said": chances[inside].mean().item(), "true": true[inside].mean().item(), "pixels": count})
    return rows


def kinds_of_mistakes(predicted: Any, target: Any, width: int = 2) -> dict[str, np.ndarray]:
    """Where a prediction is wrong, in three kinds, each (H, W) bool.

    Args:
        predicted: whatever `to_labels` takes; every value but 0 counts as the object.
        target: likewise.
        width: of the boundary, in pixels to each side of the target's edge.

    Returns:
        "boundary": wrong, and within `width` of an edge of the target, where the coarse grid blurs. The rest is
        "missed" or "invented".
    """
    ours, true = to_labels(predicted) != 0, to_labels(target) != 0
    edge = _grow(true, width) & ~_shrink(true, width)
    return {
        "missed": true & ~ours & ~edge,
        "invented": ours & ~true & ~edge,
        "boundary": (ours != true) & edge,
    }
