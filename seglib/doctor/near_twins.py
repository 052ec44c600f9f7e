"""Owns which pictures show one scene: near-twins, mirrored, turned and cropped copies, and frames of one recording.

Two pictures are compared as grids of 32 x 32 cells: the detail of both, after what all pictures of the folder have in
common is taken away, moved against each other by up to a tenth of the frame. Only the likeliest partners of each
picture are compared, found by 8 x 8 cells in colour. Found, on the samples: the scene a second later; copies mirrored,
turned by a quarter or half, or cropped to two thirds of the frame or more. Not found: smaller crops, other angles, and
the same thing seen from elsewhere. Where all pictures are of one kind, as of eyes through one instrument, they look
alike without being twins; the measure knows that from the folder's own spread, and says that it cannot tell. Explained
in 13_your_own_data.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from seglib.data.recordings import groups_by_recording

SIDE = 48  # cells along each side of the grid that is kept of a picture: 7 kB
_FINE = 32
_COARSE = 8
_SHIFT = 3  # of 32 cells: how far two pictures may be moved against each other
_PARTNERS = 6  # of each picture and variant are compared
_MOST = 4000  # pictures; above, only the scene a second later and mirrored copies are looked for

# Likeness of the details of two pictures, from -1 to 1. Of all pairs of the samples none has more than 0.35, and of
# the pairs of a picture and its near-twin none has less than 0.6.
ALIKE = 0.5
ALIKE_CHANGED = 0.6  # the same where one is mirrored, turned or cropped: there are many more ways to be alike by chance
SPREAD = 0.2  # so much more alike than nine in ten pairs of this folder
COPY = 0.97  # where all are of one kind only copies that are hardly changed can be told
OF_ONE_KIND = 0.9  # likeness of 8 x 8 cells in colour: pictures of one kind, if most pairs have more

Grid = np.ndarray  # (SIDE, SIDE, 3) uint8: a whole picture, pressed into a square


class Twins(NamedTuple):
    """Two pictures of one scene, and how the second differs: "", "mirrored", "turned", "cropped"."""

    first: str
    second: str
    how: str


@dataclass
class SameScenes:
    """What `find_same_scenes` finds."""

    twins: list[Twins] = field(default_factory=list)
    of_one_kind: bool = False  # most pairs look alike: a likeness says little here
    recordings: dict[str, list[str]] = field(default_factory=dict)  # name -> stems whose consecutive frames are alike


def grid_of(picture: Image.Image) -> Grid:
    """What is kept of a picture for the comparison, (SIDE, SIDE, 3) uint8."""
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX).convert("RGB"))


def find_same_scenes(grids: Mapping[str, Grid]) -> SameScenes:
    """Near-twins and recordings among pictures, by stem.

    Args:
        grids: of `grid_of`.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 255, (4, SIDE, SIDE, 3), np.uint8)
        >>> find_same_scenes({"a": noise[0], "b": noise[1], "c": noise[2], "d": noise[3], "e": noise[0][:, ::-1]}).twins
        [Twins(first='a', second='e', how='mirrored')]
    """
    stems = list(grids)
    if len(stems) < 2:
        return SameScenes()
    pictures = [Image.fromarray(grid) for grid in grids.values()]
    plain = _coarse(pictures)
    kind = len(stems) > 3 and _share_alike(plain) > 0.5
    recordings = _recordings(stems, plain)
    twins = _twins(stems, pictures, plain, of_one_kind=kind)
    return SameScenes(twins, kind, recordings)


# Two pictures


def _coarse(pictures: Sequence[Image.Image]) -> np.ndarray:
    """Each picture as a vector (N, 192) float32: 8 x 8 cells, less the mean of each colour."""
    cells = np.array([picture.resize((_COARSE, _COARSE), Image.Resampling.BOX) for picture in pictures], np.float32)
    cells = cells.reshape(len(pictures), _COARSE**2, 3)
    return (cells - cells.mean(axis=1, keepdims=True)).reshape(len(pictures), -1)


def _unit(vectors: np.ndarray, shortest: float) -> np.ndarray:
    """Vectors of length 1; those below `shortest` stay shorter: plain pictures differ by noise alone."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=shortest)


