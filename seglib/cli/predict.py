"""Owns the command that draws the masks of a folder of photographs. Explained in 11_predict."""

import argparse
from pathlib import Path
from typing import Any

from seglib.cli.surface import print_error, whole_number
from seglib.device import pick_device
from seglib.errors import ImageError
from seglib.inference.predict_folder import EXISTING, predict_folder
from seglib.training.checkpoint import TrainedModel, load_trained


def add_parser(commands: Any) -> None:
    """Add `predict` to the sub commands."""
    description = (
        "Draw the masks of a folder of photographs. They hold 0 and 255, or labels from 0 where classes are named."
    )
    epilog = "Exit code: 0; 1 where some photographs could not be read; 2 where the call cannot be right."
    made = commands.add_parser("predict", help="draw masks", description=description, epilog=epilog)
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
    overlays = _beside(options.out, "overlays") if options.overlay else None
    probabilities = _beside(options.out, "probabilities") if options.probabilities else None
    try:
        written = predict_folder(
            trained,
            options.images,
            options.out,
            existing=options.existing,
            batch_size=options.batch_size,
            recursive=options.recursive,
            overlay_folder=overlays,
            probability_folder=probabilities,
            max_pixels=options.max_pixels,
        )
    except ImageError as error:
        print_error(error, options.parser)
        return 1
    number = "1 mask" if len(written) == 1 else f"{len(written)} masks"
    print(f"{number} in {options.out.name}: {_values_in_words(trained)}.")
    if overlays:
        print(f"Overlays in {overlays.name}.")
    if probabilities:
        print(f"Probabilities in {probabilities.name}.")
    return 0


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f"{folder.name}_{what}")


def _values_in_words(trained: TrainedModel) -> str:
    """What the values in the masks stand for, as `predict_folder` writes them."""
    if trained.criterion.threshold is not None:  # one output
        return "0 is background, 255 is the object"
    if trained.classes is None:
        return "each value is the number of a class"
    return ", ".join(f"{label} is {name}" for label, name in enumerate(trained.classes))


if __name__ == "__main__":
    raise SystemExit("Type: python -m seglib predict --help")
