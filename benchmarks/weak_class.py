"""Bananas are found worst. Is it because they are rare, because the grid is coarse, or because of a short training?

Four ways, three seeds each, from the bundled weights, on the 32 training pictures with their class masks, without
augmentation, in batches of 4, with the recipe of the lessons (AdamW, 0.001, five times that for the head, poly schedule
with 8 steps of warm-up):

- short: 12 epochs, 160 wide and 120 high, cross-entropy. The baseline.
- class weights: the same, but a pixel of a rare class counts more (`balanced_class_weights`).
- finer grid: the same, but pictures 320 wide and 240 high: the model's grid has four times as many cells on them. There
  is also more to see in them, and things are larger beside those of the pretraining. The three are not told apart.
- longer: as "short", but 36 epochs.

One learning rate for all: what is compared is what each change alone does to this recipe. With another rate class
weights might do better. All are judged alike: outputs are enlarged to 320 wide and 240 high, and compared with the
masks of the 16 validation pictures at that size. Those of smaller pictures pay for that at every edge, in all classes.
So a change helps bananas only if they gain more than apples and lemons do, and in each of the three seeds, compared
seed by seed. Three seeds show no more than large differences. Stored is the confusion matrix of each training (rows are
the truth), and for each class its pixels in the training masks at that size.

    python -m benchmarks.weak_class     writes benchmarks/results/weak_class.json; goes on where it was stopped
    python -m benchmarks.weak_class --tiny --out FILE     a minute, to see that it runs
"""

import functools
import itertools
import math
import statistics
import time
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.common.results import refuse_a_tiny_record, trainings_parser, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES
from benchmarks.common.seeds import spread
from benchmarks.common.side_by_side import side_by_side
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import class_mask_transform, image_transform
from seglib.device import pick_device, seed_everything
from seglib.losses import balanced_class_weights, make_loss
from seglib.metrics import confusion_matrix, iou
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import train_one_epoch

CLASSES = ("background", "apple", "lemon", "banana")
SMALL = (120, 160)  # (height, width)
LARGE = (240, 320)  # at which all are judged, too
TINY = (48, 64)
SEEDS = (0, 1, 2)
WARMUP = 8
LR = 1e-3
# name -> (size of the pictures, epochs, class weights)
ARMS: dict[str, tuple[tuple[int, int], int, bool]] = {
    "short": (SMALL, 12, False),
    "class weights": (SMALL, 12, True),
    "finer grid": (LARGE, 12, False),
    "longer": (SMALL, 36, False),
}


@functools.cache
def pictures(size: tuple[int, int]) -> tuple[Any, Any]:
    """The training and the validation pairs with class masks, decoded once in each process."""
    transforms = (image_transform(size), class_mask_transform(size))
    everything = CustomDataset(SAMPLES / "images", SAMPLES / "class_masks", *transforms, classes=CLASSES)
    split = read_split(SAMPLES / "split.json")
    return list(everything.subset(split.train)), list(everything.subset(split.validation))


def pixels_of(pairs: Any) -> dict[str, int]:
    """How many pixels each class has in these masks."""
    masks = torch.stack([mask for _, mask in pairs])
    return {name: int((masks == label).sum()) for label, name in enumerate(CLASSES)}


def train(arm: str, seed: int, tiny: bool) -> dict[str, Any]:
    """One training; returns the row that is stored."""
    size, epochs, weighted = ARMS[arm]
    if tiny:
        size, epochs = TINY, 2
    seed_everything(seed)
    device = pick_device()
    train_pairs, validation_pairs = pictures(size)
    train_dataloader, _ = make_loaders(train_pairs, validation_pairs, batch_size=4, seed=seed)
    weights = balanced_class_weights(pixels_of(train_pairs)) if weighted else None
    criterion = make_loss("cross_entropy", weights)
    model = build_deeplab(num_classes=len(CLASSES), verbose=False).to(device)
    optimizer = make_optimizer(model, "adamw", lr=LR, head_lr=5 * LR)
    scheduler = make_scheduler(optimizer, "poly", steps=epochs * len(train_dataloader), warmup=WARMUP)
    begin = time.perf_counter()
    for _ in range(epochs):
        train_one_epoch(model, train_dataloader, criterion, optimizer, device, scheduler=scheduler)
    seconds = time.perf_counter() - begin
    matrix = judge(model, validation_pairs, TINY if tiny else LARGE)
    row = {"arm": arm, "seed": seed, "height": size[0], "epochs": epochs, "seconds": round(seconds, 1)}
    row["matrix"] = matrix.tolist()
    row["iou"] = {name: rounded(value) for name, value in zip(CLASSES, iou(matrix).tolist(), strict=True)}
    return row


@torch.inference_mode()
def judge(model: torch.nn.Module, pairs: Any, size: tuple[int, int]) -> torch.Tensor:
    """The confusion matrix of the outputs, enlarged to `size`, against the masks at that size."""
    model.eval()
    device = next(model.parameters()).device
    matrix = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
    truths = [mask for _, mask in pictures(size)[1]]
    for (image, _), truth in zip(pairs, truths, strict=True):
        outputs = F.interpolate(model(image[None].to(device))["out"], size, mode="bilinear")  # (1, C, H, W)
        matrix += confusion_matrix(outputs.argmax(dim=1)[0].cpu(), truth, num_classes=len(CLASSES))
    return matrix


def rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def summary(runs: list[dict[str, Any]], seeds: int) -> dict[str, Any]:
    """Of each arm that has all its seeds: IoU, and share called background, of each class: mean and spread."""
    arms = {}
    for arm in ARMS:
        here = [run for run in runs if run["arm"] == arm]
        if len(here) < seeds:
            continue
        arms[arm] = {}
        for label, name in enumerate(CLASSES):
            scores = [run["iou"][name] or 0.0 for run in here]
            lost = [run["matrix"][label][0] / sum(run["matrix"][label]) for run in here]
            arms[arm][name] = {
                "iou": round(statistics.mean(scores), 4),
                "iou_spread": round(spread(scores), 4),
                "called_background": round(statistics.mean(lost), 4),
            }
    return arms


def main() -> None:
    parser = trainings_parser(__doc__, "weak_class")
    arguments = parser.parse_args()
    refuse_a_tiny_record(arguments, parser)
    seeds = SEEDS[:1] if arguments.tiny else SEEDS
    settings = {"batch_size": 4, "optimizer": "adamw", "lr": LR, "tiny": arguments.tiny, "weights": weights_used()}
    settings["pixels"] = pixels_of(pictures(TINY if arguments.tiny else LARGE)[0])
    runs = runs_so_far(arguments.out, settings, parser)
    done = {(run["arm"], run["seed"]) for run in runs}
    order = list(itertools.product(seeds, ARMS))  # seeds outermost: if it is stopped early, all have had as much
    cases = [{"arm": arm, "seed": seed, "tiny": arguments.tiny} for seed, arm in order if (arm, seed) not in done]
    what = "IoU of each kind of fruit on the validation pictures, with class weights, a finer grid, a longer training"
    for row in side_by_side(train, cases, arguments.processes):
        print({key: row[key] for key in ("arm", "seed", "iou", "seconds")}, flush=True)
        runs = sorted([*runs, row], key=lambda run: order.index((run["seed"], run["arm"])))
        figures = {"settings": settings, "arms": summary(runs, len(seeds)), "runs": runs}
        write_record(arguments.out, what, figures)


if __name__ == "__main__":
    main()