def _share_alike(coarse: np.ndarray, most: int = 500) -> float:
    """The share of all pairs that are alike in colour and layout; of a large folder, among some of its pictures."""
    some = _unit(coarse[:: max(1, len(coarse) // most)], 100)
    likeness = (some @ some.T)[np.triu_indices(len(some), 1)]
    return float((likeness > OF_ONE_KIND).mean())


def _detail(pictures: Sequence[Image.Image]) -> np.ndarray:
    """What is finer than 3 of 32 cells in each picture, (N, 32, 32) float32."""
    details = []
    for picture in pictures:
        grey = picture.convert("L").resize((_FINE, _FINE), Image.Resampling.BOX)
        blurred = grey.filter(ImageFilter.GaussianBlur(3))
        details.append(np.asarray(grey, np.float32) - np.asarray(blurred, np.float32))
    return np.stack(details)


def _less(details: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Details (N, 32, 32) less what all have in common; 0 for plain pictures, which are never alike.

    The cells of a plain picture differ from their neighbours by less than 1 of 255.
    """
    plain = np.abs(details).mean(axis=(1, 2)) < 1
    return np.where(plain[:, None, None], 0, details - common)


def _likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The best correlation of pairs of details (N, 32, 32) over small shifts: (N,), from -1 to 1."""
    spectrum = np.fft.rfft2(first) * np.fft.rfft2(second).conj()
    near = np.arange(-_SHIFT, _SHIFT + 1)
    products = np.fft.irfft2(spectrum, s=first.shape[1:])[:, near[:, None], near].reshape(len(first), -1)
    lengths = np.linalg.norm(first.reshape(len(first), -1), axis=1) * np.linalg.norm(
        second.reshape(len(second), -1), axis=1
    )
    return products.max(axis=1) / lengths.clip(min=1)


# Ways in which a copy may differ


def _crop(share: float, right: float, down: float) -> Callable[[Image.Image], Image.Image]:
    """Cut out a part and enlarge it again; `right` and `down` from 0 to 1 say where it lies."""
    left = SIDE * (1 - share) * right
    top = SIDE * (1 - share) * down
    box = (left, top, left + SIDE * share, top + SIDE * share)
    return lambda picture: picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)


_TURNS = [
    ("mirrored", Image.Transpose.FLIP_LEFT_RIGHT),
    ("mirrored", Image.Transpose.FLIP_TOP_BOTTOM),
    ("turned", Image.Transpose.ROTATE_180),
    ("turned", Image.Transpose.ROTATE_90),
    ("turned", Image.Transpose.ROTATE_270),
    ("turned and mirrored", Image.Transpose.TRANSPOSE),
    ("turned and mirrored", Image.Transpose.TRANSVERSE),
]
_CORNERS = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5)]
_PLACES = [(right, down) for down in (0.0, 0.5, 1.0) for right in (0.0, 0.5, 1.0)]
_CROPS = [(0.85, *place) for place in _CORNERS] + [(0.7, *place) for place in _PLACES]


def _variants(count: int) -> list[tuple[str, Callable[[Image.Image], Image.Image]]]:
    """How a copy may differ, and the function that makes such a copy; fewer for a folder of very many pictures."""
    same: list[tuple[str, Callable[[Image.Image], Image.Image]]] = [("", lambda picture: picture)]
    turns = [(how, lambda picture, way=way: picture.transpose(way)) for how, way in _TURNS]
    crops = [("cropped", _crop(*crop)) for crop in _CROPS]
    return [*same, *turns[:1]] if count > _MOST else [*same, *turns, *crops]


# All pictures of a folder


def _twins(stems: list[str], pictures: list[Image.Image], coarse: np.ndarray, *, of_one_kind: bool) -> list[Twins]:
    """All pairs that are alike enough, each once, in the first way that explains it."""
    details = _detail(pictures)
    common = details.mean(axis=0) if len(stems) > 7 else np.zeros_like(details[0])
    details = _less(details, common)
    usual = _usual_likeness(details) if len(stems) > 3 else 0.0
    found: dict[tuple[int, int], Twins] = {}
    for how, change in _variants(len(stems)):
        changed = [change(picture) for picture in pictures] if how else pictures
        wanted = COPY if of_one_kind else max(ALIKE_CHANGED if how else ALIKE, usual + SPREAD)
        changed_details = _less(_detail(changed), common) if how else details
        rows, columns = _partners(_coarse(changed) if how else coarse, coarse)
        for begin in range(0, len(rows), 4096):
            row = rows[begin : begin + 4096]
            column = columns[begin : begin + 4096]
            alike = _likeness(changed_details[row], details[column]) > wanted
            for first, second in zip(row[alike].tolist(), column[alike].tolist(), strict=True):
                pair = (min(first, second), max(first, second))
                found.setdefault(pair, Twins(stems[pair[0]], stems[pair[1]], how))
    return [found[pair] for pair in sorted(found)]


def _usual_likeness(details: np.ndarray, most: int = 60) -> float:
    """How alike nine in ten pairs of this folder are not, even at their best shift."""
    some = details[:: max(1, len(details) // most)][:most]
    first, second = np.triu_indices(len(some), 1)
    return float(np.quantile(_likeness(some[first], some[second]), 0.9))


def _partners(changed: np.ndarray, coarse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each changed picture the pictures that it may be a copy of: two lists of places of one length."""
    count = len(coarse)
    number = min(_PARTNERS, count - 1)
    changed = _unit(changed, 1)
    plain = _unit(coarse, 1)
    columns = np.empty((count, number), np.int64)
    for begin in range(0, count, 512):
        likeness = changed[begin : begin + 512] @ plain.T  # (512, N)
        own = np.arange(begin, begin + len(likeness))
        likeness[np.arange(len(likeness)), own] = -np.inf
        columns[begin : begin + 512] = np.argpartition(-likeness, number - 1, axis=1)[:, :number]
    return np.repeat(np.arange(count), number), columns.ravel()


# Recordings


def _recordings(stems: list[str], coarse: np.ndarray) -> dict[str, list[str]]:
    """Groups of names with a running number whose consecutive frames are alike, and more so than others of the group.

    Args:
        stems: of all pictures.
        coarse: their vectors, (N, 192).
    """
    place = {stem: number for number, stem in enumerate(stems)}
    found = {}
    for name, members in groups_by_recording(stems).items():
        if len(members) < 4:
            continue
        vectors = coarse[[place[stem] for stem in members]]
        steps = np.linalg.norm(vectors[1:] - vectors[:-1], axis=1)
        half = len(members) // 2
        far = np.linalg.norm(vectors[half:] - vectors[: len(members) - half], axis=1)
        alike = (_unit(vectors[1:], 100) * _unit(vectors[:-1], 100)).sum(axis=1) > OF_ONE_KIND
        if alike.mean() > 0.5 and np.median(steps) < 0.6 * np.median(far):
            found[name] = members
    return found
