"""Owns what the doctor finds in pairs of pictures and masks, and how it says so. Explained in 13_your_own_data."""

import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from seglib.data.image_io import IGNORE_INDEX
from seglib.data.splits import Split
from seglib.data.transforms import Size
from seglib.doctor.alignment import GOOD, TURNS, alignment_scores, edges_of, outline_of
from seglib.doctor.measurements import PairMeasurements
from seglib.errors import MaskError, SegError

STOPS = "stops training"
SPOILS = "spoils the result"
KNOW = "worth knowing"
SEVERITIES = (STOPS, SPOILS, KNOW)
TWINS = 0.9  # likeness of two pictures: near-twins of the samples have 0.95 or more, all other pairs 0.52 or less
LOST = 0.1  # share of a mask's objects: no sample loses 0.01 at 320 wide, 240 high, or 0.05 at half of that

# Kind of finding -> its severity and its words.
MESSAGES = tomllib.loads(Path(__file__).with_name("rules.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Finding:
    """One kind of flaw, in words; `names` are the stems, file names, classes or sides of the split that have it."""

    kind: str
    severity: str
    found: str
    expected: str
    fix: str
    names: list[str]


def make_finding(kind: str, names: Sequence[str], more: Mapping[str, str] | None = None) -> list[Finding]:
    """One finding in a list, in the words of `rules.toml`; an empty list if there is no name. `more` adds to a name.

    Example:
        >>> make_finding("empty", ["a", "b"])[0].found
        'Masks that hold one value only (2): a, b.'
    """
    if not names:
        return []
    first = [f"{name} ({more[name]})" if more and more.get(name) else name for name in names[:5]]
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    message = MESSAGES[kind]
    found = f"{message['found']} ({len(names)}): {', '.join(first)}{rest}."
    return [Finding(kind, message["severity"], found, message["expected"], message["fix"], list(names))]


def check_pairs(measurements: dict[str, PairMeasurements], classes: Sequence[str] | None, size: Size) -> list[Finding]:
    """Flaws that a pair has by itself: its sizes, the values and the place of its mask, its light.

    Args:
        measurements: of `measure_pair`, by stem.
        classes, size: as in `examine`.
    """
    pixels = {stem: each.size[0] * each.size[1] for stem, each in measurements.items() if each.size}
    middle = float(np.median(list(pixels.values()) or [0]))

    def who(has: Callable[[PairMeasurements], object]) -> list[str]:
        return [stem for stem, each in measurements.items() if has(each)]

    lost = {stem: f"{100 * each.lost:.0f} % of it" for stem, each in measurements.items() if each.lost > LOST}
    places = {stem: each.misalignment for stem, each in measurements.items()}
    kinds = {
        "size": who(lambda each: each.size and each.mask_size and each.size != each.mask_size),
        "zero and one": who(lambda each: each.zero_and_one),
        "turned": who(lambda each: each.misalignment in TURNS),
        "shifted": who(lambda each: "too far" in each.misalignment),
        "ignored": who(lambda each: classes and each.counts[IGNORE_INDEX] > each.counts.sum() / 5),
        "tiny": list(lost),
        "empty": who(lambda each: np.count_nonzero(each.counts) == 1),
        "light": who(lambda each: each.thumb is not None and not 0.04 < each.thumb.mean() < 0.96),
        "lying": who(lambda each: each.lying),
        "sizes": [stem for stem, count in pixels.items() if not middle / 4 < count < 4 * middle],
        "enlarged": who(lambda each: each.size and (each.size[0] < size[0] or each.size[1] < size[1])),
    }
    more = {"turned": places, "shifted": places, "tiny": lost}
    return [one for kind, names in kinds.items() for one in make_finding(kind, names, more.get(kind))]


def check_stray_masks(measurements: dict[str, PairMeasurements]) -> list[Finding]:
    """Masks that fit nowhere on their picture, with the picture that they do fit, and masks that are there twice."""
    strays = {stem: each.layers for stem, each in measurements.items() if each.misalignment == "elsewhere"}
    edges = {stem: edges_of(each.thumb) for stem, each in measurements.items() if strays and each.thumb is not None}
    more = {}
    for stem, layers in list(strays.items())[:50]:  # for each of them, all other pictures are tried
        outline = outline_of(np.asarray(layers))
        fit = {}
        for other, edge in edges.items():
            if edge.shape == outline.shape:
                fit[other] = alignment_scores(edge, outline)[0, 0]
        best = max(fit, key=lambda other: fit[other])
        if fit[best] > GOOD:
            more[stem] = f"it fits {best}"
    owners = defaultdict(list)
    for stem, each in measurements.items():
        owners[each.fingerprint or stem].append(stem)
    same = [" and ".join(stems) for stems in owners.values() if len(stems) > 1]
    return make_finding("elsewhere", list(strays), more) + make_finding("same mask", same)


def check_near_twins(measurements: dict[str, PairMeasurements], split: Split | None) -> list[Finding]:
    """Pictures that look alike, above all across the split: "a and b"."""
    thumbs = {stem: each.thumb for stem, each in measurements.items() if each.thumb is not None}
    stems = list(thumbs)
    descriptors = _descriptors(list(thumbs.values()))  # (N, 192)
    side = _side_of(split)
    across_split: list[str] = []
    others: list[str] = []
    for number, stem in enumerate(stems[:-1]):
        likeness = descriptors[number + 1 :] @ descriptors[number]  # (N - number - 1,), cosine, -1 to 1
        for other in np.flatnonzero(likeness > TWINS) + number + 1:
            sides = {side.get(stem), side.get(stems[other])} - {None}
            pairs = across_split if len(sides) == 2 else others
            pairs.append(f"{stem} and {stems[other]}")
    return make_finding("twins apart", across_split) + make_finding("twins", others)


def _descriptors(thumbs: list[np.ndarray]) -> np.ndarray:
    """Each picture as a vector of length 1 or less, (N, 192): 8 x 8 pixels, less the mean of each colour."""
    small = [Image.fromarray(np.uint8(255 * thumb)).resize((8, 8), Image.Resampling.BOX) for thumb in thumbs]
    pixels = np.array(small, float).reshape(-1, 64, 3)
    vectors = (pixels - pixels.mean(axis=1, keepdims=True)).reshape(-1, 192)
    # Two plain pictures differ by noise alone: below this length they stay short, and are never alike.
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=100)


def _side_of(split: Split | None) -> dict[str, str]:
    """Stem -> "train" or "validation"."""
    if split is None:
        return {}
    return dict.fromkeys(split.train, "train") | dict.fromkeys(split.validation, "validation")


def check_unreadable(faults: Sequence[SegError], measurements: dict[str, PairMeasurements]) -> list[Finding]:
    """Errors of pairing and reading, in their own words; those with the same fix become one finding.

    Args:
        faults: of `files_by_stem`.
        measurements: of `measure_pair`, by stem; with the errors of each pair.
    """
    errors = [("", fault) for fault in faults]
    for stem, each in measurements.items():
        for error in each.errors:
            if not (each.zero_and_one and isinstance(error, MaskError)):  # "zero and one" is a finding of its own
                errors.append((stem, error))
    same_fix: dict[tuple[str, str], list[tuple[str, SegError]]] = defaultdict(list)
    for stem, error in errors:
        same_fix[error.expected, error.fix].append((stem, error))
    findings = []
    for (expected, fix), group in same_fix.items():
        stems = [stem for stem, _ in group]
        first = group[0][1]
        more = f" And {len(group) - 1} more like it: {', '.join(stems[1:4])}." if len(group) > 1 else ""
        findings.append(Finding(type(first).__name__, STOPS, first.found + more, expected, fix, stems))
    return findings


def check_split(
    measurements: dict[str, PairMeasurements], classes: Sequence[str] | None, split: Split, batch_size: int
) -> list[Finding]:
    """Flaws of the split: pairs on no side, classes that one side lacks, too few pictures, a last batch of one.

    Args:
        measurements: of `measure_pair`, by stem.
        classes, split, batch_size: as in `examine`.
    """
    findings = make_finding("unused", sorted(measurements.keys() - {*split.train, *split.validation}))
    for kind, stems in (("untrained", split.train), ("unmeasured", split.validation)):
        counts = pixels_per_class(measurements, classes, [stem for stem in stems if stem in measurements])
        findings += make_finding(kind, [name for name, count in counts.items() if not count])
    small_sides = []
    if len(split.train) < 8:
        small_sides.append("training")
    if len(split.validation) < 4:
        small_sides.append("validation")
    findings += make_finding("few", small_sides)
    if batch_size < 2 or len(split.train) % batch_size == 1:
        findings += make_finding("single", [f"{len(split.train)} training pictures in batches of {batch_size}"])
    return findings


def pixels_per_class(
    measurements: dict[str, PairMeasurements], classes: Sequence[str] | None, stems: Sequence[str]
) -> dict[str, int]:
    """How many pixels of each class the masks of these stems hold; masks with errors are left out."""
    counts = np.zeros(256, np.int64)
    for stem in stems:
        if not measurements[stem].errors:
            counts += measurements[stem].counts
    names = {0: "background", IGNORE_INDEX: "object"} if classes is None else dict(enumerate(classes))
    return {name: int(counts[label]) for label, name in names.items()}
