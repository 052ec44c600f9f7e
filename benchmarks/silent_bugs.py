"""What do mistakes cost that raise no error, what does the script print, and which check finds which?

The plain script of `seglib/lesson/silent_bugs/plain_script.py` as it is, and with each of the faults of `seglib/lesson/silent_bugs/bugs.py`:
64 steps of batch 4 at 160 wide and 120 high, BCE, Adam at 1e-3 after a rise, from the bundled weights, three seeds,
measured after every second epoch. Recorded: the losses, the IoUs that the script prints, and the true one at the end:
the same model, measured by the script without a fault, on pictures read without a fault (null where the model was
trained on them: then no picture is left to tell). With seed 0 also what each
check of `seglib/lesson/silent_bugs/preflight.py` says.

    python benchmarks/silent_bugs.py        writes benchmarks/results/silent_bugs.json, goes on where it stopped
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from benchmarks.common.machine import machine
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataset import CustomDataset
from seglib.lesson.common.small_dataset import write_small
from seglib.lesson.silent_bugs.bug_runs import SIZE, preflight, train_with_bug
from seglib.lesson.silent_bugs.bugs import BUGS

SEEDS = (0, 1, 2)
EPOCHS = 8


def train(bug: str | None, seed: int, files: Path, epochs: int) -> dict[str, Any]:
    """One training, its figures, and with seed 0 the checks."""
    played = train_with_bug(bug, files, seed, epochs)
    row: dict[str, Any] = {"bug": bug or "none", "seed": seed, "true": played.true and round(played.true, 4)}
    row |= {"printed": [round(score, 4) for score in played.printed], "losses": [round(x, 4) for x in played.losses]}
    if seed == 0:
        row["checks"] = preflight(bug, files, played)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bugs", nargs="*", default=["none", *BUGS], choices=["none", *BUGS])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "silent_bugs.json")
    arguments = parser.parse_args()
    settings = {"height": SIZE[0], "width": SIZE[1], "epochs": arguments.epochs, "weights": weights_used()}
    runs = runs_so_far(arguments.out, settings, parser)
    done = {(run["bug"], run["seed"]) for run in runs}
    todo = [(bug, seed) for seed in arguments.seeds for bug in arguments.bugs if (bug, seed) not in done]
    order = ["none", *BUGS]
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch) / "small"
        samples = CustomDataset(ROOT / "data_samples/images", ROOT / "data_samples/masks")
        write_small(samples, files, size=(2 * SIZE[0], 2 * SIZE[1]))
        cases = [(None if bug == "none" else bug, seed, files, arguments.epochs) for bug, seed in todo]
        for row in side_by_side(train, cases):
            runs.append(row)
            print({key: value for key, value in row.items() if key != "losses"}, flush=True)
            runs.sort(key=lambda run: (order.index(run["bug"]), run["seed"]))
            result = {"what": "a plain script with one silent fault at a time: what it prints, and what is true"}
            result |= {"machine": machine(), "threads": torch.get_num_threads(), "settings": settings, "runs": runs}
            arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
