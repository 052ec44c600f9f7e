"""Owns what the doctor finds in pairs of pictures and masks, and how it says so. Explained in 11_your_own_data."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from seglib.alignment import GOOD, TURNS, edges_of, fits, outline_of
from seglib.checkup import Facts
from seglib.loaders import Split
from seglib.pictures import IGNORE_INDEX
from seglib.transforms import Size

STOPS, SPOILS, KNOW = SEVERITIES = ("stops training", "spoils the result", "worth knowing")
TWINS = 0.9  # likeness of two pictures: near-twins of the samples have 0.95 or more, all other pairs 0.52 or less
LOST = 0.1  # share of a mask's objects: no sample loses 0.01 at 320 wide, 240 high, or 0.05 at half of that

# The words stand in a file of their own: kind -> (severity, what was found, what was expected, what to do).
_TEXT = Path(__file__).with_name("findings.txt").read_text(encoding="utf-8")
WORDS = {kind: tuple(rest) for kind, *rest in (" ".join(part.split()).split(" | ") for part in _TEXT.split("\n\n")[1:])}


@dataclass(frozen=True)
class Finding:
    """One kind of flaw; `names` are the stems that have it, or the file names, classes or sides. All is in words."""

    kind: str
    severity: str
    found: str
    expected: str
    fix: str
    names: list[str]


@dataclass(frozen=True)
class Report:
    """What the doctor found; `print` it. `pixels` counts those of each class in all masks that can be right."""

    pairs: int
    pixels: dict[str, int]
    findings: list[Finding]

    @property
    def fit(self) -> bool:
        """True if nothing stops training and nothing spoils the result."""
        return all(finding.severity == KNOW for finding in self.findings)

    def of(self, kind: str) -> list[str]:
        """The names that have this kind of flaw; none, if it was not found."""
        return [name for finding in self.findings if finding.kind == kind for name in finding.names]

    def __str__(self) -> str:
        shares = (f"{name} {100 * n / max(1, sum(self.pixels.values())):.1f} %" for name, n in self.pixels.items())
        lines = [f"{self.pairs} pairs; pixels: {', '.join(shares)}"]
        for severity in SEVERITIES:
            findings = [finding for finding in self.findings if finding.severity == severity]
            lines.append(f"\n{severity.upper()}" + ("" if findings else ": nothing"))
            lines += [f"* {one.found}\n  Expected: {one.expected}\n  Fix: {one.fix}" for one in findings]
        return "\n".join(lines)


def note(kind: str, names: Sequence[str], more: Mapping[str, str] | None = None) -> list[Finding]:
    """One finding in a list, in the words of `findings.txt`; an empty list if no name has it. `more` tells of a name.

    Example:
        >>> note("empty", ["a", "b"])[0].found
        'Masks that hold one value only (2): a, b.'
    """
    first = [f"{name} ({more[name]})" if more and more.get(name) else name for name in names[:5]]
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    severity, found, expected, fix = WORDS[kind]
    found = f"{found} ({len(names)}): {', '.join(first)}{rest}."
    return [Finding(kind, severity, found, expected, fix, list(names))] if names else []


def of_pairs(facts: dict[str, Facts], classes: Sequence[str] | None, size: Size) -> list[Finding]:
    """Flaws that a pair has by itself: its sizes, the values and the place of its mask, its light.

    Args:
        facts: of `check_up`, by stem.
        classes, size: as in `examine`.
    """
    pixels = {stem: each.size[0] * each.size[1] for stem, each in facts.items() if each.size}
    middle = float(np.median(list(pixels.values()) or [0]))

    def who(has: Callable[[Facts], object]) -> list[str]:
        return [stem for stem, each in facts.items() if has(each)]

    lost = {stem: f"{100 * each.lost:.0f} % of it" for stem, each in facts.items() if each.lost > LOST}
    places = {stem: each.misfit for stem, each in facts.items()}
    kinds = {
        "size": who(lambda each: each.size and each.mask_size and each.size != each.mask_size),
        "zero and one": who(lambda each: each.zero_and_one),
        "turned": who(lambda each: each.misfit in TURNS),
        "shifted": who(lambda each: "too far" in each.misfit),
        "ignored": who(lambda each: classes and each.counts[IGNORE_INDEX] > each.counts.sum() / 5),
        "tiny": list(lost),
        "empty": who(lambda each: np.count_nonzero(each.counts) == 1),
        "light": who(lambda each: each.thumb is not None and not 0.04 < each.thumb.mean() < 0.96),
        "lying": who(lambda each: each.lying),
        "sizes": [stem for stem, count in pixels.items() if not middle / 4 < count < 4 * middle],
        "enlarged": who(lambda each: each.size and (each.size[0] < size[0] or each.size[1] < size[1])),
    }
    more = {"turned": places, "shifted": places, "tiny": lost}
    return [one for kind, names in kinds.items() for one in note(kind, names, more.get(kind))]


def of_strays(facts: dict[str, Facts]) -> list[Finding]:
    """Masks that fit nowhere on their picture, with the picture that they do fit, and masks that are there twice."""
    strays = {stem: each.layers for stem, each in facts.items() if each.misfit == "elsewhere"}
    edges = {stem: edges_of(each.thumb) for stem, each in facts.items() if strays and each.thumb is not None}
    more = {}
    for stem, layers in list(strays.items())[:50]:  # for each of them, all other pictures are tried
        outline = outline_of(np.asarray(layers))
        fit = {other: fits(edge, outline)[0, 0] for other, edge in edges.items() if edge.shape == outline.shape}
        best = max(fit, key=lambda other: fit[other])
        if fit[best] > GOOD:
            more[stem] = f"it fits {best}"
    owners = defaultdict(list)
    for stem, each in facts.items():
        owners[each.fingerprint or stem].append(stem)
    same = [" and ".join(stems) for stems in owners.values() if len(stems) > 1]
    return note("elsewhere", list(strays), more) + note("same mask", same)


def of_twins(facts: dict[str, Facts], split: Split | None) -> list[Finding]:
    """Pictures that look alike, above all across the split: "a and b"."""
    thumbs = {
        stem: Image.fromarray(np.uint8(255 * each.thumb)) for stem, each in facts.items() if each.thumb is not None
    }
    stems = list(thumbs)
    tiny = np.array([thumb.resize((8, 8), Image.Resampling.BOX) for thumb in thumbs.values()], float).reshape(-1, 64, 3)
    tiny = (tiny - tiny.mean(axis=1, keepdims=True)).reshape(-1, 192)
    tiny /= np.linalg.norm(tiny, axis=1, keepdims=True).clip(min=100)  # two plain pictures are no twins
    side = {stem: name for name in ("train", "validation") for stem in (getattr(split, name) if split else ())}
    alike: dict[bool, list[str]] = {True: [], False: []}  # whether they stand on both sides
    for number, stem in enumerate(stems[:-1]):
        for other in np.flatnonzero(tiny[number + 1 :] @ tiny[number] > TWINS) + number + 1:
            apart = len({side.get(stem), side.get(stems[other])} - {None}) == 2
            alike[apart].append(f"{stem} and {stems[other]}")
    return note("twins apart", alike[True]) + note("twins", alike[False])
