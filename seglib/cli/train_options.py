"""Owns the options of `python -m seglib train`. What is left out makes the recipe of notebook 00, for 30 epochs.

See 13_your_own_data.
"""

import argparse
from pathlib import Path
from typing import Any

from seglib.cli.options import add_folders, add_reading, add_split
from seglib.cli.surface import Parser, positive_number, whole_number
from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split
from seglib.model import BUNDLED_MODEL, OUTPUT_STRIDE
from seglib.optim import SCHEDULES

DESCRIPTION = (
    "Fine-tune a DeepLabV3 on images and their masks. A bar shows the time left; a log file has a line about it."
)


def parser(prog: str = "python -m seglib.train") -> argparse.ArgumentParser:
    """The options by themselves, as `python -m seglib.train` reads them.

    Example:
        >>> options = parser().parse_args(["images", "masks", "--out", "run.pt", "--lr", "2e-3"])
        >>> options.lr, options.head_lr, options.size
        (0.002, 0.005, [240, 320])
    """
    made = Parser(prog=prog, description=DESCRIPTION)
    add_options(made)
    return made


def add_options(made: argparse.ArgumentParser) -> None:
    """Add all options of a training."""
    add_folders(made)
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="checkpoint to write, as in run.pt")
    made.add_argument("--resume", action="store_true", help="go on with the training in --out, if it is there [no]")
    add_reading(made)
    add_split(made)
    made.add_argument(
        "--folds", type=whole_number(2), metavar="K", help="train K times, each part validated once [once]"
    )
    made.add_argument("--allow-missing", nargs="+", metavar="NAME", help="classes that no training mask need hold")
    text = {"metavar": "NAME"}
    rate = {"metavar": "X", "type": positive_number}
    sides = {"nargs": 2, "type": whole_number(1)}
    for name, default, meaning, more in (
        ("seed", 0, "decides split, order, augmentation, new weights and dropout", {"type": whole_number(0)}),
        ("size", [240, 320], "height and width that pictures are stretched to, in pixels", sides),
        ("scale", None, "instead: enlarge pictures by X, and train on crops of them, for small things", rate),
        ("crop", None, "with --scale: height and width of the crops [--size]", sides),
        ("model", BUNDLED_MODEL, f"one of {', '.join(OUTPUT_STRIDE)}", text),
        ("weights", "bundled", "to start from: bundled, coco (downloaded once), none, or a file, as another run", text),
        ("loss", None, "bce_dice, bce, dice, mse [bce_dice]; for classes ce_dice, cross_entropy [ce_dice]", text),
        ("optimizer", "adamw", "adamw, adam, sgd", text),
        ("lr", 1e-3, "learning rate of the backbone", rate),
        ("head-lr", 5e-3, "learning rate of all but the backbone", rate),
        ("weight-decay", 1e-4, "pull of the weights towards 0", {"metavar": "X", "type": float}),
        ("schedule", "poly", f"of the learning rates: {', '.join(SCHEDULES)}", text),
        ("warmup", None, "steps in which they rise to that [8, fewer in a short training]", {"type": whole_number(0)}),
        ("epochs", 30, "passes over the training pictures", {"type": whole_number(1)}),
        (
            "validate-every",
            1,
            "epochs from one measurement on the validation pictures to the next",
            {"type": whole_number(1)},
        ),
        (
            "batch-size",
            None,
            "pictures in a step, of all processes together [4; or 2 for each process, on GPUs 1, if that is more]",
            {"type": whole_number(1)},
        ),
        ("workers", 0, "processes that load pictures, beside each that trains", {"type": whole_number(0)}),
        ("patience", None, "epochs without a better IoU after which to stop [never]", {"type": whole_number(1)}),
        ("precision", "float32", "float32, bfloat16, float16; auto: the fastest that the device has units for", text),
        ("clip-norm", None, "shorten gradients whose norm is above X [never]", rate),
        ("device", None, "cuda, mps, cpu [the best one here; under torchrun a GPU each, else the CPU]", text),
    ):
        made.add_argument(f"--{name}", default=default, help=meaning + _shown(default), **({"metavar": "N"} | more))
    made.add_argument(
        "--class-weights",
        nargs="+",
        metavar="X",
        help='for classes: "balanced" (rare ones count more), "none", or a number for each [balanced]',
    )
    made.add_argument("--portrait", action="store_true", help="allow a height above the width [no]")
    made.add_argument("--compile", action="store_true", help="translate the model first, which takes a minute [no]")
    made.add_argument(
        "--cuda-graph", action="store_true", help="record a step and replay it, for small pictures on a GPU [no]"
    )
    made.add_argument("--no-augment", action="store_true", help="show pictures as they are [varied at random]")
    made.add_argument(
        "--tensorboard",
        action="store_true",
        help="log each epoch for TensorBoard too, beside --out; needs the package tensorboard [no]",
    )
    made.add_argument("--skip-doctor", action="store_true", help="do not look at all files before [look]")


def _shown(default: Any) -> str:
    """A default value as the help shows it."""
    if default is None:
        return ""
    return f" [{' '.join(map(str, default)) if isinstance(default, list) else default}]"


# What may differ when a training goes on. Its pictures are compared by their names, wherever the folders lie.
MAY_DIFFER = (
    *("images", "masks", "out", "split", "validation_share", "group_by", "folds", "recursive", "max_pixels"),
    *(
        "epochs",
        "warmup",
        "workers",
        "patience",
        "validate_every",
        "resume",
        "device",
        "compile",
        "cuda_graph",
        "skip_doctor",
        "tensorboard",
        "allow_missing",
        "run",
        "parser",
    ),
)


def plain_options(options: argparse.Namespace) -> dict[str, Any]:
    """All options as plain values, for a checkpoint; of paths only the last name, which is no secret of the machine."""
    plain = {key: value for key, value in vars(options).items() if key not in ("run", "parser")}
    return {key: value.name if isinstance(value, Path) else value for key, value in plain.items()}


def names_of_classes(dataset: CustomDataset) -> list[str]:
    """The classes by name; "background" and "object" for binary masks."""
    return list(dataset.classes) if dataset.classes else ["background", "object"]


def names_in_split(split: Split) -> dict[str, list[str]]:
    """The split by name, for a checkpoint."""
    return {"train": split.train, "validation": split.validation, "test": split.test}
