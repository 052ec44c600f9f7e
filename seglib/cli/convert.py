"""Owns the command that turns another tool's export into masks. Explained in 13_your_own_data.

python -m seglib convert EXPORT OUT
"""

import argparse
from pathlib import Path
from typing import Any

from seglib.cli.surface import in_options, options_of
from seglib.data.formats.conversion import EXISTING, FORMATS, HOLES, convert


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command `convert` to the commands of `python -m seglib`.

    Args:
        subparsers: what `ArgumentParser.add_subparsers` returned.

    Example:
        >>> commands = argparse.ArgumentParser().add_subparsers()
        >>> add_parser(commands).parse_args(["export", "out", "--format", "coco"]).format
        'coco'
    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "convert",
        help="masks from COCO, LabelMe, VOC, CVAT, Roboflow or YOLO",
        description="Write a mask for each photograph of another tool's export. Photographs stay where they are.",
    )
    parser.add_argument("source", metavar="SOURCE", type=Path, help="folder of the export, or its annotation file")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for masks, classes.txt and split.json")
    parser.add_argument("--format", metavar="NAME", help=f"{', '.join(FORMATS)} [told by the files]")
    parser.add_argument(
        "--images", metavar="FOLDER", type=Path, help="the photographs, if the export does not hold them"
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="names to write, the background's first; vehicle=car,truck makes one of two [all]",
    )
    parser.add_argument("--ignore", nargs="+", default=[], metavar="NAME", help="classes to write as 255 [none]")
    parser.add_argument("--binary", action="store_true", help="0 and 255: all objects are one [labels of classes]")
    parser.add_argument(
        "--holes", default="fill", metavar="NAME", help=f"COCO's polygons inside others: {', '.join(HOLES)} [fill]"
    )
    parser.add_argument("--existing", default="refuse", metavar="NAME", help=f"{', '.join(EXISTING)} [refuse]")
    parser.add_argument(
        "--gather-images",
        action="store_true",
        help="put the photographs that have a mask into OUT/images too, without copying where the disk allows [no]",
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Convert as the options say and print the report; returns the exit code 0.

    Raises:
        SegError: as `convert` raises them.
    """
    report = convert(
        options.source,
        options.out,
        format=options.format,
        images=options.images,
        classes=options.classes,
        ignore=options.ignore,
        binary=options.binary,
        holes=options.holes,
        existing=options.existing,
        gather_images=options.gather_images,
    )
    print(in_options(str(report), options_of(options.parser)))
    return 0


if __name__ == "__main__":
    raise SystemExit("Type: python -m seglib convert --help")
