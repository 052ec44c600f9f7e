"""Owns what is measured on one picture and its mask, before anybody judges it. Explained in 11_your_own_data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from seglib.alignment import misfit, thumbnail
from seglib.errors import SegError
from seglib.pictures import IGNORE_INDEX, load_image, load_mask

STRIDE = 16  # pixels that share one cell of the model's coarse grid, along each side


@dataclass
class Facts:
    """What one pair is like. Of the pixels only thumbnails are kept."""

    errors: list[SegError] = field(default_factory=list)  # of `load_image` and `load_mask`
    size: tuple[int, int] | None = None  # (height, width) of the picture, upright
    mask_size: tuple[int, int] | None = None
    lying: bool = False  # an EXIF note turned it
    counts: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))  # pixels of each value of the mask
    thumb: np.ndarray | None = None  # (h, w, 3)
    layers: np.ndarray | None = None  # (h, w, C), one for each label but the background
    misfit: str = ""  # of `seglib.alignment`
    lost: float = 0.0  # share of the objects' pixels that the coarse grid does not draw
    fingerprint: int = 0  # of the mask; 0 if it holds one value only
    zero_and_one: bool = False  # instead of 0 and 255


def check_up(image: Path, mask: Path, classes: Sequence[str] | None, size: tuple[int, int]) -> Facts:
    """Read one pair and measure it; nothing is raised for what is wrong with it, and nothing is changed.

    Args:
        image, mask: the two files.
        classes: as in `load_mask`.
        size: (height, width) that the model will see.
    """
    facts = Facts()
    try:
        picture = load_image(image)
        facts.size, facts.thumb = (picture.height, picture.width), thumbnail(picture)
        with Image.open(image) as opened:
            facts.lying = opened.getexif().get(0x0112, 1) > 1
    except SegError as error:
        facts.errors.append(error)
    try:
        labels = load_mask(mask, classes)
    except SegError as error:
        facts.errors.append(error)
        try:
            labels = load_mask(mask, [""] * IGNORE_INDEX)  # another look, whatever the labels are
        except SegError:
            return facts
    facts.mask_size, facts.counts = (labels.height, labels.width), np.array(labels.histogram())
    facts.zero_and_one = classes is None and not facts.counts[2:].any() and bool(facts.counts[1])
    objects = [v for v in np.flatnonzero(facts.counts).tolist() if v and (classes is None or v < IGNORE_INDEX)]
    if np.count_nonzero(facts.counts) > 1:
        facts.fingerprint = hash(labels.tobytes())
    if objects and facts.thumb is not None and facts.size == facts.mask_size and not facts.errors:
        facts.layers = np.stack([thumbnail(labels.point(_only(value))) for value in objects], axis=-1)
        facts.misfit = misfit(facts.thumb, facts.layers)
        facts.lost = lost_in_grid(labels.point(_only(*objects)), size)
    return facts


def lost_in_grid(objects: Image.Image, size: tuple[int, int]) -> float:
    """The share of the objects' pixels that lie where the model's coarse grid draws nothing.

    A cell that is half full draws an object, and helps its eight neighbours. What lies in no such cell and beside none
    is lost: things smaller than about 12 pixels, thin things. No training brings that back. What is not lost may still
    be drawn badly: how well at best, the ceiling says.

    Args:
        objects: a mask of 0 and 255.
        size: (height, width) that the model will see.

    Example:
        >>> mask = Image.new("L", (320, 240))
        >>> mask.paste(255, (40, 40, 48, 48))
        >>> lost_in_grid(mask, (240, 320))
        1.0
    """
    small = objects.resize(size[::-1], Image.Resampling.NEAREST)
    cells = small.resize((math.ceil(size[1] / STRIDE), math.ceil(size[0] / STRIDE)), Image.Resampling.BOX)
    full, near = np.asarray(cells) / 255, np.asarray(cells.filter(ImageFilter.MaxFilter(3))) / 255
    return float(full[near < 0.5].sum() / full.sum()) if full.any() else 1.0


def _only(*values: int) -> list[int]:
    """A table for `point`: 255 for these values, 0 for all others."""
    return [255 * (value in values) for value in range(256)]
