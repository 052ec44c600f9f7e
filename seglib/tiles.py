"""Owns how a picture too large for one forward pass is predicted in tiles that overlap. Explained in 09_predict."""

from collections.abc import Callable

import torch
from torch import Tensor

from seglib.errors import ShapeError

STRIDE = 32  # tiles begin at multiples of it, so that the model's coarse grid falls on the same pixels in each


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Where the tiles along one side begin and end; neighbours share `overlap` pixels, the last may be shorter.

    Example:
        >>> spans(1000, 480, 96)
        [(0, 480), (384, 864), (768, 1000)]
    """
    if not 0 <= overlap <= tile // 2 or (tile - overlap) % STRIDE:
        raise ShapeError(
            f"Tiles of {tile} pixels that overlap by {overlap}",
            f"an overlap of at most half a tile, and a multiple of {STRIDE} without it",
            "tile_side makes both.",
        )
    begins = range(0, max(length - overlap, 1), tile - overlap)
    return [(begin, min(begin + tile, length)) for begin in begins]


def tile_side(trained_at: int) -> tuple[int, int]:
    """(tile, overlap) in pixels along one side: twice the side of the training pictures, and a quarter of that.

    Example:
        >>> tile_side(240)
        (480, 96)
    """
    tile = -(-2 * trained_at // STRIDE) * STRIDE
    return tile, tile // 4 // STRIDE * STRIDE


def ramp(begin: int, end: int, length: int, overlap: int) -> Tensor:
    """How much each pixel of a tile counts, (end - begin,) in [0, 1]; the weights of two neighbours add up to 1.

    Next to a seam a tile does not see what lies behind it. So the outer quarter of an overlap counts nothing, and the
    weight rises over its middle half.
    """
    weight = torch.ones(end - begin)
    rising = (2 * (torch.arange(overlap) + 0.5) / max(overlap, 1) - 0.5).clamp(0, 1)
    if begin > 0:
        weight[:overlap] = rising
    if end < length:
        weight[-overlap or len(weight) :] = rising.flip(0)
    return weight


def in_tiles(
    outputs_of: Callable[[slice, slice], Tensor], size: tuple[int, int], trained_at: tuple[int, int]
) -> Tensor:
    """The outputs of a model for a large picture, tile by tile.

    Args:
        outputs_of: gives the outputs (C, h, w) of one tile, named by its rows and columns.
        size: (height, width) of the picture.
        trained_at: (height, width) of the training pictures; it decides how large a tile is.

    Returns:
        (C, height, width) float32. Where one tile counts alone, its outputs are unchanged.
    """
    total = torch.zeros(())
    (tall, over), (wide, beside) = map(tile_side, trained_at)
    for top, bottom in spans(size[0], tall, over):
        for left, right in spans(size[1], wide, beside):
            rows, columns = slice(top, bottom), slice(left, right)
            outputs = outputs_of(rows, columns)
            if not total.ndim:
                total = torch.zeros(len(outputs), *size)  # (C, H, W)
            weight = ramp(top, bottom, size[0], over)[:, None] * ramp(left, right, size[1], beside)  # (h, w)
            total[:, rows, columns] += outputs * weight
    return total
