"""Owns the command that draws the masks of a folder of photographs. Explained in 11_predict."""

import argparse
import sys
from pathlib import Path
from typing import Any

from seglib.cli.surface import print_error, whole_number
from seglib.device import pick_device
from seglib.errors import ImageError
from seglib.inference.predict_folder import EXISTING, predict_folder
from seglib.training.checkpoint import load_trained


def add_parser(commands: Any) -> None:
    """Add `predict` to the sub commands."""
    made = commands.add_parser("predict", help="draw masks", description="Draw the masks of a folder of photographs.")
    made.add_argument("checkpoint", metavar="RUN", type=Path, help="checkpoint of a training, as run.pt")
    made.add_argument("images", metavar="PHOTOS", type=Path, help="folder of photographs")
    made.add_argument("out", metavar="OUT", type=Path, help="folder for the masks, made if it is not there")
    made.add_argument("--overlay", action="store_true", help="also draw masks over photographs, into OUT_overlays")
    made.add_argument("--probabilities", action="store_true", help="also write them, into OUT_probabilities")
    made.add_argument("--existing", default="refuse", metavar="WORD", help=f"{', '.join(EXISTING)} [%(default)s]")
    made.add_argument(
        "--recursive", action=argparse.BooleanOptionalAction, default=None, help="look into sub folders, or do not"
    )
    made.add_argument("--batch-size", type=whole_number(1), default=8, metavar="N", help="at once [%(default)s]")
    made.add_argument("--max-pixels", type=whole_number(1), metavar="N", help="allow pictures of so many pixels")
    made.add_argument("--device", metavar="NAME", help="cuda, mps, cpu [the best one here]")
    made.set_defaults(run=run, parser=made)


def run(options: argparse.Namespace) -> int:
    """Predict; exit code 1 if some pictures could not be read, the masks of the others are there."""
    trained = load_trained(options.checkpoint)
    trained.model.to(pick_device(options.device))
    beside = {name: options.out.with_name(f"{options.out.name}_{name}") for name in ("overlays", "probabilities")}
    try:
        written = predict_folder(
            trained,
            options.images,
            options.out,
            existing=options.existing,
            batch_size=options.batch_size,
            recursive=options.recursive,
            overlay_folder=beside["overlays"] if options.overlay else None,
            probability_folder=beside["probabilities"] if options.probabilities else None,
            max_pixels=options.max_pixels,
        )
    except ImageError as error:
        print_error(error, options.parser)
        return 1
    print(f"{len(written)} masks in {options.out.name}.", file=sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit("Type: python -m seglib predict --help")
