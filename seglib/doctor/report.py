"""Owns the verdict on a folder: is it fit to train on? All findings at once. Explained in 13_your_own_data."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from seglib.data.image_io import check_classes
from seglib.data.mask_values import make_mask_values
from seglib.data.pairing import Pair, Unmasked, find_pairs
from seglib.data.splits import Split
from seglib.data.transforms import Size, check_size
from seglib.doctor.measurements import Geometry, PairMeasurements, Reading, measure_pair
from seglib.doctor.near_twins import find_same_scenes
from seglib.doctor.proposals import ClassFacts, Prospects, find_prospects
from seglib.doctor.rules import (
    KNOW,
    SEVERITIES,
    STOPS,
    Finding,
    check_classes_held,
    check_near_twins,
    check_pairs,
    check_partners,
    check_prospects,
    check_shapes,
    check_split,
    check_stray_masks,
    check_unreadable,
    pixels_per_class,
)
from seglib.errors import MaskError, PairError
from seglib.model import BUNDLED_MODEL, output_stride
from seglib.progress import progress_bar

THUMBS = 2000  # pictures of which a thumbnail is kept: about 30 kB each


@dataclass(frozen=True)
class Report:
    """What the doctor found; `print` it.

    Attributes:
        pairs: how many there are.
        pixels: of each class in all masks that can be right.
        findings: the worst first.
        prospects: of each class what is known, and the setting that is proposed.
        files: the image and the mask of each stem.
        reading: how they were read.
    """

    pairs: int
    pixels: dict[str, int]
    findings: list[Finding]
    prospects: Prospects
    files: Mapping[str, Pair] = field(default_factory=dict, repr=False)
    reading: Reading = field(default_factory=Reading, repr=False)

    @property
    def fit(self) -> bool:
        """True if nothing stops training and nothing spoils the result."""
        return all(finding.severity == KNOW for finding in self.findings)

    @property
    def must_mend(self) -> bool:
        """True if something stops training or spoils the result."""
        return not self.fit

    @property
    def classes(self) -> list[ClassFacts]:
        """What is known of each class."""
        return self.prospects.classes

    @property
    def proposed(self) -> dict[str, Any]:
        """Settings for the training, by the names of its options; empty where those of now will do."""
        return self.prospects.settings

    def of(self, kind: str) -> list[str]:
        """The names that have this kind of flaw; none, if it was not found."""
        return [name for finding in self.findings if finding.kind == kind for name in finding.names]

    def in_training(self) -> tuple[bool, str]:
        """Whether a training cannot begin, and what its first lines say; no words where nothing has to be mended.

        What the command that trains mends by itself, a last batch of one picture, is left out.
        """
        findings = [one for one in self.findings if one.kind != "single"]
        stops = [one for one in findings if one.severity == STOPS]
        if stops:
            head = "These folders cannot be trained on as they are:"
            return True, "\n".join([head, *map(_in_words, stops)])
        rest = [one for one in findings if one.severity != KNOW]
        lines = (
            [f"The doctor found in {self.pairs} pairs what spoils the result:", *map(_in_words, rest)] if rest else []
        )
        if self.proposed:
            lines.append(f"Proposed: {settings_in_words(self.proposed)}")
        return False, "\n".join(lines)

    def __str__(self) -> str:
        shares = (f"{name} {100 * n / max(1, sum(self.pixels.values())):.1f} %" for name, n in self.pixels.items())
        lines = [f"{self.pairs} pairs; pixels: {', '.join(shares)}", *_table(self.prospects)]
        for severity in SEVERITIES:
            findings = [finding for finding in self.findings if finding.severity == severity]
            lines.append(f"\n{severity.upper()}" + ("" if findings else ": nothing"))
            lines += map(_in_words, findings)
        if self.proposed:
            lines.append(f"\nPROPOSED: {settings_in_words(self.proposed)}")
        return "\n".join(lines)


def _in_words(finding: Finding) -> str:
    return f"* {finding.found}\n  Expected: {finding.expected}\n  Fix: {finding.fix}"


def _table(prospects: Prospects) -> list[str]:
    """The lines about the classes: what a model without any skill reaches, and what the best one can."""
    width = max([16, *(len(each.name) for each in prospects.classes)])
    lines = [f"\n{'IoU':{width}}  all called so  best possible"]
    for each in prospects.classes:
        best = "-" if each.ceiling is None else f"{each.ceiling:.2f}"
        lines.append(f"{each.name:{width}}  {each.trivial_iou:>13.3f}  {best:>13}")
    lines.append(f"{'mean':{width}}  {prospects.trivial_mean_iou:>13.3f}")
    lines.append(
        f"(Best possible: coarse logits at {prospects.geometry}, each class by itself, {prospects.drawn} masks.)"
    )
    return lines


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """Settings as arguments of Python.

    Example:
        >>> settings_in_words({"scale": 2, "crop": (256, 320), "loss": "ce_dice"})
        'scale=2 crop=(256, 320) loss="ce_dice"'
    """
    words = {name: json.dumps(value) if isinstance(value, str) else repr(value) for name, value in settings.items()}
    return " ".join(f"{name}={word}" for name, word in words.items())


def examine(
    image_folder: str | os.PathLike[str],
    mask_folder: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    split: Split | None = None,
    size: Size = (240, 320),
    batch_size: int = 4,
    model: str = BUNDLED_MODEL,
    scale: float | None = None,
    allow_missing: Collection[str] = (),
    mask_suffix: str = "",
    image_suffix: str = "",
    recursive: bool | None = None,
    unmasked: Unmasked = "refuse",
    ignore: int | Sequence[int] | None = None,
    palette: str | os.PathLike[str] | Mapping[Any, Any] | None = None,
    relabel: Mapping[int, int] | None = None,
    invert: bool = False,
    max_pixels: int | None = None,
    progress: bool = True,
) -> Report:
    """Look at every picture and mask of two folders, and report all that could go wrong with them; change nothing.

    Args:
        image_folder, mask_folder, classes: as in `CustomDataset`.
        split: which stems are trained on, and which are kept; without it nothing is said about the two sides.
        size: (height, width) that the model will see.
        batch_size: of the training.
        model: its name, as in `build_deeplab`; its output stride decides which objects are too small.
        scale: pictures are enlarged by so much and trained on in crops of `size`, instead of resized to it.
        allow_missing: classes that no mask need hold.
        mask_suffix, image_suffix, recursive, unmasked: how files are paired, as in `pair_files`.
        ignore, palette, relabel, invert: what the values of masks mean, as in `make_mask_values`.
        max_pixels: of one picture, as in `load_image`.
        progress: show a bar.

    Returns:
        The report, to be printed.

    Raises:
        SegError: for the call, never for the files: a folder is missing or holds no picture, `size` is none, or there
            is no such model or class.

    Example:
        >>> examine("data_samples/images", "data_samples/masks", progress=False).fit
        True
    """
    check_size(size, portrait=True)
    values = make_mask_values(ignore=ignore, palette=palette, relabel=relabel, invert=invert, classes=classes)
    reading = Reading(check_classes(classes), values, max_pixels)
    _check_allowed(allow_missing, reading)
    geometry = Geometry((size[0], size[1]), scale, output_stride(model))
    faults: list[PairError] = []
    found = find_pairs(
        image_folder,
        mask_folder,
        mask_suffix=mask_suffix,
        image_suffix=image_suffix,
        recursive=recursive,
        unmasked=unmasked,
        faults=faults,
    )

    def measure(place: tuple[int, Pair]) -> PairMeasurements:
        measured = measure_pair(*place[1], reading, geometry)
        measured.slim(keep_thumb=place[0] < THUMBS)
        return measured

    total = len(found.pairs)
    bar = {} if progress else {"disable": True}  # else as TQDM_DISABLE says
    with ThreadPoolExecutor(2) as pool:  # Pillow decodes without Python's lock: two files at once
        in_progress = progress_bar(pool.map(measure, enumerate(found.pairs.values())), total=total, unit="pair", **bar)
        measurements = dict(zip(found.pairs, in_progress, strict=True))
    pixels = pixels_per_class(measurements, reading, found.pairs)
    prospects = find_prospects(measurements, pixels, found.pairs, reading, geometry)
    grids = {stem: each.grid for stem, each in measurements.items() if each.grid is not None}
    findings = check_partners(found)
    findings += check_unreadable(faults, measurements)
    findings += check_pairs(measurements, reading, geometry)
    findings += check_shapes(measurements, geometry)
    findings += check_stray_masks(measurements)
    findings += check_near_twins(find_same_scenes(grids), split)
    findings += check_classes_held(measurements, reading, split, allow_missing)
    findings += check_prospects(prospects, measurements)
    if split:
        findings += check_split(measurements, found, split, batch_size)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Report(len(found.pairs), pixels, findings, prospects, found.pairs, reading)


def _check_allowed(allow_missing: Collection[str], reading: Reading) -> None:
    strange = [name for name in allow_missing if name not in reading.names.values()]
    if strange:
        listed = json.dumps(list(reading.names.values()), ensure_ascii=False)
        raise MaskError(
            f'allow_missing names "{strange[0]}", which is no class.',
            f"one of {', '.join(reading.names.values())}",
            f"Correct the name; the classes are {listed}.",
        )
