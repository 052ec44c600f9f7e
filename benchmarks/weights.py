"""What are the bundled weights worth? Fine-tuning from them against fine-tuning from random weights, on the samples.

Both sides get the same: 32 training pictures 320 wide and 240 high (from copies 640 wide, made once: decoding the full
photographs would take a third of the time), the same augmentation, loss (BCE and Dice), batch size, number of steps,
schedule, BatchNorm momentum (0.1), seeds, and the same three learning rates to choose from; the head's is five times
the backbone's, on both sides. Each side is then judged at the learning rate with the best mean over its seeds. What is
measured is the IoU of fruit on the 16 validation pictures, from one confusion matrix, and its share of the ceiling
(`benchmarks/ceiling.py`). On both sides the convolutions are those of `benchmarks/common/fast_cpu.py`, in bfloat16,
which halves the time.

    python -m benchmarks.weights        writes benchmarks/results/weights.json; goes on where it was stopped
"""

import itertools
import statistics
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from benchmarks.common.fast_cpu import speed_up
from benchmarks.common.recorded_ceiling import ceiling_at
from benchmarks.common.results import option_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import joint_transform
from seglib.device import Timer, pick_device, seed_everything
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, train_one_epoch

SIZE = (240, 320)  # (height, width)
SIZE_OF_COPIES = (480, 640)
BATCH_SIZE = 4
STEPS = 120  # fifteen times through the 32 pictures: about 60 s on two cores
LEARNING_RATES = (5e-4, 1e-3, 2e-3)  # of the backbone
HEAD_FACTOR = 5  # the head's rate is so many times that of the backbone
SEEDS = (0, 1, 2)
SIDES = ("bundled", "random")


def loaders(small: Path, seed: int) -> tuple[DataLoader, DataLoader]:
    """Augmented training batches of the copies in `small`, and validation batches of the photographs themselves."""
    train = CustomDataset(small / "images", small / "masks", joint_transform=joint_transform(SIZE, train=True))
    plain = joint_transform(SIZE, train=False)
    validation = CustomDataset(SAMPLES / "images", SAMPLES / "masks", joint_transform=plain)
    stems = read_split(SAMPLES / "split.json").validation
    return make_loaders(train, validation.subset(stems), BATCH_SIZE, seed=seed)


def fine_tune(weights: str, lr: float, seed: int, steps: int, small: Path) -> dict:
    """Trains once on the copies in `small`; returns the row that is stored."""
    device = pick_device("cpu")
    criterion = make_loss("bce_dice")
    seed_everything(seed)
    train_dataloader, validation_dataloader = loaders(small, seed)
    start = None if weights == "random" else weights
    model: torch.nn.Module = build_deeplab(weights=start, batchnorm_momentum=0.1, verbose=False).to(device)
    optimizer = make_optimizer(model, "adamw", lr=lr, head_lr=HEAD_FACTOR * lr, weight_decay=1e-4)
    scheduler = make_scheduler(optimizer, "poly", steps, warmup=8)
    fast = speed_up(model)  # the same parameters
    left = steps
    with Timer(device) as timer:
        while left:  # an epoch at a time; the last may be cut short, so that the number of steps is exact
            batches = itertools.islice(train_dataloader, min(left, len(train_dataloader)))
            loss = train_one_epoch(fast, batches, criterion, optimizer, device, scheduler=scheduler)
            left -= min(left, len(train_dataloader))
    evaluation = evaluate(fast, validation_dataloader, criterion, device)
    return {
        "weights": weights,
        "lr": lr,
        "seed": seed,
        "steps": steps,
        "iou": round(evaluation.iou, 4),
        "train_loss": round(loss, 4),
        "train_seconds": round(timer.seconds, 1),
    }


def summary(runs: list[dict], ceiling: float) -> dict:
    """Mean and spread (standard deviation of the seeds) of each side at each learning rate, and the best of each."""
    table = []
    for side, lr in itertools.product(SIDES, LEARNING_RATES):
        ious = [run["iou"] for run in runs if (run["weights"], run["lr"]) == (side, lr)]
        if len(ious) == len(SEEDS):
            mean = statistics.mean(ious)
            row = {"weights": side, "lr": lr}
            row |= {"iou_mean": round(mean, 4), "iou_spread": round(statistics.stdev(ious), 4)}
            table.append(row | {"share_of_ceiling": round(mean / ceiling, 4)})
    best = {}
    for side in SIDES:
        rows = [row for row in table if row["weights"] == side]
        if rows:
            best[side] = max(rows, key=lambda row: row["iou_mean"])
    gain = round(best["bundled"]["iou_mean"] - best["random"]["iou_mean"], 4) if len(best) == 2 else None
    return {"ceiling": ceiling, "table": table, "best": best, "gain": gain}


def main() -> None:
    parser = option_parser(__doc__, "weights")
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    ceiling = ceiling_at(SIZE)
    settings = {
        "size_height_width": list(SIZE),
        "batch_size": BATCH_SIZE,
        "loss": "bce_dice",
        "batchnorm_momentum": 0.1,
        "optimizer": "adamw",
        "head_lr_factor": HEAD_FACTOR,
        "schedule": "poly, 8 steps of warm-up",
        "steps": arguments.steps,
        "weights": weights_used(),
    }
    runs = runs_so_far(arguments.out, settings, parser)
    done = {(run["weights"], run["lr"], run["seed"]) for run in runs}
    # Seeds outermost: if it is stopped early, both sides have had as much.
    todo = [(side, lr, seed) for seed in SEEDS for lr in LEARNING_RATES for side in SIDES]
    what = "IoU of fruit on the validation pictures after fine-tuning: bundled against random weights"
    training_files = sample_files().subset(read_split(SAMPLES / "split.json").train)
    with shrunk_copies(training_files, SIZE_OF_COPIES) as small:
        cases = [
            {"weights": side, "lr": lr, "seed": seed, "steps": arguments.steps, "small": small}
            for side, lr, seed in todo
            if (side, lr, seed) not in done
        ]
        for row in side_by_side(fine_tune, cases):
            print(row, flush=True)
            runs = sorted([*runs, row], key=lambda run: (run["seed"], run["lr"], run["weights"]))
            write_record(arguments.out, what, {"settings": settings, **summary(runs, ceiling), "runs": runs})


if __name__ == "__main__":
    main()
