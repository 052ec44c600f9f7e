"""Which loss gives the best masks? MSE, BCE, Dice, the sum of the two, cross-entropy, and two mistakes.

All start from the bundled weights and get the same: the 32 training pictures, 160 wide and 120 high, without
augmentation, in batches of 4 in the same order, 96 steps of Adam, three seeds, and the same to choose from: three
learning rates, each once kept as it is and once with a poly schedule. Each is then judged at the choice with the best
mean over its seeds. What is measured is the IoU of fruit on the 16 validation pictures, from one confusion matrix, read
as the loss says: its own activation and threshold. Beside it stands the IoU if all outputs are cut at 0, and at 0.5.

The two mistakes: masks without their channel in MSE, so that each picture is compared with every mask of its batch; and
a sigmoid before `binary_cross_entropy_with_logits`, which applies one of its own. Both are trained at the best choice
of the loss that they are a mistake in.

    python benchmarks/losses.py        writes benchmarks/results/losses.json; goes on where it was stopped
"""

import argparse
import functools
import itertools
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from benchmarks.common.machine import machine
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.side_by_side import side_by_side
from seglib.lesson.common.short_training import EPOCHS, MISTAKES, SIZE, THRESHOLDS, Recipe, small_pairs, train_recipe

LOSSES = ("mse", "bce", "cross_entropy", "dice", "bce_dice")
LEARNING_RATES = (1e-3, 3e-3, 1e-2)
SEEDS = (0, 1, 2)
SCHEDULES = ("constant", "poly")

Case = tuple[str, str, float, int]  # loss, schedule, learning rate, seed

pictures = functools.cache(small_pairs)  # decoded once in each process


def summary(runs: list[dict]) -> dict:
    """Mean and spread (standard deviation over the seeds) of each choice, and of each loss everything at its best one.

    `best_of` has the best rate under each schedule, `best` the better of the two. "edge" says that it is the lowest or
    the highest rate that was tried, so that a better one may lie beyond it. A mistake has the choice of its loss.
    """
    table = []
    for choice in itertools.product((*LOSSES, *MISTAKES), SCHEDULES, LEARNING_RATES):
        here = [run for run in runs if key_of(run)[:3] == choice]
        if len(here) == len(SEEDS):
            ious = {"iou": [run["iou"] for run in here]}
            ious |= {f"iou_at_{at}": [run["iou_at"][str(at)] for run in here] for at in THRESHOLDS}
            row = dict(zip(("loss", "schedule", "lr"), choice, strict=True))
            row |= {name: round(statistics.mean(values), 4) for name, values in ious.items()}
            row |= {f"{name}_spread": round(statistics.stdev(values), 4) for name, values in ious.items()}
            table.append(row)
    best_of: dict[str, dict] = {schedule: {} for schedule in SCHEDULES}
    for loss, schedule in itertools.product(LOSSES, SCHEDULES):
        rows = [row for row in table if (row["loss"], row["schedule"]) == (loss, schedule)]
        if len(rows) == len(LEARNING_RATES):
            first = max(rows, key=lambda row: row["iou"])
            best_of[schedule][loss] = first | {"edge": first["lr"] in (LEARNING_RATES[0], LEARNING_RATES[-1])}
    whole = [loss for loss in LOSSES if all(loss in rows for rows in best_of.values())]
    best = {loss: max((rows[loss] for rows in best_of.values()), key=lambda row: row["iou"]) for loss in whole}
    for row in [row for row in table if row["loss"] in MISTAKES]:
        right = best.get(row["loss"].split(",")[0])
        if right and (right["schedule"], right["lr"]) == (row["schedule"], row["lr"]):
            best[row["loss"]] = row
    return {"best": best, "best_of": best_of, "table": table}


def key_of(run: dict) -> Case:
    return run["loss"], run["schedule"], run["lr"], run["seed"]


def train(loss: str, schedule: str, lr: float, seed: int, epochs: int, samples: Path, size: tuple[int, int]) -> dict:
    """One training; returns the row that is stored."""
    tuned = train_recipe(*pictures(samples, size), Recipe(loss, lr=lr, schedule=schedule, seed=seed), epochs)
    mark = tuned.marks[-1]
    row = {"loss": loss, "schedule": schedule, "lr": lr, "seed": seed, "iou": mark["iou"], "iou_at": mark["iou_at"]}
    return row | {"train_loss": mark["train_loss"], "seconds": round(tuned.seconds, 1)}


def todo(runs: list[dict]) -> list[Case]:
    """What is to be run next; the mistakes once all losses have their best choice."""
    done = {key_of(run) for run in runs}
    # Seeds outermost: if it is stopped early, all losses have had as much.
    grid = [
        (loss, schedule, lr, seed)
        for seed, schedule, lr, loss in itertools.product(SEEDS, SCHEDULES, LEARNING_RATES, LOSSES)
    ]
    if left := [key for key in grid if key not in done]:
        return left
    best = {loss: summary(runs)["best"][loss.split(",")[0]] for loss in MISTAKES}
    mistakes = [(loss, row["schedule"], row["lr"], seed) for seed in SEEDS for loss, row in best.items()]
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
    settings |= {"optimizer": "adam", "weights": weights_used()}
    runs = runs_so_far(arguments.out, settings, parser)
    arguments.out.parent.mkdir(exist_ok=True)
    while cases := todo(runs):
        for row in side_by_side(train, [(*case, arguments.epochs, arguments.samples, size) for case in cases]):
            print(row, flush=True)
            runs = sorted([*runs, row], key=lambda run: key_of(run)[::-1])
            result = {"what": "IoU of fruit on the validation pictures, by loss, schedule, learning rate and threshold"}
            result |= {"machine": machine(), "settings": settings, **summary(runs), "runs": runs}
            arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(json.dumps(summary(runs)["best"], indent=1))


if __name__ == "__main__":
    main()
