"""Owns which pictures are trained on and which are kept for validation. Explained in 03_dataloader."""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from seglib.data.image_io import IMAGE_EXTENSIONS
from seglib.errors import SplitError

# What the sides of a split are called in files and folders of other tools.
SIDES = {"train": "train", "training": "train", "validation": "validation", "val": "validation", "valid": "validation"}
SIDES |= {"test": "test", "testing": "test"}


@dataclass(frozen=True)
class Split:
    """Which stems are trained on, and which are kept for validation; `test` are those that both leave alone.

    Raises:
        SplitError: a side but test is empty, or a stem stands on two sides or twice on one.
    """

    train: list[str]
    validation: list[str]
    test: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for side, stems in (("train", self.train), ("validation", self.validation)):
            if not stems:
                raise SplitError(
                    f'The side "{side}" of the split is empty ({len(self.train)} + {len(self.validation)} pictures).',
                    "at least one picture on each side",
                    "Move some over, or choose another share. Without validation pictures nobody sees over-fitting.",
                )
        counts = Counter([*self.train, *self.validation, *self.test])
        twice = sorted(stem for stem, count in counts.items() if count > 1)
        if twice:
            raise SplitError(
                f"These stems stand in the split more than once: {', '.join(twice[:10])}.",
                "each picture once, on one side only",
                "Take them off one side: a validation picture that was trained on proves nothing.",
            )

    def side(self, name: str) -> list[str]:
        """The stems of "train", "validation" or "test"; a `SplitError` for another name or an empty test side."""
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        if name not in sides:
            raise SplitError(f'The split has no side "{name}".', "train, validation or test", "Name one of these.")
        if not sides[name]:  # only this one may be empty
            raise SplitError(
                "The split has no test pictures.",
                "a split that names some",
                'Name the side "validation", or the test pictures: Split(train, validation, test=[...]).',
            )
        return sides[name]


def read_split(path: str | os.PathLike[str], *, validation_share: float | None = None, seed: int = 0) -> Split:
    """Read a fixed split, as seglib and other tools write it.

    Args:
        path: a JSON file, {"train": [stems], "validation": [stems], "test": [stems]}, where "val" and "valid" mean
            validation too, and "test" may be missing; or a folder with the text files `train.txt`, `val.txt` and
            perhaps `test.txt`, one name a line, as PASCAL VOC has them in `ImageSets/Segmentation`.
        validation_share: if no validation pictures are named, draw so large a share of the training pictures.
        seed: of that draw.

    Raises:
        SplitError: the file is missing or is no split; a side is empty, or the sides overlap.

    Example:
        >>> split = read_split("data_samples/split.json")
        >>> len(split.train), len(split.validation), len(split.test)
        (32, 16, 16)
    """
    path = Path(path)
    sides = _sides_of_text_files(path) if path.is_dir() else _sides_of_json(path)
    if "train" in sides and "validation" not in sides and validation_share is not None:
        drawn = random_split(sides["train"], validation_share, seed)
        sides |= {"train": drawn.train, "validation": drawn.validation}
    missing = [side for side in ("train", "validation") if side not in sides]
    if missing:
        raise SplitError(
            f'{path.name} names no pictures for "{missing[0]}"; it has {", ".join(sides) or "nothing"}.',
            'the sides "train" and "validation" (or "val"), and perhaps "test"',
            "Add that list. random_split makes one of all pictures.",
        )
    return Split(sides["train"], sides["validation"], sides.get("test", []))


