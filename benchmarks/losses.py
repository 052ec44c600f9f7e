"""Which loss gives the best masks? MSE, BCE, Dice, the sum of the two, cross-entropy, and two mistakes.

All start from the bundled weights and get the same: the 32 training pictures, 160 wide and 120 high, without
augmentation, in batches of 4 in the same order, 96 steps of Adam with a poly schedule, three seeds, and the same three
learning rates to choose from. Each is then judged at the rate with the best mean over its seeds. What is measured is
the IoU of fruit on the 16 validation pictures, from one confusion matrix, read as the loss says: its own activation and
threshold. Beside it stands the IoU if all outputs are cut at 0, and if all are cut at 0.5.

The two mistakes: masks without their channel in MSE, so that each picture is compared with every mask of its batch; and
a sigmoid before `binary_cross_entropy_with_logits`, which applies one of its own. Both are trained at the best rate of
the loss that they are a mistake in.

    python benchmarks/losses.py        writes benchmarks/results/losses.json; goes on where it was stopped
"""

import argparse
import functools
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from machine import machine
from resuming import runs_so_far, weights_used
from seglib.lesson.tuning import EPOCHS, MISTAKES, SIZE, THRESHOLDS, Recipe, small_pairs, tune
from side_by_side import side_by_side

LOSSES = ("mse", "bce", "cross_entropy", "dice", "bce_dice")
LEARNING_RATES = (1e-3, 3e-3, 1e-2)
SEEDS = (0, 1, 2)
SCHEDULE = "poly"

pictures = functools.cache(small_pairs)  # decoded once in each process


def summary(runs: list[dict]) -> dict:
    """Mean and spread (standard deviation over the seeds) at each rate, and of each loss everything at its best rate.

    "edge" says that the best rate is the lowest or the highest that was tried, so that a better one may lie beyond it.
    A mistake has one rate only.
    """
    table, best = [], {}
    for loss in (*LOSSES, *MISTAKES):
        rows = []
        for lr in LEARNING_RATES:
            here = [run for run in runs if (run["loss"], run["lr"]) == (loss, lr)]
            if len(here) == len(SEEDS):
                ious = {"iou": [run["iou"] for run in here]}
                ious |= {f"iou_at_{at}": [run["iou_at"][str(at)] for run in here] for at in THRESHOLDS}
                row = {"loss": loss, "lr": lr}
                row |= {name: round(statistics.mean(values), 4) for name, values in ious.items()}
                row |= {f"{name}_spread": round(statistics.stdev(values), 4) for name, values in ious.items()}
                rows.append(row)
        if len(rows) == (1 if loss in MISTAKES else len(LEARNING_RATES)):
            first = max(rows, key=lambda row: row["iou"])
            best[loss] = first | {"edge": loss in LOSSES and first["lr"] in (LEARNING_RATES[0], LEARNING_RATES[-1])}
        table += rows
    return {"best": best, "table": table}


def train(loss: str, lr: float, seed: int, epochs: int, samples: Path, size: tuple[int, int]) -> dict:
    """One training; returns the row that is stored."""
    tuned = tune(*pictures(samples, size), Recipe(loss, lr=lr, schedule=SCHEDULE, seed=seed), epochs)
    mark = tuned.marks[-1]
    row = {"loss": loss, "lr": lr, "seed": seed, "iou": mark["iou"], "iou_at": mark["iou_at"]}
    return row | {"train_loss": mark["train_loss"], "seconds": round(tuned.seconds, 1)}


def todo(runs: list[dict]) -> list[tuple[str, float, int]]:
    """(loss, learning rate, seed) of what is to be run next; the mistakes once all losses have their best rate."""
    done = {(run["loss"], run["lr"], run["seed"]) for run in runs}
    # Seeds outermost: if it is stopped early, all losses have had as much.
    grid = [(loss, lr, seed) for seed in SEEDS for lr in LEARNING_RATES for loss in LOSSES]
    if left := [key for key in grid if key not in done]:
        return left
    best = summary(runs)["best"]
    mistakes = [(loss, best[loss.split(",")[0]]["lr"], seed) for seed in SEEDS for loss in MISTAKES]
    return [key for key in mistakes if key not in done]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=ROOT / "data_samples")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "losses.json")
    arguments = parser.parse_args()

    size = tuple(arguments.size)
    settings = {"height": size[0], "width": size[1], "epochs": arguments.epochs, "batch_size": 4}
    settings |= {"optimizer": "adam", "schedule": SCHEDULE, "weights": weights_used()}
    runs = runs_so_far(arguments.out, settings, parser)
    arguments.out.parent.mkdir(exist_ok=True)
    while cases := todo(runs):
        for row in side_by_side(train, [(*case, arguments.epochs, arguments.samples, size) for case in cases]):
            print(row, flush=True)
            runs = sorted([*runs, row], key=lambda run: (run["seed"], run["lr"], run["loss"]))
            result = {"what": "IoU of fruit on the validation pictures, by loss, learning rate and threshold"}
            result |= {"machine": machine(), "settings": settings, **summary(runs), "runs": runs}
            arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(json.dumps(summary(runs)["best"], indent=1))


if __name__ == "__main__":
    main()
