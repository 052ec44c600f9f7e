"""Owns the verdict on a folder: is it fit to train on? All of its flaws at once. Explained in 11_your_own_data."""

import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from seglib.checkup import Facts, check_up
from seglib.errors import MaskError, PairError, SegError, name_of
from seglib.files import files_by_stem
from seglib.findings import SEVERITIES, STOPS, Finding, Report, note, of_pairs, of_strays, of_twins
from seglib.loaders import Split
from seglib.pictures import IGNORE_INDEX
from seglib.transforms import Size, check_size


def examine(
    image_folder: str | os.PathLike[str],
    mask_folder: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    split: Split | None = None,
    size: Size = (240, 320),
    batch_size: int = 4,
) -> Report:
    """Look at every picture and mask of two folders, and report all that could go wrong with them; change nothing.

    Args:
        image_folder, mask_folder, classes: as in `CustomDataset`.
        split: which stems are trained on, and which are kept; without it nothing is said about the two sides.
        size: (height, width) that the model will see.
        batch_size: of the training.

    Returns:
        The report, to be printed.

    Raises:
        SegError: for the call, never for the files: a folder is missing or holds no picture, or `size` is none.

    Example:
        >>> examine("data_samples/images", "data_samples/masks").fit
        True
    """
    check_size(size, portrait=True)
    faults: list[PairError] = []
    images, masks = files_by_stem(image_folder, faults), files_by_stem(mask_folder, faults)
    both = sorted(images.keys() & masks.keys())
    with ThreadPoolExecutor(2) as pool:  # Pillow decodes two files at once
        work = pool.map(lambda stem: check_up(images[stem], masks[stem], classes, size), both)
        facts = dict(zip(both, tqdm(work, total=len(both), unit="pair"), strict=True))
    findings = note("no mask", [name_of(images[stem]) for stem in sorted(images.keys() - masks.keys())])
    findings += note("no image", [name_of(masks[stem]) for stem in sorted(masks.keys() - images.keys())])
    findings += of_readers(faults, facts) + of_pairs(facts, classes, size) + of_strays(facts) + of_twins(facts, split)
    if split:
        findings += note("split", sorted({*split.train, *split.validation} - images.keys() - masks.keys()))
        findings += of_sides(facts, classes, split, batch_size)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Report(len(both), pixels_of(facts, classes, both), findings)


def of_readers(faults: Sequence[SegError], facts: dict[str, Facts]) -> list[Finding]:
    """What the readers refused, in their own words; errors that are mended in the same way are one finding."""
    alike: dict[tuple[str, str], list[tuple[str, SegError]]] = defaultdict(list)
    for stem, error in [("", fault) for fault in faults] + [(s, e) for s, each in facts.items() for e in each.errors]:
        if not (stem and facts[stem].zero_and_one and isinstance(error, MaskError)):  # that has a name of its own
            alike[error.expected, error.fix].append((stem, error))
    findings = []
    for (expected, fix), same in alike.items():
        more = f" And {len(same) - 1} more like it: {', '.join(stem for stem, _ in same[1:4])}." if same[1:] else ""
        words = (same[0][1].found + more, expected, fix)
        findings.append(Finding(type(same[0][1]).__name__, STOPS, *words, [stem for stem, _ in same]))
    return findings


def pixels_of(facts: dict[str, Facts], classes: Sequence[str] | None, stems: Sequence[str]) -> dict[str, int]:
    """How many pixels of each class the masks of these stems hold; none of a mask that cannot be right."""
    counts = np.sum([facts[stem].counts for stem in stems if not facts[stem].errors] or [np.zeros(256)], axis=0)
    names = {0: "background", IGNORE_INDEX: "object"} if classes is None else dict(enumerate(classes))
    return {name: int(counts[label]) for label, name in names.items()}


def of_sides(facts: dict[str, Facts], classes: Sequence[str] | None, split: Split, batch_size: int) -> list[Finding]:
    """Flaws of the split: pairs on no side, classes that one side lacks, too few pictures, a last batch of one."""
    findings = note("unused", sorted(facts.keys() - {*split.train, *split.validation}))
    for kind, stems in (("untrained", split.train), ("unmeasured", split.validation)):
        counts = pixels_of(facts, classes, [stem for stem in stems if stem in facts])
        findings += note(kind, [name for name, count in counts.items() if not count])
    findings += note("few", ["training"] * (len(split.train) < 8) + ["validation"] * (len(split.validation) < 4))
    single = [f"{len(split.train)} training pictures in batches of {batch_size}"]
    return findings + note("single", single * (batch_size < 2 or len(split.train) % batch_size == 1))
