"""What are the bundled weights worth? Fine-tuning from them against fine-tuning from random weights, on the samples.

Both sides get the same: 32 training pictures 320 wide and 240 high (from copies 640 wide, made once: decoding the full
photographs would take a third of the time), the same augmentation, loss (BCE and Dice), batch size, number of steps,
schedule, BatchNorm momentum (0.1), seeds, and the same three learning rates to choose from; the head's is five times
the backbone's, on both sides. Each side is then judged at the learning rate with the best mean over its seeds. What is
measured is the IoU of fruit on the 16 validation pictures, from one confusion matrix, and its share of the ceiling
(`ceiling.py`). Both sides compute as `benchmarks/common/fast_cpu.py` does, convolutions in bfloat16: half of the time.

    python benchmarks/weights.py        writes benchmarks/results/weights.json; goes on where it was stopped
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from pathlib import Path

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
from seglib.device import Timer, pick_device, seed_everything
from seglib.lesson.common.small_dataset import write_small
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, train_one_epoch

SIZE, COPIES = (240, 320), (480, 640)  # (height, width)
BATCH_SIZE = 4
STEPS = 120  # fifteen times through the 32 pictures: about 60 s on two cores
LEARNING_RATES, HEAD_FACTOR = (5e-4, 1e-3, 2e-3), 5  # of the backbone; the head's is so many times that
SEEDS = (0, 1, 2)


def fine_tune(weights: str, lr: float, seed: int, steps: int, samples: Path, small: Path) -> dict:
    """Trains once on the copies in `small`; returns the row that is stored."""
    device, criterion = pick_device("cpu"), make_loss("bce_dice")
    seed_everything(seed)
    train = CustomDataset(small / "images", small / "masks", joint_transform=joint_transform(SIZE, train=True))
    validation = CustomDataset(
        samples / "images", samples / "masks", joint_transform=joint_transform(SIZE, train=False)
    ).subset(read_split(samples / "split.json").validation)
    train_dataloader, validation_dataloader = make_loaders(train, validation, BATCH_SIZE, seed=seed)
    model = build_deeplab(
        num_classes=1, weights=None if weights == "random" else weights, batchnorm_momentum=0.1, verbose=False
    ).to(device)
    optimizer = make_optimizer(model, "adamw", lr=lr, head_lr=HEAD_FACTOR * lr, weight_decay=1e-4)
    schedule, fast = make_scheduler(optimizer, "poly", steps, warmup=8), speed_up(model)  # the same parameters
    left = steps
    with Timer(device) as timer:
        while left:  # an epoch at a time; the last may be cut short, so that the number of steps is exact
            batches = itertools.islice(train_dataloader, min(left, len(train_dataloader)))
            loss = train_one_epoch(fast, batches, criterion, optimizer, device, schedule)
            left -= min(left, len(train_dataloader))
    evaluation = evaluate(fast, validation_dataloader, criterion, device)
    row = {"weights": weights, "lr": lr, "seed": seed, "steps": steps, "iou": round(evaluation.iou, 4)}
    return row | {"train_loss": round(loss, 4), "train_seconds": round(timer.seconds, 1)}


def summarise(runs: list[dict], ceiling: float) -> dict:
    """Mean and spread (standard deviation of the seeds) of each side at each learning rate, and the best of each."""
    table = []
    for side in ("bundled", "random"):
        for lr in LEARNING_RATES:
            ious = [run["iou"] for run in runs if (run["weights"], run["lr"]) == (side, lr)]
            if len(ious) == len(SEEDS):
                mean, spread = statistics.mean(ious), statistics.stdev(ious)
                row = {"weights": side, "lr": lr, "iou_mean": round(mean, 4), "iou_spread": round(spread, 4)}
                table.append(row | {"share_of_ceiling": round(mean / ceiling, 4)})
    best = {}
    for side in ("bundled", "random"):
        if rows := [row for row in table if row["weights"] == side]:
            best[side] = max(rows, key=lambda row: row["iou_mean"])
    gain = best["bundled"]["iou_mean"] - best["random"]["iou_mean"] if len(best) == 2 else None
    return {"ceiling": ceiling, "table": table, "best": best, "gain": gain if gain is None else round(gain, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--samples", type=Path, default=ROOT / "data_samples")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "weights.json")
    args = parser.parse_args()

    ceiling = ceiling_at(SIZE)
    settings = {"size_height_width": list(SIZE), "batch_size": BATCH_SIZE, "loss": "bce_dice"}
    settings |= {"batchnorm_momentum": 0.1, "optimizer": "adamw", "head_lr_factor": HEAD_FACTOR}
    settings |= {"schedule": "poly, 8 steps of warm-up", "steps": args.steps, "weights": weights_used()}
    runs = runs_so_far(args.output, settings, parser)
    done = {(run["weights"], run["lr"], run["seed"]) for run in runs}
    # Seeds outermost: if it is stopped early, both sides have had as much.
    todo = [(side, lr, seed) for seed in SEEDS for lr in LEARNING_RATES for side in ("bundled", "random")]
    args.output.parent.mkdir(exist_ok=True)
    scratch = tempfile.TemporaryDirectory()
    files = CustomDataset(args.samples / "images", args.samples / "masks")
    small = Path(scratch.name) / "small"
    write_small(files.subset(read_split(args.samples / "split.json").train), small, size=COPIES)
    cases = [
        (side, lr, seed, args.steps, args.samples, small) for side, lr, seed in todo if (side, lr, seed) not in done
    ]
    for row in side_by_side(fine_tune, cases):
        runs = sorted([*runs, row], key=lambda run: (run["seed"], run["lr"], run["weights"]))
        print(row, flush=True)
        what = "IoU of fruit on the validation pictures after fine-tuning: bundled against random weights"
        result = {"what": what, "machine": machine(), "settings": settings, **summarise(runs, ceiling), "runs": runs}
        args.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
