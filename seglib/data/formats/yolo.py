"""Owns the reading of YOLO's segmentation labels: data.yaml, pictures and text files. Explained in 13_your_own_data.

A line of a text file is one object: its class, then x and y of each corner as shares of width and height. Lines of five
numbers are boxes of a detection export; they have no outline and are left out. The shares count from the picture as it
is shown, upright, as Ultralytics reads it.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seglib.data.formats.coco import paint
from seglib.data.formats.rasters import lies_outside, polygon_region
from seglib.data.formats.source import (
    AnnotatedPicture,
    Notes,
    Size,
    Source,
    as_posix,
    background_first,
    is_background,
    is_picture,
    normal,
    optional_library,
    read_text,
)
from seglib.errors import MaskError, PairError, SegError, SplitError, name_of

_SIDES = (("train", "train"), ("val", "validation"), ("test", "test"))


def yolo_files(source: Path) -> list[Path]:
    """The YAML files of a folder that name classes, told by their text: no library is needed."""
    if source.is_file():
        return [source] if source.suffix.lower() in (".yaml", ".yml") else []
    found = sorted(path for path in source.iterdir() if path.suffix.lower() in (".yaml", ".yml") and path.is_file())
    return [path for path in found if _names_classes(path)]


def _names_classes(path: Path) -> bool:
    try:
        return any(line.startswith("names:") for line in read_text(path).splitlines())
    except SegError:
        return False


def read_yolo(source: Path, *, images: Path | None = None) -> Source:
    """Read a YOLO segmentation export.

    Args:
        source: its data.yaml, or the folder that holds it.
        images: a folder of photographs beside a folder "labels", if data.yaml does not say where they are.

    Raises:
        PairError: no data.yaml or several, no pictures, or labels whose picture is not there.
        SplitError: a picture stands on two sides.
        MaskError: a line that cannot be right, with its file and number.
    """
    files = yolo_files(source)
    if len(files) != 1:
        found = f"{len(files)} ({', '.join(map(name_of, files))})" if files else "none"
        raise PairError(
            f'"{name_of(source)}" should hold one YAML file that names the classes; there is {found}.',
            "one data.yaml with names: [...]",
            "Name the file itself as the source."
            if files
            else "Copy data.yaml there: without it labels have no names.",
        )
    path = files[0]
    contents = _read_yaml(path)
    names = _class_names(contents, path)
    notes = Notes()
    classes = background_first(names.values())
    label_of = {index: 0 if is_background(name) else classes.index(name) for index, name in names.items()}
    pictures = []
    side_of_image: dict[Path, str | None] = {}
    photographs = _photographs(path, contents, notes) if images is None else ((image, None) for image in _below(images))
    for image, side in photographs:
        if side_of_image.setdefault(image, side) != side:
            raise SplitError(
                f'"{name_of(image)}" stands on two sides of the split, {side_of_image[image]} and {side}.',
                "each picture on one side",
                f"Correct the paths in {path.name}: a picture that was trained on proves nothing.",
            )
        label_file = label_file_of(image)
        lines = _lines(label_file, label_of, notes)
        where = f'"{name_of(label_file)}"'
        pictures.append(AnnotatedPicture(image, partial(_draw, lines, notes), where, side=side))
    _require_pictures(list(side_of_image), path)
    return Source("YOLO", classes, pictures, notes)


def label_file_of(image: Path) -> Path:
    """The text file of a photograph: the last folder "images" of its path becomes "labels".

    Example:
        >>> label_file_of(Path("fruit/images/train/a.jpg")).as_posix()
        'fruit/labels/train/a.txt'
    """
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _read_yaml(path: Path) -> dict[str, Any]:
    yaml = optional_library("yaml", "Reading data.yaml")
    try:
        contents = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise MaskError(f'"{name_of(path)}" is damaged: no YAML.', "a whole YAML file", "Export it again.") from error
    if not isinstance(contents, dict):
        raise MaskError(f'"{name_of(path)}" holds no keys.', "names: [...] and train: ...", "Export it again.")
    return contents


def _class_names(contents: dict[str, Any], path: Path) -> dict[int, str]:
    """The names of the classes by their number: from a list, or from a table 0: name."""
    names = contents.get("names")
    table = dict(enumerate(names)) if isinstance(names, list) else names
    right = isinstance(table, dict) and all(type(key) is int for key in table) and bool(table)
    if not isinstance(table, dict) or not right or not all(type(name) in (str, int) for name in table.values()):
        raise MaskError(
            f'"{name_of(path)}": "names" is {names!r}.'[:200],
            "names: [cat, dog] or a table 0: cat",
            'Correct it; names as yes, no or 1.5 need quotes: "yes".',
        )
    count = contents.get("nc", len(table))
    if count != len(table):
        raise MaskError(
            f'"{name_of(path)}" says nc: {count}, and names {len(table)} classes.',
            "as many names as classes",
            "Correct it.",
        )
    return {number: str(name) for number, name in sorted(table.items())}


def _photographs(path: Path, contents: dict[str, Any], notes: Notes) -> Iterator[tuple[Path, str | None]]:
    """Every photograph with its side, in the order of the file."""
    root = path.parent
    if isinstance(contents.get("path"), str) and (root / contents["path"]).is_dir():
        root = root / contents["path"]
    for key, side in _SIDES:
        entries = contents.get(key) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            place = _place(root, path.parent, entry)
            if place is None:
                notes.add_left_out(f'folders of "{path.name}" that are not there', f"{key}: {entry}")
                continue
            for image in _below(place) if place.is_dir() else _listed(root, place):
                yield image, side


def _place(root: Path, beside: Path, entry: object) -> Path | None:
    """A folder or list that data.yaml names. Roboflow writes ../train/images for a folder beside the file."""
    if not isinstance(entry, str):
        return None
    name = as_posix(entry)
    for place in (root / name, beside / name, root / name.removeprefix("../"), beside / name.removeprefix("../")):
        if place.exists():
            return normal(place)
    return None


def _listed(root: Path, text_file: Path) -> Iterator[Path]:
    """The photographs that a list names, one a line, seen from the root of the data or from the list."""
    for line in read_text(text_file).splitlines():
        name = as_posix(line.strip())
        places = [root / name, text_file.parent / name, root / name.removeprefix("data/")]
        found = next((place for place in places if place.is_file()), None)
        if found is not None:
            yield normal(found)
        elif name:
            raise PairError(
                f'"{name_of(text_file)}" lists "{name}", which is not there.',
                "the photographs of the list",
                "Copy it there, or take it off the list.",
            )


def _below(folder: Path) -> list[Path]:
    return [normal(path) for path in sorted(folder.rglob("*")) if is_picture(path) and path.is_file()]


def _require_pictures(found: list[Path], path: Path) -> None:
    """There are pictures, and none is missing for which there are labels."""
    if not found:
        raise PairError(
            f'No photograph is where "{name_of(path)}" says.',
            "train: and val: as paths seen from the file",
            "Correct these paths, or name the folder of the photographs by images=FOLDER.",
        )
    expected = {label_file_of(image) for image in found}
    for folder in sorted({label_file.parent for label_file in expected if "labels" in label_file.parts}):
        for label_file in sorted(folder.glob("*.txt")):
            if label_file not in expected and label_file.name != "classes.txt":
                raise PairError(
                    f'"{name_of(label_file)}" holds labels of a photograph that is not there.',
                    f'a picture "{label_file.stem}" in the folder "images" beside',
                    "Copy the photograph there, or move the labels away.",
                )


_Line = tuple[str, int, np.ndarray]  # where it stands, label, shares (N, 2)


def _lines(path: Path, label_of: dict[int, int], notes: Notes) -> list[_Line]:
    """The outlines of one text file, checked."""
    if not path.is_file():
        notes.add_met("pictures without a text file, taken as background", name_of(path))
        return []
    lines = [(number, line.split()) for number, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]
    if not lines:
        notes.add_met("pictures with an empty text file, taken as background", name_of(path))
    found = []
    for number, words in lines:
        where = f'"{name_of(path)}", line {number}'
        label, shares = _outline(words, label_of, where)
        if len(shares) == 4:
            notes.add_left_out("lines that are only a box (five numbers)", where)
        else:
            found.append((where, label, shares.reshape(-1, 2)))
    return found


def _outline(words: list[str], label_of: dict[int, int], where: str) -> tuple[int, np.ndarray]:
    """The label of a line and its numbers; four numbers are a box."""
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError:
        raise MaskError(
            f'{where}: "{" ".join(words)[:40]}" are no numbers.', "class x1 y1 x2 y2 x3 y3 ...", "Export it again."
        ) from None
    number, shares = numbers[0], numbers[1:]
    if number not in label_of:
        known = f"{min(label_of)} to {max(label_of)}"
        raise MaskError(
            f"{where}: class {words[0]} has no name.", f"{known}, as data.yaml names", "Add the name there."
        )
    if len(shares) % 2 or len(shares) < 4:
        raise MaskError(
            f"{where}: {len(shares)} numbers after the class.", "x and y of at least three corners", "Export it again."
        )
    if not (np.abs(shares) <= 2).all():  # NaN too
        raise MaskError(
            f"{where}: coordinates up to {np.abs(shares).max():g}.",
            "shares of width and height, 0 to 1",
            "Divide them.",
        )
    return label_of[int(number)], shares


def _draw(lines: list[_Line], notes: Notes, size: Size) -> np.ndarray:
    labels = np.zeros(size, np.uint16)
    for where, label, shares in lines:
        points = shares * (size[1], size[0])
        if lies_outside(points, size):
            notes.add_met("shapes that reach outside their picture, cut off there", where)
        paint(labels, polygon_region(points, size), label, notes, where)
    return labels
