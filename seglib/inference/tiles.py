"""Owns how a picture too large for one forward pass is predicted in tiles that overlap. Explained in 11_predict."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seglib.errors import ShapeError

# Tiles begin at multiples of it. It is a multiple of every `OUTPUT_STRIDE`, so that the cells of the model's coarse
# logits cover the same pixels in each tile.
TILE_STEP = 32


def tile_spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Where the tiles along one side begin and end; neighbours share `overlap` pixels, the last may be shorter.

    Example:
        >>> tile_spans(1000, 480, 96)
        [(0, 480), (384, 864), (768, 1000)]
    """
    if not 0 <= overlap <= tile // 2 or (tile - overlap) % TILE_STEP:
        raise ShapeError(
            f"Tiles of {tile} pixels that overlap by {overlap}",
            f"an overlap of at most half a tile, and a multiple of {TILE_STEP} without it",
            "tile_and_overlap makes both.",
        )
    starts = range(0, max(length - overlap, 1), tile - overlap)
    return [(start, min(start + tile, length)) for start in starts]


def tile_and_overlap(trained_at: int) -> tuple[int, int]:
    """(tile, overlap) in pixels along one side: twice the side of the training pictures, and a quarter of that.

    Example:
        >>> tile_and_overlap(240)
        (480, 96)
    """
    tile = math.ceil(2 * trained_at / TILE_STEP) * TILE_STEP
    overlap = tile // 4 // TILE_STEP * TILE_STEP
    return tile, overlap


def blend_weights(begin: int, end: int, length: int, overlap: int) -> Tensor:
    """How much each pixel of a tile counts, (end - begin,) in [0, 1]; the weights of two neighbours add up to 1.

    At its edge a tile lacks the context of the pixels beyond. So the outer quarter of an overlap has the weight 0, and
    the weight rises over the middle half.
    """
    weight = torch.ones(end - begin)
    rising = (2 * (torch.arange(overlap) + 0.5) / max(overlap, 1) - 0.5).clamp(0, 1)
    if begin > 0:
        weight[:overlap] = rising
    if end < length:
        weight[-overlap or len(weight) :] = rising.flip(0)
    return weight


def predict_in_tiles(
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
    total = None
    tile_height, overlap_height = tile_and_overlap(trained_at[0])
    tile_width, overlap_width = tile_and_overlap(trained_at[1])
    for top, bottom in tile_spans(size[0], tile_height, overlap_height):
        weight_of_rows = blend_weights(top, bottom, size[0], overlap_height)
        for left, right in tile_spans(size[1], tile_width, overlap_width):
            weight_of_columns = blend_weights(left, right, size[1], overlap_width)
            rows = slice(top, bottom)
            columns = slice(left, right)
            outputs = outputs_of(rows, columns)  # (C, h, w)
            if total is None:
                total = torch.zeros(len(outputs), *size)  # (C, H, W)
            total[:, rows, columns] += outputs * (weight_of_rows[:, None] * weight_of_columns)
    assert total is not None  # a picture has at least one pixel, so there is at least one tile
    return total


class TiledModel(nn.Module):
    """A model whose forward pass works in tiles: to evaluate it on pictures much larger than those it was trained on.

    Args:
        model: maps images (N, 3, h, w) to {"out": (N, C, h, w)}.
        trained_at: (height, width) of the training pictures, as in `predict_in_tiles`.

    Shape:
        images (N, 3, H, W) in, {"out": (N, C, H, W)} out, on the same device.
    """

    def __init__(self, model: nn.Module, trained_at: tuple[int, int]):
        super().__init__()
        self.model = model
        self.trained_at = trained_at

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The outputs of each picture, tile by tile."""
        outputs = [self._outputs(image) for image in images]
        return {"out": torch.stack(outputs)}

    def _outputs(self, image: Tensor) -> Tensor:
        def outputs_of(rows: slice, columns: slice) -> Tensor:
            tile = image[None, :, rows, columns].contiguous(memory_format=torch.channels_last)
            return self.model(tile)["out"][0].float().cpu()

        return predict_in_tiles(outputs_of, (image.shape[-2], image.shape[-1]), self.trained_at).to(image.device)
