"""Owns the reading of LabelMe's JSON files, one beside each photograph. Explained in 13_your_own_data.

Shapes with an area are drawn in the order of the file: polygon, rectangle, circle, and the masks of its AI tools. A
hole is drawn as a shape of class `_background_` over the object; `__ignore__` becomes 255, both as in LabelMe's own
scripts.
"""

import base64
import binascii
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seglib.data.formats.coco import paint
from seglib.data.formats.rasters import Region, circle_region, lies_outside, polygon_region
from seglib.data.formats.source import (
    IGNORED,
    AnnotatedPicture,
    Notes,
    Size,
    Source,
    as_posix,
    background_first,
    has_keys,
    is_absolute,
    is_background,
    normal,
    numbers_of,
    objects_of,
    read_json,
    side_of,
    string_of,
)
from seglib.errors import MaskError, PairError, name_of

IGNORE_NAME = "__ignore__"


def labelme_files(source: Path) -> list[Path]:
    """The files of LabelMe in a folder and below it."""
    if source.is_file():
        return [source] if source.suffix.lower() == ".json" and has_keys(source, "shapes") else []
    return [path for path in _json_files(source) if has_keys(path, "shapes")]


def _json_files(source: Path) -> list[Path]:
    return [path for path in sorted(source.rglob("*.json")) if not path.name.startswith(".")]


def read_labelme(source: Path, *, images: Path | None = None) -> Source:
    """Read the JSON files of LabelMe.

    Args:
        source: a folder of them, or one of them. Sub folders named train, val and test are the sides of a split.
        images: the folder of the photographs, if they are not where the files say.

    Raises:
        PairError: no such file, or a photograph that is not there.
        MaskError: a shape that cannot be right, with its file and place.
    """
    notes = Notes()
    files = [source] if source.is_file() else _json_files(source)
    opened: dict[Path, dict[str, Any]] = {}
    for path in files:
        contents = read_json(path)  # raises where the file is damaged
        if isinstance(contents, dict) and "shapes" in contents:
            opened[path] = contents
        else:
            notes.add_left_out("JSON files that are not of LabelMe", name_of(path))
    if not opened:
        raise PairError(
            f'"{name_of(source)}" holds no file of LabelMe.', 'JSON files with "shapes"', "Correct the path."
        )
    shapes = {path: _shapes_of(path, contents, notes) for path, contents in opened.items()}
    names = sorted({shape.name for found in shapes.values() for shape in found})
    classes = background_first(name for name in names if name != IGNORE_NAME)
    folder = source.parent if source.is_file() else source
    pictures = []
    for path, contents in opened.items():
        side = side_of(path.relative_to(folder).parts[0]) if path.parent != folder else None
        picture = AnnotatedPicture(
            image=_photograph(path, contents, images),
            draw=partial(_draw, shapes[path], classes, notes),
            where=f'"{name_of(path)}"',
            size=_size_of(path, contents),
            side=side,
        )
        pictures.append(picture)
        if not shapes[path]:
            notes.add_met("pictures without a shape that has an area, taken as background", name_of(path))
    return Source("LabelMe", classes, pictures, notes)


class _Shape:
    """One shape of a file: its class, and how its pixels are found."""

    def __init__(self, name: str, where: str, points: np.ndarray, region: Callable[[Size], Region]):
        self.name = name
        self.where = where
        self.points = points  # (N, 2), what the shape reaches to
        self.region = region


def _shapes_of(path: Path, contents: dict[str, Any], notes: Notes) -> list[_Shape]:
    """The shapes with an area, checked."""
    found = []
    for index, entry in enumerate(objects_of(contents, "shapes", f'"{name_of(path)}"')):
        where = f'"{name_of(path)}", shape {index + 1}'
        name = string_of(entry, "label", where).strip()
        kind = entry.get("shape_type") or "polygon"  # files of old versions do not state it
        if kind not in _READERS:
            notes.add_left_out(f"shapes of type {kind}, which has no area or is not known", where)
            continue
        points = _points_of(entry, where)
        found.append(_READERS[kind](entry, name, f"{where} ({name})", points))
    return found


def _points_of(entry: dict[str, Any], where: str) -> np.ndarray:
    points = entry.get("points")
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise MaskError(f'{where}: its "points" are no list of [x, y].', "two numbers for each point", "Draw it again.")
    return numbers_of([value for point in points for value in point], where).reshape(-1, 2)


