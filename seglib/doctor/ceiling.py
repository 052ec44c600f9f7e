"""Owns the ceiling of each class: how well the best coarse logits draw it, at one size or another.

A DeepLab decides on a grid of one number for 16 x 16 or 8 x 8 pixels, and enlarges it. What that grid cannot draw, no
training brings back. Explained in 04_model and 13_your_own_data.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from seglib.data.image_io import IGNORE_INDEX
from seglib.data.transforms import Size, resize_labels
from seglib.doctor.measurements import Geometry
from seglib.model import BUNDLED_MODEL, OUTPUT_STRIDE

PER_CLASS = 12  # masks of a class that are drawn; of more than two classes half as many
CROPS = 2  # of each of them, where training works on crops


def best_masks(masks: Tensor, stride: int = OUTPUT_STRIDE[BUNDLED_MODEL], steps: int = 50) -> Tensor:
    """The best masks that a grid with one number for each `stride` x `stride` pixels can draw.

    04_model explains it line by line.

    Args:
        masks: to be drawn as well as the grid can.
        stride: pixels of the mask for one cell of the grid, along each side.
        steps: of Adam, which moves the numbers of the grid.

    Shape:
        (N, 1, H, W) float of 0.0 and 1.0 in, (N, 1, H, W) bool out.

    Example:
        >>> bool(best_masks(torch.ones(1, 1, 32, 32)).all())
        True
    """
    height, width = masks.shape[-2:]
    cells = (math.ceil(height / stride), math.ceil(width / stride))
    grid = (16 * (F.adaptive_avg_pool2d(masks, cells) - 0.5)).requires_grad_()  # (N, 1, h, w), a first guess
    optimizer = torch.optim.Adam([grid], lr=2)
    for _ in range(steps):
        sure = F.interpolate(grid, (height, width), mode="bilinear").sigmoid()  # (N, 1, H, W), from 0 to 1
        both = (sure * masks).sum()
        loss = 1 - both / (sure + masks - sure * masks).sum()  # 1 - IoU, with "sure" in place of yes and no
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return F.interpolate(grid.detach(), (height, width), mode="bilinear") > 0


def best_ious(masks: Tensor, counted: Tensor, stride: int, steps: int = 20) -> Tensor:
    """The IoU of the best coarse logits with each mask by itself: `best_masks` in fewer and longer steps.

    Args:
        masks: of one class against all others, float of 0.0 and 1.0.
        counted: bool, of the same shape: False where a pixel is ignored.
        stride: as in `best_masks`.
        steps: of Adam. 20 reach on average 0.04 less than 600 do, and 0.1 less at worst.

    Shape:
        (N, 1, H, W) in, (N,) out; 0 for a mask without a pixel that counts.

    Example:
        >>> mask = torch.ones(1, 1, 32, 32)
        >>> best_ious(mask, mask > 0, stride=16)
        tensor([1.])
    """
    # In double precision the number of threads does not show in the result, and the report is the same everywhere.
    rows, columns = (_enlarging(length, stride).double() for length in masks.shape[-2:])
    masks = masks.double() * counted
    grid = (16 * (F.adaptive_avg_pool2d(masks, (len(rows), len(columns))) - 0.5)).requires_grad_()  # (N, 1, h, w)
    optimizer = torch.optim.Adam([grid], lr=4)
    each = (1, 2, 3)
    area = masks.sum(each)
    with torch.enable_grad():
        for _ in range(steps):
            sure = (rows.T @ grid @ columns).sigmoid() * counted  # (N, 1, H, W)
            both = (sure * masks).sum(each)
            loss = (1 - both / (sure.sum(each) + area - both).clamp(min=1e-6)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    drawn = (rows.T @ grid.detach() @ columns > 0) & counted
    target = masks > 0.5
    return ((drawn & target).sum(each) / (drawn | target).sum(each).clamp(min=1)).float()


def _enlarging(length: int, stride: int) -> Tensor:
    """The matrix (cells, length) that enlarges one side of a grid bilinearly: faster than `F.interpolate`."""
    return F.interpolate(torch.eye(math.ceil(length / stride))[None], length, mode="linear")[0]


@dataclass(frozen=True)
class Sample:
    """Which masks are drawn for the ceiling: for each of these stems the labels that it is drawn for."""

    labels: Mapping[str, Sequence[int]]
    total: int  # masks that it was chosen from


def choose_sample(holds: Mapping[str, Sequence[int]], per_class: int = PER_CLASS) -> Sample:
    """A bounded number of masks for each label, spread evenly over those that hold it.

    Args:
        holds: stem -> the labels that its mask holds.
        per_class: how many masks of each label, at most.

    Example:
        >>> choose_sample({"a": [0], "b": [0, 1], "c": [0]}, per_class=2).labels
        {'a': [0], 'b': [1], 'c': [0]}
    """
    owners = defaultdict(list)
    for stem, labels in holds.items():
        for label in labels:
            owners[label].append(stem)
    chosen = defaultdict(list)
    for label, stems in sorted(owners.items()):
        places = np.linspace(0, len(stems) - 1, min(per_class, len(stems))).round().astype(int)
        for place in dict.fromkeys(places.tolist()):
            chosen[stems[place]].append(label)
    return Sample({stem: chosen[stem] for stem in sorted(chosen)}, len(holds))


def class_ceilings(
    sample: Sample,
    mask_of: Callable[[str], Image.Image],
    geometry: Geometry,
    only: Iterable[int] | None = None,
    *,
    binary: bool,
) -> dict[int, float]:
    """The ceiling of each label: the IoU of the best coarse logits, mean over the masks of the sample that hold it.

    Each class is drawn by itself against all others, so where several classes compete for a cell the model does worse.
    Where training works on crops, crops around pixels of the class are drawn.

    Args:
        sample: of `choose_sample`.
        mask_of: gives the mask of a stem, labels of mode "L".
        geometry: the size and the stride.
        only: labels to look at; all of the sample by default.
        binary: 255 is the object; else it is ignored.
    """
    ignored = None if binary else IGNORE_INDEX
    wanted = set(only) if only is not None else None
    found = defaultdict(list)
    for number, (stem, labels) in enumerate(sample.labels.items()):
        here = [label for label in labels if wanted is None or label in wanted]
        if not here:
            continue
        mask = mask_of(stem)
        labels_shown = [view for label in here for view in _views(mask, label, geometry, seed=number)]
        owners = [label for label in here for _ in range(len(labels_shown) // len(here))]
        shown = torch.stack(labels_shown)[:, None]  # (N, 1, H, W)
        masks = (shown == torch.tensor(owners)[:, None, None, None]).float()
        counted = shown != ignored if ignored is not None else torch.ones_like(shown, dtype=torch.bool)
        best = best_ious(masks, counted, geometry.stride).view(len(here), -1).mean(dim=1)
        for label, value in zip(here, best.tolist(), strict=True):
            found[label].append(value)
    return {label: float(np.mean(values)) for label, values in sorted(found.items())}


def _views(mask: Image.Image, label: int, geometry: Geometry, seed: int) -> list[Tensor]:
    """What the model is shown of a mask: labels (H, W), the whole mask or crops around pixels of `label`."""
    if geometry.scale is None:
        return [resize_labels(torch.from_numpy(np.array(mask)), geometry.size)]
    labels = np.asarray(mask)
    whole: Size = (labels.shape[0], labels.shape[1])
    shown = geometry.shown(whole)
    size = (min(geometry.size[0], shown[0]), min(geometry.size[1], shown[1]))
    # The part of the picture, in its own pixels, that such a crop shows.
    height = max(1, round(whole[0] * size[0] / shown[0]))
    width = max(1, round(whole[1] * size[1] / shown[1]))
    views = []
    for row, column in _places(labels == label, np.random.default_rng(seed)):
        top = min(max(0, row - height // 2), whole[0] - height)
        left = min(max(0, column - width // 2), whole[1] - width)
        views.append(resize_labels(torch.from_numpy(labels[top : top + height, left : left + width].copy()), size))
    return views


def _places(inside: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Pixels (row, column) of a class, `CROPS` of them at random."""
    counts = inside.sum(axis=1)
    rows = rng.choice(len(counts), CROPS, p=counts / counts.sum())
    return [(int(row), int(rng.choice(np.flatnonzero(inside[row])))) for row in rows]


def typical(sizes: Iterable[Size]) -> Size:
    """The median height and the median width of pictures."""
    array = np.array(list(sizes))
    return int(np.median(array[:, 0])), int(np.median(array[:, 1]))
