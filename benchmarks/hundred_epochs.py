"""Are 100 epochs overkill? The notes' training in full, and ours with three schedules, epoch by epoch.

All at 320 wide and 240 high, from the bundled weights, in batches of 4, 8 steps an epoch, three seeds. Recorded after
each epoch: the training loss, loss and IoU on the 16 validation pictures, steps and seconds of training so far.

- notes: MSE, Adam at 1e-5, no augmentation, 100 epochs: the recipe of the notes.
- notes at 1e-3: the same with a learning rate that notebook 06 finds better; it shows over-fitting if there is any.
- notes, augmented: the recipe of the notes on pictures that are changed at random each time.
- ours: BCE and Dice, Adam at 1e-3 and at 5e-3 for the head, a warm-up, then the poly schedule; 30 epochs; no
  augmentation.
- constant, plateau, poly: the same with AdamW and augmentation. After its warm-up the rate stays, for 100 epochs; or is
  halved when the validation loss has not improved for five epochs (ReduceLROnPlateau); or falls to 0 (poly).

"notes" and "ours" differ in loss and learning rate only, and so do "notes, augmented" and "poly". So they are also two
races: how many steps and seconds does each need to a share of the ceiling?

    python -m benchmarks.hundred_epochs        writes benchmarks/results/hundred_epochs.json, goes on where it stopped

The trainings run side by side, one on each core; seconds are processor time, of one core. All use `train_one_epoch` and
the convolutions of `benchmarks/common/fast_cpu.py`, in bfloat16, which halves the time. The notes' own loop takes
longer for each step (`benchmarks/cpu_step.py`), so these seconds favour the notes.
"""

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn, optim
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler, ReduceLROnPlateau
from torch.utils.data import DataLoader

from benchmarks.common.fast_cpu import speed_up
from benchmarks.common.recorded_ceiling import ceiling_at
from benchmarks.common.results import option_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from benchmarks.common.seeds import spread
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import joint_transform
from seglib.device import pick_device, seed_everything
from seglib.losses import Loss, make_loss
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
OF_EACH_EPOCH = ("train_loss", "validation_loss", "validation_iou", "lr", "steps", "seconds")
PATIENCE = 4  # of the plateau schedule: the fifth epoch without a better one halves the rate


@dataclass(frozen=True)
class Recipe:
    """What one arm trains with; `plateau` is stepped after each epoch, `scheduler` after each batch."""

    criterion: Loss
    optimizer: Optimizer
    scheduler: LRScheduler | None = None
    plateau: ReduceLROnPlateau | None = None


def recipe_of(arm: str, model: nn.Module, steps: int) -> Recipe:
    """Loss, optimizer and schedule of an arm, for a training of so many steps."""
    if arm.startswith("notes"):
        lr = 1e-3 if arm == "notes at 1e-3" else 1e-5
        return Recipe(make_loss("mse"), optim.Adam(model.parameters(), lr=lr))
    criterion = make_loss("bce_dice")
    optimizer = make_optimizer(model, "adam" if arm == "ours" else "adamw", lr=1e-3, head_lr=5e-3)
    warmup = min(8, steps - 1)
    if arm == "plateau":
        scheduler = LinearLR(optimizer, 0.01, 1.0, total_iters=warmup)
        return Recipe(criterion, optimizer, scheduler, ReduceLROnPlateau(optimizer, factor=0.5, patience=PATIENCE))
    name = "constant" if arm == "constant" else "poly"
    return Recipe(criterion, optimizer, make_scheduler(optimizer, name, steps, warmup))


def loaders_of(arm: str, seed: int, files: Path, size: tuple[int, int]) -> tuple[DataLoader, DataLoader]:
    """Training batches, augmented or not, and validation batches."""
    split = read_split(SAMPLES / "split.json")
    folders = files / "images", files / "masks"
    unchanged = arm in AS_THEY_ARE
    train = CustomDataset(*folders, joint_transform=joint_transform(size, train=not unchanged)).subset(split.train)
    validation = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation)
    shown: Any = list(train) if unchanged else train  # without augmentation one decoding is enough
    return make_loaders(shown, list(validation), batch_size=4, seed=seed)


