"""Owns what is measured on one picture and its mask; `rules.py` judges it. Explained in 13_your_own_data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from seglib.data.image_io import IGNORE_INDEX, exif_orientation, load_image, load_mask
from seglib.doctor.alignment import describe_misalignment, thumbnail
from seglib.errors import SegError


@dataclass
class PairMeasurements:
    """What one pair is like. Of the pixels only thumbnails are kept."""

    errors: list[SegError] = field(default_factory=list)  # of `load_image` and `load_mask`
    size: tuple[int, int] | None = None  # (height, width) of the picture, upright
    mask_size: tuple[int, int] | None = None
    lying: bool = False  # its EXIF data say that the stored pixels have to be turned
    counts: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))  # pixels of each value of the mask
    thumb: np.ndarray | None = None  # (h, w, 3)
    layers: np.ndarray | None = None  # (h, w, C), one for each label but the background
    misalignment: str = ""  # of `describe_misalignment`
    lost: float = 0.0  # share of the objects' pixels that the coarse grid does not draw
    fingerprint: int = 0  # of the mask; 0 if it holds one value only
    zero_and_one: bool = False  # instead of 0 and 255


def measure_pair(
    image_path: Path, mask_path: Path, classes: Sequence[str] | None, size: tuple[int, int], stride: int
) -> PairMeasurements:
    """Read one pair and measure it; nothing is raised for what is wrong with it, and nothing is changed.

    Args:
        image_path, mask_path: the two files.
        classes: as in `load_mask`.
        size: (height, width) that the model will see.
        stride: of the model, as `output_stride` gives it.
    """
    measured = PairMeasurements()
    _measure_image(image_path, measured)
    labels = _read_labels(mask_path, classes, measured)
    if labels is None:
        return measured
    measured.mask_size = (labels.height, labels.width)
    measured.counts = np.array(labels.histogram())
    measured.zero_and_one = classes is None and not measured.counts[2:].any() and bool(measured.counts[1])
    present = np.flatnonzero(measured.counts).tolist()
    if len(present) > 1:
        measured.fingerprint = hash(labels.tobytes())
    objects = [value for value in present if value != 0 and (classes is None or value < IGNORE_INDEX)]
    if objects and measured.thumb is not None and measured.size == measured.mask_size and not measured.errors:
        measured.layers = np.stack([thumbnail(labels.point(_only(value))) for value in objects], axis=-1)
        measured.misalignment = describe_misalignment(measured.thumb, measured.layers)
        measured.lost = lost_in_grid(labels.point(_only(*objects)), size, stride)
    return measured


def _measure_image(path: Path, measured: PairMeasurements) -> None:
    try:
        image = load_image(path)
    except SegError as error:
        measured.errors.append(error)
        return
    measured.size = (image.height, image.width)
    measured.thumb = thumbnail(image)
    measured.lying = exif_orientation(path) > 1


def _read_labels(path: Path, classes: Sequence[str] | None, measured: PairMeasurements) -> Image.Image | None:
    """The mask, whatever labels it holds; None if it cannot be read at all."""
    try:
        return load_mask(path, classes)
    except SegError as error:
        measured.errors.append(error)
    try:
        return load_mask(path, [""] * IGNORE_INDEX)  # takes every value for a label
    except SegError:
        return None


def lost_in_grid(objects: Image.Image, size: tuple[int, int], stride: int) -> float:
    """The share of the objects' pixels that lie where the model's coarse grid draws nothing.

    A cell that is half full draws an object, and helps its eight neighbours. What lies in no such cell and beside none
    is lost: things smaller than about 12 pixels, thin things. No training brings that back. What is not lost may still
    be drawn badly: how well at best, the ceiling says.

    Args:
        objects: a mask of 0 and 255.
        size: (height, width) that the model will see.
        stride: output stride of the model, in pixels.

    Example:
        >>> mask = Image.new("L", (320, 240))
        >>> mask.paste(255, (40, 40, 48, 48))
        >>> lost_in_grid(mask, (240, 320), stride=16)
        1.0
    """
    small = objects.resize(size[::-1], Image.Resampling.NEAREST)
    cells = small.resize((math.ceil(size[1] / stride), math.ceil(size[0] / stride)), Image.Resampling.BOX)
    full = np.asarray(cells) / 255
    near = np.asarray(cells.filter(ImageFilter.MaxFilter(3))) / 255  # the fullest of a cell and its neighbours
    return float(full[near < 0.5].sum() / full.sum()) if full.any() else 1.0


def _only(*values: int) -> list[int]:
    """A table for `point`: 255 for these values, 0 for all others."""
    return [255 * (value in values) for value in range(256)]
