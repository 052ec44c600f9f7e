"""Owns the options that several commands share: the two folders, how they are read, and the split.

See 13_your_own_data.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seglib.cli.surface import whole_number
from seglib.data.image_io import IGNORE_INDEX
from seglib.data.mask_values import read_class_names
from seglib.data.recordings import recording_of
from seglib.data.splits import Split, random_split, read_split, split_by_folder
from seglib.errors import TrainingError

# Keyword arguments of `CustomDataset`, and what they are if no option says otherwise.
READING: dict[str, Any] = {
    "classes": None,
    "mask_suffix": "",
    "image_suffix": "",
    "recursive": None,
    "unmasked": "refuse",
    "ignore": None,
    "palette": None,
    "relabel": None,
    "invert": False,
    "max_pixels": None,
}


def add_folders(parser: argparse.ArgumentParser) -> None:
    """The two folders."""
    parser.add_argument("images", metavar="IMAGES", type=Path, help="folder of photographs")
    parser.add_argument("masks", metavar="MASKS", type=Path, help="folder of masks, or the same folder")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How files are found and paired, and how the values of masks become labels."""
    group = parser.add_argument_group("reading the folders")
    group.add_argument("--mask-suffix", metavar="TEXT", help='how the names of masks end, as in "_mask"')
    group.add_argument("--image-suffix", metavar="TEXT", help='how the names of photographs end, as in "_image"')
    group.add_argument(
        "--recursive", action=argparse.BooleanOptionalAction, default=None, help="look into sub folders, or do not"
    )
    group.add_argument(
        "--unmasked", choices=("refuse", "background"), help="what a photograph without a mask is [refuse]"
    )
    group.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="for masks of labels: all names, the background's first, or a file of them [masks of 0 and 255]",
    )
    group.add_argument("--ignore", nargs="+", type=whole_number(0), metavar="N", help="values that are not counted")
    group.add_argument(
        "--palette",
        nargs="+",
        metavar="COLOUR=NAME",
        help='for masks in colour, as in "#000000=soil" "#ff0000=weed" "#ffffff=ignore"; or a file: labelmap.txt, '
        "_classes.csv",
    )
    group.add_argument("--relabel", nargs="+", metavar="OLD=NEW", help="labels to merge or renumber, as in 3=1 4=1")
    group.add_argument("--invert", action="store_true", default=None, help="0 is the object, 255 the background")
    group.add_argument("--max-pixels", type=whole_number(1), metavar="N", help="allow pictures of so many pixels")


def reading_of(options: argparse.Namespace, saved: dict[str, Any] | None = None) -> dict[str, Any]:
    """The keyword arguments of `CustomDataset` that the options say; `saved` are those of a checkpoint.

    Raises:
        SegError: a file of names or colours that cannot be read, or a pair that is not OLD=NEW.
    """
    given = {name: getattr(options, name) for name in READING if getattr(options, name) is not None}
    if "relabel" in given:
        given["relabel"] = {_whole(old): _whole(new) for old, new in map(_pair, given["relabel"])}
    if "palette" in given:
        given["palette"], names = _palette(given["palette"])
        given.setdefault("classes", names)
    if "classes" in given and given["classes"] and len(given["classes"]) == 1 and Path(given["classes"][0]).is_file():
        given["classes"] = read_class_names(given["classes"][0])
    return READING | (saved or {}) | given


def _pair(text: str) -> tuple[str, str]:
    old, separator, new = text.rpartition("=")
    if not separator or not old or not new:
        raise TrainingError(f'"{text}" is no pair.', "OLD=NEW", "As in --relabel 3=1, or --palette #ff0000=weed.")
    return old, new


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise TrainingError(f'"{text}" is no label.', "a whole number from 0 on", "As in --relabel 3=1.")
    return int(text)


def _palette(words: Sequence[str]) -> tuple[Any, list[str] | None]:
    """The palette, and the names of its classes in order; a file brings its own."""
    if len(words) == 1 and "=" not in words[0]:
        return words[0], read_class_names(words[0])
    colours = dict(map(_pair, words))
    names = list(dict.fromkeys(name for name in colours.values() if name != "ignore"))
    return {colour: IGNORE_INDEX if name == "ignore" else name for colour, name in colours.items()}, names


def add_split(parser: argparse.ArgumentParser) -> None:
    """Which pictures are trained on."""
    group = parser.add_argument_group("the split")
    group.add_argument(
        "--split",
        metavar="PATH",
        help='JSON: {"train": [stems], "validation": [stems], "test": [stems]}; a folder with train.txt, val.txt, '
        'test.txt; or the word "folders": pictures lie in train/, val/, test/ [drawn at random]',
    )
    group.add_argument(
        "--validation-share", type=float, default=0.25, metavar="X", help="where it is drawn [%(default)s]"
    )
    group.add_argument(
        "--group-by",
        choices=("recording", "folder"),
        help="keep together what comes from one video (by the names), or lies in one folder [each picture alone]",
    )


def group_function(options: argparse.Namespace) -> Callable[[str], str] | None:
    """The function that gives the group of a stem."""
    functions: dict[str, Callable[[str], str]] = {
        "recording": recording_of,
        "folder": lambda stem: stem.rpartition("/")[0],
    }
    return functions.get(options.group_by)


def split_of(options: argparse.Namespace, stems: Sequence[str]) -> Split:
    """The split that the options name, or else one drawn at random by `--seed`."""
    if options.split == "folders":
        return split_by_folder(stems)
    if options.split:
        return read_split(options.split, validation_share=options.validation_share, seed=options.seed)
    return random_split(stems, options.validation_share, options.seed, group_of=group_function(options))
