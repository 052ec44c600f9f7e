"""What the pretraining looks at: endless procedural pictures, and small path-traced scenes if there are any."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from seglib.data.normalization import normalize
from tools.assets import procedural
from tools.assets.scene_classes import CLASS_NAMES as SCENE_CLASS_NAMES

CLASS_NAMES = (*procedural.CLASS_NAMES, *(f"{name} (scene)" for name in SCENE_CLASS_NAMES[1:]))  # one background
BLOCK = 64  # procedural pictures that are drawn together, and shown together with their altered copies and with scenes
Pair = tuple[np.ndarray, np.ndarray]  # image (H, W, 3) uint8, labels (H, W) uint8


class Stream(IterableDataset):
    """Pairs of image (3, H, W) float32, normalised, and labels (H, W) int64, in an order that a seed decides.

    Drawing a picture costs a third of training on it. So each is shown twice: as drawn, and altered in ways that keep
    every shape what it is. A path-traced scene costs far more, so there are few: each is shown often, never the same.

    Args:
        start: the number of the first procedural picture.
        count: how many procedural pictures are drawn.
        size: (height, width) of all pictures.
        seed: another seed gives other pictures.
        scenes: photographs of `render_pretraining.py`, their labels beside them.
        scenes_share: how much of what is shown are scenes, if there are any.
        alter: False shows each procedural picture once, as drawn.
    """

    def __init__(
        self,
        start: int,
        count: int,
        size: tuple[int, int],
        seed: int,
        *,
        scenes: Sequence[Path] = (),
        scenes_share: float = 0.8,
        alter: bool = True,
    ):
        self.start = start
        self.count = count
        self.size = size
        self.seed = seed
        self.alter = alter
        self.scenes = scenes
        self.ratio = scenes_share / (1 - scenes_share) if scenes else 0.0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        share, first = (worker.num_workers, worker.id) if worker else (1, 0)
        indices = range(self.start + first, self.start + self.count, share)
        for begin in range(0, len(indices), BLOCK):
            rng = np.random.default_rng((self.seed, indices[begin], 1))
            block = [procedural.picture(self.seed, i, self.size) for i in indices[begin : begin + BLOCK]]
            if self.alter:
                block += [_mirrored(*_recoloured(rng, *pair)) for pair in block]
            chosen = rng.integers(len(self.scenes), size=round(self.ratio * len(block))) if self.scenes else ()
            block += [_part_of_scene(rng, self.scenes[number], self.size) for number in chosen]
            yield from (to_tensors(*block[position]) for position in rng.permutation(len(block)))

    def __len__(self) -> int:
        return round(self.count * (2 if self.alter else 1) * (1 + self.ratio))


def read_scene(path: Path) -> Pair:
    """A whole scene as it was rendered, its labels counted on from those of the procedural pictures."""
    labels = np.asarray(Image.open(path.with_suffix(".png")))
    return np.asarray(Image.open(path)), np.where(labels > 0, labels + (len(procedural.CLASS_NAMES) - 1), 0)


def _part_of_scene(rng: np.random.Generator, path: Path, size: tuple[int, int]) -> Pair:
    """A part of a scene, mirrored and recoloured half of the time each.

    A small picture shows a small part: things are as large, in pixels, as in a whole scene, times 0.7 to 1.4.
    """
    image, labels = map(Image.fromarray, read_scene(path))
    part = min(1.0, size[1] / image.width / rng.uniform(0.7, 1.4))
    width = image.width * part
    height = image.height * part
    left = rng.uniform(0, image.width - width)
    top = rng.uniform(0, image.height - height)
    where = {"size": size[::-1], "box": (left, top, left + width, top + height)}
    pair = (
        np.asarray(image.resize(resample=Image.Resampling.BILINEAR, **where)),
        np.asarray(labels.resize(resample=Image.Resampling.NEAREST, **where)),
    )
    pair = _mirrored(*pair) if rng.random() < 0.5 else pair
    return _recoloured(rng, *pair) if rng.random() < 0.5 else pair


def _recoloured(rng: np.random.Generator, image: np.ndarray, labels: np.ndarray) -> Pair:
    curve = (np.linspace(0, 1, 256) ** rng.uniform(0.7, 1.4) * 255).astype(np.uint8)
    return curve[image[..., rng.permutation(3)]], labels


def _mirrored(image: np.ndarray, labels: np.ndarray) -> Pair:
    return image[:, ::-1], labels[:, ::-1]


def to_tensors(image: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    """Image (3, H, W) float32, normalised, and labels (H, W) int64."""
    picture = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255
    return normalize(picture), torch.from_numpy(labels.astype(np.int64))
