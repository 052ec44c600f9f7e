"""Owns what is said of a mask whose values are no labels: what happened to it, and the one fix. Told in 01_dataset.

A mask is smoothed, saved as JPEG, drawn in colours, or counted otherwise than the classes; each leaves its trace in the
values, and each needs another fix.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seglib.data.mask_tables import Colour, hex_of
from seglib.errors import MaskError, name_of

_IGNORE = 255


@dataclass(frozen=True)
class MaskSource:
    """Where a mask comes from, for the messages: its file, its classes, and whether its kind loses values."""

    path: Path
    classes: Sequence[str] | None
    lossy: str = ""  # the file's kind, as "JPEG", if it changes values

    @property
    def name(self) -> str:
        """The file as it stands in a message."""
        return f'"{name_of(self.path)}"'

    @property
    def expected(self) -> str:
        """What the values should be."""
        if self.classes is None:
            return "0 (background) and 255 (object) only"
        last = len(self.classes) - 1
        names = list(self.classes) if last < 12 else [*self.classes[:5], "...", self.classes[-1]]
        return f"0 to {last} ({', '.join(names)}), and {_IGNORE} for ignore"

    def example_palette(self, colours: Sequence[Colour]) -> str:
        """A table of these colours to copy, with labels in a likely order: black is the background."""
        order = sorted(colours, key=lambda colour: colour != (0, 0, 0))[:6]
        labels = [0, 255] if self.classes is None and len(order) == 2 else range(len(order))
        more = ", ..." if len(colours) > len(order) else ""
        table = ", ".join(f'"{hex_of(colour)}": {label}' for colour, label in zip(order, labels, strict=True))
        return f"{{{table}{more}}}"

    def in_colour(self, colours: list[Colour] | None) -> MaskError:
        """The error for a mask in colours; None stands for more colours than a drawing has."""
        if self.lossy:
            return MaskError(f"{self.name} is in colour, and a {self.lossy}.", self.expected, _smears(self.lossy))
        if colours is None:
            return MaskError(
                f"{self.name} is in colour, with hundreds of colours: a photograph, or smoothed at its edges.",
                "an 8-bit mask of one channel, or a few colours with a table of them",
                "Export the mask anew as PNG, without smoothing. If it is a photograph, it lies in the wrong folder.",
            )
        return MaskError(
            f"{self.name} is in colour ({_listed([hex_of(colour) for colour in colours], 'colours')}).",
            "an 8-bit mask of one channel, or a table that says which colour is which label",
            f"Say it, with your labels: palette={self.example_palette(colours)}.",
        )

    def palette_without_classes(self, colours: dict[int, Colour]) -> MaskError:
        """The error for a palette picture that is not black and white, where no classes are named.

        Args:
            colours: number -> its colour, of the numbers that the picture uses.
        """
        listed = _listed([hex_of(colour) for colour in colours.values()], "colours")
        found = f"{self.name} is a palette picture (mode P) in {listed}."
        if len(colours) <= 2:
            fix = f"Say which is the object: palette={self.example_palette(list(colours.values()))}."
            return MaskError(found, "black and white, or a table that says which colour is the object", fix)
        fix = f"If its numbers are the labels, name the classes: {_naming(colours)}."
        return MaskError(found, "black and white, as long as no classes are named", fix)

    def greys_are_other_labels(self, greys: dict[int, int]) -> bool:
        """True if the greys of a palette can be read as labels too, and as others than its numbers."""
        count = len(self.classes or ())
        legal = all(grey < count or grey == _IGNORE for grey in greys.values())
        return legal and any(grey != number and grey < count for number, grey in greys.items())

    def unknown_colours(self, colours: list[str], counts: list[int]) -> MaskError:
        """The error for colours that the table does not hold, the most frequent first."""
        if self.lossy:
            found = f"{self.name} holds {len(colours)} colours that are not in the palette, and is a {self.lossy}."
            return MaskError(found, "the colours of the palette only", _smears(self.lossy))
        listed = _listed([f"{c} ({n} pixels)" for c, n in zip(colours[:4], counts, strict=False)], "", len(colours))
        fix = f'Give each its label, or 255 for ignore: palette={{"{colours[0]}": 1, ...}}.'
        if len(colours) > 16:
            fix = "So many come from smoothed edges: export the mask anew, without smoothing, and resize by nearest."
        return MaskError(
            f"{self.name} holds colours that are not in the palette: {listed}.", "the colours of the palette only", fix
        )


def _smears(kind: str) -> str:
    return f"A {kind} smears values at every edge, so it cannot hold labels. Export the mask again, as PNG."


def _listed(words: list[str], what: str, count: int | None = None) -> str:
    count = len(words) if count is None else count
    more = f" and {count - min(count, 4)} more" if count > 4 else ""
    return f"{count} {what}: {', '.join(words[:4])}{more}" if what else ", ".join(words[:4]) + more


def check_labels(numbers: np.ndarray, source: MaskSource, *, colours: bool = False, explained: bool = False) -> None:
    """Raise a `MaskError` that says what happened to a mask, unless all its numbers are labels.

    Args:
        numbers: (H, W), of any type of integer.
        source: the file and its classes.
        colours: the numbers were colours, black and white for two.
        explained: the reader has said what 255 is.
    """
    count = 1 if source.classes is None else min(len(source.classes), _IGNORE)  # 255 is legal beside the others
    strange = (numbers >= count) & (numbers != _IGNORE)
    if numbers.dtype.kind == "i":
        strange |= numbers < 0
    if strange.any():
        values, pixels = np.unique(numbers, return_counts=True)
        raise _strange(source, dict(zip(values.tolist(), pixels.tolist(), strict=True)))
    doubtful = source.classes is not None and not explained and (colours or len(source.classes) == 2)
    if doubtful and (numbers == _IGNORE).any() and not ((numbers != 0) & (numbers != _IGNORE)).any():
        raise _zero_and_255(source)


def _zero_and_255(source: MaskSource) -> MaskError:
    names = source.classes or ("", "")
    return MaskError(
        f'{source.name} holds only 0 and 255, and classes are named: 255 would be ignored, "{names[1]}" missed.',
        source.expected,
        f'Say what 255 is: relabel={{255: 1}} if it is "{names[1]}", ignore=255 if it is unknown.',
    )


def _strange(source: MaskSource, counts: dict[int, int]) -> MaskError:
    """The error for values that are no labels. `counts` has the pixels of each value of the mask."""
    legal = {0, _IGNORE} if source.classes is None else {*range(len(source.classes)), _IGNORE}
    strange = sorted(counts.keys() - legal)
    shown = ", ".join(map(str, strange[:6])) + (f" and {len(strange) - 6} more" if len(strange) > 6 else "")
    found = f"{source.name} holds values that are no labels: {shown}."
    if source.lossy:
        return MaskError(found, source.expected, _smears(source.lossy))
    if are_greys_of_voc(counts.keys(), len(source.classes or ())):
        return MaskError(
            f'{found} They are the greys that convert("L") makes of VOC\'s palette.',
            source.expected,
            "Use the original palette PNG instead: where classes are named, its numbers are the labels.",
        )
    if is_smoothed(counts):
        return MaskError(
            f"{source.name} holds {len(counts)} values from 0 to 255: it was resized smoothly, or once saved as JPEG.",
            source.expected,
            "Threshold it at 128 and save it as PNG: mask.point(lambda value: 255 * (value >= 128))."
            if source.classes is None
            else "Go back to the original mask, resize it by nearest and save it as PNG.",
        )
    return MaskError(found, source.expected, _fix(source, counts, strange))


def _fix(source: MaskSource, counts: dict[int, int], strange: list[int]) -> str:
    """The fix where the values are those of another way to count."""
    if source.classes is None:
        if len(strange) == 1 and _IGNORE not in counts:
            return (
                f"If {strange[0]} is the object, say so: relabel={{{strange[0]}: 255}}. If not, see {_naming(counts)}."
            )
        return f"If these are class labels, name the classes: {_naming(counts)}. If not, save the mask anew."
    count = len(source.classes)
    if len(strange) == 1 and (strange[0] == count or strange[0] >= 200 or strange[0] < 0):
        return f"If {strange[0]} means void or unknown, say so: ignore={strange[0]}."
    step = _step(sorted(counts), count)
    if step:
        table = ", ".join(f"{number * step}: {number}" for number in range(1, count))
        return f"The labels look stretched to be seen. Count them again: relabel={{{table}}}."
    if strange[0] == count and strange[-1] < _IGNORE and strange == list(range(count, count + len(strange))):
        names = ", ".join(f'"{name}"' for name in source.classes[:2])
        return f"Name all classes, as in classes=[{names}, ...], or merge labels: relabel={{{strange[0]}: 1}}."
    return f"Say which label each of them is, as in relabel={{{strange[0]}: 1}}, or correct the mask."


def _naming(labels: Iterable[int]) -> str:
    """The argument that names the classes, with a name for each label up to the largest; 255 is for ignore."""
    last = max((label for label in labels if label != _IGNORE), default=1)
    if last <= 1:
        return 'classes=["background", "cell"]'
    if last <= 5:
        names = ", ".join(f'"class {label}"' for label in range(1, last + 1))
        return f'classes=["background", {names}]'
    return f'classes=["background", "class 1"] and so on, {last + 1} names'


def _step(values: list[int], count: int) -> int:
    """The number by which labels were multiplied so that eyes can tell them apart; 0 if they were not."""
    step = next((value for value in values if value > 0), 0)
    if step < count or step * (count - 1) > 255:
        return 0
    return step if all(value % step == 0 and value // step < count for value in values) and count > 2 else 0


# Traces


def voc_colour(label: int) -> Colour:
    """The colour of a label in the palette of PASCAL VOC: its bits, spread over the three bands from the top.

    Example:
        >>> voc_colour(1), voc_colour(15)
        ((128, 0, 0), (192, 128, 128))
    """
    colour = [0, 0, 0]
    for place in range(8):
        for band in range(3):
            colour[band] |= (label >> (3 * place + band) & 1) << (7 - place)
    return colour[0], colour[1], colour[2]


def grey_of(colour: Colour) -> int:
    """The grey that Pillow's convert("L") makes of a colour."""
    red, green, blue = colour
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def are_greys_of_voc(values: object, count: int = 0) -> bool:
    """True if the values of a mask, black aside, are all greys of VOC's palette, and one is no likely label.

    Example:
        >>> are_greys_of_voc({0, 38, 75, 220}), are_greys_of_voc({0, 38, 39})
        (True, False)
    """
    greys = {grey_of(voc_colour(label)) for label in (*range(max(21, count)), _IGNORE)}
    found = set(values) - {0}  # type: ignore[call-overload]
    return bool(found) and found <= greys and max(found) > max(21, count)


def is_smoothed(counts: dict[int, int]) -> bool:
    """True if most pixels are black or white, or nearly, and the others are spread between: a ramp at each edge."""
    pixels = sum(counts.values())
    extremes = sum(count for value, count in counts.items() if value <= 10 or 245 <= value <= 255)
    between = [value for value in counts if 0 < value < 255]
    if max(counts) > 255 or max(counts) < 245 or min(counts) < 0 or extremes < pixels / 2 or len(between) < 3:
        return False
    quarters = {value // 64 for value in between}
    dark, light = sum(value < 40 for value in between), sum(value > 215 for value in between)
    return len(quarters) >= 3 or (dark > 2 and light > 2)
