"""Which loss gives the best masks? MSE, BCE, Dice, the sum of the two, cross-entropy, and two mistakes.

All start from the bundled weights and get the same: the 32 training pictures, 160 wide and 120 high, without
augmentation, in batches of 4 in the same order, 96 steps of Adam, three seeds, and the same to choose from: three
learning rates, each once kept as it is and once with a poly schedule. Each is then judged at the choice with the best
mean over its seeds. What is measured is the IoU of fruit on the 16 validation pictures, from one confusion matrix, read
as the loss says: its own activation and threshold. Beside it stands the IoU if all outputs are cut at 0, and at 0.5.

The two mistakes: masks without their channel in MSE, so that each picture is compared with every mask of its batch; and
a sigmoid before `binary_cross_entropy_with_logits`, which applies one of its own. Both are trained at the best choice
of the loss that they are a mistake in.

    python -m benchmarks.losses        writes benchmarks/results/losses.json; goes on where it was stopped
"""

import functools
import itertools
import json
import statistics
from collections.abc import Iterator

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES
from benchmarks.common.side_by_side import side_by_side
from seglib.lesson.common.short_training import EPOCHS, MISTAKES, SIZE, THRESHOLDS, Recipe, small_pairs, train_recipe

LOSSES = ("mse", "bce", "cross_entropy", "dice", "bce_dice")
LEARNING_RATES = (1e-3, 3e-3, 1e-2)
SEEDS = (0, 1, 2)
SCHEDULES = ("constant", "poly")

Case = tuple[str, str, float, int]  # loss, schedule, learning rate, seed

pictures = functools.cache(small_pairs)  # decoded once in each process


def mean_and_spread(loss: str, schedule: str, lr: float, runs: list[dict]) -> dict | None:
    """Mean and spread (standard deviation) of one choice over its seeds; None if some of them are missing."""
    here = [run for run in runs if key_of(run)[:3] == (loss, schedule, lr)]
    if len(here) < len(SEEDS):
        return None
    ious = {"iou": [run["iou"] for run in here]}
    ious |= {f"iou_at_{at}": [run["iou_at"][str(at)] for run in here] for at in THRESHOLDS}
    row = {"loss": loss, "schedule": schedule, "lr": lr}
    row |= {name: round(statistics.mean(values), 4) for name, values in ious.items()}
    return row | {f"{name}_spread": round(statistics.stdev(values), 4) for name, values in ious.items()}


def best_rates(table: list[dict], schedule: str) -> dict[str, dict]:
    """For each loss whose rates were all tried with this schedule, the row of the best one.

    "edge" says that it is the lowest or the highest rate that was tried, so that a better one may lie beyond it.
    """
    best = {}
    for loss in LOSSES:
        rows = [row for row in table if (row["loss"], row["schedule"]) == (loss, schedule)]
        if len(rows) == len(LEARNING_RATES):
            first = max(rows, key=lambda row: row["iou"])
            best[loss] = first | {"edge": first["lr"] in (LEARNING_RATES[0], LEARNING_RATES[-1])}
    return best


def summary(runs: list[dict]) -> dict:
    """Mean and spread of each choice, and of each loss everything at its best one.

    `best_of` has the best rate under each schedule, `best` the better of the two. A mistake has the choice of its loss.
    """
    choices = itertools.product((*LOSSES, *MISTAKES), SCHEDULES, LEARNING_RATES)
    table = [row for row in (mean_and_spread(*choice, runs) for choice in choices) if row]
    best_of = {schedule: best_rates(table, schedule) for schedule in SCHEDULES}
    whole = [loss for loss in LOSSES if all(loss in rows for rows in best_of.values())]
    best = {loss: max((rows[loss] for rows in best_of.values()), key=lambda row: row["iou"]) for loss in whole}
    for row in table:
        right = best.get(right_loss(row["loss"])) if row["loss"] in MISTAKES else None
        if right and (right["schedule"], right["lr"]) == (row["schedule"], row["lr"]):
            best[row["loss"]] = row
    return {"best": best, "best_of": best_of, "table": table}


def right_loss(mistake: str) -> str:
    """The loss that a mistake is made in: "mse" of "mse, broadcast"."""
    return mistake.split(",")[0]


def key_of(run: dict) -> Case:
    return run["loss"], run["schedule"], run["lr"], run["seed"]


def train(recipe: Recipe, epochs: int, size: tuple[int, int]) -> dict:
    """One training; returns the row that is stored."""
    trained = train_recipe(*pictures(SAMPLES, size), recipe, epochs)
    mark = trained.marks[-1]
    return {
        "loss": recipe.loss,
        "schedule": recipe.schedule,
        "lr": recipe.lr,
        "seed": recipe.seed,
        "iou": mark["iou"],
        "iou_at": mark["iou_at"],
        "train_loss": mark["train_loss"],
        "seconds": round(trained.seconds, 1),
    }


def left_to_run(runs: list[dict]) -> list[Case]:
    """What is to be run next; the mistakes once all losses have their best choice."""
    done = {key_of(run) for run in runs}
    # Seeds outermost: if it is stopped early, all losses have had as much.
    grid = [
        (loss, schedule, lr, seed)
        for seed, schedule, lr, loss in itertools.product(SEEDS, SCHEDULES, LEARNING_RATES, LOSSES)
    ]
    left = [case for case in grid if case not in done]
    if left:
        return left
    return [case for case in mistakes_to_run(summary(runs)["best"]) if case not in done]


def mistakes_to_run(best: dict[str, dict]) -> Iterator[Case]:
    for seed in SEEDS:
        for mistake in MISTAKES:
            row = best[right_loss(mistake)]
            yield mistake, row["schedule"], row["lr"], seed


def main() -> None:
    parser = option_parser(__doc__, "losses")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("HEIGHT", "WIDTH"))
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    settings = {
        "height": size[0],
        "width": size[1],
        "epochs": arguments.epochs,
        "batch_size": 4,
        "optimizer": "adam",
        "weights": weights_used(),
    }
    runs = runs_so_far(arguments.out, settings, parser)
    what = "IoU of fruit on the validation pictures, by loss, schedule, learning rate and threshold"
    left = left_to_run(runs)
    while left:
        recipes = [Recipe(loss, lr=lr, schedule=schedule, seed=seed) for loss, schedule, lr, seed in left]
        cases = [{"recipe": recipe, "epochs": arguments.epochs, "size": size} for recipe in recipes]
        for row in side_by_side(train, cases):
            print(row, flush=True)
            runs = sorted([*runs, row], key=lambda run: key_of(run)[::-1])
            write_record(arguments.out, what, {"settings": settings, **summary(runs), "runs": runs})
        left = left_to_run(runs)
    print(json.dumps(summary(runs)["best"], indent=1))


if __name__ == "__main__":
    main()
