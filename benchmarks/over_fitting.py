"""How soon does a model learn few pictures by heart, and what does joint augmentation do about it?

The first 4, 8, 16 and all 32 training pictures, each with the joint augmentation of notebook 02 and without, three
seeds, at 160 wide and 120 high: 24 trainings from the bundled weights with the same number of steps, batches of 4, BCE
and Dice, AdamW at 1e-3 and at 5e-3 for the head, a constant rate, so that a longer training is the same training.
Measured on the way: loss and IoU on the pictures trained on, as they are, and on the 16 validation pictures. The
convolutions are those of `benchmarks/common/fast_cpu.py`, in bfloat16: half of the time.

    python benchmarks/over_fitting.py        writes benchmarks/results/over_fitting.json; goes on where it was stopped
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

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

COUNTS, SEEDS, STEPS, EVERY = (4, 8, 16, 32), (0, 1, 2), 320, 32
WAYS = {"augmented": True, "as they are": False}


def train(count: int, way: str, seed: int, files: Path, split_file: Path, size: tuple[int, int], steps: int) -> dict:
    """One training; what was measured after every `EVERY` steps."""
    seed_everything(seed)
    split = read_split(split_file)
    varied, plain = (
        CustomDataset(files / "images", files / "masks", joint_transform=joint_transform(size, train=random))
        for random in (WAYS[way], False)
    )
    known, unknown = list(plain.subset(split.train[:count])), list(plain.subset(split.validation))
    pictures = varied.subset(split.train[:count]) if WAYS[way] else known
    train_dataloader, validation_dataloader = make_loaders(pictures, unknown, batch_size=4, seed=seed)
    known_dataloader, _ = make_loaders(known, unknown, batch_size=4)
    model, criterion, device = build_deeplab(verbose=False), make_loss("bce_dice"), pick_device("cpu")
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3)
    fast = speed_up(model)  # the same parameters
    schedule = make_scheduler(optimizer, "constant", steps, warmup=min(8, steps - 1))
    row: dict[str, Any] = {"pictures": count, "way": way, "seed": seed, "marks": []}
    for step in range(len(train_dataloader), steps + 1, len(train_dataloader)):
        train_one_epoch(fast, train_dataloader, criterion, optimizer, device, schedule)
        if step % min(EVERY, steps) == 0:
            mark: dict[str, Any] = {"step": step}
            for name, loader in (("train", known_dataloader), ("validation", validation_dataloader)):
                measured = evaluate(fast, loader, criterion, device)
                mark |= {f"{name}_loss": round(measured.loss, 5), f"{name}_iou": round(measured.iou, 4)}
            row["marks"].append(mark)
    return row


def summary(runs: list[dict]) -> list[dict]:
    """By number of pictures and way: mean and spread at the last mark, and where the validation loss was least."""
    rows = []
    for count in COUNTS:
        for way in WAYS:
            here = [run for run in runs if (run["pictures"], run["way"]) == (count, way)]
            if not here:
                continue
            row: dict[str, Any] = {"pictures": count, "way": way, "seeds": len(here)}
            for name in ("train_iou", "validation_iou", "train_loss", "validation_loss"):
                values = [run["marks"][-1][name] for run in here]
                row[name] = round(statistics.mean(values), 4)
                row[f"{name}_spread"] = round(statistics.stdev(values), 4) if len(values) > 1 else 0.0
            lowest = [min(run["marks"], key=lambda mark: mark["validation_loss"])["step"] for run in here]
            rows.append(row | {"least_validation_loss_at_step": lowest})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=ROOT / "data_samples")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--size", type=int, nargs=2, default=(120, 160), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "over_fitting.json")
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    settings = {"height": size[0], "width": size[1], "batch_size": 4, "steps": arguments.steps}
    settings["weights"] = weights_used()
    runs = runs_so_far(arguments.out, settings, parser)
    done = {(run["pictures"], run["way"], run["seed"]) for run in runs}
    todo = [(count, way, seed) for seed in arguments.seeds for count in COUNTS for way in WAYS]
    with tempfile.TemporaryDirectory() as scratch:
        files, split_file = Path(scratch) / "small", arguments.samples / "split.json"
        write_small(CustomDataset(arguments.samples / "images", arguments.samples / "masks"), files, size=size)
        cases = [(*key, files, split_file, size, arguments.steps) for key in todo if key not in done]
        for run in side_by_side(train, cases):
            runs.append(run)
            print(run["pictures"], run["way"], run["seed"], run["marks"][-1], flush=True)
            runs.sort(key=lambda run: (run["pictures"], run["way"], run["seed"]))
            result = {"what": "few pictures learned by heart, with and without augmentation"}
            result |= {"machine": machine(), "threads": 1, "settings": settings, "summary": summary(runs), "runs": runs}
            arguments.out.write_text(json.dumps(result) + "\n", encoding="utf-8", newline="\n")
    print(json.dumps(summary(runs), indent=1))


if __name__ == "__main__":
    main()
