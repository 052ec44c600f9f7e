"""Owns which pictures are trained on and which are kept for validation. Explained in 03_dataloader."""

import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
        twice = sorted(stem for stem, count in Counter(every).items() if count > 1)
        if twice:
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
        train = _list_of_strings(sides["train"])
        validation = _list_of_strings(sides["validation"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SplitError(
            f"{path.name} is not there, or is not a split.",
            '{"train": [stems], "validation": [stems]} as JSON',
            "Correct the path or the file; random_split makes a new split.",
        ) from error
    return Split(train, validation)


def _list_of_strings(side: object) -> list[str]:
    if not isinstance(side, list) or not all(isinstance(stem, str) for stem in side):
        raise TypeError("a side is no list of strings")
    return side


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
