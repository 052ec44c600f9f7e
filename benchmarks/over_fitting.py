"""How soon does a model over-fit to few pictures, and what does joint augmentation do about it?

The first 4, 8, 16 and all 32 training pictures, each with the joint augmentation of notebook 02 and without, three
seeds, at 160 wide and 120 high: 24 trainings from the bundled weights with the same number of steps, batches of 4, BCE
and Dice, AdamW at 1e-3 and at 5e-3 for the head, a constant rate, so that a longer training is the same training.
Measured on the way: loss and IoU on the pictures trained on, as they are, and on the 16 validation pictures. The
convolutions are those of `benchmarks/common/fast_cpu.py`, in bfloat16, which halves the time.

    python -m benchmarks.over_fitting        writes benchmarks/results/over_fitting.json; goes on where it was stopped
"""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from benchmarks.common.fast_cpu import speed_up
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

COUNTS = (4, 8, 16, 32)  # training pictures
SEEDS = (0, 1, 2)
STEPS = 320
EVERY = 32  # steps between two measurements
WAYS = {"augmented": True, "as they are": False}
CPU = pick_device("cpu")


@dataclass(frozen=True)
class Loaders:
    """The batches to train on, and the pictures to measure on, without augmentation."""

    train: DataLoader
    measured: dict[str, DataLoader]  # "train" and "validation"


def make_all_loaders(files: Path, count: int, way: str, seed: int, size: tuple[int, int]) -> Loaders:
    """The first `count` training pictures, augmented or not, and the validation pictures."""
    folders = files / "images", files / "masks"
    split = read_split(SAMPLES / "split.json")
    plain = CustomDataset(*folders, joint_transform=joint_transform(size, train=False))
    train = list(plain.subset(split.train[:count]))
    validation = list(plain.subset(split.validation))
    shown: Any = train
    if WAYS[way]:
        shown = CustomDataset(*folders, joint_transform=joint_transform(size, train=True)).subset(split.train[:count])
    train_dataloader, validation_dataloader = make_loaders(shown, validation, batch_size=4, seed=seed)
    unchanged_dataloader, _ = make_loaders(train, validation, batch_size=4)
    return Loaders(train_dataloader, {"train": unchanged_dataloader, "validation": validation_dataloader})


def measure(model: nn.Module, measured: dict[str, DataLoader], criterion: Loss) -> dict[str, float]:
    mark = {}
    for name, loader in measured.items():
        evaluation = evaluate(model, loader, criterion, CPU)
        mark |= {f"{name}_loss": round(evaluation.loss, 5), f"{name}_iou": round(evaluation.iou, 4)}
    return mark


def train(*, pictures: int, way: str, seed: int, files: Path, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """One training; what was measured after every `EVERY` steps."""
    seed_everything(seed)
    loaders = make_all_loaders(files, pictures, way, seed, size)
    model = build_deeplab(verbose=False)
    criterion = make_loss("bce_dice")
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3)
    scheduler = make_scheduler(optimizer, "constant", steps, warmup=min(8, steps - 1))
    fast = speed_up(model)  # the same parameters
    marks = []
    for step in range(len(loaders.train), steps + 1, len(loaders.train)):
        train_one_epoch(fast, loaders.train, criterion, optimizer, CPU, scheduler=scheduler)
        if step % min(EVERY, steps) == 0:
            marks.append({"step": step} | measure(fast, loaders.measured, criterion))
    return {"pictures": pictures, "way": way, "seed": seed, "marks": marks}


def summary(runs: list[dict]) -> list[dict]:
    """By number of pictures and way: mean and spread at the last mark, and where the validation loss was least."""
    choices = [(count, way) for count in COUNTS for way in WAYS]
    by_choice = {choice: [run for run in runs if (run["pictures"], run["way"]) == choice] for choice in choices}
    return [summary_of_choice(*choice, here) for choice, here in by_choice.items() if here]


def summary_of_choice(count: int, way: str, runs: list[dict]) -> dict[str, Any]:
    row: dict[str, Any] = {"pictures": count, "way": way, "seeds": len(runs)}
    for name in ("train_iou", "validation_iou", "train_loss", "validation_loss"):
        values = [run["marks"][-1][name] for run in runs]
        row[name] = round(statistics.mean(values), 4)
        row[f"{name}_spread"] = round(spread(values), 4)
    lowest = [min(run["marks"], key=lambda mark: mark["validation_loss"])["step"] for run in runs]
    return row | {"least_validation_loss_at_step": lowest}


def main() -> None:
    parser = option_parser(__doc__, "over_fitting")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--size", type=int, nargs=2, default=(120, 160), metavar=("HEIGHT", "WIDTH"))
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    settings = {
        "height": size[0],
        "width": size[1],
        "batch_size": 4,
        "steps": arguments.steps,
        "weights": weights_used(),
    }
    runs = runs_so_far(arguments.out, settings, parser)
    done = {(run["pictures"], run["way"], run["seed"]) for run in runs}
    todo = [(count, way, seed) for seed in arguments.seeds for count in COUNTS for way in WAYS]
    what = "over-fitting to few pictures, with and without augmentation"
    with shrunk_copies(sample_files(), size) as files:
        shared = {"files": files, "size": size, "steps": arguments.steps}
        cases = [
            {"pictures": count, "way": way, "seed": seed, **shared}
            for count, way, seed in todo
            if (count, way, seed) not in done
        ]
        for run in side_by_side(train, cases):
            print(run["pictures"], run["way"], run["seed"], run["marks"][-1], flush=True)
            runs = sorted([*runs, run], key=lambda run: (run["pictures"], run["way"], run["seed"]))
            figures = {"threads": 1, "settings": settings, "summary": summary(runs), "runs": runs}
            write_record(arguments.out, what, figures, indent=None)
    print(json.dumps(summary(runs), indent=1))


if __name__ == "__main__":
    main()
