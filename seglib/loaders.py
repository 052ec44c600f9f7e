"""Owns the split into training and validation, and the two loaders of a training. Explained in 03_dataloader."""

import functools
import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from seglib.batches import Loader, Seeded, SeededOrder
from seglib.errors import SplitError


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
        if twice := sorted(stem for stem, count in Counter(every).items() if count > 1):
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
        train, validation = sides["train"], sides["validation"]
        if not all(
            isinstance(side, list) and all(isinstance(stem, str) for stem in side) for side in (train, validation)
        ):
            raise TypeError("a side is no list of strings")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SplitError(
            f"{path.name} is not there, or is not a split.",
            '{"train": [stems], "validation": [stems]} as JSON',
            "Correct the path or the file; random_split makes a new split.",
        ) from error
    return Split(train, validation)


def random_split(stems: Sequence[str], validation_share: float = 0.25, seed: int = 0) -> Split:
    """Split at random, the same way for the same seed; pictures of one scene must not fall on both sides.

    Args:
        stems: all pictures.
        validation_share: between 0 and 1; rounded to whole pictures.
        seed: any whole number.

    Raises:
        SplitError: a side would be empty, or the share is none.

    Example:
        >>> random_split(["a", "b", "c", "d"]).validation
        ['c']
    """
    if not 0 <= validation_share <= 1:
        raise SplitError(f"validation_share = {validation_share}", "a share between 0 and 1", "0.25 is a quarter.")
    shuffled = sorted(stems)
    random.Random(seed).shuffle(shuffled)
    count = round(len(shuffled) * validation_share)
    return Split(sorted(shuffled[count:]), sorted(shuffled[:count]))


def make_loaders(
    train_dataset: Dataset,
    validation_dataset: Dataset,
    batch_size: int = 4,
    num_workers: int = 0,
    seed: int = 0,
    drop_last: bool = False,
) -> tuple[DataLoader, DataLoader]:
    """The two loaders of a training: shuffled training batches, validation pictures in order and all of them.

    Args:
        train_dataset: shuffled anew in each epoch, in an order that the seed decides.
        validation_dataset: never shuffled, and no batch of it is ever dropped.
        batch_size: pictures in a batch.
        num_workers: processes that load ahead; 0 loads in this one. The batches are the same for any number.
        seed: a whole number from 0; decides the order and the random transforms of each epoch.
        drop_last: leave out the last training batch if it is not full; other pictures are left out in each epoch.

    Shape:
        Each batch is (images, masks): what the dataset returns, stacked along a new first dimension N.

    Raises:
        SplitError: a picture is in both datasets.
        ShapeError: while loading, for pictures of different sizes in one batch; names them.
        TrainingError: while loading, when a worker has died.
    """
    _check_apart(train_dataset, validation_dataset)
    loader = functools.partial(
        Loader,
        batch_size=batch_size,
        collate_fn=list,  # Seeded gives whole batches
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # its own: it draws a number now and then, and from torch's it would take ours
    )
    train, validation = Seeded(train_dataset), Seeded(validation_dataset)
    return (
        loader(train, sampler=SeededOrder(len(train), shuffle=True, seed=seed), drop_last=drop_last),
        loader(validation, sampler=SeededOrder(len(validation), shuffle=False, seed=seed), drop_last=False),
    )


def _check_apart(train_dataset: Dataset, validation_dataset: Dataset) -> None:
    """A `SplitError` if the two are of the same folder and share pictures."""
    folders = [getattr(dataset, "image_folder", None) for dataset in (train_dataset, validation_dataset)]
    stems = [set(getattr(dataset, "stems", ())) for dataset in (train_dataset, validation_dataset)]
    if folders[0] == folders[1] and (both := sorted(stems[0] & stems[1])):
        raise SplitError(
            f"{len(both)} pictures are in both datasets: {', '.join(both[:5])}{' ...' if len(both) > 5 else ''}.",
            "no picture to be both trained on and validated on",
            "Give train_dataset.subset(split.train) and validation_dataset.subset(split.validation).",
        )
