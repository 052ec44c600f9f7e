"""Owns the words of the command line: each argument, its default, its unit. Explained in 12_many_gpus."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seglib.errors import TrainingError
from seglib.model import BUNDLED, OUTPUT_STRIDE
from seglib.optim import SCHEDULES


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise TrainingError(f"{message[:1].upper()}{message[1:]}.", "arguments as --help lists them", "Add --help.")


def _whole(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is no whole number from {least} on")
        return int(text)

    return number


def parser() -> argparse.ArgumentParser:
    """The arguments of `python -m seglib.train`; what is left out makes the recipe of notebook 00, for 30 epochs.

    Example:
        >>> options = parser().parse_args(["images", "masks", "--out", "run.pt", "--lr", "2e-3"])
        >>> options.lr, options.head_lr, options.size
        (0.002, 0.005, [240, 320])
    """
    made = _Parser(prog="python -m seglib.train", description="Fine-tune a DeepLabV3 on images and their masks.")
    made.add_argument("images", metavar="IMAGES", help="folder of photographs")
    made.add_argument("masks", metavar="MASKS", help="folder of masks: for each photograph one of the same stem")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="checkpoint to write, as in run.pt")
    made.add_argument("--resume", action="store_true", help="go on with the training in --out, if it is there [no]")
    sides = made.add_mutually_exclusive_group()
    sides.add_argument("--split", metavar="FILE", help='{"train": [stems], "validation": [stems]} in JSON [at random]')
    sides.add_argument(
        "--validation-share", type=float, default=0.25, metavar="X", help="of all pictures [%(default)s]"
    )
    word, rate = {"metavar": "NAME"}, {"metavar": "X", "type": float}
    for name, default, words, more in (
        ("seed", 0, "decides split, order, augmentation, new weights and dropout", {"type": _whole(0)}),
        ("size", [240, 320], "height and width that pictures get, in pixels", {"nargs": 2, "type": _whole(1)}),
        ("model", BUNDLED, f"one of {', '.join(OUTPUT_STRIDE)}", word),
        ("weights", "bundled", "to start from: bundled, coco (downloaded once), none, or a file", word),
        ("classes", None, "for masks of labels: all names, the background's first [0 and 255]", {"nargs": "+"} | word),
        ("loss", None, "bce_dice, bce, dice, mse [bce_dice]; with --classes [cross_entropy]", word),
        ("optimizer", "adamw", "adamw, adam, sgd", word),
        ("lr", 1e-3, "learning rate of the backbone", rate),
        ("head-lr", 5e-3, "learning rate of all but the backbone", rate),
        ("weight-decay", 1e-4, "pull of the weights towards 0", rate),
        ("schedule", "poly", f"of the learning rates: {', '.join(SCHEDULES)}", word),
        ("warmup", 8, "steps in which they rise to that, fewer than all", {"type": _whole(0)}),
        ("epochs", 30, "passes over the training pictures", {"type": _whole(1)}),
        ("batch-size", 4, "pictures in a step, of all processes together", {"type": _whole(1)}),
        ("workers", 0, "processes that load pictures, beside each that trains", {"type": _whole(0)}),
        ("patience", None, "epochs without a better IoU after which to stop [never]", {"type": _whole(1)}),
        ("device", None, "cuda, mps, cpu [the best one here; under torchrun a GPU each, else the CPU]", word),
    ):
        shown = "" if default is None else f" [{' '.join(map(str, default)) if isinstance(default, list) else default}]"
        made.add_argument(f"--{name}", default=default, help=words + shown, **({"metavar": "N"} | more))
    made.add_argument("--portrait", action="store_true", help="allow a height above the width [no]")
    made.add_argument("--bfloat16", action="store_true", help="compute in bfloat16 where that is safe [float32]")
    made.add_argument("--no-augment", action="store_true", help="show pictures as they are [varied at random]")
    return made
