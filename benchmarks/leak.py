"""What does a split that leaks promise, and what does it keep? Near-twins of the validation pictures in training.

For each seed the 32 training scenes are divided at random into two halves, A and B. Three trainings, each on 32
pictures, by the same recipe, from the same weights, with the same number of steps:
- clean: A and B, 32 scenes.
- clean, with twins: A and a near-twin of each picture of A. As many scenes and twins as in the leak.
- leak: A and a near-twin of each validation picture.
Each model is judged on the pictures it was trained on, on the 16 validation pictures, and on the 16 scenes of B if it
has not seen them. A near-twin is the same scene, the camera moved by up to 4 % of the frame, the light changed by up
to 10 %.

    python benchmarks/leak.py        writes benchmarks/results/leak.json
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from benchmarks.common.machine import machine
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.lesson.common.small_dataset import SIZE, write_small
from seglib.lesson.dataloader.leaking_split import EPOCHS, score, split_in_half, train_on, twins_of

SEEDS = (0, 1, 2)
ARMS = ("clean", "clean, with twins", "leak")


def run(arm: str, seed: int, pictures: CustomDataset, split, epochs: int) -> dict:
    """Train once and judge; the row that is stored."""
    half, rest = split_in_half(split, seed)
    more = {"clean": rest, "clean, with twins": twins_of(half), "leak": twins_of(split.validation)}[arm]
    begin = time.perf_counter()
    model = train_on(pictures, [*half, *more], seed, epochs)
    row = {"arm": arm, "seed": seed, "seconds": round(time.perf_counter() - begin, 1)}
    row["training"] = round(score(model, pictures, [*half, *more]), 4)
    row["validation"] = round(score(model, pictures, split.validation), 4)
    return row | ({} if arm == "clean" else {"new scenes": round(score(model, pictures, rest), 4)})


def summary(runs: list[dict]) -> dict:
    """Mean and spread (standard deviation over the seeds) of each figure of each arm."""
    table: dict = {}
    for arm in ARMS:
        for where in ("training", "validation", "new scenes"):
            ious = [row[where] for row in runs if row["arm"] == arm and where in row]
            if len(ious) > 1:
                mean, spread = statistics.mean(ious), statistics.stdev(ious)
                table.setdefault(arm, {})[where] = {"mean": round(mean, 4), "spread": round(spread, 4)}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=ROOT / "data_samples")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "leak.json")
    arguments = parser.parse_args()
    split = read_split(arguments.samples / "split.json")
    runs: list[dict] = []
    with tempfile.TemporaryDirectory() as scratch:
        files = CustomDataset(arguments.samples / "images", arguments.samples / "masks")
        pictures = write_small(files, Path(scratch) / "small", twins=True)
        cases = [(arm, seed, pictures, split, arguments.epochs) for seed in SEEDS for arm in ARMS]
        for row in side_by_side(run, cases):
            runs = sorted([*runs, row], key=lambda row: (row["seed"], ARMS.index(row["arm"])))
            print(row, flush=True)
    table = summary(runs)
    flattery = table["leak"]["validation"]["mean"] - table["leak"]["new scenes"]["mean"]
    result = {"what": "IoU of fruit after training on a clean and on a leaking split", "machine": machine()}
    result |= {"threads": 1, "height": SIZE[0], "width": SIZE[1], "epochs": arguments.epochs}
    result |= {"batch_size": 4, "summary": table, "flattery": round(flattery, 4), "runs": runs}
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(json.dumps(table, indent=1), f"flattery {flattery:.3f}")


if __name__ == "__main__":
    main()
