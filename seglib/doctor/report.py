"""Owns the verdict on a folder: is it fit to train on? All findings at once. Explained in 13_your_own_data."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tqdm import tqdm

from seglib.data.pairing import files_by_stem
from seglib.data.splits import Split
from seglib.data.transforms import Size, check_size
from seglib.doctor.measurements import PairMeasurements, measure_pair
from seglib.doctor.rules import (
    KNOW,
    SEVERITIES,
    Finding,
    check_near_twins,
    check_pairs,
    check_split,
    check_stray_masks,
    check_unreadable,
    make_finding,
    pixels_per_class,
)
from seglib.errors import PairError, name_of
from seglib.model import BUNDLED_MODEL, output_stride


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


def examine(
    image_folder: str | os.PathLike[str],
    mask_folder: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    split: Split | None = None,
    size: Size = (240, 320),
    batch_size: int = 4,
    model: str = BUNDLED_MODEL,
) -> Report:
    """Look at every picture and mask of two folders, and report all that could go wrong with them; change nothing.

    Args:
        image_folder, mask_folder, classes: as in `CustomDataset`.
        split: which stems are trained on, and which are kept; without it nothing is said about the two sides.
        size: (height, width) that the model will see.
        batch_size: of the training.
        model: its name, as in `build_deeplab`; its output stride decides which objects are too small.

    Returns:
        The report, to be printed.

    Raises:
        SegError: for the call, never for the files: a folder is missing or holds no picture, `size` is none, or there
            is no such model.

    Example:
        >>> examine("data_samples/images", "data_samples/masks").fit
        True
    """
    check_size(size, portrait=True)
    stride = output_stride(model)
    faults: list[PairError] = []
    images = files_by_stem(image_folder, faults)
    masks = files_by_stem(mask_folder, faults)
    stems = sorted(images.keys() & masks.keys())

    def measure(stem: str) -> PairMeasurements:
        return measure_pair(images[stem], masks[stem], classes, size, stride)

    with ThreadPoolExecutor(2) as pool:  # Pillow decodes without Python's lock: two files at once
        progress = tqdm(pool.map(measure, stems), total=len(stems), unit="pair")
        measurements = dict(zip(stems, progress, strict=True))
    findings = make_finding("no mask", [name_of(images[stem]) for stem in sorted(images.keys() - masks.keys())])
    findings += make_finding("no image", [name_of(masks[stem]) for stem in sorted(masks.keys() - images.keys())])
    findings += check_unreadable(faults, measurements)
    findings += check_pairs(measurements, classes, size)
    findings += check_stray_masks(measurements)
    findings += check_near_twins(measurements, split)
    if split:
        findings += make_finding("split", sorted({*split.train, *split.validation} - images.keys() - masks.keys()))
        findings += check_split(measurements, classes, split, batch_size)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Report(len(stems), pixels_per_class(measurements, classes, stems), findings)
