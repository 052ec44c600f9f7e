"""Owns how sure a score on a few pictures is: counts for each picture, and the bootstrap. See 09_when_to_stop."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from seglib.device import batch_to_device
from seglib.losses import Loss

DRAWS = 5000

Counts = tuple[np.ndarray, np.ndarray]  # intersection and union of each picture, in pixels


@torch.inference_mode()
def counts_by_picture(
    model: nn.Module, dataloader: Iterable[tuple[Tensor, Tensor]], criterion: Loss, device: torch.device
) -> Counts:
    """Intersection and union of the predicted and the true object, picture by picture; in evaluation mode afterwards.

    Args:
        model: maps images to {"out": (N, 1, H, W)}.
        dataloader: batches of images (N, 3, H, W) and masks (N, 1, H, W) of 0.0 and 1.0; every picture once.
        criterion: says how the outputs are read.
        device: of the model.

    Returns:
        intersections (N,) and unions (N,), whole numbers, in the order of the pictures.
    """
    model.eval()
    intersections: list[int] = []
    unions: list[int] = []
    for images, masks in dataloader:
        images, masks = batch_to_device(images, masks, device)
        predicted = criterion.predict(model(images)["out"]) == 1  # (N, H, W)
        true = masks[:, 0] == 1  # (N, H, W)
        intersections += (predicted & true).sum(dim=(1, 2)).tolist()
        unions += (predicted | true).sum(dim=(1, 2)).tolist()
    return np.array(intersections), np.array(unions)


def iou_of(counts: Counts) -> float:
    """The IoU over all pixels of these pictures.

    >>> iou_of((np.array([1, 2]), np.array([2, 4])))
    0.5
    """
    intersections, unions = counts
    return float(intersections.sum() / unions.sum())


def draw_pictures(count: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Numbers of pictures, drawn with replacement: (draws, count), whole numbers from 0 to count - 1."""
    return np.random.default_rng(seed).integers(count, size=(draws, count))


def ious_of_draws(counts: Counts, drawn: np.ndarray) -> np.ndarray:
    """The IoU over the drawn pictures, for each draw: (draws,).

    Args:
        counts: of all pictures.
        drawn: of `draw_pictures`; the same for two models that are compared.
    """
    intersections, unions = counts
    return intersections[drawn].sum(axis=1) / unions[drawn].sum(axis=1)


def middle(values: np.ndarray) -> tuple[float, float]:
    """Between which two numbers the middle 95 % of the values lie.

    >>> middle(np.arange(1001.0))
    (25.0, 975.0)
    """
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def interval(counts: Counts, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the IoU, by a bootstrap over the pictures."""
    return middle(ious_of_draws(counts, draw_pictures(len(counts[0]), draws, seed)))


def difference_interval(first: Counts, second: Counts, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the IoU of `first` minus that of `second`, on the same drawn pictures."""
    drawn = draw_pictures(len(first[0]), draws, seed)
    return middle(ious_of_draws(first, drawn) - ious_of_draws(second, drawn))
