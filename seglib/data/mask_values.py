"""Owns how the values or colours of a mask file become labels. Explained in 13_your_own_data.

A binary mask becomes 0 and 255 (the object); a class mask becomes the numbers of its classes, and 255 for "ignore".
Whatever has two readings is refused here, and what the reader says about the file (`MaskValues`) is applied.
"""

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seglib.data.file_kinds import PictureFile
from seglib.data.mask_faults import MaskSource, check_labels
from seglib.data.mask_tables import Colour, hex_of, parse_colour, read_class_names, read_table
from seglib.errors import MaskError

__all__ = ["AS_STORED", "IGNORE_INDEX", "MaskValues", "labels_of", "make_mask_values", "read_class_names"]

IGNORE_INDEX = 255  # in a mask of class labels: the label is unknown; no loss and no metric counts such a pixel


@dataclass(frozen=True)
class MaskValues:
    """What a reader says about the values of mask files; as it stands here, it changes nothing.

    Attributes:
        ignore: values of the file that become 255, as 11 for the void of a set with 11 classes.
        palette: the label of each colour of the file; None where the file holds numbers.
        relabel: the label of each value of the file that is to be renumbered; values that are not named here stay.
        invert: exchange object and background, of binary masks only.

    In a binary mask a target of 1 means the object, as 255 does. Made and checked by `make_mask_values`.
    """

    ignore: tuple[int, ...] = ()
    palette: Mapping[Colour, int] | None = None
    relabel: Mapping[int, int] = field(default_factory=dict)
    invert: bool = False


AS_STORED = MaskValues()


def make_mask_values(
    *,
    ignore: int | Iterable[int] | None = None,
    palette: Mapping[Any, int | str] | str | os.PathLike[str] | None = None,
    relabel: Mapping[int, int] | None = None,
    invert: bool = False,
    classes: Sequence[str] | None = None,
) -> MaskValues:
    """Check what a reader says about mask files, and put it in one form.

    Args:
        ignore: a value of the file, or several, that become 255.
        palette: {colour: label}, a colour as (r, g, b) or "#rrggbb", a label as a number or as the name of a class
            ("ignore" is 255); or the path of a table as `read_table` reads it. The table of Roboflow has no colours
            but numbers, and is taken for a `relabel`.
        relabel: {value of the file: label}.
        invert: exchange object and background.
        classes: as in `load_mask`; names of a table are looked up here. Without them a table counts its own names.

    Raises:
        MaskError: something of it cannot be right: an unknown name, a label that is none, a value given twice.

    Example:
        >>> make_mask_values(palette={"#800000": "cat", (0, 0, 0): 0}, classes=["background", "cat"]).palette
        {(128, 0, 0): 1, (0, 0, 0): 0}
    """
    ignored = _as_integers(ignore)
    renumbered = {_integer(old, "relabel"): _integer(new, "relabel") for old, new in _items(relabel, "relabel")}
    colours: dict[Colour, int] | None = None
    if isinstance(palette, str | os.PathLike):
        table = read_table(Path(palette))
        numbers = table.labels(classes)
        if table.has_colours:
            colours = {colour: number for colour, number in numbers.items() if isinstance(colour, tuple)}
        else:
            renumbered = {key: number for key, number in numbers.items() if isinstance(key, int)} | renumbered
    elif palette is not None:
        colours = {parse_colour(key): _label(name, classes) for key, name in _items(palette, "palette")}
        if len(colours) < len(palette):
            raise _wrong("palette names a colour twice.", "each colour once", 'palette={"#000000": 0, "#ff0000": 1}')
    values = MaskValues(ignored, colours, renumbered, bool(invert))
    check_values(values, classes)
    return values


