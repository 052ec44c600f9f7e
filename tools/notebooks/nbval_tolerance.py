"""A pytest plugin over nbval: a cell tagged within-0.03 or within-5% is compared within that tolerance.

conftest.py in the root loads it, so every call of pytest has it. An untagged cell is compared by nbval, exactly.
In a tagged cell

- the text around the numbers must be equal, but for white space;
- numbers with a decimal point may differ by 0.03, or by 5 percent of the stored number. NaN equals NaN, inf equals inf;
- whole numbers, and 1e-05, which has no point, may differ under a percentage only.

A number is what stands by itself: 0.85, -2.1, 1,234.5, 3.2e+04, 12%, 1.5x. The digits of fruit_007.jpg, resnet-50,
2.11.0, 320x240 and #102030 belong to a name, and names are text.

Figures are not compared, in any cell: their pixels depend on fonts and libraries. nbval leaves out image/png and
image/jpeg, and the plugin the same picture where it stands in HTML, as <img src="data:...">. Its alt text is compared.

Standard library and pytest only: where nbval is not installed, the plugin loads and has nothing to do.
"""

import copy
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

MAX_DIFFERENCE = Decimal("0.05")
MAX_PERCENT = Decimal("10")
IGNORED = "nbval-ignore-output"
TAG = re.compile(r"within-(\d+(?:\.\d+)?|\.\d+)(%?)")

# A comma and three digits are a thousands separator, except in (3,240,320) and behind another number and its comma.
GROUPED = r"(?!(?<=[(\[])[\d,]+[)\]])(?<!\d,)[1-9]\d{0,2}(?:,\d{3})+(?!,?\d)"
EXPONENT = r"[eE][-+]?\d{1,3}(?!\d)"
NUMBER = re.compile(
    rf"""
    (?<![\w.\#])        # not inside a word, a version or a colour
    (?<![^\W\d]-)       # nor behind a word and its hyphen, as in resnet-50
    [-+−]?
    (?:
        (?:nan|NaN|inf)(?!\w)
    |
        (?:{GROUPED}|\d+)
        (?P<point>\.)
        (?:\d+|(?={EXPONENT})|(?!\w))    # torch prints 1.0 as "1.", NumPy prints 1e20 as "1.e+20"
        (?:{EXPONENT})?
        (?!\d|\.\w)
    |
        (?:{GROUPED}|0|[1-9]\d*)
        (?P<exponent>{EXPONENT})?
        (?!\w|\.\w)
    )
    """,
    re.VERBOSE,
)

PICTURE_IN_HTML = r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=\s]*"

wrong_tag = pytest.StashKey[str]()


@dataclass(frozen=True)
class Tolerance:
    """How far a number may lie from the stored one: by `limit`, or by `limit` percent of what is stored."""

    limit: Decimal
    percent: bool

    def __str__(self) -> str:
        return f"{self.limit}%" if self.percent else str(self.limit)

    def allowed(self, stored: Decimal) -> Decimal:
        """The largest difference from `stored`, a finite number."""
        return abs(stored) * self.limit / 100 if self.percent else self.limit


def tolerance_of(tags: list[str]) -> Tolerance | None:
    """The tolerance that a cell's tags state; None where they state none.

    Raises:
        ValueError: a tag that begins with "within" is malformed or beyond its bound, or another tag contradicts it.
    """
    stated = [tag for tag in tags if tag.lower().startswith("within")]
    if not stated:
        return None
    if len(stated) > 1:
        raise ValueError(f"a cell has one tolerance, and this one has {', '.join(stated)}")
    tag = stated[0]
    if IGNORED in tags:
        raise ValueError(f"the tags {tag} and {IGNORED} contradict each other: the output is compared, or it is not")
    match = TAG.fullmatch(tag)
    if not match:
        raise ValueError(f"the tag {tag!r} states no tolerance: write within-0.03 or within-5%")
    tolerance = Tolerance(Decimal(match.group(1)), bool(match.group(2)))
    if tolerance.limit == 0:
        raise ValueError(f"the tag {tag!r} allows no difference: leave it out, and the cell is compared exactly")
    if tolerance.limit > (MAX_PERCENT if tolerance.percent else MAX_DIFFERENCE):
        raise ValueError(f"the tag {tag!r} is beyond its bound: at most {MAX_DIFFERENCE}, or {MAX_PERCENT}%")
    return tolerance


@dataclass(frozen=True)
class Number:
    """A number as it stands in a text."""

    text: str
    start: int
    has_point: bool
    whole: bool

    @property
    def value(self) -> Decimal:
        return Decimal(self.text.replace(",", "").replace("−", "-"))


def numbers_in(text: str) -> list[Number]:
    """The numbers of a text in their order."""
    found = []
    for match in NUMBER.finditer(text):
        is_finite = match.group()[-1].isdigit() or match.group()[-1] == "."
        has_point = bool(match.group("point")) or not is_finite
        whole = not has_point and not match.group("exponent")
        found.append(Number(match.group(), match.start(), has_point, whole))
    return found


