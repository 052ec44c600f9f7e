"""Owns how one picture, a file or an object, becomes an image or a mask, upright and checked. Explained in 01_dataset.

This is the one place that decodes: EXIF orientation, colour modes, palettes and damaged files are dealt with here.
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

from seglib.errors import ImageError, MaskError, ShapeError, name_of

IGNORE_INDEX = 255  # in a mask of class labels: the label is unknown; no loss and no metric counts such a pixel
_ORIENTATION = 0x0112  # the EXIF tag that says how the stored pixels have to be turned


def _open(path: Path) -> Image.Image:
    """Decode one file to its last byte, so that a truncated file is found here and not as a grey patch in training."""
    try:
        with Image.open(path) as picture:
            frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)  # MPO: a phone's JPEG
            picture.load()
    except FileNotFoundError:
        raise ImageError(
            f'"{name_of(path)}" is no longer there.', "the file that was listed before", "Make the dataset again."
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(
            f'"{name_of(path)}" has more pixels than Pillow opens; a small file can be made to fill the memory.',
            f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels",
            "If you know the file: PIL.Image.MAX_IMAGE_PIXELS = None before. If not, throw it away.",
        ) from error
    except Exception as error:  # Pillow raises many kinds, depending on the format and on where the damage is
        size = path.stat().st_size
        what = "is empty (0 bytes)" if size == 0 else f"cannot be read as a picture ({size} bytes: {_reason(error)})"
        raise ImageError(
            f'"{name_of(path)}" {what}.',
            "a complete picture",
            "Copy or download the file again; if it was never a picture, move it out of the folder.",
        ) from error
    if frames > 1:
        raise ImageError(
            f'"{name_of(path)}" holds {frames} pictures: it is animated, or has several pages.',
            "one picture in a file",
            "Save each of them as a file of its own.",
        )
    return picture


def _reason(error: Exception) -> str:
    """Why Pillow gave up, without the path that it puts into some of its messages."""
    return "no picture format that Pillow knows" if "identify" in str(error) else str(error).split(" '")[0]


def load_image(path: str | os.PathLike[str]) -> Image.Image:
    """Open a photograph as people see it: upright, in RGB.

    A phone stores pixels as its sensor read them, and notes in the EXIF data how to turn them. They are turned here.

    Returns:
        A PIL image of mode "RGB", 8 bits a channel.

    Raises:
        ImageError: the file is empty, truncated or no picture; it has 16 bits a channel; or it is partly transparent.
    """
    return upright_rgb(_open(Path(path)), f'"{name_of(Path(path))}"')


def exif_orientation(path: str | os.PathLike[str]) -> int:
    """The EXIF orientation of a picture file, 1 to 8; 1 means that the pixels are stored upright. Reads no pixels."""
    with Image.open(path) as picture:
        return picture.getexif().get(_ORIENTATION, 1)


def upright_rgb(picture: Image.Image, name: str) -> Image.Image:
    """An opened picture upright and in RGB; raises and returns what `load_image` does. `name` is for the message."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        raise ImageError(
            f"{name} has more than 8 bits a channel (mode {picture.mode}).",
            "a photograph with 8 bits a channel",
            "Export it with 8 bits a channel: cutting the bits off here would change its brightness in silence.",
        )
    if picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise ImageError(
            f"{name} is partly transparent.",
            "a photograph without transparency",
            "Put it on a background of your choice and save it without an alpha channel.",
        )
    return picture.convert("RGB")


