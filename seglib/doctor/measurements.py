"""Owns what is measured on one picture and its mask; `rules.py` judges it. Explained in 13_your_own_data."""

import contextlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from seglib.data.file_kinds import read_header
from seglib.data.file_kinds import reading as reading_file
from seglib.data.image_io import IGNORE_INDEX, exif_orientation, load_image, load_mask
from seglib.data.mask_values import AS_STORED, MaskValues
from seglib.data.transforms import Size, scaled_size
from seglib.doctor.alignment import describe_misalignment, thumbnail
from seglib.doctor.near_twins import grid_of
from seglib.errors import SegError


@dataclass(frozen=True)
class Reading:
    """How files become pictures and labels; the arguments of `load_mask`."""

    classes: Sequence[str] | None = None
    values: MaskValues = AS_STORED
    max_pixels: int | None = None

    def image(self, path: Path) -> Image.Image:
        """The photograph."""
        return load_image(path, max_pixels=self.max_pixels)

    def mask(self, path: Path | None, size: tuple[int, int]) -> Image.Image:
        """The mask; background of this (width, height), where there is no file."""
        if path is None:
            return Image.new("L", size)
        return load_mask(path, self.classes, values=self.values, max_pixels=self.max_pixels)

    @property
    def names(self) -> dict[int, str]:
        """The name of each label that counts."""
        return {0: "background", IGNORE_INDEX: "object"} if self.classes is None else dict(enumerate(self.classes))


@dataclass(frozen=True)
class Geometry:
    """At which size the model sees pictures, and how coarsely it decides.

    Attributes:
        size: (height, width) of the pictures, or of the crops if there is a `scale`.
        scale: how much pictures are enlarged before they are cropped; None: they are resized to `size`.
        stride: output stride of the model, in pixels.
    """

    size: Size
    scale: float | None
    stride: int

    def shown(self, picture: Size) -> Size:
        """(height, width) at which a whole picture of this (height, width) is seen."""
        return self.size if self.scale is None else scaled_size(picture, self.scale)

    def __str__(self) -> str:
        height, width = self.size
        if self.scale is None:
            return f"size=({height}, {width})"
        return f"scale={self.scale:g} crop=({height}, {width})"


@dataclass
class PairMeasurements:
    """What one pair is like. Of the pixels only thumbnails are kept, and of the errors only their words."""

    errors: list[SegError] = field(default_factory=list)  # of `load_image` and `load_mask`
    size: Size | None = None  # of the picture, upright
    mask_size: Size | None = None
    has_mask: bool = True  # False: a picture of background, for which there is no file
    lying: bool = False  # its EXIF data say that the stored pixels have to be turned
    counts: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))  # pixels of each value of the mask
    brightness: float = 0.5  # mean of the picture, 0 to 1
    thumb: np.ndarray | None = None  # (h, w, 3) uint8
    layers: np.ndarray | None = None  # (h, w, C) uint8, one for each label but the background
    grid: np.ndarray | None = None  # of `grid_of`
    misalignment: str = ""  # of `describe_misalignment`
    lost: float = 0.0  # share of the objects' pixels that the coarse grid does not draw
    at_the_frame: float = 0.0  # share of the picture's frame that is object, in binary masks
    fingerprint: int = 0  # of the mask; 0 if it holds one value only
    zero_and_one: bool = False  # instead of 0 and 255
    much_ignored: bool = False  # more than a fifth is 255, and nobody has said that 255 is to be ignored

    @property
    def object_share(self) -> float:
        """Share of the pixels that are not background."""
        return 1 - float(self.counts[0] / max(1, self.counts.sum())) if self.counts.any() else 0.0

    def slim(self, keep_thumb: bool) -> None:
        """Drop what nobody asks for later: of masks that fit, and of pictures beyond the first thousands."""
        if not keep_thumb:
            self.thumb = None
        if not keep_thumb or self.misalignment != "elsewhere":
            self.layers = None


def measure_pair(image_path: Path, mask_path: Path | None, reading: Reading, geometry: Geometry) -> PairMeasurements:
    """Read one pair and measure it; nothing is raised for what is wrong with it, and nothing is changed.

    Args:
        image_path, mask_path: the two files; no mask means background.
        reading: how they are read.
        geometry: at which size the model will see them.
    """
    measured = PairMeasurements(has_mask=mask_path is not None)
    thumb = _measure_image(image_path, reading, measured)
    labels = _read_labels(mask_path, reading, measured)
    if labels is None:
        return measured
    measured.mask_size = (labels.height, labels.width)
    measured.counts = np.array(labels.histogram())
    present = np.flatnonzero(measured.counts).tolist()
    if len(present) > 1:
        measured.fingerprint = hash(labels.tobytes())
    explained = IGNORE_INDEX in {*reading.values.ignore, *reading.values.relabel.values()} or reading.values.palette
    much = measured.counts[IGNORE_INDEX] > measured.counts.sum() / 5
    measured.much_ignored = bool(reading.classes and much and not explained)
    objects = [value for value in present if value != 0 and value in reading.names]
    if objects and thumb is not None and measured.size == measured.mask_size and not measured.errors:
        _measure_objects(labels, objects, thumb, measured)
        measured.lost = lost_in_grid(labels.point(_only(*objects)), geometry.shown(measured.mask_size), geometry.stride)
        if reading.classes is None and measured.layers is not None:
            frame = measured.layers[..., 0]
            edges = [frame[0], frame[-1], frame[:, 0], frame[:, -1]]
            measured.at_the_frame = float(np.concatenate(edges).mean() / 255)
    return measured


