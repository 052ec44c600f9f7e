"""What do more labelled pictures buy: 10, 20 or 40 of them?

The 48 pictures for training and validation are shared out to six folds. Each fold is measured once, on its 8 pictures,
with models that were trained on the first 10, the first 20 and all 40 of the others, in a random order. Two draws of
folds and orders. Each training: from the bundled weights, the recipe of notebook 00 with its random changes, 100 steps
in batches of 4, 160 wide and 120 high. With 10 pictures an epoch leaves out two, other ones each time.

"iou" is that of fruit over all 48 pictures of a draw, from one summed confusion matrix. "gains" compares fold by fold:
what the next count has more, by how much that differs, and in how many of the folds it is more.

Stored too: a short training that the lesson repeats.

    python -m benchmarks.labelling     writes benchmarks/results/labelling.json; goes on where it was stopped
    python -m benchmarks.labelling --tiny --out FILE     a minute, to see that it runs
"""

import json
import statistics
from pathlib import Path
from typing import Any

import torch

from benchmarks.common.results import read_record, refuse_a_tiny_record, trainings_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import sample_files, shrunk_copies
from benchmarks.common.seeds import spread
from benchmarks.common.side_by_side import side_by_side
from seglib.device import Timer
from seglib.lesson.your_own_data.labelling import COUNTS, FOLDS, SIZE, STEPS, labelled_first, train_on_labelled
from seglib.metrics import iou

DRAWS = (0, 1)
SHORT_STEPS = 20  # of a training that a lesson can repeat

Case = tuple[int, int, int]  # draw, fold, count


def key_of(run: dict) -> Case:
    return run["draw"], run["fold"], run["pictures"]


def train(*, draw: int, fold: int, pictures: int, folder: Path, steps: int, size: tuple[int, int]) -> dict[str, Any]:
    """One training; the row that is stored."""
    stems = sorted(path.stem for path in (folder / "images").iterdir())
    split = labelled_first(stems, draw)[fold]
    with Timer() as timer:
        matrix = train_on_labelled(
            folder, split.train[:pictures], split.validation, seed=FOLDS * draw + fold, steps=steps, size=size
        )
    return {
        "draw": draw,
        "fold": fold,
        "pictures": pictures,
        "iou": round(iou(matrix)[1].item(), 4),
        "matrix": matrix.tolist(),
        "seconds": round(timer.seconds, 1),
    }


def summary(runs: list[dict], draws: tuple[int, ...] = DRAWS) -> dict[str, list[dict]]:
    """By count: IoU over all pictures, and over the folds; and from count to count what was gained, fold by fold."""
    rows = []
    for count in COUNTS:
        here = [run for run in runs if run["pictures"] == count]
        if len(here) < FOLDS * len(draws):
            return {}
        of_draw = []
        for draw in draws:
            matrices = [torch.tensor(run["matrix"]) for run in here if run["draw"] == draw]
            of_draw.append(iou(torch.stack(matrices).sum(dim=0))[1].item())
        folds = [run["iou"] for run in here]
        rows.append(
            {
                "pictures": count,
                "iou": round(statistics.mean(of_draw), 4),
                "iou_of_draws": [round(each, 4) for each in of_draw],
                "lowest_fold": min(folds),
                "highest_fold": max(folds),
                "spread_of_folds": round(spread(folds), 4),
            }
        )
    gains = []
    for fewer, more in ((COUNTS[0], COUNTS[1]), (COUNTS[1], COUNTS[2]), (COUNTS[0], COUNTS[2])):
        of = {key_of(run): run["iou"] for run in runs}
        pairs = [(of[draw, fold, fewer], of[draw, fold, more]) for draw in draws for fold in range(FOLDS)]
        differences = [after - before for before, after in pairs]
        gains.append(
            {
                "from": fewer,
                "to": more,
                "gain": round(statistics.mean(differences), 4),
                "spread": round(spread(differences), 4),
                "more_in": sum(difference > 0 for difference in differences),
                "of": len(differences),
            }
        )
    return {"summary": rows, "gains": gains}


def main() -> None:
    parser = trainings_parser(__doc__, "labelling")
    arguments = parser.parse_args()
    refuse_a_tiny_record(arguments, parser)
    size = (32, 32) if arguments.tiny else SIZE
    steps = 2 if arguments.tiny else STEPS
    draws = DRAWS[:1] if arguments.tiny else DRAWS
    settings = {
        "height": size[0],
        "width": size[1],
        "steps": steps,
        "batch_size": 4,
        "folds": FOLDS,
        "draws": list(draws),
        "weights": weights_used(),
    }
    what = "IoU of fruit on pictures that were not trained on, by the number of labelled pictures"
    runs = runs_so_far(arguments.out, settings, parser)
    short = read_record(arguments.out).get("short")
    done = {key_of(run) for run in runs}
    with shrunk_copies(sample_files(), size) as folder:
        cases = [
            {"draw": draw, "fold": fold, "pictures": count, "folder": folder, "steps": steps, "size": size}
            for draw in draws
            for fold in range(FOLDS)
            for count in COUNTS
            if (draw, fold, count) not in done
        ]
        for row in side_by_side(train, cases, arguments.processes):
            print({key: value for key, value in row.items() if key != "matrix"}, flush=True)
            runs = sorted([*runs, row], key=key_of)
            write_record(arguments.out, what, {"settings": settings, **summary(runs, draws), "runs": runs})
        if not short:
            few = {"draw": 0, "fold": 0, "pictures": COUNTS[0], "steps": min(steps, SHORT_STEPS)}
            short = next(side_by_side(train, [{**few, "folder": folder, "size": size}]))
            short = {"steps": few["steps"], "pictures": few["pictures"], "iou": short["iou"]}
    figures = {"settings": settings, **summary(runs, draws), "short": short, "runs": runs}
    write_record(arguments.out, what, figures)
    print(json.dumps({"short": short, **summary(runs, draws)}, indent=1))


if __name__ == "__main__":
    main()