def _polygon(entry: dict[str, Any], name: str, where: str, points: np.ndarray) -> _Shape:
    if len(points) < 3:
        raise MaskError(
            f"{where}: a polygon of {len(points)} points.", "at least three", "Draw it again in LabelMe, or delete it."
        )
    return _Shape(name, where, points, partial(polygon_region, points))


def _rectangle(entry: dict[str, Any], name: str, where: str, points: np.ndarray) -> _Shape:
    if len(points) == 4:  # other programs that write LabelMe's files name all four corners
        return _polygon(entry, name, where, points)
    (left, top), (right, bottom) = _two(points, "a rectangle", "two opposite corners", where)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return _Shape(name, where, corners, partial(polygon_region, corners))


def _circle(entry: dict[str, Any], name: str, where: str, points: np.ndarray) -> _Shape:
    centre, edge = _two(points, "a circle", "its centre and a point on it", where)
    radius = np.hypot(*(edge - centre))
    return _Shape(name, where, np.array([centre - radius, centre + radius]), partial(circle_region, centre, edge))


def _mask(entry: dict[str, Any], name: str, where: str, points: np.ndarray) -> _Shape:
    """A mask of LabelMe's AI tools: a small PNG in base64, whose corners are the two points."""
    first, last = _two(points, "a mask", "its first and its last pixel", where)
    try:
        with Image.open(io.BytesIO(base64.b64decode(entry.get("mask") or "", validate=True))) as picture:
            inside = np.asarray(picture.convert("L")) > 0
    except (OSError, binascii.Error, TypeError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MaskError(f"{where}: its mask is damaged.", "a PNG in base64", "Draw it again.") from error
    (left, top), (right, bottom) = first.astype(int).tolist(), last.astype(int).tolist()
    if inside.shape != (bottom - top + 1, right - left + 1):
        raise MaskError(
            f"{where}: its mask has {inside.shape[0]} x {inside.shape[1]} pixels, its points span another window.",
            f"{bottom - top + 1} x {right - left + 1} pixels",
            "Draw it again.",
        )

    def region(size: Size) -> Region:
        up, over = max(-top, 0), max(-left, 0)  # what lies outside is cut off
        visible = inside[up : max(size[0] - top, 0), over : max(size[1] - left, 0)]
        return Region(min(max(top, 0), size[0]), min(max(left, 0), size[1]), visible)

    return _Shape(name, where, np.array([first, last + 1.0]), region)


def _two(points: np.ndarray, what: str, expected: str, where: str) -> np.ndarray:
    if len(points) != 2:
        raise MaskError(
            f"{where}: {what} of {len(points)} points.", expected, "Draw it again in LabelMe, or delete it."
        )
    return points


_READERS: dict[str, Callable[[dict[str, Any], str, str, np.ndarray], _Shape]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
    "mask": _mask,
}


def _draw(shapes: list[_Shape], classes: list[str], notes: Notes, size: Size) -> np.ndarray:
    labels = np.zeros(size, np.uint16)
    for shape in shapes:
        if lies_outside(shape.points, size):
            notes.add_met("shapes that reach outside their picture, cut off there", shape.where)
        label = 0 if is_background(shape.name) else IGNORED if shape.name == IGNORE_NAME else classes.index(shape.name)
        paint(labels, shape.region(size), label, notes, shape.where)
    return labels


def _photograph(path: Path, contents: dict[str, Any], images: Path | None) -> Path:
    """Where the photograph lies: as `imagePath` says from the file, or by its name beside it or in `images`."""
    stated = as_posix(string_of(contents, "imagePath", f'"{name_of(path)}"'))
    name = stated.rsplit("/", 1)[-1]
    places = [path.parent / name] if is_absolute(stated) else [path.parent / stated, path.parent / name]
    if images is not None:
        places = [images / name] if is_absolute(stated) else [images / stated, images / name]
    for place in places:
        if place.is_file():
            return normal(place)
    raise PairError(
        f'"{name_of(path)}" is for the photograph "{name}", which is not there.',
        f'"{stated}" seen from the file, or a picture of this name beside it',
        "Correct images=FOLDER, or copy the photograph there." if images else "Name their folder by images=FOLDER.",
    )


def _size_of(path: Path, contents: dict[str, Any]) -> Size | None:
    size = contents.get("imageHeight"), contents.get("imageWidth")
    if None in size:
        return None
    if not all(type(side) is int and side > 0 for side in size):
        raise MaskError(
            f'"{name_of(path)}": imageHeight {size[0]}, imageWidth {size[1]}.', "its size in pixels", "Save it again."
        )
    return size  # type: ignore[return-value]