def without_trace(error: SegError) -> SegError:
    """The error without its traceback: that keeps the local variables of each call alive, pictures among them."""
    error.__traceback__ = None
    error.__cause__ = None
    error.__context__ = None
    return error


# While it is decoded, a picture of 12 megapixels takes 140 MB: one such picture at a time.
_ONE_LARGE_PICTURE = threading.Lock()
LARGE = 6_000_000  # pixels


def _measure_image(path: Path, reading: Reading, measured: PairMeasurements) -> np.ndarray | None:
    """Measure the picture by itself; returns its thumbnail (h, w, 3) float32, if it can be read."""
    try:
        measured.lying = exif_orientation(path) > 1
        with _ONE_LARGE_PICTURE if _is_large(path) else contextlib.nullcontext():
            image = reading.image(path)
    except SegError as error:
        measured.errors.append(without_trace(error))
        return None
    measured.size = (image.height, image.width)
    thumb = thumbnail(image)
    measured.brightness = float(thumb.mean())
    measured.thumb = _as_bytes(thumb)
    measured.grid = grid_of(image)
    return thumb


def _is_large(path: Path) -> bool:
    with reading_file(path), path.open("rb") as file:
        width, height = read_header(file, path).size
    return width * height > LARGE


def _measure_objects(labels: Image.Image, objects: list[int], thumb: np.ndarray, measured: PairMeasurements) -> None:
    layers = np.stack([thumbnail(labels.point(_only(value))) for value in objects], axis=-1)
    measured.misalignment = describe_misalignment(thumb, layers)
    measured.layers = _as_bytes(layers)


def _as_bytes(thumb: np.ndarray) -> np.ndarray:
    """A thumbnail of floats from 0 to 1 as uint8: a quarter of the memory."""
    return (255 * thumb).round().astype(np.uint8)


def as_floats(thumb: np.ndarray) -> np.ndarray:
    """A thumbnail as `alignment.py` takes it: float32 from 0 to 1."""
    return thumb.astype(np.float32) / 255


def _read_labels(path: Path | None, reading: Reading, measured: PairMeasurements) -> Image.Image | None:
    """The labels of a mask; None, if they cannot be right."""
    if path is None:
        return None if measured.size is None else reading.mask(None, measured.size[::-1])
    try:
        return reading.mask(path, (0, 0))
    except SegError as error:
        measured.errors.append(without_trace(error))
    if reading.classes is None and reading.values == AS_STORED:
        measured.zero_and_one = _holds_zero_and_one(path, reading)
    return None


def _holds_zero_and_one(path: Path, reading: Reading) -> bool:
    """Whether the mask holds 0 and 1, or 1 alone, where 0 and 255 are wanted."""
    try:
        mask = load_mask(path, ["background", "object"], max_pixels=reading.max_pixels)
    except SegError:
        return False
    counts = mask.histogram()
    return counts[1] > 0 and counts[IGNORE_INDEX] == 0


def lost_in_grid(objects: Image.Image, size: tuple[int, int], stride: int) -> float:
    """The share of the objects' pixels that lie where the model's coarse grid draws nothing.

    A cell that is half full draws an object, and helps its eight neighbours. What lies in no such cell and beside none
    is lost: things smaller than about 12 pixels, thin things. No training brings that back. What is not lost may still
    be drawn badly: how well at best, the ceiling says.

    Args:
        objects: a mask of 0 and 255.
        size: (height, width) that the model will see.
        stride: output stride of the model, in pixels.

    Example:
        >>> mask = Image.new("L", (320, 240))
        >>> mask.paste(255, (40, 40, 48, 48))
        >>> lost_in_grid(mask, (240, 320), stride=16)
        1.0
    """
    small = objects.resize(size[::-1], Image.Resampling.NEAREST)
    cells = small.resize((math.ceil(size[1] / stride), math.ceil(size[0] / stride)), Image.Resampling.BOX)
    full = np.asarray(cells) / 255
    near = np.asarray(cells.filter(ImageFilter.MaxFilter(3))) / 255  # the fullest of a cell and its neighbours
    return float(full[near < 0.5].sum() / full.sum()) if full.any() else 1.0


def _only(*values: int) -> list[int]:
    """A table for `point`: 255 for these values, 0 for all others."""
    return [255 * (value in values) for value in range(256)]
