"""What is to be trained, if there are few pictures: the last layer, the head, or everything?

Every training starts from the bundled weights and gets the same: BCE, Adam at a constant rate, 4, 8, 16 or 32 of the
training pictures, 160 wide and 120 high, without augmentation, in batches of 4, 96 steps, three seeds. The seed also
decides which pictures. What is not trained is frozen, and in evaluation mode: its BatchNorm averages stay. Each of the
three gets four to six learning rates to choose from, for each number of pictures; those of the last layer are higher,
because it has 257 weights. Measured is the IoU of fruit on the 16 validation pictures, and on those trained on.

    python -m benchmarks.freezing                      writes benchmarks/results/freezing.json; goes on where it stopped
    python -m benchmarks.freezing --tiny --out FILE    a minute, to see that it runs
"""

from typing import Any

from benchmarks.common.choices import SEEDS, best_of, case_of, run_all, table_of
from benchmarks.common.results import trainings_parser
from seglib.lesson.optimizer.part_training import PARTS, Choice, freeze_all_but
from seglib.model import build_deeplab

RATES = {
    "last layer": (3e-3, 1e-2, 3e-2, 1e-1),
    "head": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "all": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
}
PICTURES = (32, 16, 8, 4)
STEPS = 96


def cases() -> list[dict[str, Any]]:
    """The long trainings first, so that no core is left with one at the end."""
    return [
        case_of(part, Choice(part=part, lr=lr, seed=seed), count, epochs=STEPS // (count // 4))
        for part in reversed(PARTS)
        for count in PICTURES
        for lr in RATES[part]
        for seed in SEEDS
    ]


def weights_trained() -> dict[str, int]:
    """How many weights each of PARTS has."""
    counts = {}
    for part in PARTS:
        model = build_deeplab(verbose=False)
        freeze_all_but(model, part)
        counts[part] = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return counts


def sums(runs: list[dict[str, Any]], seeds: int) -> dict[str, Any]:
    """For each part and number of pictures the row at the best rate, and the table of all rates."""
    table = table_of(runs, seeds)
    return {"weights_trained": weights_trained(), "best": best_of(table), "table": table}


def main() -> None:
    parser = trainings_parser(__doc__, "freezing")
    what = "IoU of fruit by what is trained (last layer, head, all), number of pictures and learning rate"
    settings = {"width": 160, "height": 120, "steps": STEPS, "loss": "bce", "optimizer": "adam"}
    runs = run_all(parser.parse_args(), parser, what, cases=cases(), settings=settings, sums=sums)
    for row in best_of(table_of(runs, len({run["seed"] for run in runs}))):
        print(row)


if __name__ == "__main__":
    main()
