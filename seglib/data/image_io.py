"""Owns how one picture, a file or an object, becomes an image or a mask, upright and checked. Explained in 01_dataset.

This is the one place that decodes. Which kinds of files are pictures stands in `file_kinds.py`, what the values of a
mask mean in `mask_values.py`.
"""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision import io as torchvision_io

from seglib.data.file_kinds import (
    IMAGE_EXTENSIONS,
    UNREAD_EXTENSIONS,
    check_number_of_pixels,
    more_than_8_bits,
    open_picture,
    read_header,
    reading,
)
from seglib.data.mask_faults import MaskSource
from seglib.data.mask_values import AS_STORED, IGNORE_INDEX, MaskValues, labels_of
from seglib.errors import ImageError, MaskError, ShapeError, name_of

__all__ = [
    "IGNORE_INDEX",
    "IMAGE_EXTENSIONS",
    "UNREAD_EXTENSIONS",
    "ImageLike",
    "check_classes",
    "exif_orientation",
    "load_image",
    "load_image_tensor",
    "load_mask",
    "to_rgb_image",
    "upright_rgb",
]

_ORIENTATION = 0x0112  # the EXIF tag that says how the stored pixels have to be turned


def load_image(path: str | os.PathLike[str], *, max_pixels: int | None = None) -> Image.Image:
    """Open a photograph as people see it: upright, in RGB.

    A phone stores pixels as its sensor read them, and notes in the EXIF data how to turn them. They are turned here.

    Args:
        path: of the file. Its content says what kind of picture it is, not its ending.
        max_pixels: how many pixels it may have; None stands for what Pillow allows, about 179 million.

    Returns:
        A PIL image of mode "RGB", 8 bits a channel.

    Raises:
        ImageError: the file is empty, truncated or no picture; it has more than 8 bits a channel, more bands than
            three, several pages, or too many pixels; or it is partly transparent.
    """
    path = Path(path)
    name = f'"{name_of(path)}"'
    with reading(path):
        file = open_picture(path, max_pixels)
        if file.bits > 8 and not file.pixels.mode.startswith(("I", "F")):  # Pillow has cut them off
            raise more_than_8_bits(name, f"{file.bits} bits a channel, kind {file.kind}")
        return upright_rgb(file.pixels, name)


def upright_rgb(picture: Image.Image, name: str) -> Image.Image:
    """An opened picture upright and in RGB; raises and returns what `load_image` does. `name` is for the message."""
    if picture.getexif().get(_ORIENTATION, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        raise more_than_8_bits(name, f"mode {picture.mode}")
    if picture.mode == "LAB":
        raise ImageError(f"{name} is in Lab colours.", "red, green and blue, or grey", "Export it in sRGB.")
    if picture.has_transparency_data and _with_alpha(picture).getchannel("A").getextrema() != (255, 255):
        raise ImageError(
            f"{name} is partly transparent.",
            "a photograph without transparency",
            "Put it on a background of your choice and save it without an alpha channel. If its fourth band is no "
            "transparency but infrared or the like, save the other three alone.",
        )
    if picture.mode == "La":
        picture = picture.convert("LA")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _with_alpha(picture: Image.Image) -> Image.Image:
    return picture.convert("LA" if picture.mode == "La" else "RGBA")


def exif_orientation(path: str | os.PathLike[str]) -> int:
    """The EXIF orientation of a picture file, 1 to 8; 1 means that the pixels are stored upright. Reads no pixels."""
    path = Path(path)
    with reading(path), path.open("rb") as file:
        return read_header(file, path).getexif().get(_ORIENTATION, 1)


def load_mask(
    path: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    *,
    values: MaskValues = AS_STORED,
    max_pixels: int | None = None,
) -> Image.Image:
    """Open a mask and make sure that its values are labels.

    Args:
        path: a picture of one channel, whose numbers are the labels; a palette picture (with classes named its numbers
            are the labels); black and white in any mode; colours, where `values` has a table of them.
        classes: None for a binary mask, whose values are 0 (background) and 255 (object). Names of classes, the
            background's first, for a class mask: values 0 to len(classes) - 1, and 255 for "ignore".
        values: what the values of the file mean, if not what stands above: made by `make_mask_values`.
        max_pixels: as in `load_image`.

    Returns:
        A PIL image of mode "L", whose values are labels: 0 and 255, or 0 to len(classes) - 1 and 255.

    Raises:
        ImageError: the file is empty, truncated or no picture.
        MaskError: values that are no labels; colours without a table; partly transparent; or two readings.
    """
    path = Path(path)
    if isinstance(classes, str) or (classes is not None and len(classes) < 2):
        check_classes(classes)
    with reading(path):
        file = open_picture(path, max_pixels)
        mask = ImageOps.exif_transpose(file.pixels)
        source = MaskSource(path, classes, file.kind if file.lossy else "")
        return labels_of(mask, file, source, values)


def check_classes(classes: Sequence[str] | None) -> list[str] | None:
    """The names of classes as a list, the background's first; None, for binary masks, stays None.

    Raises:
        MaskError: fewer than two names, one string for a list, or a name that is empty or stands there twice.

    Example:
        >>> check_classes(("background", "cell"))
        ['background', 'cell']
    """
    if classes is None:
        return None
    names = classes.split(",") if isinstance(classes, str) else list(classes)
    right = 'classes=["background", "cell"]'
    if isinstance(classes, str):
        found = f'classes is one text, "{classes}", which Python would take for {len(classes)} names of one letter.'
        right = f"classes={_quoted(names)}" if len(names) > 1 else right
    elif not all(isinstance(name, str) and name.strip() for name in names):
        found = f"classes holds something that is no name: {names}."
    elif len(names) < 2:
        found = f"classes holds {len(names)} name{'' if names == [] else f', {names[0]}'}: nothing can be told apart."
        if names and "," in names[0]:
            right = f"classes={_quoted(names[0].split(','))}"
    elif len(set(names)) < len(names):
        found = f"classes names {next(name for name in names if names.count(name) > 1)} twice."
        right = f"classes={_quoted(list(dict.fromkeys(names)))}"
    elif len(names) > IGNORE_INDEX:
        found = f"classes holds {len(names)} names, and a mask of 8 bits has room for {IGNORE_INDEX}."
        right = "fewer of them, with relabel={300: 1} for what is merged"
    else:
        return names
    raise MaskError(found, "a list of two names at least, the background's first", f"Write {right}.")


def _quoted(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name.strip()}"' for name in names) + "]"