def check_values(values: MaskValues, classes: Sequence[str] | None) -> None:
    """Raise a `MaskError` unless `values` fits masks of these classes, or binary masks where `classes` is None."""
    twice = sorted(set(values.ignore) & {old for old, new in values.relabel.items() if new != IGNORE_INDEX})
    if twice:
        raise _wrong(
            f"{twice[0]} is both in ignore and in relabel.", "one label for each value", f"ignore={twice[0]}, alone"
        )
    if classes is not None and values.invert:
        raise _wrong(
            "invert was asked for masks of classes.", "binary masks, whose object and background can be exchanged",
            "relabel={0: 1, 1: 0}, which exchanges two classes",
        )  # fmt: skip
    targets = {*values.relabel.values(), *(values.palette or {}).values()}
    if classes is None:
        _check_binary(values, targets)
        return
    wrong = sorted(label for label in targets if not (0 <= label < len(classes) or label == IGNORE_INDEX))
    if wrong:
        raise _wrong(
            f"palette or relabel asks for the label {wrong[0]}, which no class has.",
            f"0 to {len(classes) - 1} ({', '.join(classes)}), and {IGNORE_INDEX} for ignore",
            f"relabel={{{_source_of(wrong[0], values)}: {len(classes) - 1}}}, or name the missing class in classes",
        )


def _source_of(label: int, values: MaskValues) -> int:
    """A value of the file that becomes this label, for the message."""
    return next((old for old, new in values.relabel.items() if new == label), label)


def _check_binary(values: MaskValues, targets: set[int]) -> None:
    """A binary mask has an object and a background, and no third thing: 255 is its object."""
    if values.ignore or not targets <= {0, 1, IGNORE_INDEX} or {1, IGNORE_INDEX} <= targets:
        what = f"ignore={values.ignore[0]}" if values.ignore else f"the labels {', '.join(map(str, sorted(targets)))}"
        raise _wrong(
            f"{what} was asked for binary masks, in which 255 is the object and nothing can be ignored.",
            "names of classes, the background's first, where there is more than object and background",
            'classes=["background", "cell"]',
        )


def _wrong(found: str, expected: str, fix: str) -> MaskError:
    return MaskError(found, expected, f"Say {fix}.")


def _items(mapping: Mapping[Any, Any] | None, name: str) -> Iterable[tuple[Any, Any]]:
    if mapping is None:
        return ()
    if not hasattr(mapping, "items"):
        example = "relabel={3: 1, 4: 1}" if name == "relabel" else 'palette={"#000000": 0, "#ff0000": 1}'
        raise _wrong(f"{name} is {type(mapping).__name__}, not a table.", "what becomes what", example)
    return mapping.items()


def _as_integers(ignore: int | Iterable[int] | None) -> tuple[int, ...]:
    if ignore is None:
        return ()
    several: Iterable[Any] = ignore if isinstance(ignore, list | tuple | set | frozenset | np.ndarray) else (ignore,)
    return tuple(dict.fromkeys(_integer(value, "ignore") for value in several))


def _integer(value: Any, name: str) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        example = "ignore=11" if name == "ignore" else "relabel={3: 1, 4: 1}"
        raise _wrong(f"{name} names {value!r}, which is no whole number.", "values of the file", example) from None


def _label(name: int | str, classes: Sequence[str] | None) -> int:
    """The label that a palette names, by number or by the name of a class."""
    if not isinstance(name, str):
        return _integer(name, "palette")
    if classes is not None and name in classes:
        return list(classes).index(name)
    if name == "ignore":
        return IGNORE_INDEX
    raise MaskError(
        f'palette names "{name}", which is no class.',
        f"one of {', '.join(classes)}, or ignore" if classes else "numbers, as long as no classes are named",
        "Correct the name, or name the class in classes too.",
    )


# From the pixels of a file to labels


