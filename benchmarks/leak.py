"""What IoU does a leaking split show, and what is it on new scenes? Near-twins of validation pictures in training.

For each seed the 32 training scenes are divided at random into two halves, A and B. Three trainings, each on 32
pictures, by the same recipe, from the same weights, with the same number of steps:
- clean: A and B, 32 scenes.
- clean, with twins: A and a near-twin of each picture of A. As many scenes and twins as in the leak.
- leak: A and a near-twin of each validation picture.
Each model is judged on the pictures it was trained on, on the 16 validation pictures, and on the 16 scenes of B if it
has not seen them. A near-twin is the same scene, the camera moved by up to 4 % of the frame, the light changed by up
to 10 %.

    python -m benchmarks.leak        writes benchmarks/results/leak.json
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.samples import SAMPLES, sample_files
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split, read_split
from seglib.lesson.common.small_dataset import SIZE, write_small
from seglib.lesson.dataloader.leaking_split import EPOCHS, score, split_in_half, train_on, twins_of

SEEDS = (0, 1, 2)
ARMS = ("clean", "clean, with twins", "leak")


def train(arm: str, seed: int, pictures: CustomDataset, split: Split, epochs: int) -> dict:
    """Train once and judge; the row that is stored."""
    half, rest = split_in_half(split, seed)
    more = {"clean": rest, "clean, with twins": twins_of(half), "leak": twins_of(split.validation)}[arm]
    begin = time.perf_counter()
    model = train_on(pictures, [*half, *more], seed, epochs)
    row = {"arm": arm, "seed": seed, "seconds": round(time.perf_counter() - begin, 1)}
    row["training"] = round(score(model, pictures, [*half, *more]), 4)
    row["validation"] = round(score(model, pictures, split.validation), 4)
    if arm != "clean":
        row["new scenes"] = round(score(model, pictures, rest), 4)
    return row


def summary(runs: list[dict]) -> dict:
    """Mean and spread (standard deviation over the seeds) of each figure of each arm."""
    table: dict = {}
    for arm in ARMS:
        for where in ("training", "validation", "new scenes"):
            ious = [row[where] for row in runs if row["arm"] == arm and where in row]
            if len(ious) > 1:
                figures = {"mean": round(statistics.mean(ious), 4), "spread": round(statistics.stdev(ious), 4)}
                table.setdefault(arm, {})[where] = figures
    return table


def main() -> None:
    parser = option_parser(__doc__, "leak")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    split = read_split(SAMPLES / "split.json")
    runs: list[dict] = []
    with tempfile.TemporaryDirectory() as scratch:
        shared = {
            "pictures": write_small(sample_files(), Path(scratch) / "small", twins=True),
            "split": split,
            "epochs": arguments.epochs,
        }
        cases = [{"arm": arm, "seed": seed, **shared} for seed in SEEDS for arm in ARMS]
        for row in side_by_side(train, cases):
            runs = sorted([*runs, row], key=lambda row: (row["seed"], ARMS.index(row["arm"])))
            print(row, flush=True)
    table = summary(runs)
    flattery = table["leak"]["validation"]["mean"] - table["leak"]["new scenes"]["mean"]
    figures = {
        "threads": 1,
        "height": SIZE[0],
        "width": SIZE[1],
        "epochs": arguments.epochs,
        "batch_size": 4,
        "summary": table,
        "flattery": round(flattery, 4),  # how much better the validation pictures make the model look than new ones
        "runs": runs,
    }
    write_record(arguments.out, "IoU of fruit after training on a clean and on a leaking split", figures)
    print(json.dumps(table, indent=1), f"flattery {flattery:.3f}")


if __name__ == "__main__":
    main()
