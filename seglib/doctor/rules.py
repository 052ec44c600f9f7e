"""Owns what the doctor finds in pairs of pictures and masks, and how it says so. Explained in 13_your_own_data."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seglib.data.pairing import FoundPairs, common_suffixes, stem_of
from seglib.data.splits import Split
from seglib.data.transforms import Size
from seglib.doctor.alignment import GOOD, TURNS, alignment_scores, edges_of, outline_of
from seglib.doctor.ceiling import typical
from seglib.doctor.measurements import Geometry, PairMeasurements, Reading, as_floats
from seglib.doctor.near_twins import SameScenes, Twins
from seglib.doctor.proposals import Prospects, same_scale
from seglib.errors import MaskError, SegError, name_of

STOPS = "stops training"
SPOILS = "spoils the result"
KNOW = "worth knowing"
SEVERITIES = (STOPS, SPOILS, KNOW)
LOST = 0.1  # share of a mask's objects: no sample loses 0.01 at 320 wide, 240 high, or 0.05 at half of that
MOSTLY_OBJECT = 0.6  # share of the pixels above which we ask where the object is
ONE_SHAPE = 4 / 3  # shapes, height by width, that differ by more are mixed
TRIED = 50  # masks that fit nowhere for which the right picture is looked for
KINDS_OF_ERRORS = 12  # findings of what cannot be read, at most; the rest is counted

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


def make_finding(
    kind: str, names: Sequence[str], more: Mapping[str, str] | None = None, **words: object
) -> list[Finding]:
    """One finding in a list, in the words of `rules.toml`; an empty list if there is no name.

    Args:
        kind: of the table.
        names: who has it.
        more: adds to a name.
        words: fill the places in braces in the words of the table.

    Example:
        >>> make_finding("empty", ["a", "b"])[0].found
        'Masks that hold one value only (2): a, b.'
    """
    if not names:
        return []
    first = [f"{name} ({more[name]})" if more and more.get(name) else name for name in names[:5]]
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    message = {part: text.format(**words) if words else text for part, text in MESSAGES[kind].items()}
    found = f"{message['found']} ({len(names)}): {', '.join(first)}{rest}."
    return [Finding(kind, message["severity"], found, message["expected"], message["fix"], list(names))]


def check_partners(found: FoundPairs) -> list[Finding]:
    """Files without a partner, and files that the given suffix passes over."""
    images = [name_of(path) for path in found.images_alone]
    masks = [name_of(path) for path in found.masks_alone]
    passed_over = make_finding("passed over", [name_of(path) for path in found.passed_over])
    endings = common_suffixes(map(stem_of, found.images_alone), map(stem_of, found.masks_alone))
    if endings is None:
        return make_finding("no mask", images) + make_finding("no image", masks) + passed_over
    given = {"image_suffix": endings[0], "mask_suffix": endings[1]}
    arguments = " ".join(f'{name}="{ending}"' for name, ending in given.items() if ending)
    number = f"{endings[2]} of {len(images)} images and {len(masks)} masks"
    return make_finding("suffix", [number], arguments=arguments) + passed_over


def check_pairs(measurements: Mapping[str, PairMeasurements], reading: Reading, geometry: Geometry) -> list[Finding]:
    """Flaws that a pair has by itself: its sizes, the values and the place of its mask, its light.

    Args:
        measurements: of `measure_pair`, by stem.
        reading, geometry: as in `measure_pair`.
    """
    pixels = {stem: each.size[0] * each.size[1] for stem, each in measurements.items() if each.size}
    middle = float(np.median(list(pixels.values()) or [0]))

    def who(has: Callable[[PairMeasurements], object]) -> list[str]:
        return [stem for stem, each in measurements.items() if has(each)]

    def smaller(size: Size | None) -> bool:
        return size is not None and geometry.scale is None and any(map(int.__lt__, size, geometry.size))

    places = {stem: each.misalignment for stem, each in measurements.items()}
    kinds = {
        "size": who(lambda each: each.size and each.mask_size and each.size != each.mask_size),
        "zero and one": who(lambda each: each.zero_and_one),
        "turned": who(lambda each: each.misalignment in TURNS),
        "shifted": who(lambda each: "too far" in each.misalignment),
        "ignored": who(lambda each: each.much_ignored),
        "empty": who(lambda each: each.has_mask and np.count_nonzero(each.counts) == 1),
        "light": who(lambda each: not 0.04 < each.brightness < 0.96),
        "lying": who(lambda each: each.lying),
        "sizes": [stem for stem, count in pixels.items() if not middle / 4 < count < 4 * middle],
        "enlarged": who(lambda each: smaller(each.size)),
    }
    more = {"turned": places, "shifted": places}
    findings = [one for kind, names in kinds.items() for one in make_finding(kind, names, more.get(kind))]
    if reading.classes is None and not reading.values.invert:
        findings += _check_inverted(measurements)
    return findings


def _check_inverted(measurements: Mapping[str, PairMeasurements]) -> list[Finding]:
    """Binary masks that are object for the most part.

    In most photographs the object lies inside and the background along the frame. So where the frame is object even
    more than the rest, object and background are probably exchanged; where it is not, we only ask.
    """
    drawn = {stem: each for stem, each in measurements.items() if each.object_share > 0 and not each.errors}
    large = {stem: each for stem, each in drawn.items() if each.object_share > MOSTLY_OBJECT}
    at_frame = [stem for stem, each in large.items() if each.at_the_frame > each.object_share]
    more = {stem: f"{100 * each.object_share:.0f} % object" for stem, each in large.items()}
    if 2 * len(large) < len(drawn):  # only some: a thing that fills its picture is no fault
        return make_finding("inverted", at_frame, more)
    return make_finding("inverted" if 2 * len(at_frame) > len(large) else "mostly object", list(large), more)


def check_shapes(measurements: Mapping[str, PairMeasurements], geometry: Geometry) -> list[Finding]:
    """Pictures of another shape than most, where all are pressed into one; with a setting that keeps all shapes."""
    sizes = {stem: each.size for stem, each in measurements.items() if each.size}
    if geometry.scale is not None or len(sizes) < 2:
        return []
    middle = float(np.median([_shape(size) for size in sizes.values()]))
    pressed = {
        stem: f"{_differ(_shape(size), _shape(geometry.size)):.1f} times"
        for stem, size in sizes.items()
        if _differ(_shape(size), middle) > ONE_SHAPE
    }
    return make_finding("shapes", list(pressed), pressed, setting=same_scale(geometry, typical(sizes.values())))


def _shape(size: Size) -> float:
    return size[0] / size[1]


def _differ(first: float, second: float) -> float:
    return max(first / second, second / first)


def check_stray_masks(measurements: Mapping[str, PairMeasurements]) -> list[Finding]:
    """Masks that fit nowhere on their picture, with the picture that they do fit, and masks that are there twice."""
    strays = [stem for stem, each in measurements.items() if each.misalignment == "elsewhere"]
    outlines = {}
    for stem in strays[:TRIED]:  # for each of them, all other pictures are tried
        layers = measurements[stem].layers
        if layers is not None:
            outlines[stem] = outline_of(as_floats(layers))
    best = dict.fromkeys(outlines, ("", GOOD))
    for other, each in measurements.items():
        if not outlines or each.thumb is None:
            continue
        edges = edges_of(as_floats(each.thumb))
        for stem, outline in outlines.items():
            fit = alignment_scores(edges, outline)[0, 0] if edges.shape == outline.shape else 0.0
            best[stem] = max(best[stem], (other, float(fit)), key=lambda place: place[1])
    more = {stem: f"it fits {other}" for stem, (other, _) in best.items() if other}
    owners = defaultdict(list)
    for stem, each in measurements.items():
        owners[each.fingerprint or stem].append(stem)
    same = [" and ".join(stems) for stems in owners.values() if len(stems) > 1]
    return make_finding("elsewhere", strays, more) + make_finding("same mask", same)


def check_near_twins(scenes: SameScenes, split: Split | None) -> list[Finding]:
    """Pictures of one scene, above all across the split: "a and b"; recordings by their first and last frame."""
    side = _side_of(split)
    recording_of = {stem: name for name, stems in scenes.recordings.items() for stem in stems}
    apart = {}
    for stems in scenes.recordings.values():
        counts = {name: sum(side.get(stem) == name for stem in stems) for name in ("train", "validation", "test")}
        if sum(count > 0 for count in counts.values()) > 1:
            listed = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            apart[f"{stems[0]} to {stems[-1]}"] = listed
    across_split: list[Twins] = []
    others: list[Twins] = []
    for twins in scenes.twins:
        if recording_of.get(twins.first, twins.first) == recording_of.get(twins.second, twins.second):
            continue  # frames of one recording, which is told as a whole
        sides = {side.get(twins.first), side.get(twins.second)} - {None}
        pairs = across_split if len(sides) == 2 else others
        pairs.append(twins)
    findings = make_finding("recordings apart", list(apart), apart)
    for kind, pairs in (("twins apart", across_split), ("twins", others)):
        more = {f"{one.first} and {one.second}": one.how for one in pairs}
        findings += make_finding(kind, list(more), more)
    return findings + make_finding("one kind", ["most pairs"] if scenes.of_one_kind else [])


def _side_of(split: Split | None) -> dict[str, str]:
    """Stem -> "train", "validation" or "test"."""
    if split is None:
        return {}
    sides = {"train": split.train, "validation": split.validation, "test": split.test}
    return {stem: name for name, stems in sides.items() for stem in stems}


def check_unreadable(faults: Sequence[SegError], measurements: Mapping[str, PairMeasurements]) -> list[Finding]:
    """Errors of pairing and reading, in their own words; those with the same fix become one finding.

    Args:
        faults: of `find_pairs`.
        measurements: of `measure_pair`, by stem; with the errors of each pair.
    """
    errors = [("", fault) for fault in faults]
    for stem, each in measurements.items():
        for error in each.errors:
            if not (each.zero_and_one and isinstance(error, MaskError)):  # "zero and one" is a finding of its own
                errors.append((stem, error))
    same_fix: dict[tuple[str, str], list[tuple[str, SegError]]] = defaultdict(list)
    for stem, error in errors:
        same_fix[type(error).__name__, _without_details(error.fix)].append((stem, error))
    groups = sorted(same_fix.values(), key=len, reverse=True)
    findings = []
    for group in groups[:KINDS_OF_ERRORS]:
        stems = [stem for stem, _ in group]
        first = group[0][1]
        some = ", ".join(stem for stem in stems[1:4] if stem)
        more = f" And {len(group) - 1} more like it{': ' if some else ''}{some}." if len(group) > 1 else ""
        findings.append(Finding(type(first).__name__, STOPS, first.found + more, first.expected, first.fix, stems))
    rest = [stem for group in groups[KINDS_OF_ERRORS:] for stem, _ in group]
    return findings + make_finding("more errors", rest)


def _without_details(fix: str) -> str:
    """A fix without the names and numbers that differ from file to file."""
    return re.sub(r'"[^"]*"|\d+', "#", fix)


def check_classes_held(
    measurements: Mapping[str, PairMeasurements],
    reading: Reading,
    split: Split | None,
    allow_missing: Collection[str] = (),
) -> list[Finding]:
    """Classes that no mask to learn from holds, or none to measure on.

    Args:
        measurements: of `measure_pair`, by stem.
        reading: as in `measure_pair`.
        split: without it all pictures are learned from.
        allow_missing: names of classes of which that is known, and nothing is said.
    """
    sides = {"untrained": list(measurements)}
    if split is not None:
        sides = {"untrained": split.train, "unmeasured": split.validation}
    findings = []
    for kind, stems in sides.items():
        here = [stem for stem in stems if stem in measurements]
        unread = sum(bool(measurements[stem].errors) for stem in here)
        if 2 * unread >= len(here):  # what they hold is not known yet
            continue
        counts = pixels_per_class(measurements, reading, here)
        missing = [name for name, count in counts.items() if not count]
        missing = [name for name in missing if name not in allow_missing]
        listed = ", ".join(f'"{name}"' for name in missing)
        findings += make_finding(kind, missing, listed=listed)
    return findings


def check_split(
    measurements: Mapping[str, PairMeasurements], found: FoundPairs, split: Split, batch_size: int
) -> list[Finding]:
    """Flaws of the split: names without a pair, pairs on no side, too few pictures, a last batch of one.

    Test pictures may lie in folders of their own: that their names are not here stops no training.

    Args:
        measurements: of `measure_pair`, by stem.
        found: what the folders hold.
        split, batch_size: as in `examine`.
    """
    side = _side_of(split)
    alone = [stem_of(path) for path in (*found.images_alone, *found.masks_alone)]  # said already
    unknown = [stem for stem in side if stem not in found.pairs]
    unknown = [stem for stem in unknown if not any(_is_file_of(one, stem) for one in alone)]
    findings = make_finding("split", sorted(stem for stem in unknown if side[stem] != "test"))
    findings += make_finding("test elsewhere", sorted(stem for stem in unknown if side[stem] == "test"))
    findings += make_finding("unused", sorted(measurements.keys() - side.keys()))
    small_sides = []
    if len(split.train) < 8:
        small_sides.append("training")
    if len(split.validation) < 4:
        small_sides.append("validation")
    findings += make_finding("few", small_sides)
    if batch_size < 2 or len(split.train) % batch_size == 1:
        findings += make_finding("single", [f"{len(split.train)} training pictures in batches of {batch_size}"])
    return findings


def _is_file_of(file_stem: str, stem: str) -> bool:
    """Whether a file may belong to a name of the split: `a_mask` to `a` and to `folder/a`."""
    name = stem.rpartition("/")[2]
    return file_stem.startswith(name) and not file_stem[len(name) : len(name) + 1].isalnum()


def check_prospects(prospects: Prospects, measurements: Mapping[str, PairMeasurements]) -> list[Finding]:
    """What the coarse grid cannot draw at this setting: whole classes, things in some pictures; and rare classes.

    Args:
        prospects: of `find_prospects`.
        measurements: of `measure_pair`, by stem.
    """
    low = {name: f"at most {value:.2f} with {prospects.geometry}" for name, value in prospects.low.items()}
    small = {name: f"{100 * share:.1f} %" for name, share in prospects.small.items()}
    better = prospects.proposed
    if better is None:
        findings = make_finding("ceiling reached", list(low), low)
    else:
        there = ", ".join(f"{name} {value:.2f}" for name, value in prospects.there.items())
        findings = make_finding("ceiling", list(low), low, setting=better, there=there)
    lost = {stem: f"{100 * each.lost:.0f} % of it" for stem, each in measurements.items() if each.lost > LOST}
    drawn = sum(each.object_share > 0 and not each.errors for each in measurements.values())
    if 2 * len(lost) <= drawn or drawn < 4:  # if all are small or thin, the ceiling of their class says it better
        larger = better or prospects.next_larger
        findings += make_finding("tiny", list(lost), lost, setting=f", as with {larger}" if larger else "")
    return findings + make_finding("small classes", list(small), small)


def pixels_per_class(
    measurements: Mapping[str, PairMeasurements], reading: Reading, stems: Iterable[str]
) -> dict[str, int]:
    """How many pixels of each class the masks of these stems hold; masks with errors are left out."""
    counts = np.zeros(256, np.int64)
    for stem in stems:
        if not measurements[stem].errors:
            counts += measurements[stem].counts
    return {name: int(counts[label]) for label, name in reading.names.items()}