def labels_of(mask: Image.Image, file: PictureFile, source: MaskSource, values: MaskValues) -> Image.Image:
    """The labels that a mask holds: upright pixels of a file, in any mode, in; a PIL image of mode "L" out.

    Args:
        mask: the pixels, upright.
        file: what the file says about itself.
        source: path and classes.
        values: what the reader says about the values.

    Raises:
        MaskError: values that are no labels, or that have two readings.
    """
    if values is not AS_STORED:
        check_values(values, source.classes)
    if file.bits > 8 and mask.mode.startswith(("RGB", "LA", "CMYK")):
        raise MaskError(f"{source.name} is in colour with {file.bits} bits a channel.", *_ONE_CHANNEL)
    if values.palette is not None:
        numbers = _numbers_of_colours(mask, source, values.palette)
    else:
        numbers = _numbers(mask, file, source)
    only_black_and_white = mask.mode != "L" and mask.mode != "P" and not mask.mode.startswith("I")
    explained = values.palette is not None or 255 in values.ignore or 255 in values.relabel
    labels = _renumbered(numbers, values, binary=source.classes is None)
    check_labels(labels, source, colours=only_black_and_white, explained=explained)
    labels = labels.astype(np.uint8, copy=False)
    return Image.fromarray(255 - labels if values.invert else labels)


def _renumbered(numbers: np.ndarray, values: MaskValues, *, binary: bool) -> np.ndarray:
    """`numbers`, each that `values` names replaced by its label, all at once: {1: 2, 2: 1} exchanges two."""
    table = dict(values.relabel) | dict.fromkeys(values.ignore, IGNORE_INDEX)
    if not table:
        return numbers
    if binary:
        table = {old: IGNORE_INDEX if new == 1 else new for old, new in table.items()}
    named, labels = _look_up(numbers, table)
    return np.where(named, labels, numbers)


