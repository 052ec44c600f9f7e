"""Owns the command that looks at two folders before a training. Explained in 13_your_own_data."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seglib.cli.options import READING, add_folders, add_reading, add_split, reading_of, split_of
from seglib.cli.surface import as_typed, command_line, in_options, options_of, positive_number, whole_number
from seglib.data.pairing import find_pairs
from seglib.data.splits import Split
from seglib.doctor import Report, examine
from seglib.doctor.page import write_page
from seglib.doctor.rules import KNOW, SEVERITIES, STOPS
from seglib.errors import PairError, SegError
from seglib.model import BUNDLED_MODEL, OUTPUT_STRIDE

# What the doctor may propose, and has no option for itself.
OPTIONS_OF_TRAINING = {"--loss", "--class-weights"}
# Options that a training on the same folders needs too.
HANDED_ON = (
    *READING,
    *("split", "validation_share", "group_by", "seed", "size", "scale", "crop", "model", "batch_size", "allow_missing"),
)


def add_parser(commands: Any) -> None:
    """Add `doctor` to the sub commands."""
    description = "Say all that is wrong with two folders, and what can be reached. Changes no file."
    epilog = (
        "Exit code: 0 where nothing has to be mended; 1 where something stops training or spoils the result; "
        "2 where the call cannot be right."
    )
    made = commands.add_parser("doctor", help="is a folder fit to train on?", description=description, epilog=epilog)
    add_folders(made)
    add_reading(made)
    add_split(made)
    made.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="of a split that is drawn [0]")
    side = {"nargs": 2, "type": whole_number(1), "metavar": "N"}
    made.add_argument("--size", default=[240, 320], help="height and width of the training pictures [240 320]", **side)
    made.add_argument("--scale", type=positive_number, metavar="X", help="as in train: enlarge by X, train on crops")
    made.add_argument("--crop", help="with --scale: height and width of the crops [--size]", **side)
    made.add_argument("--model", default=BUNDLED_MODEL, metavar="NAME", help=f"one of {', '.join(OUTPUT_STRIDE)}")
    made.add_argument("--batch-size", type=whole_number(1), default=4, metavar="N", help="of the training [4]")
    made.add_argument("--allow-missing", nargs="+", metavar="NAME", help="classes that no training mask need hold")
    made.add_argument("--page", type=Path, metavar="FILE", help="write the report with pictures there, HTML")
    made.set_defaults(run=run, parser=made)


def run(options: argparse.Namespace) -> int:
    """Look, print, and write what is asked for; returns 1 where something has to be mended, else 0.

    Raises:
        SegError: for the call, never for the files.
    """
    if options.page is not None and options.page.exists():
        raise SegError(f"{options.page.name} is there already.", "a new name", "Name another file, or remove it.")
    if options.crop and options.scale is None:
        raise SegError(f"crop = {options.crop} without a scale.", "both", "Add scale=1, or what the doctor proposes.")
    report = examine_folders(options, _split(options, reading_of(options)))
    if options.batch_size > 1:  # the command train leaves such a rest out by itself
        report = replace(report, findings=[one for one in report.findings if one.kind != "single"])
    print(in_options(str(report), options_of(options.parser) | OPTIONS_OF_TRAINING))
    if report.must_mend:
        print(f"\n{must_mend_in_words(report)}")
    if not any(finding.severity == STOPS for finding in report.findings):
        print(f"\nTo train{' as proposed' if report.proposed else ''}:\n{training_command(options, report.proposed)}")
    if options.page is not None:
        write_page(report, options.page, f"{options.images.name} and {options.masks.name}: the doctor's report")
    return 1 if report.must_mend else 0


def must_mend_in_words(report: Report) -> str:
    """Why the command exits with 1, by the headings of the report: also where nothing stops training."""
    found = {finding.severity for finding in report.findings}
    what = " and ".join(f"what {severity}" for severity in SEVERITIES if severity in found - {KNOW})
    return f"Must be mended: {what}. The exit code is 1."


def examine_folders(options: argparse.Namespace, split: Split | None) -> Report:
    """The doctor's report on the folders of a command, read and sized as its options say."""
    return examine(
        options.images,
        options.masks,
        split=split,
        size=tuple(options.crop or options.size),
        scale=options.scale,
        batch_size=options.batch_size,
        model=options.model,
        allow_missing=options.allow_missing or (),
        progress=sys.stderr.isatty(),
        **reading_of(options),
    )


def training_command(options: argparse.Namespace, proposed: Mapping[str, Any]) -> str:
    """The command that trains on these folders, read in the same way, with the settings that are proposed."""
    settings = {name: getattr(options, name) for name in HANDED_ON}
    settings = {name: value for name, value in settings.items() if value != options.parser.get_default(name)}
    if "scale" in proposed:
        settings.pop("size", None)
    words = [as_typed(f"--{name.replace('_', '-')}", value) for name, value in (settings | dict(proposed)).items()]
    start = command_line("python", "-m", "seglib", "train", options.images, options.masks, "--out", "run.pt")
    return " ".join([start, *words])


def _split(options: argparse.Namespace, reading: dict[str, Any]) -> Split | None:
    """The split, if the options name one. Without it the training draws one, and nothing is said about its sides."""
    if not options.split and options.group_by is None:
        return None
    how = {name: reading[name] for name in ("mask_suffix", "image_suffix", "recursive", "unmasked")}
    faults: list[PairError] = []
    return split_of(options, list(find_pairs(options.images, options.masks, faults=faults, **how).pairs))


if __name__ == "__main__":
    raise SystemExit("Type: python -m seglib doctor --help")
