"""Owns what is known of each class, and the settings that the doctor proposes. Explained in 13_your_own_data."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from seglib.data.pairing import Pair
from seglib.data.transforms import Size, scaled_size
from seglib.doctor.ceiling import PER_CLASS, Sample, choose_sample, class_ceilings, typical
from seglib.doctor.measurements import Geometry, PairMeasurements, Reading
from seglib.errors import SegError

LOW = 0.6  # a ceiling below this asks for another setting
ENOUGH = 0.8  # the search for a proposal ends where every low ceiling has become so high
GAIN = 0.05  # a proposal raises the lowest ceiling by at least so much
SMALL = 0.05  # share of the pixels
SCALES = [2.0**power for power in range(-5, 3)]  # 1/32 to 4
STEP = 32  # pixels: sides of crops are multiples of it


@dataclass(frozen=True)
class ClassFacts:
    """What is known of one class before any training.

    Attributes:
        name: of the class.
        share: of all pixels that count, 0 to 1.
        trivial_iou: the IoU of this class if a model calls every pixel so.
        ceiling: the best IoU that coarse logits reach, mean over masks that hold the class; None if none does.
    """

    name: str
    share: float
    trivial_iou: float
    ceiling: float | None


@dataclass
class Prospects:
    """What can be reached at the chosen setting, and at the one that is proposed."""

    classes: list[ClassFacts]
    geometry: Geometry
    drawn: int = 0  # masks that the ceilings are of
    proposed: Geometry | None = None
    there: dict[str, float] = field(default_factory=dict)  # class -> ceiling at the proposed setting
    next_larger: Geometry | None = None  # the setting at which things are about twice as large

    @property
    def low(self) -> dict[str, float]:
        """The classes whose ceiling is low."""
        return {each.name: each.ceiling for each in self.classes if each.ceiling is not None and each.ceiling < LOW}

    @property
    def small(self) -> dict[str, float]:
        """Of several classes those with few pixels."""
        return {each.name: each.share for each in self.classes if 0 < each.share < SMALL and len(self.classes) > 2}

    @property
    def trivial_mean_iou(self) -> float:
        """The mean IoU of calling everything by the most frequent class."""
        return max((each.trivial_iou for each in self.classes), default=0.0) / max(1, len(self.classes))

    @property
    def settings(self) -> dict[str, Any]:
        """The proposals as options of the training."""
        settings: dict[str, Any] = {}
        if self.proposed is not None and self.proposed.scale is not None:
            scale = self.proposed.scale
            settings |= {"scale": int(scale) if scale == int(scale) else scale, "crop": self.proposed.size}
        if self.small:
            settings |= {"loss": "ce_dice", "class_weights": "balanced"}
        return settings


def find_prospects(
    measurements: Mapping[str, PairMeasurements],
    pixels: Mapping[str, int],
    files: Mapping[str, Pair],
    reading: Reading,
    geometry: Geometry,
) -> Prospects:
    """The facts of each class, and a better setting where the ceiling of one is low.

    Args:
        measurements: of `measure_pair`, by stem.
        pixels: of each class.
        files: image and mask of each stem.
        reading, geometry: as in `measure_pair`.
    """
    right = {stem: each for stem, each in measurements.items() if not each.errors and each.has_mask}
    names = reading.names
    holds = {
        stem: [label for label in names if each.counts[label]]
        for stem, each in right.items()
        if each.size == each.mask_size
    }

    def mask_of(stem: str) -> Image.Image:
        return reading.mask(files[stem][1], (1, 1))

    sample = choose_sample(holds, PER_CLASS if len(names) == 2 else PER_CLASS // 2)
    ceilings = _ceilings(sample, mask_of, reading, geometry)
    total = max(1, sum(pixels.values()))
    facts = [
        ClassFacts(name, pixels[name] / total, pixels[name] / total, ceilings.get(label))
        for label, name in names.items()
    ]
    prospects = Prospects(facts, geometry, len(sample.labels))
    sizes = [each.size for each in right.values() if each.size]
    larger = _candidates(geometry, typical(sizes)) if sizes else []
    prospects.next_larger = next_larger(geometry, typical(sizes), larger) if larger else None
    if prospects.low:
        _propose(prospects, larger, lambda other, only: _ceilings(sample, mask_of, reading, other, only), names)
    return prospects


def _ceilings(
    sample: Sample,
    mask_of: Callable[[str], Image.Image],
    reading: Reading,
    geometry: Geometry,
    only: Sequence[int] | None = None,
) -> dict[int, float]:
    try:
        return class_ceilings(sample, mask_of, geometry, only, binary=reading.classes is None)
    except SegError:  # a file has changed since it was measured
        return {}


def _propose(
    prospects: Prospects,
    larger: Sequence[Geometry],
    ceilings_at: Callable[[Geometry, Sequence[int]], dict[int, float]],
    names: Mapping[int, str],
) -> None:
    """Look for the smallest enlargement with enough within reach, or else the best one; writes into `prospects`.

    It goes on where a ceiling is no longer low: no training reaches its ceiling, and the next scale may offer more.
    """
    low = [label for label, name in names.items() if name in prospects.low]
    best = min(prospects.low.values())
    for geometry in larger:
        ceilings = ceilings_at(geometry, low)
        if not ceilings:
            return
        lowest = min(ceilings.values())
        if lowest > best + GAIN:
            best = lowest
            prospects.proposed = geometry
            prospects.there = {names[label]: value for label, value in ceilings.items()}
        if lowest >= ENOUGH:
            return


def _candidates(geometry: Geometry, picture: Size) -> list[Geometry]:
    """Enlargements above the one that is now, the smallest first, with crops of about the pixels of now."""
    now = geometry.scale or _scale_of(geometry.size, picture)
    return [_at_scale(geometry, picture, scale) for scale in SCALES if scale > 1.05 * now]


def next_larger(geometry: Geometry, picture: Size, larger: Sequence[Geometry]) -> Geometry:
    """The first of the larger settings that shows things at least half as large again; else the largest."""
    now = geometry.scale or _scale_of(geometry.size, picture)
    clearly = [one for one in larger if (one.scale or 0) >= 1.5 * now]
    return clearly[0] if clearly else larger[-1]


def same_scale(geometry: Geometry, picture: Size) -> Geometry:
    """The setting with a `scale` that shows things about as large as resizing to `size` does."""
    now = _scale_of(geometry.size, picture)
    return _at_scale(geometry, picture, min(SCALES, key=lambda scale: abs(math.log(scale / now))))


def _scale_of(size: Size, picture: Size) -> float:
    return (size[0] * size[1] / (picture[0] * picture[1])) ** 0.5


def _at_scale(geometry: Geometry, picture: Size, scale: float) -> Geometry:
    return replace(geometry, size=crop_for(geometry.size, picture, scale), scale=scale)


def crop_for(size: Size, picture: Size, scale: float) -> Size:
    """(height, width) of crops: that of `size` in multiples of 32, and no larger than the enlarged picture.

    Example:
        >>> crop_for((240, 320), (320, 480), scale=2)
        (256, 320)
        >>> crop_for((240, 320), (100, 1000), scale=1)
        (96, 320)
    """
    whole = scaled_size(picture, scale)
    sides = [min(-(-side // STEP) * STEP, length // STEP * STEP) for side, length in zip(size, whole, strict=True)]
    return max(STEP, sides[0]), max(STEP, sides[1])