def load_mask(path: str | os.PathLike[str], classes: Sequence[str] | None = None) -> Image.Image:
    """Open a mask and make sure that its values are labels.

    Args:
        path: an 8-bit picture of one channel.
        classes: None for a binary mask, whose values are 0 (background) and 255 (object). Names of classes, the
            background's first, for a class mask: values 0 to len(classes) - 1, and 255 for "ignore".

    Returns:
        A PIL image of mode "L" with the values of the file.

    Raises:
        ImageError: the file is empty, truncated or no picture.
        MaskError: a mask in colour, with a palette, with alpha, with 16 bits; or values that are no labels.
    """
    path = Path(path)
    opened = _open(path)
    mask = ImageOps.exif_transpose(opened)
    if mask.mode == "1" and classes is None:
        mask = mask.convert("L")  # one bit a pixel has one reading: 0 and 255
    elif mask.mode == "P" and _palette_is_grey(mask):
        mask = mask.convert("L")
    elif mask.mode != "L":
        raise MaskError(f'"{name_of(path)}" is {_KINDS.get(mask.mode, f"of mode {mask.mode}")}.', *_ONE_CHANNEL)
    num_labels = 1 if classes is None else min(len(classes), IGNORE_INDEX)  # 255 is legal beside the labels from 0 on
    values = np.asarray(mask)
    strange = (values >= num_labels) & (values != 255)
    if strange.any():
        raise MaskError(*_strange_values(path, opened.format, np.unique(values[strange]).tolist(), classes))
    return mask


_ONE_CHANNEL = (
    "an 8-bit mask of one channel, whose values are the labels",
    "Save the labels themselves as a grey PNG.",
)
_KINDS = {
    "RGB": "in colour (mode RGB)",
    "RGBA": "in colour with an alpha channel (mode RGBA)",
    "LA": "grey with an alpha channel (mode LA)",
    "PA": "a palette picture with an alpha channel (mode PA)",
    "P": "a palette picture (mode P) whose colours are not its numbers, so that a pixel has two readings",
    "I;16": "grey with 16 bits a pixel (mode I;16)",
    "1": "a picture of one bit a pixel (mode 1), which cannot hold classes",
}


def _palette_is_grey(mask: Image.Image) -> bool:
    """True if each palette entry in use is the grey of its own number, so that number and colour say the same."""
    palette = mask.getpalette() or []
    used = [index for index, count in enumerate(mask.histogram()) if count]
    return all(palette[3 * index : 3 * index + 3] == [index] * 3 for index in used)


def _strange_values(path: Path, kind: str | None, strange: list[int], classes: Sequence[str] | None) -> tuple[str, ...]:
    """The message for a mask with values that are no labels: (found, expected, fix)."""
    shown = ", ".join(map(str, strange[:6])) + (f" and {len(strange) - 6} more" if len(strange) > 6 else "")
    expected = "0 (background) and 255 (object) only"
    fix = "If these are class labels, name the classes: CustomDataset(..., classes=[...]). If not, save the mask anew."
    if classes is not None:
        expected = f"0 to {len(classes) - 1} ({', '.join(classes)}), and {IGNORE_INDEX} for ignore"
        fix = "Correct the mask, or add the missing names to classes."
    if kind == "JPEG":
        fix = "A JPEG smears values at every edge, so it cannot hold labels. Export the mask again, as PNG."
    return f'"{name_of(path)}" holds values that are no labels: {shown}.', expected, fix


ImageLike = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor


def to_rgb_image(picture: ImageLike) -> Image.Image:
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
        >>> to_rgb_image(np.zeros((240, 320, 3), np.uint8)).size
        (320, 240)
    """
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        if not path.is_file():
            raise ImageError(f'There is no file "{name_of(path)}".', "the path of a picture", "Correct the path.")
        return load_image(path)
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


def load_image_tensor(path: str | os.PathLike[str]) -> Tensor:
    """`load_image` as a tensor, uint8 (3, H, W), upright; torchvision decodes JPEGs of 8 bits, which is faster.

    Any other file, and any file that torchvision cannot decode, goes to `load_image`, which raises its errors.
    """
    try:
        data = Path(path).read_bytes()
        with Image.open(io.BytesIO(data)) as header:  # reads no pixels
            plain = header.format == "JPEG" and header.mode in ("RGB", "L")
            turn = header.getexif().get(_ORIENTATION, 1) if plain else 1
        if plain:
            # Deprecated since torchvision 0.29: once it is gone, this fails, and Pillow does the work, a little slower.
            stored = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            pixels = torchvision_io.decode_jpeg(stored, torchvision_io.ImageReadMode.RGB)
            return _UPRIGHT[turn](pixels) if turn in _UPRIGHT else pixels  # (3, H, W)
    except Exception:  # a damaged file: Pillow reads it again, and raises an error that says what is wrong
        pass
    return torch.from_numpy(np.array(load_image(path))).permute(2, 0, 1)  # (3, H, W)
