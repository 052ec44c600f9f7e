"""What do mistakes cost that raise no error, and what does the script print?

The plain script of `seglib/lesson/silent_bugs/plain_script.py` as it is, and with each of `BUGS` and `MORE_BUGS` of
`seglib/lesson/silent_bugs/bugs.py`: 64 steps of batch 4 at 160 wide and 120 high, BCE, Adam at 1e-3 after a warm-up,
from the bundled weights, three seeds, measured after every second epoch. Recorded: the losses, the IoUs that the script
prints, and the true one at the end: the same model, measured by the script without a fault, on pictures read without a
fault (null where the model was trained on them: no picture is left then that it has not seen). "best_true" is the true
IoU of the weights that the script kept as the best. What the checks say stands in `preflight_checks.py`.

    python -m benchmarks.silent_bugs        writes benchmarks/results/silent_bugs.json, goes on where it stopped
    python -m benchmarks.silent_bugs --tiny --out FILE     a minute, to see that it runs

Runs of the first edition have no "best_true". Those with a fault are kept as they are; those without one are made anew.
"""

from pathlib import Path
from typing import Any

from benchmarks.common.results import refuse_a_tiny_record, trainings_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from benchmarks.common.side_by_side import side_by_side
from seglib.data.splits import Split, read_split
from seglib.lesson.silent_bugs.bug_runs import SIZE, train_with_bug
from seglib.lesson.silent_bugs.bugs import BUGS, MORE_BUGS

SEEDS = (0, 1, 2)
EPOCHS = 8
NO_BUG = "none"
ORDER = [NO_BUG, *BUGS, *MORE_BUGS]


def train(bug: str, seed: int, files: Path, split: Split, epochs: int) -> dict[str, Any]:
    """One training, and its figures."""
    run = train_with_bug(None if bug == NO_BUG else bug, files, split, seed=seed, epochs=epochs)
    return {
        "bug": bug,
        "seed": seed,
        "true": rounded(run.true_iou),
        "best_true": rounded(run.best_true_iou),
        "printed": [round(score, 4) for score in run.printed_ious],
        "losses": [round(loss, 4) for loss in run.losses],
    }


def rounded(iou: float | None) -> float | None:
    return None if iou is None else round(iou, 4)


def key_of(run: dict[str, Any]) -> tuple[int, int]:
    return ORDER.index(run["bug"]), run["seed"]


def main() -> None:
    parser = trainings_parser(__doc__, "silent_bugs")
    parser.add_argument("--bugs", nargs="*", default=ORDER, choices=ORDER, metavar="BUG")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    refuse_a_tiny_record(arguments, parser)
    epochs = 2 if arguments.tiny else EPOCHS
    seeds = SEEDS[:1] if arguments.tiny else arguments.seeds
    bugs = (
        [NO_BUG, "best weights without a copy", "mirrored validation in training"] if arguments.tiny else arguments.bugs
    )
    split = read_split(SAMPLES / "split.json")
    if arguments.tiny:
        split = Split(split.train[:8], split.validation[:2])
    settings = {"height": SIZE[0], "width": SIZE[1], "epochs": epochs, "weights": weights_used()}
    before = runs_so_far(arguments.out, settings, parser)
    runs = [run for run in before if run["bug"] != NO_BUG or "best_true" in run]
    for run in runs:
        run.pop("checks", None)  # of the first edition
    done = {(run["bug"], run["seed"]) for run in runs}
    what = "a plain script with one silent fault at a time: what it prints, and what is true"
    with shrunk_copies(sample_files(), (2 * SIZE[0], 2 * SIZE[1])) as files:
        cases = [
            {"bug": bug, "seed": seed, "files": files, "split": split, "epochs": epochs}
            for seed in seeds
            for bug in bugs
            if (bug, seed) not in done
        ]
        for row in side_by_side(train, cases, arguments.processes):
            print({key: value for key, value in row.items() if key != "losses"}, flush=True)
            runs = sorted([*runs, row], key=key_of)
            write_record(arguments.out, what, {"settings": settings, "runs": runs})


if __name__ == "__main__":
    main()
