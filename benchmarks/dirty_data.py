"""What do wrong masks cost, and which of them does the doctor find?

Training: a share of the 32 training masks, drawn at random, is spoiled: exchanged among themselves, mirrored, shifted
by a twentieth of the width (64 pixels of 1280) to one of four sides, or all of them shifted a little, by an eightieth.
Three seeds each, at 160 wide and 120 high, 64 steps, batches of 4, BCE and Dice, AdamW at 1e-3 and at 5e-3 for the
head. Measured on the 16 clean validation pictures; and the clean model once more against validation masks that are
spoiled by the same flaws. For comparison, the pictures that would get a wrong mask are left out; as many steps on the
rest.
Then the doctor: the same flaws in the masks of all 48 pictures, at 640 wide and 480 high, what it finds of them, and
what it reports of masks that are right.

    python -m benchmarks.dirty_data        writes benchmarks/results/dirty_data.json; goes on where it was stopped
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataset import CustomDataset
from seglib.doctor import examine
from seglib.lesson.common.short_training import SIZE, small_pairs
from seglib.lesson.your_own_data.flaws import EPOCHS, LEFT_OUT, cost_of, judged_by, spoil, with_flaws

SEEDS = (0, 1, 2)
FLAWS = [(kind, share) for kind in ("exchanged", "mirrored", "shifted") for share in (0.1, 0.25, 0.5)]
FLAWS += [("shifted a little", 1.0)]
ARMS = [("clean", 0.0), *FLAWS, (LEFT_OUT, 0.25), (LEFT_OUT, 0.5)]
SHORT = 2  # epochs of a training that a lesson can repeat
LOOKED_AT = (480, 640)  # (height, width) of the pictures that the doctor sees


def train(kind: str, share: float, seed: int, epochs: int) -> dict:
    """One training; its IoU, and for the clean one also against spoiled validation masks."""
    begin = time.perf_counter()
    pairs, validation = small_pairs(SAMPLES)
    outputs = cost_of(pairs, validation, kind, share, seed, epochs=epochs)
    row = {"kind": kind, "share": share, "seed": seed, "iou": round(judged_by(outputs, validation), 4)}
    if not share:
        row["judged_by_spoiled"] = [
            {"kind": flaw, "share": of, "iou": round(judged_by(outputs, with_flaws(validation, flaw, of, seed)[0]), 4)}
            for flaw, of in FLAWS
        ]
    return row | {"seconds": round(time.perf_counter() - begin, 1)}


def train_shortly(kind: str, share: float) -> float:
    """The IoU after a training that a lesson can repeat."""
    pairs, validation = small_pairs(SAMPLES)
    return round(judged_by(cost_of(pairs, validation, kind, share, seed=0, epochs=SHORT), validation), 4)


def summary(runs: list[dict]) -> list[dict]:
    """Of each flaw: mean and spread of the IoU after training on it, and of the clean model judged by it."""
    rows = []
    for kind, share in ARMS:
        here = [run["iou"] for run in runs if (run["kind"], run["share"]) == (kind, share)]
        if len(here) < 2:
            continue
        row = {"kind": kind, "share": share, "seeds": len(here)}
        row |= {"iou": round(statistics.mean(here), 4), "spread": round(statistics.stdev(here), 4)}
        marks = [mark for run in runs for mark in run.get("judged_by_spoiled", [])]
        judged = [mark["iou"] for mark in marks if (mark["kind"], mark["share"]) == (kind, share)]
        if judged:
            row["clean_model_judged_by_it"] = round(statistics.mean(judged), 4)
        rows.append(row)
    return rows


def look(kind: str, share: float, seed: int, folder: Path) -> dict:
    """Spoil the masks of a small folder, and let the doctor look: how many are wrong, found, and found wrongly."""
    dataset = CustomDataset(folder / "images", folder / "masks")
    masks = [torch.from_numpy(np.array(Image.open(folder / "masks" / name))) for name in dataset.mask_filenames]
    spoiled, chosen = spoil(masks, kind, share, seed)
    with tempfile.TemporaryDirectory() as scratch:
        for mask, name in zip(spoiled, dataset.mask_filenames, strict=True):
            Image.fromarray(mask.numpy()).save(Path(scratch) / name)
        report = examine(folder / "images", scratch)
    found = {*report.of("turned"), *report.of("shifted"), *report.of("elsewhere")}
    wrong = {dataset.stems[place] for place in chosen}
    counts = {"wrong": len(wrong), "found": len(found & wrong), "false_alarms": len(found - wrong)}
    return {"kind": kind, "share": share, "seed": seed, "pictures": len(dataset), **counts}


def look_at_all(seeds: list[int]) -> list[dict]:
    """`look` at each flaw with each seed, and at the clean masks."""
    order = [(kind, share, seed) for seed in seeds for kind, share in [("clean", 0.0), *FLAWS]]
    with shrunk_copies(sample_files(), LOOKED_AT) as folder:
        cases = [{"kind": kind, "share": share, "seed": seed, "folder": folder} for kind, share, seed in order]
        return sorted(side_by_side(look, cases), key=lambda row: order.index(key_of(row)))


def key_of(row: dict) -> tuple[str, float, int]:
    return row["kind"], row["share"], row["seed"]


def main() -> None:
    parser = option_parser(__doc__, "dirty_data")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    settings = {"height": SIZE[0], "width": SIZE[1], "batch_size": 4, "epochs": arguments.epochs}
    settings["weights"] = weights_used()
    runs = runs_so_far(arguments.out, settings, parser)
    done = {key_of(run) for run in runs}
    order = [(kind, share, seed) for seed in arguments.seeds for kind, share in ARMS]
    cases = [
        {"kind": kind, "share": share, "seed": seed, "epochs": arguments.epochs}
        for kind, share, seed in order
        if (kind, share, seed) not in done
    ]

    def store(more: dict) -> None:
        figures = {"threads": 1, "settings": settings, "summary": summary(runs), **more, "runs": runs}
        write_record(arguments.out, "IoU on clean validation masks after training on spoiled ones", figures)

    for run in side_by_side(train, cases):
        print({key: value for key, value in run.items() if key != "judged_by_spoiled"}, flush=True)
        runs.append(run)
        runs.sort(key=lambda run: order.index(key_of(run)))
        store({})
    short = {kind: train_shortly(kind, share) for kind, share in (("clean", 0.0), ("exchanged", 0.5))}
    looks = look_at_all(arguments.seeds)
    store({"short": {"epochs": SHORT, "iou": short}, "doctor": looks})
    print(json.dumps(summary(runs), indent=1), *looks, short, sep="\n")


if __name__ == "__main__":
    main()
