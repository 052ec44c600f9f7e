"""Owns what every reader of a format hands on: its pictures, its classes, and notes of what it met.

Explained in 13_your_own_data.
"""

import importlib
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from seglib.data.file_kinds import IMAGE_EXTENSIONS, open_picture, read_header, reading
from seglib.data.splits import SIDES
from seglib.errors import MaskError, PairError, SegError, name_of

Size = tuple[int, int]  # (height, width)

BACKGROUND = "background"
_ORIENTATION = 0x0112  # the EXIF tag that says how the stored pixels have to be turned
# In the label maps that readers draw. 255 would be too small: a source may know a thousand classes, of which few are
# asked for. In the masks that are written it becomes 255.
IGNORED = 65535


class Notes:
    """What a conversion met and what it left out: each kind once, counted, with the place where it came first.

    Example:
        >>> notes = Notes()
        >>> for number in (7, 8):
        ...     notes.add_left_out("annotations that are only a box", f"annotation {number}")
        >>> notes.left_out
        {'annotations that are only a box': [2, 'annotation 7']}
    """

    def __init__(self) -> None:
        self.met: dict[str, list[Any]] = {}
        self.left_out: dict[str, list[Any]] = {}

    def add_met(self, what: str, where: str, count: int = 1) -> None:
        """Something that was used, and that one should know of."""
        self.met.setdefault(what, [0, where])[0] += count

    def add_left_out(self, what: str, where: str, count: int = 1) -> None:
        """Something that stands in no mask."""
        self.left_out.setdefault(what, [0, where])[0] += count


@dataclass(frozen=True)
class AnnotatedPicture:
    """One photograph, and how its label map is drawn.

    Attributes:
        image: the file of the photograph.
        draw: takes the photograph's (height, width), upright, and returns uint16 (H, W): numbers of the source's
            classes, 0 for the background, and `IGNORED`. It may have the photograph's stored shape as well.
        where: the file that holds the annotation, for messages.
        size: the (height, width) that the annotation itself states; None if it states none.
        side: "train", "validation" or "test"; None if the source does not say.
    """

    image: Path
    draw: Callable[[Size], np.ndarray]
    where: str
    size: Size | None = None
    side: str | None = None


@dataclass
class Source:
    """An export as it was read: nothing is drawn yet.

    Attributes:
        kind: in words, for the report.
        classes: all names, the background's first.
        pictures: the photographs that have an annotation, even an empty one.
        notes: what the reader met, and what it left out.
    """

    kind: str
    classes: list[str]
    pictures: list[AnnotatedPicture]
    notes: Notes = field(default_factory=Notes)


# Files


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Raises:
        PairError: the file is not there.
        MaskError: it is no text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PairError(
            f'There is no file "{name_of(path)}".', "the file that the export names", "Export it again."
        ) from None
    except (UnicodeDecodeError, OSError) as error:
        raise MaskError(
            f'"{name_of(path)}" cannot be read as text.', "text in UTF-8", "Save it as UTF-8, or export it again."
        ) from error


@lru_cache(maxsize=8)  # recognising a format reads what the reader of the format reads again
def read_json(path: Path) -> Any:
    """The contents of a JSON file, with or without a byte order mark; not to be changed by who reads it."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise MaskError(
            f'"{name_of(path)}" is damaged: no JSON can be read from it{place}.',
            "a whole JSON file",
            "Export or copy it again.",
        ) from error


def has_keys(path: Path, *keys: str) -> bool:
    """Whether a file is a JSON object that holds all these keys; raises what `read_json` raises."""
    contents = read_json(path)
    return isinstance(contents, dict) and all(key in contents for key in keys)


def optional_library(name: str, what: str) -> Any:
    """A library that `pip install "seglib[formats]"` brings; imported where it is needed and not before.

    Raises:
        SegError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SegError(
            f"{what} needs {name.split('.')[0]}, which is not installed.",
            "the libraries for other tools' formats",
            'pip install "seglib[formats]"',
        ) from error


# Pictures


def stored_and_upright(path: Path) -> tuple[Size, Size]:
    """The (height, width) of a picture file as stored, and upright, as the EXIF data ask for. Decodes no pixels.

    Raises:
        PairError: the file is not there.
        ImageError: it is no picture.
    """
    if not path.is_file():
        raise PairError(
            f'There is no picture "{name_of(path)}".', "the picture that the annotation names", "Copy it there."
        )
    with reading(path), path.open("rb") as file:
        picture = read_header(file, path)
        stored = (picture.height, picture.width)
        turned = picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return stored, (stored[::-1] if turned else stored)


