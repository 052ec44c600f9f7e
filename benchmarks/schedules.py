"""Is a rate that rises and falls better than a constant one, after 96 steps and after 240?

The records of learning_rates.py and losses.py say no at 64 and 96 steps, and the recipe of 00_start_here, 96 steps, has
such a schedule. Here all get 00's loss (BCE and Dice), optimizer (AdamW, decay 0.0001) and groups: the head has five
times the backbone's rate. All start from the bundled weights, in batches of 4, with three seeds. Measured is the IoU of
fruit on the 16 validation pictures.

- 96 and 240 steps: 160 wide and 120 high, without augmentation, each schedule at three rates to choose from. At 96
  steps rise and fall are told apart: each with and without the other.
- as in 00: 320 wide and 240 high, with augmentation, 96 steps, at 00's own rate.

    python -m benchmarks.schedules                      writes benchmarks/results/schedules.json
    python -m benchmarks.schedules --tiny --out FILE    a minute, to see that it runs
"""

from dataclasses import replace
from typing import Any

from benchmarks.common.choices import SEEDS, best_of, case_of, run_all, table_of
from benchmarks.common.results import trainings_parser
from seglib.lesson.optimizer.part_training import Choice

WARMUP = 8  # steps
SCHEDULES = {  # name -> (schedule, steps of warm-up)
    "constant": ("constant", 0),
    "constant, warm-up": ("constant", WARMUP),
    "poly": ("poly", 0),
    "poly, warm-up": ("poly", WARMUP),
    "cosine, warm-up": ("cosine", WARMUP),
}
LONG = ("constant", "poly, warm-up")
AS_IN_00 = ("constant, warm-up", "poly, warm-up")
RATES = (3e-4, 1e-3, 3e-3)  # of the backbone
HEAD = 5  # times the rate of the backbone
EPOCHS = 12  # 96 steps
LONG_EPOCHS = 30  # 240 steps
SIZE_OF_00 = (240, 320)
RATE_OF_00 = 1e-3


def choice_of(name: str, lr: float, seed: int) -> Choice:
    """00's recipe with another schedule, rate and seed."""
    schedule, warmup = SCHEDULES[name]
    recipe = Choice(loss="bce_dice", optimizer="adamw", lr=lr, head_lr=HEAD * lr, weight_decay=1e-4)
    return replace(recipe, schedule=schedule, warmup=warmup, seed=seed)


def cases() -> list[dict[str, Any]]:
    """The long trainings first, so that no core is left with one at the end."""
    made = [
        case_of(f"{name}, as in 00", choice_of(name, RATE_OF_00, seed), epochs=EPOCHS, size=SIZE_OF_00, augmented=True)
        for seed in SEEDS
        for name in AS_IN_00
    ]
    for epochs, names in ((LONG_EPOCHS, LONG), (EPOCHS, tuple(SCHEDULES))):
        made += [
            case_of(name, choice_of(name, lr, seed), epochs=epochs) for seed in SEEDS for name in names for lr in RATES
        ]
    return made


def sums(runs: list[dict[str, Any]], seeds: int) -> dict[str, Any]:
    """For each schedule and length the row at the best rate, and the table of all rates."""
    table = table_of(runs, seeds)
    return {"best": best_of(table), "table": table}


def main() -> None:
    parser = trainings_parser(__doc__, "schedules")
    what = "IoU of fruit by schedule, number of steps and learning rate, with the recipe of 00_start_here"
    settings = {"loss": "bce_dice", "optimizer": "adamw", "weight_decay": 1e-4, "head_times": HEAD, "warmup": WARMUP}
    runs = run_all(parser.parse_args(), parser, what, cases=cases(), settings=settings, sums=sums)
    for row in best_of(table_of(runs, len({run["seed"] for run in runs}))):
        print(row)


if __name__ == "__main__":
    main()
