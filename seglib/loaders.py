"""Owns the split into training and validation, and how pictures become batches. Explained in 03_dataloader."""

import functools
import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from seglib.errors import ShapeError, SplitError


@dataclass(frozen=True)
class Split:
    """Which stems are trained on and which are kept for validation.

    Raises:
        SplitError: a side is empty, or a stem stands on both sides or twice on one.
    """

    train: list[str]
    validation: list[str]

    def __post_init__(self) -> None:
        for side, stems in (("train", self.train), ("validation", self.validation)):
            if not stems:
                raise SplitError(
                    f'The side "{side}" of the split is empty ({len(self.train)} + {len(self.validation)} pictures).',
                    "at least one picture on each side",
                    "Move some over, or choose another share. Without validation pictures nobody sees over-fitting.",
                )
        every = [*self.train, *self.validation]
        if twice := sorted({stem for stem in every if every.count(stem) > 1}):
            raise SplitError(
                f"These stems stand in the split more than once: {', '.join(twice)}.",
                "each stem once, on one side",
                "Take them off one side: a validation picture that was trained on proves nothing.",
            )


def read_split(path: str | os.PathLike[str]) -> Split:
    """Read a fixed split from a JSON file: {"train": [stems], "validation": [stems]}.

    Example:
        >>> split = read_split("data_samples/split.json")
        >>> len(split.train), len(split.validation)
        (32, 16)
    """
    path = Path(path)
    try:
        sides = json.loads(path.read_text(encoding="utf-8"))
        return Split(list(sides["train"]), list(sides["validation"]))
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise SplitError(
            f"{path.name} is not there, or is not a split.",
            '{"train": [stems], "validation": [stems]} as JSON',
            "Correct the path or the file; random_split makes a new split.",
        ) from error


def random_split(stems: Sequence[str], validation_share: float = 0.25, seed: int = 0) -> Split:
    """Split at random, the same way for the same seed; pictures of one scene must not fall on both sides.

    Args:
        stems: all pictures.
        validation_share: between 0 and 1; rounded to whole pictures.
        seed: any whole number.

    Raises:
        SplitError: a side would be empty.

    Example:
        >>> random_split(["a", "b", "c", "d"]).validation
        ['c']
    """
    shuffled = sorted(stems)
    random.Random(seed).shuffle(shuffled)
    count = round(len(shuffled) * validation_share)
    return Split(sorted(shuffled[count:]), sorted(shuffled[:count]))


def make_loaders(
    train_dataset: Dataset, validation_dataset: Dataset, batch_size: int = 4, num_workers: int = 0, seed: int = 0
) -> tuple[DataLoader, DataLoader]:
    """The two loaders of a training: shuffled training batches, validation pictures in order and all of them.

    Args:
        train_dataset: shuffled anew in each epoch, in an order that the seed decides.
        validation_dataset: never shuffled, and no batch of it is ever dropped.
        batch_size: pictures in a batch.
        num_workers: processes that load ahead; 0 loads in this one.
        seed: decides the order, and the random transforms within workers.

    Shape:
        Each batch is (images, masks): what the dataset returns, stacked along a new first dimension N.
    """
    loader = functools.partial(
        DataLoader,
        batch_size=batch_size,
        collate_fn=collate,
        num_workers=num_workers,
        worker_init_fn=_seed_worker,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    generator = torch.Generator().manual_seed(seed)
    return loader(train_dataset, shuffle=True, generator=generator), loader(validation_dataset, shuffle=False)


def collate(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Stack (image, mask) pairs into a batch: [(N, 3, H, W), (N, ...)]. Raises a `ShapeError` if the sizes differ."""
    for what, tensors in zip(("images", "masks"), zip(*pairs, strict=True), strict=True):
        if any(not isinstance(tensor, Tensor) for tensor in tensors):
            raise ShapeError(
                f"The {what} of this batch are {type(tensors[0]).__name__}s, not tensors.",
                "tensors of one size",
                "Give CustomDataset a transform and a mask_transform, or a joint_transform.",
            )
        if len(shapes := sorted({tuple(tensor.shape) for tensor in tensors})) > 1:
            raise ShapeError(
                f"The {what} of this batch have different shapes: {', '.join(map(str, shapes))}.",
                "one shape for all pictures of a batch",
                "Resize to (height, width): a single number keeps each picture's own shape.",
            )
    return default_collate(list(pairs))


def _seed_worker(worker_id: int) -> None:
    """Torch seeds itself in each worker, but not NumPy or Python's random."""
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