def read_label_picture(path: Path) -> Image.Image:
    """A mask file as it is: mode "1", "L", "P" or "RGB", decoded to the last byte, not turned.

    Raises:
        PairError: the file is not there.
        ImageError: it is no picture, or damaged.
        MaskError: more than 8 bits a channel, partly transparent, or a JPEG.
    """
    if not path.is_file():
        raise PairError(
            f'There is no mask "{name_of(path)}".', "a mask for each picture of the lists", "Export it again."
        )
    with reading(path):
        file = open_picture(path)
    picture = file.pixels
    if file.lossy:
        raise MaskError(
            f'"{name_of(path)}" is a {file.kind}, which smears the labels at every edge.',
            "masks in PNG",
            "Export it as PNG.",
        )
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    if picture.mode not in ("1", "L", "P", "RGB"):
        raise MaskError(
            f'"{name_of(path)}" is of mode {picture.mode}.',
            "labels in an 8-bit grey, palette or RGB picture without transparency",
            "Export the masks again, as plain PNG.",
        )
    return picture


def turned_upright(labels: np.ndarray, image: Path) -> np.ndarray:
    """A label map (H, W) that was drawn on the stored pixels, turned as the photograph's EXIF data turn it."""
    with reading(image), image.open("rb") as file:
        orientation = read_header(file, image).getexif().get(_ORIENTATION, 1)
    numbers = Image.fromarray(labels.astype(np.int32))  # of Pillow's modes the one that holds them all
    numbers.getexif()[_ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(numbers)).astype(labels.dtype)


def is_picture(path: Path) -> bool:
    """Whether a file has the name of a photograph."""
    return path.suffix.lower() in IMAGE_EXTENSIONS and not path.name.startswith(".")


def pictures_in(folder: Path) -> dict[str, Path]:
    """The pictures right in a folder, by stem; none if it is not there.

    Raises:
        PairError: two have the same stem.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if is_picture(path):
            if path.stem in found:
                raise same_stem(found[path.stem], path)
            found[path.stem] = path
    return found


def same_stem(first: Path, second: Path) -> PairError:
    """The error for two photographs that would get one and the same mask."""
    return PairError(
        f'"{name_of(first)}" and "{name_of(second)}" would share one mask: they have the same stem.',
        "one picture of each stem in a folder",
        "Rename or move one of the two, in the export as well.",
    )


# Names and values


def side_of(name: str) -> str | None:
    """The side of a split that the name of a folder or file states, as in `instances_val2017`.

    Example:
        >>> side_of("instances_val2017"), side_of("valid"), side_of("default")
        ('validation', 'validation', None)
    """
    sides = {SIDES[word] for word in re.findall(r"[a-z]+", name.lower()) if word in SIDES}
    return sides.pop() if len(sides) == 1 else None


def as_posix(name: str) -> str:
    """A path out of an export: with forward slashes, whichever system wrote it."""
    return name.replace("\\", "/")


def is_absolute(name: str) -> bool:
    """Whether a path out of an export names a place on the machine that it was made on."""
    return name.startswith("/") or re.match(r"[A-Za-z]:", name) is not None


def normal(path: Path) -> Path:
    """A path without `..` in its midst."""
    return Path(os.path.normpath(path))


def numbers_of(values: object, where: str) -> np.ndarray:
    """A list of numbers, in float64 (N,).

    Raises:
        MaskError: no list, or something in it that is no number, or one that lies far outside every picture.
    """
    wrong = MaskError(
        f"{where}: the coordinates are no list of numbers.", "finite numbers of pixels", "Export it again."
    )
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise wrong
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:
        raise wrong from None
    if not (np.abs(numbers) < 1e6).all():  # NaN too
        raise wrong
    return numbers


def string_of(contents: dict[str, Any], key: str, where: str) -> str:
    """The text under a key of a JSON object.

    Raises:
        MaskError: it is not there, empty or no text.
    """
    value = contents.get(key)
    if not isinstance(value, str) or not value.strip():
        raise MaskError(f'{where} has no "{key}".', f'text under "{key}"', "Correct the file, or export it again.")
    return value


def objects_of(contents: Any, key: str, where: str) -> list[dict[str, Any]]:
    """The list of objects under a key of a JSON object.

    Raises:
        MaskError: it is not there, or something else.
    """
    values = contents.get(key) if isinstance(contents, dict) else None
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise MaskError(
            f'{where} has no list of objects under "{key}".', "the structure of the format", "Export it again."
        )
    return values


def is_background(name: str) -> bool:
    """Whether a class is what other tools call the background, so that its shapes clear what lies under them."""
    return name.strip().strip("_").lower() == BACKGROUND


def background_first(names: Iterable[str]) -> list[str]:
    """Class names, each once, the background's in front: that of the list, or else "background".

    Example:
        >>> background_first(["car", "tree", "car"])
        ['background', 'car', 'tree']
    """
    objects = [name for name in dict.fromkeys(names) if not is_background(name)]
    return [BACKGROUND, *objects]
