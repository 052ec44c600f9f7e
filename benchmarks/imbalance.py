"""Fruit is a fifth of the pixels. Does a loss that takes this into account give better masks, or earlier ones?

Measured as in `losses.py`: from the bundled weights, the 32 training pictures, 160 wide and 120 high, in batches of 4
in the same order, 96 steps of Adam, three seeds; three learning rates, each once kept and once with a poly schedule.
Each loss is judged at the choice with the best mean over its seeds, by the IoU of fruit on the 16 validation pictures
at the threshold 0.

- bce: as it is, the baseline.
- bce, bias set: the same, but the bias of the last layer begins at the logit of the share of fruit.
- bce, pos_weight 2 and 4.3: a pixel of fruit counts so many times. With 4.3 all fruit weighs what all background does.
- focal: gamma 2, without alpha; focal, alpha 0.25: what torchvision does if it is not told otherwise.
- dice: of the areas.

Of each training is stored what it had reached before the first step and after 8, 16, 32 and 96 steps (IoU, loss on the
validation pictures, share of the pixels that are called fruit), and of its end precision and recall.

    python -m benchmarks.imbalance     writes benchmarks/results/imbalance.json; goes on where it was stopped
    python -m benchmarks.imbalance --tiny --out FILE     a minute, to see that it runs
"""

import functools
import itertools
import json
import statistics

from benchmarks.common.results import refuse_a_tiny_record, trainings_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES
from benchmarks.common.side_by_side import side_by_side
from seglib.lesson.common.short_training import EPOCHS, SIZE, Recipe, raw_outputs, small_pairs, train_recipe
from seglib.lesson.loss.cures import CURES, fruit_share, start_at_share

LEARNING_RATES = (1e-3, 3e-3, 1e-2)
SCHEDULES = ("constant", "poly")
SEEDS = (0, 1, 2)
MARKS = (0, 1, 2, 4)  # epochs of 8 steps; and the last

Case = tuple[str, str, float, int]  # name in CURES, schedule, learning rate, seed

pictures = functools.cache(small_pairs)  # decoded once in each process


def key_of(run: dict) -> Case:
    return run["loss"], run["schedule"], run["lr"], run["seed"]


def train(name: str, recipe: Recipe, epochs: int, size: tuple[int, int]) -> dict:
    """One training; returns the row that is stored."""
    pairs, validation = pictures(SAMPLES, size)
    share = fruit_share(pairs)
    prepare = functools.partial(start_at_share, share=share) if name == "bce, bias set" else None
    trained = train_recipe(pairs, validation, recipe, epochs, MARKS, criterion=CURES[name], prepare=prepare)
    outputs, masks = raw_outputs(trained.model, validation)  # (N, H, W) each
    drawn = outputs > 0.0
    right = (drawn & (masks == 1)).sum().item()
    kept = ("epoch", "train_loss", "loss", "iou", "drawn")
    return {
        "loss": name,
        "schedule": recipe.schedule,
        "lr": recipe.lr,
        "seed": recipe.seed,
        "iou": trained.marks[-1]["iou"],
        "precision": round(right / max(int(drawn.sum()), 1), 4),
        "recall": round(right / int((masks == 1).sum()), 4),
        "marks": [{key: mark[key] for key in kept} for mark in trained.marks],
        "seconds": round(trained.seconds, 1),
    }


def mean_and_spread(runs: list[dict]) -> dict:
    """Mean and spread (standard deviation) over the seeds of one choice: at the end, and at each mark."""
    row = {key: runs[0][key] for key in ("loss", "schedule", "lr")}
    for name in ("iou", "precision", "recall"):
        values = [run[name] for run in runs]
        row[name] = round(statistics.mean(values), 4)
        row[f"{name}_spread"] = round(statistics.stdev(values), 4)
    row["marks"] = []
    for marks in zip(*[run["marks"] for run in runs], strict=True):
        mean = {"epoch": marks[0]["epoch"]}
        for name in ("iou", "loss", "drawn"):
            values = [mark[name] for mark in marks]
            mean[name] = round(statistics.mean(values), 4)
            mean[f"{name}_spread"] = round(statistics.stdev(values), 4)
        row["marks"].append(mean)
    return row


def summary(runs: list[dict], rates: tuple[float, ...] = LEARNING_RATES, seeds: tuple[int, ...] = SEEDS) -> dict:
    """Mean and spread of each choice whose seeds are all there, and the best choice of each loss that has all of them.

    "edge" says that its rate is the lowest or the highest that was tried.
    """
    groups: dict[tuple, list[dict]] = {}
    for run in runs:
        groups.setdefault(key_of(run)[:3], []).append(run)
    table = [mean_and_spread(group) for group in groups.values() if len(group) == len(seeds)]
    best = {}
    for name in CURES:
        rows = [row for row in table if row["loss"] == name]
        if len(rows) == len(SCHEDULES) * len(rates):
            first = max(rows, key=lambda row: row["iou"])
            best[name] = first | {"edge": first["lr"] in (rates[0], rates[-1])}
    return {"best": best, "table": table}


def main() -> None:
    parser = trainings_parser(__doc__, "imbalance")
    arguments = parser.parse_args()
    refuse_a_tiny_record(arguments, parser)
    size = (24, 32) if arguments.tiny else SIZE
    epochs = 2 if arguments.tiny else EPOCHS
    rates = LEARNING_RATES[:1] if arguments.tiny else LEARNING_RATES
    seeds = SEEDS[:2] if arguments.tiny else SEEDS
    settings = {
        "height": size[0],
        "width": size[1],
        "epochs": epochs,
        "batch_size": 4,
        "optimizer": "adam",
        "weights": weights_used(),
    }
    settings["fruit_share"] = round(fruit_share(pictures(SAMPLES, size)[0]), 4)
    runs = runs_so_far(arguments.out, settings, parser)
    done = {key_of(run) for run in runs}
    # Seeds outermost: if it is stopped early, all losses have had as much.
    grid = itertools.product(seeds, SCHEDULES, rates, CURES)
    cases = [
        {"name": name, "recipe": Recipe(lr=lr, schedule=schedule, seed=seed), "epochs": epochs, "size": size}
        for seed, schedule, lr, name in grid
        if (name, schedule, lr, seed) not in done
    ]
    what = "IoU of fruit on the validation pictures, by cure for imbalance, schedule and learning rate"
    for row in side_by_side(train, cases, arguments.processes):
        print({key: value for key, value in row.items() if key != "marks"}, flush=True)
        runs = sorted([*runs, row], key=lambda run: key_of(run)[::-1])
        write_record(arguments.out, what, {"settings": settings, **summary(runs, rates, seeds), "runs": runs})
    for name, row in summary(runs, rates, seeds)["best"].items():
        print(name, json.dumps({key: value for key, value in row.items() if key != "marks"}))


if __name__ == "__main__":
    main()