def _sides_of_json(path: Path) -> dict[str, list[str]]:
    try:
        contents = json.loads(path.read_text(encoding="utf-8-sig"))  # Windows' editors begin a file with a BOM
        # Other keys may hold notes; a list under another name would be pictures that are left out in silence.
        lists = {name: stems for name, stems in contents.items() if _is_side(name) or isinstance(stems, list)}
        sides = {SIDES[name.lower()]: _list_of_strings(stems) for name, stems in lists.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise SplitError(
            f"{path.name} is not there, or is not a split.",
            '{"train": [stems], "validation": [stems]} as JSON, or a folder with train.txt and val.txt',
            "Correct the path or the file; random_split makes a new split.",
        ) from error
    return {side: [_without_extension(stem) for stem in stems] for side, stems in sides.items()}


def _is_side(name: str) -> bool:
    return name.lower() in SIDES


def _sides_of_text_files(folder: Path) -> dict[str, list[str]]:
    sides: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.txt")):
        if not _is_side(path.stem):
            continue
        side = SIDES[path.stem.lower()]
        if side in sides:
            raise SplitError(
                f'"{folder.name}" has two lists for "{side}"; {path.name} is the second.',
                "one list for each side",
                "Remove one of the two.",
            )
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise SplitError(f"{path.name} is no text in UTF-8.", "one name a line", "Save it as UTF-8.") from error
        sides[side] = [_without_extension(line.strip()) for line in lines if line.strip()]
    return sides


def _without_extension(name: str) -> str:
    """The stem of a name that may be that of a file: `street/01.jpg` is `street/01`."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_EXTENSIONS else name


def _list_of_strings(side: object) -> list[str]:
    if not isinstance(side, list) or not all(isinstance(stem, str) for stem in side):
        raise TypeError("a side is no list of strings")
    return side


def split_by_folder(stems: Sequence[str]) -> Split:
    """The split of pictures that lie in folders `train/`, `val/` and `test/`; the stems begin with the folder's name.

    Raises:
        SplitError: a picture lies in no such folder, or a side is empty.

    Example:
        >>> split_by_folder(["train/a", "train/b", "val/c"])
        Split(train=['train/a', 'train/b'], validation=['val/c'], test=[])
    """
    sides: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    elsewhere = []
    for stem in stems:
        names = [SIDES[part.lower()] for part in stem.split("/")[:-1] if _is_side(part)]
        if names:
            sides[names[0]].append(stem)
        else:
            elsewhere.append(stem)
    if elsewhere:
        raise SplitError(
            f"{len(elsewhere)} pictures lie in no folder of a side: {', '.join(elsewhere[:3])}.",
            "folders train/, val/ (or validation/) and perhaps test/, read with recursive=True",
            "Move them into one of these, or name another split.",
        )
    return Split(**sides)


def random_split(
    stems: Sequence[str],
    validation_share: float = 0.25,
    seed: int = 0,
    *,
    group_of: Callable[[str], str] | None = None,
) -> Split:
    """Split at random, the same way for the same seed; pictures of one scene must not fall on both sides.

    Args:
        stems: all pictures.
        validation_share: between 0 and 1; rounded to whole pictures, with groups to whole groups.
        seed: any whole number.
        group_of: gives the name of a picture's group, as a recording or a patient; a group stays on one side.

    Raises:
        SplitError: a side would be empty, or the share is none.

    Example:
        >>> random_split(["a", "b", "c", "d"]).validation
        ['c']
    """
    if not 0 <= validation_share <= 1:
        raise SplitError(f"validation_share = {validation_share}", "a share between 0 and 1", "0.25 is a quarter.")
    groups = _shuffled_groups(stems, seed, group_of)
    count = round(len(stems) * validation_share)
    validation: list[str] = []
    train: list[str] = []
    for group in groups:
        side = validation if len(validation) + len(group) / 2 <= count and len(validation) < count else train
        side.extend(group)
    return Split(sorted(train), sorted(validation))


def k_folds(
    stems: Sequence[str], folds: int, seed: int = 0, *, group_of: Callable[[str], str] | None = None
) -> list[Split]:
    """`folds` splits for cross-validation: each picture is a validation picture in exactly one of them.

    Args:
        stems: all pictures.
        folds: 2 or more, and no more than pictures (or groups).
        seed: any whole number.
        group_of: as in `random_split`.

    Raises:
        SplitError: too few pictures or groups for so many folds.

    Example:
        >>> [split.validation for split in k_folds(["a", "b", "c", "d"], 2)]
        [['b', 'c'], ['a', 'd']]
    """
    groups = _shuffled_groups(stems, seed, group_of)
    if not 2 <= folds <= len(groups):
        raise SplitError(f"folds = {folds}", f"2 to {len(groups)}, as many as there are groups", "5 is usual: folds=5.")
    parts: list[list[str]] = [[] for _ in range(folds)]
    for group in sorted(groups, key=len, reverse=True):  # large groups first, each into the smallest part
        min(parts, key=len).extend(group)
    return [Split(sorted(set(stems) - set(part)), sorted(part)) for part in parts]


def _shuffled_groups(stems: Sequence[str], seed: int, group_of: Callable[[str], str] | None) -> list[list[str]]:
    """The groups in a random order; without `group_of` each picture is its own."""
    groups: dict[str, list[str]] = {}
    for stem in sorted(stems):
        groups.setdefault(group_of(stem) if group_of else stem, []).append(stem)
    names = sorted(groups)
    random.Random(seed).shuffle(names)
    return [groups[name] for name in names]


def save_split(split: Split, path: str | os.PathLike[str]) -> None:
    """Write a split as JSON, as `read_split` reads it."""
    sides: Mapping[str, list[str]] = {"train": split.train, "validation": split.validation, "test": split.test}
    Path(path).write_text(json.dumps(sides, indent=1, ensure_ascii=False), encoding="utf-8")
