"""Owns the tables that say which colour or number is which class, as tools export them. Explained in 13_your_own_data.

Read are: `labelmap.txt` of CVAT, `_classes.csv` of Roboflow, and a table by hand, one row a colour, with a first row
that names its columns: `r,g,b,label` or `colour,name` (or any of these columns: r, g, b, colour, label, name). Without
that first row a table of two columns is `colour,name`, one of four columns `r,g,b,label` or `name,r,g,b`. `name` may be
`ignore`, and `label` 255: such pixels are counted by no loss and no metric.
"""

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglib.errors import MaskError, name_of

Colour = tuple[int, int, int]

_IGNORE = 255
_BACKGROUNDS = ("background", "_background_")
_IGNORED = ("ignore", "__ignore__")
_CVAT = re.compile(r"^(?P<name>.+?):(?P<r>\d+),(?P<g>\d+),(?P<b>\d+):[^:]*:[^:]*$")
_ROW_WITH_SPACES = re.compile(r"^(\d+)\s+(\d+)\s+(\d+)\s+(\S.*)$")  # as in CamVid: 64 128 64 Animal
_COLUMNS = {
    "r": ("r", "red"),
    "g": ("g", "green"),
    "b": ("b", "blue"),
    "colour": ("colour", "color", "hex", "rgb"),
    "number": ("pixel value", "pixel_value", "value"),
    "label": ("label", "id", "index", "class_id"),
    "name": ("name", "class", "class_name"),
}


def hex_of(colour: int | Colour) -> str:
    """A colour as people write it.

    Example:
        >>> hex_of((255, 128, 0))
        '#ff8000'
    """
    code = colour if isinstance(colour, int) else colour[0] << 16 | colour[1] << 8 | colour[2]
    return f"#{code:06x}"


def parse_colour(colour: Any) -> Colour:
    """(r, g, b) of a colour that is written as three numbers or as "#rrggbb".

    Raises:
        MaskError: it is no colour.

    Example:
        >>> parse_colour("#ff8000")
        (255, 128, 0)
    """
    if isinstance(colour, str):
        digits = colour.strip().removeprefix("#")
        numbers = [part.strip() for part in digits.strip("()[]").split(",")]
        if len(numbers) == 3 and all(number.isdecimal() for number in numbers):
            return parse_colour([int(number) for number in numbers])
        if re.fullmatch(r"[0-9a-fA-F]{6}", digits):
            return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    elif isinstance(colour, Sequence) and len(colour) == 3 and all(map(_is_byte, colour)):
        return int(colour[0]), int(colour[1]), int(colour[2])
    raise MaskError(
        f"{colour!r} is no colour.",
        "three numbers from 0 to 255, as (255, 128, 0), or #ff8000",
        'Write palette={"#ff8000": 1}.',
    )


def _is_byte(part: Any) -> bool:
    return hasattr(part, "__index__") and not isinstance(part, bool) and 0 <= part <= 255


@dataclass(frozen=True)
class Row:
    """One row of a table: a colour or a number of the file, and the name, the label or both that it stands for."""

    key: Colour | int
    name: str = ""
    label: int | None = None


@dataclass(frozen=True)
class Table:
    """A table as it was read, in the order of its file."""

    path: Path
    rows: tuple[Row, ...]

    @property
    def has_colours(self) -> bool:
        """False for the table of Roboflow, whose masks hold numbers."""
        return any(isinstance(row.key, tuple) for row in self.rows)

    def names(self) -> list[str]:
        """The names in the order of their labels; where the table has no labels, the background's first."""
        by_label = {row.label: row.name for row in self.rows if row.label is not None and row.label != _IGNORE}
        if by_label:
            if sorted(by_label) != list(range(len(by_label))) or not all(by_label.values()):
                raise _wrong_table(self.path, "does not give a name to each label from 0 on", self.rows)
            return [by_label[label] for label in sorted(by_label)]
        return background_first([row.name for row in self.rows])

    def labels(self, classes: Sequence[str] | None) -> dict[Colour | int, int]:
        """The label of each colour or number; names are looked up in `classes`, or where None, in the table itself."""
        known = list(classes) if classes is not None else background_first([row.name for row in self.rows if row.name])
        return {row.key: self._label(row, known) for row in self.rows}

    def _label(self, row: Row, known: list[str]) -> int:
        if row.name in known:
            if row.label is not None and row.label != known.index(row.name) and row.label != _IGNORE:
                raise MaskError(
                    f'"{name_of(self.path)}" gives "{row.name}" the label {row.label}, which is not that of classes.',
                    f"{known.index(row.name)}: classes are counted from 0, in their order",
                    "Correct the table, or the order of classes.",
                )
            return known.index(row.name) if row.label is None else row.label
        if row.label is not None:
            return row.label
        if row.name in _IGNORED:
            return _IGNORE
        raise MaskError(
            f'"{name_of(self.path)}" names "{row.name}", which is no class.',
            f"{', '.join(known)}, or ignore",
            "Name it in classes too, or call it ignore in the table.",
        )


def background_first(names: Sequence[str]) -> list[str]:
    """The names, each once, without "ignore"; one that is called background moves to the front, where label 0 is."""
    each = [name for name in dict.fromkeys(names) if name and name not in _IGNORED]
    return sorted(each, key=lambda name: name.lower() not in _BACKGROUNDS)


