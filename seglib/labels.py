"""Owns the labels of a mask on their way through transforms: none is invented, none is lost. See 02_transforms."""

import functools
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from seglib.errors import MaskError, name_of
from seglib.pictures import IGNORE_INDEX


def resize_labels(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a mask: each new pixel copies the one old pixel that lies under its centre.

    Pillow does the same. Torch's "nearest" copies the upper left one of those that a new pixel covers, and so moves the
    mask against its image by up to half a new pixel.

    Args:
        mask: of any dtype.
        size: (height, width) in pixels.

    Shape:
        (..., H, W) in, (..., height, width) of the same dtype out.

    Example:
        >>> resize_labels(torch.tensor([[0, 0, 3, 3]]), (1, 8))
        tensor([[0, 0, 0, 0, 3, 3, 3, 3]])
    """
    # The centre of new pixel i lies at (i + 1/2) * old / new. Whole numbers have no rounding errors.
    rows, columns = (
        (torch.arange(new, device=mask.device) * 2 + 1) * old // (2 * new)
        for new, old in zip(size, mask.shape[-2:], strict=True)
    )
    return mask.index_select(-2, rows).index_select(-1, columns)  # (..., height, width)


def check_labels(mask: Tensor, before: Collection[int], binary: bool, path: Path) -> None:
    """Make sure that the transforms of a mask have invented no value.

    Args:
        mask: what came out of the transforms, of any shape and dtype.
        before: the values that the file holds.
        binary: the object may have become 1.
        path: the file, for the message.

    Raises:
        MaskError: `mask` holds another value than those before and 255, which a crop may have added.
    """
    legal = sorted({0, 1, IGNORE_INDEX} if binary else {*before, IGNORE_INDEX})
    right = functools.reduce(torch.logical_or, (mask == value for value in legal))  # torch.isin takes ten times as long
    if right.all():
        return
    strange = mask[~right].unique()
    shown = ", ".join(f"{value:.3g}" for value in strange[:4].tolist())
    more = f" and {len(strange) - 4} more" if len(strange) > 4 else ""
    fix = "Resize masks by nearest: mask_transform and joint_transform do."
    if not binary:
        fix = "Resize masks by nearest, and never divide labels by 255, as ToTensor does: use class_mask_transform."
    raise MaskError(
        f'The transforms gave "{name_of(path)}" values that its file does not hold: {shown}{more}.',
        "0 and 1 only, and 255 for ignore" if binary else f"its labels: {', '.join(map(str, legal))}",
        fix,
    )