def train(arm: str, seed: int, files: Path, size: tuple[int, int], epochs: int) -> dict[str, Any]:
    """One training; the record of its epochs."""
    seed_everything(seed)
    device = pick_device("cpu")
    train_dataloader, validation_dataloader = loaders_of(arm, seed, files, size)
    model = build_deeplab(verbose=False)
    recipe = recipe_of(arm, model, epochs * len(train_dataloader))
    row: dict[str, Any] = {"arm": arm, "seed": seed} | {key: [] for key in OF_EACH_EPOCH}
    fast = speed_up(model)  # the same parameters
    seconds = 0.0
    for epoch in range(1, epochs + 1):
        begin = time.process_time()
        loss = train_one_epoch(
            fast, train_dataloader, recipe.criterion, recipe.optimizer, device, scheduler=recipe.scheduler
        )
        seconds += time.process_time() - begin
        measured = evaluate(fast, validation_dataloader, recipe.criterion, device)
        lr = recipe.optimizer.param_groups[0]["lr"]
        values = (loss, measured.loss, measured.iou, lr, epoch * len(train_dataloader), round(seconds, 2))
        for key, value in zip(OF_EACH_EPOCH, values, strict=True):
            row[key].append(float(f"{value:.5g}"))
        if recipe.plateau:
            recipe.plateau.step(measured.loss)
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
            table[arm][f"{name}_spread"] = round(spread(values), 4)
    return table


def first_to(runs: list[dict[str, Any]], iou: float) -> dict[str, Any]:
    """Medians of steps and seconds until the IoU was reached. A run that did not reach it counts with all it had."""
    reached = [[score >= iou for score in run["validation_iou"]] for run in runs]
    places = [epochs.index(True) if any(epochs) else -1 for epochs in reached]
    row: dict[str, Any] = {
        unit: statistics.median(run[unit][place] for run, place in zip(runs, places, strict=True))
        for unit in ("steps", "seconds")
    }
    return row | {"reached": sum(place >= 0 for place in places), "runs": len(runs)}


def race(runs: list[dict[str, Any]], ceiling: float, arms: dict[str, str]) -> list[dict[str, Any]]:
    """For each share of the ceiling, when the notes' recipe and ours reached it; empty until both have a run."""
    runs_of = {name: [run for run in runs if run["arm"] == arm] for name, arm in arms.items()}
    if not all(runs_of.values()):
        return []
    table = []
    for share in SHARES:
        row: dict[str, Any] = {"share": share, "iou": round(share * ceiling, 4)}
        row |= {name: first_to(here, share * ceiling) for name, here in runs_of.items()}
        if row["ours"]["reached"] == row["ours"]["runs"]:
            for unit in ("steps", "seconds"):
                row[f"ratio_of_{unit}"] = round(row["notes"][unit] / row["ours"][unit], 2)
            row["at_least"] = row["notes"]["reached"] < row["notes"]["runs"]
        table.append(row)
    return table


def figures_of(runs: list[dict[str, Any]], settings: dict[str, Any], ceiling: float) -> dict[str, Any]:
    races = {kind: {"arms": arms, "rows": race(runs, ceiling, arms)} for kind, arms in RACES.items()}
    return {
        "threads": 1,
        "settings": settings,
        "ceiling": ceiling,
        "summary": summary(runs),
        "race": races,
        "runs": runs,
    }


def main() -> None:
    parser = option_parser(__doc__, "hundred_epochs")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=int, help="for every arm; for a quick try")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), metavar=("HEIGHT", "WIDTH"))
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    settings = {"height": size[0], "width": size[1], "batch_size": 4, "plateau_patience": PATIENCE}
    settings["weights"] = weights_used()
    runs = runs_so_far(arguments.out, settings, parser)
    ceiling = ceiling_at(size)
    done = {(run["arm"], run["seed"]) for run in runs}
    todo = [(arm, seed) for seed in arguments.seeds for arm in arguments.arms if (arm, seed) not in done]
    what = "training and validation curves of the notes' 100 epochs, and of ours"
    with shrunk_copies(sample_files(), size) as files:
        cases = [
            {"arm": arm, "seed": seed, "files": files, "size": size, "epochs": arguments.epochs or ARMS[arm]}
            for arm, seed in todo
        ]
        for run in side_by_side(train, cases):
            reached = f"IoU {run['validation_iou'][-1]:.3f}, {run['seconds'][-1]:.0f} s"
            print(run["arm"], run["seed"], reached, flush=True)
            runs = sorted([*runs, run], key=lambda run: (list(ARMS).index(run["arm"]), run["seed"]))
            write_record(arguments.out, what, figures_of(runs, settings, ceiling), indent=None)
    print(json.dumps([summary(runs), [race(runs, ceiling, arms) for arms in RACES.values()]], indent=1))


if __name__ == "__main__":
    main()