def read_class_names(path: str | os.PathLike[str]) -> list[str]:
    """The names of the classes, the background's first, from a table or from a text of one name a line.

    In a text "background" (or labelme's "_background_") moves to the front, and "__ignore__" is left out.

    Raises:
        MaskError: there is no such file, it is no text, or it holds fewer than two names.
    """
    path = Path(path)
    lines = _lines(path)
    try:
        names = read_table(path).names()
    except MaskError:
        if any(_CVAT.match(line) or "," in line or "#" in line for line in lines):
            raise
        names = background_first(lines)
    if len(names) < 2:
        raise MaskError(
            f'"{name_of(path)}" holds {len(names)} names.',
            "the names of two classes at least, the background's first, one a line",
            'Add the missing ones, or leave the file out: classes=["background", "cell"].',
        )
    return names


def read_table(path: Path) -> Table:
    """Read a table of colours or numbers; the module says which kinds there are.

    Raises:
        MaskError: there is no such file, it is no such table, or it names a colour twice with two labels.
    """
    lines = _lines(path)
    cvat = [match for match in map(_CVAT.match, lines) if match]
    if cvat and len(cvat) == len(lines):
        found = [({"r": m["r"], "g": m["g"], "b": m["b"], "name": m["name"]}) for m in cvat]
    else:
        found = _records(path, lines)
    rows = tuple(_row(path, record) for record in found)
    if not rows:
        raise _wrong_table(path, "has no row", ())
    for row in rows:
        others = {(other.name, other.label) for other in rows if other.key == row.key}
        if len(others) > 1:
            key = hex_of(row.key) if isinstance(row.key, tuple) else str(row.key)
            raise _wrong_table(path, f"says two things of {key}", rows)
    return Table(path, rows)


def _lines(path: Path) -> list[str]:
    """The lines that hold something, without comments (`# label:color_rgb:parts:actions`)."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise MaskError(f'There is no file "{name_of(path)}".', "a table of classes", "Correct the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MaskError(
            f'"{name_of(path)}" cannot be read as a text ({type(error).__name__}).',
            "a table of classes, as UTF-8",
            "Save it anew as a text in UTF-8 (of a spreadsheet: as CSV UTF-8).",
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not re.match(r"#(\s|$)", line)]


def _records(path: Path, lines: list[str]) -> list[dict[str, str]]:
    """The rows of a table with columns, each as {column: text}."""
    if lines and all(_ROW_WITH_SPACES.match(line) for line in lines):
        cells = [list(_ROW_WITH_SPACES.match(line).groups()) for line in lines]  # type: ignore[union-attr]
    else:
        separator = max(",;\t", key=lines[0].count) if lines else ","
        try:
            cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
        except csv.Error as error:
            raise _wrong_table(path, f"is damaged ({error})", ()) from error
    columns = _columns(cells[0]) if cells else None
    if columns is not None:
        cells = cells[1:]
    else:
        columns = _columns_of_plain(cells)
    if columns is None or any(len(row) < len(columns) for row in cells):
        raise _wrong_table(path, "is no table of colours and classes", ())
    return [dict(zip(columns, row, strict=False)) for row in cells]


def _columns(first: list[str]) -> list[str] | None:
    """What the columns are by a first row that names them; None if it does not."""
    known = {word: column for column, words in _COLUMNS.items() for word in words}
    columns = [known.get(cell.lower().strip('"'), "") for cell in first]
    if columns == ["label", "r", "g", "b"] or columns == ["r", "g", "b", "label"]:
        return columns
    return columns if {"r", "g", "b"} <= set(columns) or {"colour", "number"} & set(columns) else None


def _columns_of_plain(cells: list[list[str]]) -> list[str] | None:
    """What the columns are where no row names them."""
    row = cells[0] if cells else []
    if len(row) == 2 and re.fullmatch(r"#?[0-9a-fA-F]{6}", row[0]):
        return ["colour", "name"]
    if len(row) == 4 and all(cell.isdecimal() for cell in row[:3]):
        return ["r", "g", "b", "name"]
    if len(row) == 4 and all(cell.isdecimal() for cell in row[1:]):
        return ["name", "r", "g", "b"]
    return None


def _row(path: Path, record: dict[str, str]) -> Row:
    try:
        if "colour" in record:
            key: Colour | int = parse_colour(record["colour"])
        elif "number" in record:
            key = int(record["number"])
        else:
            key = parse_colour([int(record[band]) for band in "rgb"])
        name, label = record.get("name", ""), record.get("label", "")
        if not label and name.isdecimal():
            name, label = "", name
        if label and not label.isdecimal():
            name, label = name or label, ""
        if not name and not label:
            raise ValueError("neither a name nor a label")
    except (ValueError, KeyError) as error:
        raise MaskError(
            f'"{name_of(path)}" has a row that cannot be read: {", ".join(map(str, record.values()))}.',
            "a colour and its class, as #ff0000,cell or 255,0,0,1",
            "Correct the row.",
        ) from error
    return Row(key, name, int(label) if label else None)


def _wrong_table(path: Path, what: str, rows: Sequence[Row]) -> MaskError:
    return MaskError(
        f'"{name_of(path)}" {what}{f" ({len(rows)} rows)" if rows else ""}.',
        "labelmap.txt of CVAT, _classes.csv of Roboflow, or a table with the first row r,g,b,label or colour,name",
        "Write one row a colour, as #ff0000,cell, below the row colour,name.",
    )
