"""Weight decay on every weight, or not on BatchNorm and biases: what does it change, and from which strength on?

Every training starts from the bundled weights and gets the same: BCE, AdamW at a constant rate of 3e-3 (the best one of
BCE in benchmarks/results/losses.json), the 32 training pictures, 160 wide and 120 high, without augmentation, in
batches of 4, 96 steps, three seeds. Six strengths: none, and 0.01 (torch's default) to 10. Measured is the IoU of
fruit on the 16 validation pictures, and how long the weights are afterwards, as a share of their length before: "large"
are those of more than one dimension, "small" are BatchNorm and biases.

    python -m benchmarks.weight_decay                      writes benchmarks/results/weight_decay.json
    python -m benchmarks.weight_decay --tiny --out FILE    a minute, to see that it runs
"""

from typing import Any

from benchmarks.common.choices import SEEDS, case_of, run_all, table_of
from benchmarks.common.results import trainings_parser
from seglib.lesson.optimizer.part_training import DECAYED, Choice

STRENGTHS = (0.01, 0.1, 0.3, 1.0, 10.0)
LR = 3e-3
EPOCHS = 12


def cases() -> list[dict[str, Any]]:
    """Seeds outermost: if it is stopped early, all have had as much."""
    made = []
    for seed in SEEDS:
        made.append(case_of("none", Choice(optimizer="adamw", lr=LR, seed=seed), epochs=EPOCHS))
        for decayed in DECAYED:
            for strength in STRENGTHS:
                choice = Choice(optimizer="adamw", lr=LR, weight_decay=strength, decayed=decayed, seed=seed)
                made.append(case_of(f"{strength:g}, {decayed}", choice, epochs=EPOCHS))
    return made


def sums(runs: list[dict[str, Any]], seeds: int) -> dict[str, Any]:
    """One row for each strength and kind: mean and spread over the seeds."""
    rows = []
    for row in table_of(runs, seeds):
        run = next(run for run in runs if run["arm"] == row["arm"])
        decayed = run["decayed"] if run["weight_decay"] else "none"
        rows.append({"decayed": decayed, "weight_decay": run["weight_decay"], **row})
    return {"table": rows}


def main() -> None:
    parser = trainings_parser(__doc__, "weight_decay")
    what = "IoU of fruit by the strength of weight decay, on all weights or without BatchNorm and biases"
    settings = {"width": 160, "height": 120, "epochs": EPOCHS, "lr": LR, "loss": "bce", "optimizer": "adamw"}
    runs = run_all(parser.parse_args(), parser, what, cases=cases(), settings=settings, sums=sums)
    for row in sums(runs, len({run["seed"] for run in runs}))["table"]:
        print(row)


if __name__ == "__main__":
    main()
