"""Are 100 epochs overkill? The notes' training in full, and ours with three schedules, epoch by epoch.

All at 320 wide and 240 high, from the bundled weights, in batches of 4, 8 steps an epoch, three seeds. Recorded after
each epoch: the training loss, loss and IoU on the 16 validation pictures, steps and seconds of training so far.

- notes: MSE, Adam at 1e-5, no augmentation, 100 epochs: the recipe of the notes.
- notes at 1e-3: the same with a learning rate that notebook 05 finds better; it shows over-fitting if there is any.
- notes, augmented: the recipe of the notes on pictures that are changed at random each time.
- ours: BCE and Dice, Adam at 1e-3 and at 5e-3 for the head, a rise, a planned fall; 30 epochs; no augmentation.
- constant, plateau, poly: the same with AdamW and augmentation. After its rise the rate stays, for 100 epochs; or is
  halved when the validation loss has not improved for five epochs (ReduceLROnPlateau); or falls to 0 on a plan.

"notes" and "ours" differ in loss and learning rate only, and so do "notes, augmented" and "poly". So they are also two
races: how many steps and seconds does each need to a share of the ceiling?

    python benchmarks/hundred_epochs.py        writes benchmarks/results/hundred_epochs.json, goes on where it stopped

The trainings run side by side, one on each core; seconds are processor time, of one core. All use `train_one_epoch` and
the convolutions of `benchmarks/common/fast_cpu.py`, in bfloat16: half of the time. The notes' own loop takes longer for each step
(`cpu_step.py`), so these seconds are kind to the notes.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from torch import optim

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from benchmarks.ceiling import ceiling_at
from benchmarks.common.fast_cpu import speed_up
from benchmarks.common.machine import machine
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import joint_transform
from seglib.device import pick_device, seed_everything
from seglib.lesson.common.small_dataset import write_small
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, train_one_epoch

SEEDS = (0, 1, 2)
ARMS = {  # and their epochs
    "notes": 100,
    "notes at 1e-3": 100,
    "notes, augmented": 100,
    "ours": 30,
    "constant": 100,
    "plateau": 30,
    "poly": 30,
}
AS_THEY_ARE = ("notes", "notes at 1e-3", "ours")  # these see the pictures unchanged
RACES = {  # on which pictures -> the arms of the notes' recipe and of ours
    "as they are": {"notes": "notes", "ours": "ours"},
    "augmented": {"notes": "notes, augmented", "ours": "poly"},
}
SHARES = (0.5, 0.7, 0.8, 0.85)  # of the ceiling, to race to
PATIENCE = 4  # of the plateau schedule: the fifth epoch without a better one halves the rate


def train(arm: str, seed: int, files: Path, split_file: Path, size: tuple[int, int], epochs: int) -> dict[str, Any]:
    """One training; the record of its epochs."""
    seed_everything(seed)
    plain, split = arm in AS_THEY_ARE, read_split(split_file)
    folders = files / "images", files / "masks"
    pictures = CustomDataset(*folders, joint_transform=joint_transform(size, train=not plain)).subset(split.train)
    exam = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation)
    train_pictures = list(pictures) if plain else pictures  # without augmentation one decoding is enough
    train_dataloader, validation_dataloader = make_loaders(train_pictures, list(exam), batch_size=4, seed=seed)
    model, device, schedule = build_deeplab(verbose=False), pick_device("cpu"), None
    if arm.startswith("notes"):
        criterion = make_loss("mse")
        optimizer = optim.Adam(model.parameters(), lr=1e-3 if arm == "notes at 1e-3" else 1e-5)
    else:
        criterion = make_loss("bce_dice")
        optimizer = make_optimizer(model, "adam" if arm == "ours" else "adamw", lr=1e-3, head_lr=5e-3)
        steps = epochs * len(train_dataloader)
        warmup = min(8, steps - 1)
        if arm == "plateau":  # a rise, and then hands off
            schedule = optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, total_iters=warmup)
        else:
            schedule = make_scheduler(optimizer, "constant" if arm == "constant" else "poly", steps, warmup)
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=PATIENCE)
    keys = ("train_loss", "validation_loss", "validation_iou", "lr", "steps", "seconds")
    row: dict[str, Any] = {"arm": arm, "seed": seed} | {key: [] for key in keys}
    fast, seconds = speed_up(model), 0.0  # the same parameters
    for epoch in range(1, epochs + 1):
        begin = time.process_time()
        loss = train_one_epoch(fast, train_dataloader, criterion, optimizer, device, schedule)
        seconds += time.process_time() - begin
        measured = evaluate(fast, validation_dataloader, criterion, device)
        lr, steps_so_far = optimizer.param_groups[0]["lr"], epoch * len(train_dataloader)
        values = (loss, measured.loss, measured.iou, lr, steps_so_far, round(seconds, 2))
        for key, value in zip(keys, values, strict=True):
            row[key].append(float(f"{value:.5g}"))
        if arm == "plateau":
            plateau.step(measured.loss)
    return row


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """For each arm: where the IoU peaks, what it is there and at the end; mean and spread over the seeds."""
    table: dict[str, Any] = {}
    for arm in dict.fromkeys(run["arm"] for run in runs):
        here = [run for run in runs if run["arm"] == arm]
        peaks = [max(range(len(run["validation_iou"])), key=run["validation_iou"].__getitem__) for run in here]
        numbers = {
            "peak_epoch": [peak + 1 for peak in peaks],
            "peak_iou": [run["validation_iou"][peak] for run, peak in zip(here, peaks, strict=True)],
            "last_iou": [run["validation_iou"][-1] for run in here],
            "seconds_of_an_epoch": [run["seconds"][-1] / len(run["seconds"]) for run in here],
        }
        table[arm] = {"epochs": len(here[0]["seconds"]), "seeds": len(here)}
        for name, values in numbers.items():
            table[arm][name] = round(statistics.mean(values), 4)
            table[arm][f"{name}_spread"] = round(statistics.stdev(values), 4) if len(values) > 1 else 0.0
    return table


def race(runs: list[dict[str, Any]], ceiling: float, arms: dict[str, str]) -> list[dict[str, Any]]:
    """Medians of steps and seconds to each share of the ceiling. Whoever did not reach it counts with all it had."""
    table = []
    for share in SHARES:
        row: dict[str, Any] = {"share": share, "iou": round(share * ceiling, 4)}
        for name, arm in arms.items():
            here = [run for run in runs if run["arm"] == arm]
            if not here:
                return []
            ends = [[iou >= share * ceiling for iou in run["validation_iou"]] for run in here]
            places = [reached.index(True) if any(reached) else -1 for reached in ends]
            row[name] = {
                unit: statistics.median(run[unit][place] for run, place in zip(here, places, strict=True))
                for unit in ("steps", "seconds")
            } | {"reached": sum(place >= 0 for place in places), "runs": len(here)}
        if row["ours"]["reached"] == row["ours"]["runs"]:
            for unit in ("steps", "seconds"):
                row[f"ratio_of_{unit}"] = round(row["notes"][unit] / row["ours"][unit], 2)
            row["at_least"] = row["notes"]["reached"] < row["notes"]["runs"]
        table.append(row)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=ROOT / "data_samples")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=int, help="for every arm; for a quick try")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "hundred_epochs.json")
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    settings = {"height": size[0], "width": size[1], "batch_size": 4, "plateau_patience": PATIENCE}
    settings["weights"] = weights_used()
    runs = runs_so_far(arguments.out, settings, parser)
    ceiling = ceiling_at(size)
    done = {(run["arm"], run["seed"]) for run in runs}
    todo = [(arm, seed) for seed in arguments.seeds for arm in arguments.arms if (arm, seed) not in done]
    with tempfile.TemporaryDirectory() as scratch:
        files, split_file = Path(scratch) / "small", arguments.samples / "split.json"
        write_small(CustomDataset(arguments.samples / "images", arguments.samples / "masks"), files, size=size)
        cases = [(arm, seed, files, split_file, size, arguments.epochs or ARMS[arm]) for arm, seed in todo]
        for run in side_by_side(train, cases):
            runs.append(run)
            reached = f"IoU {run['validation_iou'][-1]:.3f}, {run['seconds'][-1]:.0f} s"
            print(run["arm"], run["seed"], reached, flush=True)
            runs.sort(key=lambda run: (list(ARMS).index(run["arm"]), run["seed"]))
            result = {"what": "training and validation curves of the notes' 100 epochs, and of ours"}
            result |= {"machine": machine(), "threads": 1, "settings": settings, "ceiling": ceiling}
            races = {kind: {"arms": arms, "rows": race(runs, ceiling, arms)} for kind, arms in RACES.items()}
            result |= {"summary": summary(runs), "race": races, "runs": runs}
            arguments.out.write_text(json.dumps(result) + "\n", encoding="utf-8", newline="\n")
    print(json.dumps([summary(runs), [race(runs, ceiling, arms) for arms in RACES.values()]], indent=1))


if __name__ == "__main__":
    main()
