"""Owns how shapes become pixels: polygons, circles, run lengths. Explained in 13_your_own_data.

The rule: a pixel belongs to a shape if its centre lies inside; pixel (row 0, column 0) has its centre at (0.5, 0.5), so
a square from 2 to 6 covers 4 x 4 pixels. Where an outline crosses itself, "inside" is even-odd: a polygon that walks to
a hole, around it and back has the hole.

Polygons are drawn by pycocotools, as COCO's own tools draw them. It walks along the outline in steps of a fifth of a
pixel, so that a pixel whose centre lies within a fifth of a pixel of an outline may fall on either side of it.
Pillow's `ImageDraw.polygon`, which LabelMe uses, draws the outline too: its square from 2 to 6 covers 5 x 5 pixels, and
all objects come out about half a pixel too large on each side.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seglib.data.formats.source import Size, optional_library
from seglib.errors import MaskError


@dataclass(frozen=True)
class Region:
    """The pixels of a shape: a window of the picture, and which pixels of the window the shape covers.

    Attributes:
        top: first row of the window.
        left: first column of the window.
        inside: bool (height of the window, width of the window).
    """

    top: int
    left: int
    inside: np.ndarray

    def window_of(self, labels: np.ndarray) -> np.ndarray:
        """The part of a label map (H, W) that the window covers; a view, not a copy."""
        height, width = self.inside.shape
        return labels[self.top : self.top + height, self.left : self.left + width]

    def paint(self, labels: np.ndarray, label: int) -> bool:
        """Draw the shape over a label map, in place; returns whether it covers pixels of another class."""
        window = self.window_of(labels)
        under = window[self.inside]
        window[self.inside] = label
        return bool(((under != 0) & (under != label)).any())


def polygon_region(points: np.ndarray, size: Size) -> Region:
    """The pixels of a picture whose centres lie inside a polygon, by pycocotools.

    Args:
        points: (N, 2) float64, x and y of the corners, N at least 3; the last is joined to the first.
        size: (height, width) of the picture. What lies outside is cut off.

    Example:
        >>> square = np.array([[2.0, 2.0], [6.0, 2.0], [6.0, 6.0], [2.0, 6.0]])
        >>> int(polygon_region(square, (10, 10)).inside.sum())
        16
    """
    return _draw(clip_polygon(points, size), size)


def polygons_region(parts: Sequence[np.ndarray], size: Size, cut_holes: bool) -> tuple[Region, int]:
    """The pixels of an object of several polygons.

    Args:
        parts: polygons, each (N, 2).
        size: (height, width) of the picture.
        cut_holes: False joins all parts, as COCO's own tools do. True takes out of the object a part that lies inside
            another one.

    Returns:
        The region, and how many parts lie inside another one.
    """
    once = {part.tobytes(): part for part in parts}  # a part that stands there twice is no hole in itself
    regions = [polygon_region(part, size) for part in once.values()]
    if len(regions) == 1:
        return regions[0], 0
    top = min(region.top for region in regions)
    left = min(region.left for region in regions)
    bottom = max(region.top + region.inside.shape[0] for region in regions)
    right = max(region.left + region.inside.shape[1] for region in regions)
    joined = Region(top, left, np.zeros((bottom - top, right - left), bool))
    enclosed = 0
    for region in sorted(regions, key=lambda region: -int(region.inside.sum())):  # what encloses before the enclosed
        moved = Region(region.top - top, region.left - left, region.inside)
        window = moved.window_of(joined.inside)
        within = bool(region.inside.any()) and bool(window[region.inside].all())
        enclosed += within
        window[region.inside] = not (within and cut_holes)
    return joined, enclosed


def clip_polygon(points: np.ndarray, size: Size) -> np.ndarray:
    """A polygon (N, 2) cut to a picture of (height, width), by Sutherland and Hodgman; (0, 2) if nothing is left."""
    height, width = size
    for axis, limit, sign in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        depth = sign * (points[:, axis] - limit)  # below 0: outside this side
        if (depth >= 0).all():
            continue
        following = np.roll(points, -1, axis=0)
        after = np.roll(depth, -1)
        kept: list[np.ndarray] = []
        for start, end, here, there in zip(points, following, depth, after, strict=True):
            if here >= 0:
                kept.append(start)
            if (here >= 0) != (there >= 0):
                kept.append(start + (end - start) * (here / (here - there)))
        points = np.array(kept).reshape(-1, 2)
    return points.clip((0, 0), (width, height))  # what rounding of the last digit has put outside again


def lies_outside(points: np.ndarray, size: Size) -> bool:
    """Whether a part of a shape (N, 2) lies outside a picture of (height, width)."""
    return bool((points < 0).any() or (points[:, 0] > size[1]).any() or (points[:, 1] > size[0]).any())


def _draw(points: np.ndarray, size: Size) -> Region:
    """Draw a polygon that lies inside the picture, in a window no larger than needed."""
    if len(points) < 3:
        return Region(0, 0, np.zeros((0, 0), bool))
    coco = optional_library("pycocotools.mask", "Drawing polygons")
    left, top = np.floor(points.min(axis=0)).astype(int)
    right, bottom = np.ceil(points.max(axis=0)).astype(int)
    # A margin of one pixel around it: pycocotools treats the border of what it draws in differently.
    height, width = int(bottom - top) + 2, int(right - left) + 2
    flat = (points - (left - 1, top - 1)).ravel().tolist()
    runs = _decompress(coco.frPyObjects([flat], height, width)[0]["counts"])
    assert runs is not None, "pycocotools has written them"
    inside = _mask_of_runs(runs, (height, width))[1:-1, 1:-1]
    return Region(int(top), int(left), inside[: size[0] - int(top), : size[1] - int(left)])


def circle_region(centre: np.ndarray, edge: np.ndarray, size: Size) -> Region:
    """The pixels of a picture whose centres lie inside a circle, or on it.

    Args:
        centre: (2,) float64, x and y.
        edge: (2,) a point on the circle.
        size: (height, width) of the picture. What lies outside is cut off.
    """
    radius = math.dist(centre, edge)
    left, right = _span(centre[0], radius, size[1])
    top, bottom = _span(centre[1], radius, size[0])
    y, x = np.mgrid[top:bottom, left:right]
    return Region(top, left, (x + 0.5 - centre[0]) ** 2 + (y + 0.5 - centre[1]) ** 2 <= radius**2)


def _span(centre: float, radius: float, length: int) -> tuple[int, int]:
    """The first column (or row) that a circle may touch, and one past the last."""
    first = min(max(math.floor(centre - radius), 0), length)
    return first, max(min(math.ceil(centre + radius), length), first)


def run_length_region(segmentation: dict[str, Any], size: Size, where: str) -> Region:
    """The pixels of a COCO run-length encoding, compressed or not.

    Args:
        segmentation: {"size": [height, width], "counts": [numbers] or text}: runs of pixels off and on, column by
            column.
        size: (height, width) of the picture.
        where: for messages.

    Raises:
        MaskError: it is for a picture of another size, damaged, or has not as many pixels as the picture.

    Example:
        >>> run_length_region({"size": [2, 2], "counts": [1, 2, 1]}, (2, 2), "").inside.tolist()
        [[False, True], [True, False]]
    """
    stated = segmentation.get("size")
    if stated != list(size):
        raise MaskError(
            f"{where}: its run lengths are for a picture of (height, width) {stated}, the picture has {list(size)}.",
            "run lengths of the picture's own size",
            "Export again: picture and annotations do not belong together.",
        )
    runs = _runs_of(segmentation.get("counts"))
    # pycocotools does not look at the sum, and leaves the pixels after the last run as they were in memory.
    if runs is None or (runs < 0).any() or runs.sum() != size[0] * size[1]:
        raise MaskError(
            f"{where}: its run lengths are damaged: they do not add up to {size[0]} x {size[1]} pixels.",
            "run lengths as COCO defines them",
            "Export or copy the file again.",
        )
    return Region(0, 0, _mask_of_runs(runs, size))


def _mask_of_runs(runs: np.ndarray, size: Size) -> np.ndarray:
    """Runs of pixels off, on, off, ..., column by column, as bool (H, W)."""
    on = np.arange(len(runs)) % 2 == 1
    return np.repeat(on, runs).reshape(size, order="F")


def _runs_of(counts: object) -> np.ndarray | None:
    """Run lengths as int64 (N,), of COCO's list or text; None if they are neither."""
    if isinstance(counts, str):
        return _decompress(counts.encode("utf-8"))
    if isinstance(counts, list) and all(type(run) is int and abs(run) < 2**31 for run in counts):
        return np.array(counts, np.int64)
    return None


def _decompress(text: bytes) -> np.ndarray | None:
    """COCO's text form: 5 bits a character, the lowest first, of the difference to the run two before."""
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    last = codes & 32 == 0  # the other characters say that their number goes on
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or not last[-1]:
        return None
    starts = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    place = np.arange(len(codes)) - np.repeat(starts, np.diff([*starts, len(codes)]))
    if place.max() > 6:  # 35 bits: no picture has so many pixels
        return None
    differences = np.add.reduceat((codes & 31) << 5 * place, starts)
    negative = codes[last] & 16 != 0
    differences[negative] -= 1 << 5 * (place[last][negative] + 1)
    runs = differences.copy()
    runs[1::2] = differences[1::2].cumsum()
    runs[2::2] = differences[2::2].cumsum()
    return runs
