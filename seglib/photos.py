"""Owns how any picture, a file or an object, becomes a photograph to predict on. Explained in 09_predict."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from seglib.errors import ImageError, ShapeError, name_of
from seglib.pictures import as_photograph, load_image

Picture = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor


def to_photograph(picture: Picture) -> Image.Image:
    """A picture as people see it: upright, in RGB.

    Args:
        picture: a path; a PIL image; an array (H, W) or (H, W, 3); a tensor (1, H, W) or (3, H, W). Arrays and tensors
            hold uint8, or floats in [0, 1].

    Returns:
        A PIL image of mode "RGB".

    Raises:
        ImageError: a file or a PIL image that `load_image` would refuse.
        ShapeError: an array or a tensor that is no picture: a batch, a normalised image, another type of number.

    Example:
        >>> to_photograph(np.zeros((240, 320, 3), np.uint8)).size
        (320, 240)
    """
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        if not path.is_file():
            raise ImageError(f'There is no file "{name_of(path)}".', "the path of a picture", "Correct the path.")
        return load_image(path)
    if isinstance(picture, Image.Image):
        return as_photograph(picture, "The picture")
    if isinstance(picture, Tensor):
        pixels = picture.detach().cpu()
        right = pixels.ndim == 3 and pixels.shape[0] in (1, 3)
        array = (pixels.permute(1, 2, 0) if right else pixels).numpy()  # (H, W, C)
    else:
        array = np.asarray(picture)
        right = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3))
    if not right or 0 in array.shape:
        raise ShapeError(
            f"The picture is {_kind(picture)} of shape {tuple(np.shape(picture))}.",
            "one picture: a tensor (3, H, W), or an array (H, W, 3), channels last",
            "Take one of a batch, images[0]; exchange axes with permute or transpose.",
        )
    return Image.fromarray(_to_bytes(array.reshape(*array.shape[:2], -1)))


def _to_bytes(array: np.ndarray) -> np.ndarray:
    """(H, W, C) of bytes or of floats in [0, 1] to (H, W, 3) uint8."""
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= -0.001 and high <= 1.001):  # NaN is refused too
            raise ShapeError(
                f"The picture holds floats from {low:.3g} to {high:.3g}.",
                "floats from 0 to 1, or bytes from 0 to 255",
                "denormalize(image) undoes a normalisation; bytes are made by array.astype(np.uint8).",
            )
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    if array.dtype != np.uint8:
        raise ShapeError(
            f"The picture holds numbers of type {array.dtype}.",
            "uint8 from 0 to 255, or floats from 0 to 1",
            "Divide by the largest value that is possible: 16 bits by 65535.",
        )
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))  # grey becomes RGB


def _kind(picture: Any) -> str:
    return {Tensor: "a tensor", np.ndarray: "an array"}.get(type(picture), f"a {type(picture).__name__}")


def working_size(size: tuple[int, int], trained_at: tuple[int, int], scale: float | None = None) -> tuple[int, int]:
    """The size at which a model should see a picture, so that things are as large as they were in training.

    Args:
        size: (height, width) of the picture.
        trained_at: (height, width) of the training pictures. The same number of pixels, in the picture's own shape.
        scale: instead, so many new pixels for one old one, along each side.

    Example:
        >>> working_size((960, 1280), (240, 320)), working_size((1280, 960), (240, 320))
        ((240, 320), (320, 240))
    """
    factor = scale or math.sqrt(trained_at[0] * trained_at[1] / (size[0] * size[1]))
    height, width = (max(1, round(side * factor)) for side in size)
    return height, width
