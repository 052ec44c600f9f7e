"""Owns how one picture file becomes an image or a mask, upright and checked. Explained in 01_dataset."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from seglib.errors import ImageError, MaskError, name_of

IGNORE_INDEX = 255  # in a mask of class labels: "nobody can say", counted by no loss and no metric


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

    A phone stores its pixels as the sensor lies and notes in the EXIF data how to turn them; we turn them.

    Returns:
        A PIL image of mode "RGB", 8 bits a channel.

    Raises:
        ImageError: the file is empty, truncated or no picture; it has 16 bits a channel; or it is partly transparent.
    """
    return as_photograph(_open(Path(path)), f'"{name_of(Path(path))}"')


def as_photograph(picture: Image.Image, name: str) -> Image.Image:
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
    known = 1 if classes is None else min(len(classes), IGNORE_INDEX)  # labels from 0 on; the last legal one is 255
    values = np.asarray(mask)
    strange = values - np.uint8(known) < 255 - known  # bytes wrap around: below `known`, and 255, comes out above that
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
