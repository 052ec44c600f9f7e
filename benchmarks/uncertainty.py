"""How sure is a score on 16 pictures, and what is the mean of the weights of ten epochs worth?

Every training starts from the bundled weights: 32 pictures, 160 wide and 120 high, with the joint augmentation of
notebook 02, in batches of 4, BCE and Dice, AdamW at 1e-3 and at 5e-3 for the head, a warm-up of 8 steps, 30 epochs.
The other 16 pictures judge. After each epoch, the intersection and the union of each of the 16 are stored, so that any
score can be worked out afterwards: a bootstrap over the pictures, the best epoch chosen by some of them and judged by
others.

- constant, split.json: the rate stays; the fixed split, four seeds.
- poly, split.json: the rate falls to 0 by a plan; the fixed split, the same four seeds.
- constant, folds: the rate stays; the 48 pictures of the fixed split are divided at random into three parts, and each
  part is left out once. Three such divisions, each with a seed of its own.

At the end of each training, three models are measured: the last weights, and the mean of the weights after each of
the last ten epochs, once with BatchNorm's averages of the last epoch, and once with averages that are taken anew over
the training pictures (torch.optim.swa_utils.update_bn). The convolutions are those of `benchmarks/common/fast_cpu.py`,
in bfloat16, which halves the time. The test pictures are not touched.

    python -m benchmarks.uncertainty                     writes benchmarks/results/uncertainty.json; goes on where it
                                                         stopped
    python -m benchmarks.uncertainty --tiny --out FILE   a minute, to see that it runs
"""

import json
import statistics
import time
from pathlib import Path
from typing import Any

from torch.optim.swa_utils import AveragedModel, update_bn

from benchmarks.common.fast_cpu import speed_up
from benchmarks.common.results import refuse_a_tiny_record, trainings_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from benchmarks.common.seeds import spread
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split, k_folds, read_split
from seglib.data.transforms import joint_transform
from seglib.device import pick_device, seed_everything
from seglib.lesson.common.short_training import SIZE
from seglib.lesson.when_to_stop.uncertainty import Counts, counts_by_picture, interval, iou_of
from seglib.lesson.when_to_stop.uncertainty_record import counts_of, ious_by_epoch
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import train_one_epoch

ARMS = {"constant, split.json": "constant", "poly, split.json": "poly", "constant, folds": "constant"}
SEEDS = tuple(range(4))  # on the fixed split
DIVISIONS = tuple(range(3))  # into folds
FOLDS = 3
EPOCHS = 30
LAST = 10  # epochs whose weights are averaged
WARMUP = 8  # steps
WAYS = ("last", "mean", "mean, BatchNorm of the last epoch")


def key_of(run: dict[str, Any]) -> tuple:
    return run["arm"], run["seed"], run["fold"]


def split_of(arm: str, seed: int, fold: int) -> Split:
    """The fixed split, or one in which the pictures of a fold judge; never the test pictures."""
    fixed = read_split(SAMPLES / "split.json")
    if arm != "constant, folds":
        return fixed
    return k_folds([*fixed.train, *fixed.validation], FOLDS, seed)[fold]


def as_lists(counts: Counts) -> dict[str, list[int]]:
    return {"intersections": counts[0].tolist(), "unions": counts[1].tolist()}


