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

    python -m benchmarks.learning_rates        writes benchmarks/results/learning_rates.json; goes on where it stopped
"""

import dataclasses
import functools
import statistics

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES
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
CHOICE = ("arm", "optimizer", "lr", "head_lr", "schedule")  # identifies a training, together with its seed

pictures = functools.cache(small_pairs)  # decoded once in each process


def key_of(row: dict) -> tuple:
    """What tells one training from another; the seed comes last."""
    return tuple(row[name] for name in (*CHOICE, "seed"))


def mean_mark(marks: tuple[dict, ...]) -> dict:
    """Mean of every figure that the seeds have at one mark, and the spread (standard deviation) of the IoU."""
    figures = {name: [mark[name] for mark in marks] for name in ("iou", "train_loss")}
    figures |= {name: [mark["moved"][name] for mark in marks] for name in marks[0]["moved"]}
    means = {name: float(f"{statistics.mean(values):.4g}") for name, values in figures.items()}
    return {"epoch": marks[0]["epoch"], **means, "iou_spread": round(statistics.stdev(figures["iou"]), 4)}


def summary(runs: list[dict]) -> list[dict]:
    """For each training that has all its seeds, the means at each mark.

    "diverged" counts the seeds whose loss became NaN; with one of them there are no marks.
    """
    rows = []
    for choice in dict.fromkeys(key_of(run)[:-1] for run in runs):
        here = [run for run in runs if key_of(run)[:-1] == choice]
        if len(here) < len(SEEDS):
            continue
        diverged = sum("diverged" in run for run in here)
        marks = [] if diverged else [mean_mark(same) for same in zip(*(run["marks"] for run in here), strict=True)]
        rows.append({**dict(zip(CHOICE, choice, strict=True)), "diverged": diverged, "marks": marks})
    return rows


def train(arm: str, recipe: Recipe, epochs: int, size: tuple[int, int]) -> dict:
    """One training; returns the row that is stored."""
    row = {"arm": arm, **dataclasses.asdict(recipe)}
    try:
        trained = train_recipe(*pictures(SAMPLES, size), recipe, epochs, MARKS)
    except TrainingError as error:  # the loss is NaN
        return row | {"diverged": error.found, "marks": []}
    return row | {"seconds": round(trained.seconds, 1), "marks": trained.marks}


def all_trainings() -> list[tuple[str, Recipe]]:
    """(arm, recipe), in the order in which they are run."""
    arms = [(arm, recipe) for arm, recipes in ARMS.items() if arm != "long" for recipe in recipes]
    # The long ones first, for they take a third of the time; then seeds outermost: all have had as much if it stops.
    trainings = [("long", dataclasses.replace(ARMS["long"][0], seed=seed)) for seed in SEEDS]
    return trainings + [(arm, dataclasses.replace(recipe, seed=seed)) for seed in SEEDS for arm, recipe in arms]


def main() -> None:
    parser = option_parser(__doc__, "learning_rates")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--long", type=int, default=LONG)
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("HEIGHT", "WIDTH"))
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    settings = {
        "height": size[0],
        "width": size[1],
        "epochs": arguments.epochs,
        "long_epochs": arguments.long,
        "batch_size": 4,
        "loss": "mse",
        "weights": weights_used(),
    }
    runs = runs_so_far(arguments.out, settings, parser)
    done = {key_of(run) for run in runs}
    trainings = {key_of({"arm": arm, **dataclasses.asdict(recipe)}): (arm, recipe) for arm, recipe in all_trainings()}
    order = list(trainings)
    cases = [
        {
            "arm": arm,
            "recipe": recipe,
            "epochs": arguments.long if arm == "long" else arguments.epochs,
            "size": size,
        }
        for key, (arm, recipe) in trainings.items()
        if key not in done
    ]
    what = "IoU of fruit, and how far the weights moved, by optimizer and learning rate"
    for row in side_by_side(train, cases):
        print({**row, **(row["marks"] or [{"diverged": True}])[-1]}, flush=True)
        runs = sorted([*runs, row], key=lambda run: order.index(key_of(run)))
        write_record(arguments.out, what, {"settings": settings, "summary": summary(runs), "runs": runs})


if __name__ == "__main__":
    main()