def _look_up(numbers: np.ndarray, table: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where each number stands in the table: (H, W) of bool, and (H, W) of the labels, 0 where it stands nowhere."""
    keys = np.array(sorted(table), np.int64)
    targets = np.array([table[key] for key in keys.tolist()], np.int32)
    places = np.searchsorted(keys, numbers).clip(max=len(keys) - 1)
    named = keys[places] == numbers
    return named, np.where(named, targets[places], 0)


_ONE_CHANNEL = (
    "an 8-bit mask of one channel, whose values are the labels",
    "Save the labels themselves as a grey PNG.",
)


def _numbers(mask: Image.Image, file: PictureFile, source: MaskSource) -> np.ndarray:
    """The numbers that the file holds, (H, W), whatever mode it has; raises a `MaskError` where there are two readings.

    Colours are read as numbers where they are grey: all three bands hold the same.
    """
    if file.zero_is_white and (source.classes is not None or file.bits > 8):
        raise MaskError(f"{source.name} counts its values from white to black (a TIFF's MinIsWhite).", *_ONE_CHANNEL)
    if mask.mode == "L":
        return _as_in_the_file(np.asarray(mask), file, source)
    if mask.mode == "1":
        return np.asarray(mask.convert("L"))  # one bit a pixel: black and white
    if mask.mode == "P":
        return _numbers_of_palette(mask, source)
    if mask.mode.startswith("I"):
        return _numbers_of_16_bits(np.asarray(mask).astype(np.int64), file, source)
    if mask.mode in ("LA", "La", "PA", "RGBA", "RGBa", "RGB", "RGBX"):
        return _numbers_of_grey_bands(_opaque(mask, source), source)
    raise MaskError(f"{source.name} is {_KINDS.get(mask.mode, f'in colour (mode {mask.mode})')}.", *_ONE_CHANNEL)


_KINDS = {"F": "of numbers with a decimal point (mode F)", "LAB": "in colour (mode LAB)"}


def _as_in_the_file(shown: np.ndarray, file: PictureFile, source: MaskSource) -> np.ndarray:
    """Of a class mask in fewer than 8 bits the file's own numbers: Pillow stretches them to 0 to 255."""
    if not file.largest or file.largest == 255 or source.classes is None:
        return shown
    return np.rint(shown * (file.largest / 255)).astype(np.uint8)


def _numbers_of_16_bits(numbers: np.ndarray, file: PictureFile, source: MaskSource) -> np.ndarray:
    if file.kind == "PPM" and file.largest:  # Pillow stretches them to 0 to 65535
        numbers = np.rint(numbers * (file.largest / 65535)).astype(np.int64)
    white = file.largest or 65535
    if source.classes is None and numbers.max() == white and np.isin(numbers, (0, white)).all():
        return np.where(numbers == white, 255, 0)  # black and white
    return numbers


def _opaque(mask: Image.Image, source: MaskSource) -> Image.Image:
    """In RGB, without a band that says that everything is opaque."""
    if mask.mode in ("RGB", "RGBX"):
        return mask.convert("RGB")
    mask = mask.convert({"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(mask.mode, mask.mode))
    if mask.getchannel("A").getextrema() != (255, 255):
        raise MaskError(
            f"{source.name} is partly transparent (mode {mask.mode}): what lies there is not said.",
            "an 8-bit mask of one channel, whose values are the labels",
            "Put it on a black background and save it as PNG without an alpha channel.",
        )
    return mask.convert("RGB")


def _numbers_of_grey_bands(mask: Image.Image, source: MaskSource) -> np.ndarray:
    """The one number that all three bands hold; colours need a table."""
    pixels = np.asarray(mask)  # (H, W, 3)
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
        return pixels[..., 0]
    raise source.in_colour(colours_of(mask))


def colours_of(mask: Image.Image, most: int = 256) -> list[Colour] | None:
    """The colours of an RGB picture, the most frequent first; None if there are more than `most`."""
    found = mask.getcolors(most)
    if found is None:
        return None
    return [colour for _, colour in sorted(found, key=lambda entry: -entry[0])]  # type: ignore[misc]


def _numbers_of_palette(mask: Image.Image, source: MaskSource) -> np.ndarray:
    """Of a palette picture: with classes the numbers; without, black and white, or numbers that are their own greys."""
    numbers = np.asarray(mask)
    palette = (mask.getpalette("RGB") or []) + [0] * 768
    used = [number for number, count in enumerate(mask.histogram()) if count]
    colours = {n: (palette[3 * n], palette[3 * n + 1], palette[3 * n + 2]) for n in used}
    greys = {number: colour[0] for number, colour in colours.items() if len(set(colour)) == 1}
    if all(greys.get(number) == number for number in colours):
        return numbers  # number and colour say the same
    if source.classes is None:
        if set(colours.values()) <= {(0, 0, 0), (255, 255, 255)}:
            return np.where(np.isin(numbers, [n for n, grey in greys.items() if grey]), 255, 0).astype(np.uint8)
        raise source.palette_without_classes(colours)
    if len(greys) == len(colours) and source.greys_are_other_labels(greys):
        raise MaskError(
            f"{source.name} is a palette picture (mode P) whose greys are other labels than its numbers: "
            "a pixel has two readings.",
            "a palette whose colours are no labels, or an 8-bit mask of one channel",
            f"Say which label each grey is: palette={source.example_palette(list(colours.values()))}.",
        )
    return numbers


def _numbers_of_colours(mask: Image.Image, source: MaskSource, palette: Mapping[Colour, int]) -> np.ndarray:
    """The label of each pixel's colour; a colour that is not in the table is an error, never the nearest one."""
    if mask.mode.startswith(("I", "F")):
        raise MaskError(f"{source.name} holds numbers (mode {mask.mode}), and a palette was given.", *_ONE_CHANNEL)
    if mask.mode in ("P", "1", "L"):
        rgb = mask.convert("RGB")
    else:
        rgb = _opaque(mask, source) if mask.mode in ("LA", "La", "PA", "RGBA", "RGBa") else mask.convert("RGB")
    pixels = np.asarray(rgb).astype(np.int32)  # (H, W, 3)
    codes = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    binary = source.classes is None
    table = {r << 16 | g << 8 | b: 255 if binary and label == 1 else label for (r, g, b), label in palette.items()}
    known, labels = _look_up(codes, table)
    if not known.all():
        strange, counts = np.unique(codes[~known], return_counts=True)
        order = np.argsort(-counts)
        raise source.unknown_colours([hex_of(code) for code in strange[order].tolist()], counts[order].tolist())
    return labels