ImageLike = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor


def to_rgb_image(picture: ImageLike, *, max_pixels: int | None = None) -> Image.Image:
    """A picture as people see it: upright, in RGB.

    Args:
        picture: a path; a PIL image; an array (H, W) or (H, W, 3); a tensor (1, H, W) or (3, H, W). Arrays and tensors
            hold uint8, or floats in [0, 1].
        max_pixels: as in `load_image`, for a path.

    Returns:
        A PIL image of mode "RGB".

    Raises:
        ImageError: a file or a PIL image that `load_image` would refuse.
        ShapeError: an array or a tensor that is no picture: a batch, a normalised image, another type of number.

    Example:
        >>> to_rgb_image(np.zeros((240, 320, 3), np.uint8)).size
        (320, 240)
    """
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        if not path.is_file():
            raise ImageError(f'There is no file "{name_of(path)}".', "the path of a picture", "Correct the path.")
        return load_image(path, max_pixels=max_pixels)
    if isinstance(picture, Image.Image):
        return upright_rgb(picture, "The picture")
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


# What an EXIF orientation says about the stored pixels (3, H, W).
_UPRIGHT: dict[int, Callable[[Tensor], Tensor]] = {
    2: lambda stored: stored.flip(-1),
    3: lambda stored: stored.flip(-2, -1),
    4: lambda stored: stored.flip(-2),
    5: lambda stored: stored.transpose(-2, -1),
    6: lambda stored: stored.rot90(-1, (-2, -1)),  # a quarter turn clockwise
    7: lambda stored: stored.flip(-2, -1).transpose(-2, -1),
    8: lambda stored: stored.rot90(1, (-2, -1)),
}


def load_image_tensor(path: str | os.PathLike[str], *, max_pixels: int | None = None) -> Tensor:
    """`load_image` as a tensor, uint8 (3, H, W), upright; torchvision decodes JPEGs of 8 bits, which is faster.

    Any other file, and any file that torchvision cannot decode, goes to `load_image`, which raises its errors.
    """
    try:
        path = Path(path)
        data = path.read_bytes()
        header = read_header(io.BytesIO(data), path)  # reads no pixels
        check_number_of_pixels(header.size, path, max_pixels)
        plain = header.format == "JPEG" and header.mode in ("RGB", "L")
        turn = header.getexif().get(_ORIENTATION, 1) if plain else 1
        if plain:
            # Deprecated since torchvision 0.29: once it is gone, this fails, and Pillow does the work, a little slower.
            stored = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            pixels = torchvision_io.decode_jpeg(stored, torchvision_io.ImageReadMode.RGB)
            return _UPRIGHT[turn](pixels) if turn in _UPRIGHT else pixels  # (3, H, W)
    except Exception:  # a damaged file: Pillow reads it again, and raises an error that says what is wrong
        pass
    image = load_image(path, max_pixels=max_pixels)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (3, H, W)