def words_around(text: str, numbers: list[Number]) -> list[str]:
    """What stands before, between and behind the numbers; white space is made one blank, and dropped at the ends."""
    ends = [0, *(number.start + len(number.text) for number in numbers)]
    starts = [*(number.start for number in numbers), len(text)]
    return [" ".join(text[end:start].split()) for end, start in zip(ends, starts, strict=True)]


def line_around(text: str, place: int) -> str:
    """The line of a text that holds this place."""
    begin = text.rfind("\n", 0, place) + 1
    end = text.find("\n", place)
    return text[begin : len(text) if end < 0 else end].strip()


def differences(stored: str, now: str, tolerance: Tolerance) -> list[str]:
    """What keeps two texts from being equal within a tolerance, a line for each difference; empty where they are.

    Example:
        >>> differences("IoU 0.85, 12 of 16", "IoU 0.86, 12 of 16", Tolerance(Decimal("0.03"), percent=False))
        []
    """
    old = numbers_in(stored)
    new = numbers_in(now)
    old_words = words_around(stored, old)
    new_words = words_around(now, new)
    if old_words != new_words:
        return [words_differ(old_words, new_words)]
    found = []
    for count, (was, is_now) in enumerate(zip(old, new, strict=True), 1):
        reason = why_not_equal(was, is_now, tolerance)
        if reason:
            line = line_around(now, is_now.start)
            found.append(f"number {count} of {len(old)}: was {was.text}, is {is_now.text}: {reason}. In: {line}")
    return found


def words_differ(old: list[str], new: list[str]) -> str:
    """Says where the texts around the numbers part: the first piece that is not the same."""
    pieces = min(len(old), len(new))
    place = next((place for place in range(pieces) if old[place] != new[place]), pieces)
    was, is_now = (repr(words[place]) if place < len(words) else "nothing more" for words in (old, new))
    return f"the text before number {place + 1} was {was}, is {is_now}; with a tolerance too, words must be equal"


def why_not_equal(was: Number, is_now: Number, tolerance: Tolerance) -> str | None:
    """What is allowed and not kept; None where two numbers are equal within the tolerance."""
    if was.text == is_now.text:
        return None
    if was.whole != is_now.whole:
        return "a whole number may not become a decimal one, or the reverse"
    if not tolerance.percent and not (was.has_point and is_now.has_point):
        return f"a number without a decimal point may not differ within {tolerance}"
    if not (was.value.is_finite() and is_now.value.is_finite()):
        same = was.value == is_now.value or (was.value.is_nan() and is_now.value.is_nan())
        return None if same else "NaN and infinity equal only themselves"
    allowed = tolerance.allowed(was.value)
    difference = abs(was.value - is_now.value)
    if difference <= allowed:
        return None
    of_stored = f" ({tolerance} of the stored number)" if tolerance.percent else ""
    return f"they differ by {difference:f}, allowed is {allowed.normalize():f}{of_stored}"


def texts_of(outputs: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The texts of a cell's outputs: (stream or MIME type, the dictionary that holds the text, its key there)."""
    for output in outputs:
        if output["output_type"] == "stream":
            yield output["name"], output, "text"
        for mime in output.get("data", {}):
            if mime.startswith("text/"):
                yield mime, output["data"], mime


def compare_outputs(cell: Any, tolerance: Tolerance, now: list[Any], stored: list[Any]) -> bool:
    """Takes the place of nbval's method of that name in a tagged cell.

    A new text that equals its stored one within the tolerance is replaced by it, and nbval compares the rest: how many
    outputs there are, of which types, and whatever is no text.
    """
    old_texts = defaultdict(list)
    for kind, holder, key in texts_of(stored):
        old_texts[kind].append(holder[key])
    now = copy.deepcopy(now)
    found = []
    for kind, holder, key in texts_of(now):
        if old_texts[kind]:
            old = old_texts[kind].pop(0)
            lines = differences(cell.sanitize(old), cell.sanitize(holder[key]), tolerance)
            found += [f"{kind}, {line}" for line in lines]
            if not lines:
                holder[key] = old
    equal = type(cell).compare_outputs(cell, now, stored)
    if found:
        cell.comparison_traceback = [f"not equal within {tolerance}:", *found, "", *cell.comparison_traceback]
    return equal and not found


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leaves the pictures in HTML out; gives a tagged cell its tolerance, or notes what is wrong with its tag."""
    nbval = sys.modules.get("nbval.plugin")
    if nbval is None or not isinstance(item, nbval.IPyNbCell):
        return
    cell: Any = item
    cell.parent.sanitize_patterns[PICTURE_IN_HTML] = "data:image"
    try:
        tolerance = tolerance_of(cell.cell.metadata.get("tags", []))
    except ValueError as error:
        cell.stash[wrong_tag] = str(error)
        cell.options["check"] = False  # what is reported is the tag
        return
    if tolerance:
        cell.compare_outputs = lambda now, stored: compare_outputs(cell, tolerance, now, stored)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Runs a cell with a wrong tag, because later cells need its names, and reports the tag as its failure."""
    yield
    reason = item.stash.get(wrong_tag, None)
    if reason:
        cell: Any = item
        cell.raise_cell_error(reason)
