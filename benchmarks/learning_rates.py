"""Is the notes' learning rate of 1e-5 too low, and for which budget? How far do the weights move?

Every training starts from the bundled weights and gets the same: the notes' loss (MSE), the 32 training pictures, 160
wide and 120 high, without augmentation, in batches of 4 in the same order, 64 steps, three seeds. What is measured
after 1, 3 and 8 epochs is the IoU of fruit on the 16 validation pictures, from one confusion matrix, and the distance
between the weights and those at the start: of all, of the backbone, of the head, and of the weight that moved farthest.

- adam: the notes' Adam, at a constant rate, over five decades.
- adamw: the same with a weight decay of 0.01, torch's default.
- sgd: with momentum 0.9, at four rates.
- groups: Adam, the backbone at a fifth of the head's rate.
- schedules: Adam, the rate falling to 0 after a warm-up.
- long: Adam at the notes' 1e-5 for the notes' 100 epochs, 800 steps.

    python benchmarks/learning_rates.py        writes benchmarks/results/learning_rates.json; goes on where it stopped
"""

import argparse
import dataclasses
import functools
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from benchmarks.common.machine import machine
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.side_by_side import side_by_side
from seglib.errors import TrainingError
from seglib.lesson.common.short_training import SIZE, Recipe, small_pairs, train_recipe

ARMS = {
    "adam": [Recipe(lr=lr) for lr in (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2)],
    "adamw": [Recipe(optimizer="adamw", lr=lr, weight_decay=0.01) for lr in (3e-4, 1e-3, 3e-3)],
    "sgd": [Recipe(optimizer="sgd", lr=lr) for lr in (1e-3, 3e-3, 1e-2, 3e-2)],
    "groups": [Recipe(lr=lr, head_lr=head_lr) for lr, head_lr in ((2e-4, 1e-3), (6e-4, 3e-3))],
    "schedules": [Recipe(lr=3e-3, schedule=name) for name in ("poly", "cosine")],
    "long": [Recipe()],
}
EPOCHS = 8  # 64 steps
LONG = 100  # epochs, those of the notes
MARKS = (1, 3, 8, 25, 50, LONG)
SEEDS = (0, 1, 2)

pictures = functools.cache(small_pairs)  # decoded once in each process


def key(row: dict) -> tuple:
    """What tells one training from another."""
    return tuple(row[name] for name in ("arm", "optimizer", "lr", "head_lr", "schedule", "seed"))


def summary(runs: list[dict]) -> list[dict]:
    """For each training, mean and spread (standard deviation over the seeds) of every figure at each mark.

    "diverged" counts the seeds whose loss became NaN; with one of them there are no marks.
    """
    rows = []
    for wanted in dict.fromkeys(key(run)[:-1] for run in runs):
        here = [run for run in runs if key(run)[:-1] == wanted]
        if len(here) < len(SEEDS):
            continue
        marks = []
        diverged = sum("diverged" in run for run in here)
        for same in [] if diverged else zip(*(run["marks"] for run in here), strict=True):
            figures = {"iou": [mark["iou"] for mark in same], "train_loss": [mark["train_loss"] for mark in same]}
            figures |= {name: [mark["moved"][name] for mark in same] for name in same[0]["moved"]}
            means = {name: float(f"{statistics.mean(values):.4g}") for name, values in figures.items()}
            marks.append({"epoch": same[0]["epoch"], **means, "iou_spread": round(statistics.stdev(figures["iou"]), 4)})
        names = ("arm", "optimizer", "lr", "head_lr", "schedule")
        rows.append({**dict(zip(names, wanted, strict=True)), "diverged": diverged, "marks": marks})
    return rows


def train(arm: str, recipe: Recipe, epochs: int, samples: Path, size: tuple[int, int]) -> dict:
    """One training; returns the row that is stored."""
    row = {"arm": arm, **dataclasses.asdict(recipe)}
    try:
        tuned = train_recipe(*pictures(samples, size), recipe, epochs, MARKS)
        return row | {"seconds": round(tuned.seconds, 1), "marks": tuned.marks}
    except TrainingError as error:  # the loss is NaN
        return row | {"diverged": error.found, "marks": []}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=ROOT / "data_samples")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--long", type=int, default=LONG)
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "learning_rates.json")
    arguments = parser.parse_args()

    settings = {"height": arguments.size[0], "width": arguments.size[1], "epochs": arguments.epochs}
    settings |= {"long_epochs": arguments.long, "batch_size": 4, "loss": "mse", "weights": weights_used()}
    runs = runs_so_far(arguments.out, settings, parser)
    done = {key(run) for run in runs}
    # The long ones first, for they take a third of the time; then seeds outermost: all have had as much if it stops.
    arms = [(arm, recipe) for arm, recipes in ARMS.items() if arm != "long" for recipe in recipes]
    todo = [("long", dataclasses.replace(ARMS["long"][0], seed=seed)) for seed in SEEDS]
    todo += [(arm, dataclasses.replace(recipe, seed=seed)) for seed in SEEDS for arm, recipe in arms]
    cases = [
        (arm, recipe, arguments.long if arm == "long" else arguments.epochs, arguments.samples, tuple(arguments.size))
        for arm, recipe in todo
        if key({"arm": arm, **dataclasses.asdict(recipe)}) not in done
    ]
    order = [key({"arm": arm, **dataclasses.asdict(recipe)}) for arm, recipe in todo]
    arguments.out.parent.mkdir(exist_ok=True)
    for row in side_by_side(train, cases):
        print({**row, **(row["marks"] or [{"diverged": True}])[-1]}, flush=True)
        runs = sorted([*runs, row], key=lambda run: order.index(key(run)))
        result = {"what": "IoU of fruit, and how far the weights moved, by optimizer and learning rate"}
        result |= {"machine": machine(), "settings": settings, "summary": summary(runs), "runs": runs}
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