def train(
    arm: str, seed: int, fold: int, *, files: Path, size: tuple[int, int], epochs: int, last: int, tiny: bool
) -> dict[str, Any]:
    """One training; returns the row that is stored."""
    seed_everything(seed)
    device = pick_device()
    folders = files / "images", files / "masks"
    split = split_of(arm, seed, fold)
    train_stems = split.train[:8] if tiny else split.train
    shown = CustomDataset(*folders, joint_transform=joint_transform(size, train=True)).subset(train_stems)
    judges: Any = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation)
    train_dataloader, validation_dataloader = make_loaders(shown, list(judges), batch_size=4, seed=seed)
    model = build_deeplab(num_classes=1, verbose=False).to(device)
    criterion = make_loss("bce_dice")
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3)
    steps = epochs * len(train_dataloader)
    scheduler = make_scheduler(optimizer, ARMS[arm], steps, warmup=min(WARMUP, steps - 1))
    fast = speed_up(model)  # the same parameters
    averaged = AveragedModel(fast)
    by_epoch: dict[str, list[list[int]]] = {"intersections": [], "unions": []}
    losses = []
    begin = time.process_time()
    for epoch in range(1, epochs + 1):
        losses.append(train_one_epoch(fast, train_dataloader, criterion, optimizer, device, scheduler=scheduler))
        if epoch > epochs - last:
            averaged.update_parameters(fast)
        counts = as_lists(counts_by_picture(fast, validation_dataloader, criterion, device))
        for name, values in counts.items():
            by_epoch[name].append(values)
    ways = {WAYS[2]: counts_by_picture(averaged, validation_dataloader, criterion, device)}
    update_bn(train_dataloader, averaged, device)
    ways[WAYS[1]] = counts_by_picture(averaged, validation_dataloader, criterion, device)
    return {
        "arm": arm,
        "seed": seed,
        "fold": fold,
        "pictures": split.validation,
        "train_loss": [float(f"{loss:.5g}") for loss in losses],
        "epochs": by_epoch,
        "ways": {way: as_lists(counts) for way, counts in ways.items()},
        "seconds": round(time.process_time() - begin, 1),
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """For each arm and way: mean and spread of the IoU over its runs, and the gain over the last weights, run by run.

    "trembles" is the standard deviation of the IoU over the last ten epochs, averaged over the runs; "interval" the
    mean lower and upper end of the bootstrap of one run.
    """
    table: dict[str, Any] = {}
    for arm in ARMS:
        here = [run for run in runs if run["arm"] == arm]
        if not here:
            continue
        rows: dict[str, Any] = {"runs": len(here)}
        for way in WAYS:
            ious = [iou_of(counts_of(run, way)) for run in here]
            gains = [iou - iou_of(counts_of(run, "last")) for iou, run in zip(ious, here, strict=True)]
            rows[way] = {
                "iou": round(statistics.mean(ious), 4),
                "iou_spread": round(spread(ious), 4),
                "gain": round(statistics.mean(gains), 4),
                "gain_spread": round(spread(gains), 4),
                "higher": sum(gain > 0 for gain in gains),
            }
        ends = [interval(counts_of(run, "last")) for run in here]
        rows["interval"] = [round(statistics.mean(end), 4) for end in zip(*ends, strict=True)]
        rows["trembles"] = round(statistics.mean(trembling(run) for run in here), 4)
        table[arm] = rows
    return table


def trembling(run: dict[str, Any]) -> float:
    """The standard deviation of the IoU over the last ten epochs."""
    return spread(ious_by_epoch(run)[-LAST:])


def cases(seeds: tuple[int, ...], divisions: tuple[int, ...]) -> list[dict[str, Any]]:
    """Arm, seed and fold of all trainings."""
    fixed = [{"arm": arm, "seed": seed, "fold": 0} for arm in list(ARMS)[:2] for seed in seeds]
    folds = [{"arm": "constant, folds", "seed": seed, "fold": fold} for seed in divisions for fold in range(FOLDS)]
    return [*fixed, *folds]


def main() -> None:
    parser = trainings_parser(__doc__, "uncertainty")
    arguments = parser.parse_args()
    refuse_a_tiny_record(arguments, parser)
    size = (48, 64) if arguments.tiny else SIZE
    epochs = 3 if arguments.tiny else EPOCHS
    last = 2 if arguments.tiny else LAST
    settings = {
        "height": size[0],
        "width": size[1],
        "epochs": epochs,
        "averaged_epochs": last,
        "batch_size": 4,
        "folds": FOLDS,
        "weights": weights_used(),
    }
    what = "intersection and union of each validation picture after each epoch, and with averaged weights"
    runs = runs_so_far(arguments.out, settings, parser)
    done = {key_of(run) for run in runs}
    todo = cases(SEEDS[:1], DIVISIONS[:1]) if arguments.tiny else cases(SEEDS, DIVISIONS)
    order = [key_of(case) for case in todo]
    with shrunk_copies(sample_files(), size) as files:
        shared = {"files": files, "size": size, "epochs": epochs, "last": last, "tiny": arguments.tiny}
        left = [{**case, **shared} for case in todo if key_of(case) not in done]
        for run in side_by_side(train, left, arguments.processes):
            scores = {way: round(iou_of(counts_of(run, way)), 4) for way in WAYS}
            print(*key_of(run), scores, run["seconds"], flush=True)
            runs = sorted([*runs, run], key=lambda run: order.index(key_of(run)))
            figures = {"threads": 1, "settings": settings, "summary": summary(runs), "runs": runs}
            write_record(arguments.out, what, figures, indent=None)
    print(json.dumps(summary(runs), indent=1))


if __name__ == "__main__":
    main()
