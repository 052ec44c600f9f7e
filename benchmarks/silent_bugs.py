"""What do mistakes cost that raise no error, what does the script print, and which check finds which?

The plain script of `seglib/lesson/silent_bugs/plain_script.py` as it is, and with each of the faults of
`seglib/lesson/silent_bugs/bugs.py`: 64 steps of batch 4 at 160 wide and 120 high, BCE, Adam at 1e-3 after a warm-up,
from the bundled weights, three seeds, measured after every second epoch. Recorded: the losses, the IoUs that the script
prints, and the true one at the end: the same model, measured by the script without a fault, on pictures read without a
fault (null where the model was trained on them: no picture is left then that it has not seen). With seed 0 also what
each check of `seglib/lesson/silent_bugs/preflight.py` says.

    python -m benchmarks.silent_bugs        writes benchmarks/results/silent_bugs.json, goes on where it stopped
"""

from pathlib import Path
from typing import Any

import torch

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from benchmarks.common.side_by_side import side_by_side
from seglib.data.splits import read_split
from seglib.lesson.silent_bugs.bug_runs import SIZE, run_checks, train_with_bug
from seglib.lesson.silent_bugs.bugs import BUGS

SEEDS = (0, 1, 2)
EPOCHS = 8
NO_BUG = "none"
ORDER = [NO_BUG, *BUGS]


def train(bug: str, seed: int, files: Path, epochs: int) -> dict[str, Any]:
    """One training, its figures, and with seed 0 the checks."""
    fault = None if bug == NO_BUG else bug
    split = read_split(SAMPLES / "split.json")
    run = train_with_bug(fault, files, split, seed=seed, epochs=epochs)
    row = {
        "bug": bug,
        "seed": seed,
        "true": None if run.true_iou is None else round(run.true_iou, 4),
        "printed": [round(score, 4) for score in run.printed_ious],
        "losses": [round(loss, 4) for loss in run.losses],
    }
    if seed == 0:
        row["checks"] = run_checks(fault, files, split, run)
    return row


def main() -> None:
    parser = option_parser(__doc__, "silent_bugs")
    parser.add_argument("--bugs", nargs="*", default=ORDER, choices=ORDER)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    settings = {"height": SIZE[0], "width": SIZE[1], "epochs": arguments.epochs, "weights": weights_used()}
    runs = runs_so_far(arguments.out, settings, parser)
    done = {(run["bug"], run["seed"]) for run in runs}
    what = "a plain script with one silent fault at a time: what it prints, and what is true"
    with shrunk_copies(sample_files(), (2 * SIZE[0], 2 * SIZE[1])) as files:
        cases = [
            {"bug": bug, "seed": seed, "files": files, "epochs": arguments.epochs}
            for seed in arguments.seeds
            for bug in arguments.bugs
            if (bug, seed) not in done
        ]
        for row in side_by_side(train, cases):
            print({key: value for key, value in row.items() if key != "losses"}, flush=True)
            runs = sorted([*runs, row], key=lambda run: (ORDER.index(run["bug"]), run["seed"]))
            figures = {"threads": torch.get_num_threads(), "settings": settings, "runs": runs}
            write_record(arguments.out, what, figures)


if __name__ == "__main__":
    main()
