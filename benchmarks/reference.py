"""Ours against a recipe like torchvision's reference for segmentation: images a second, and IoU after equal time.

The reference recipe is written here from its published description (torchvision's references/segmentation, its README
and the defaults that it states): each picture scaled at random so that its shorter side is 0.5 to 2 times the wanted
one, mirrored in half of all cases, cropped at random, padded where it is too small and ignored there; SGD with momentum
0.9 and weight decay 1e-4; a learning rate that falls with the power 0.9 of the remaining iterations; cross-entropy, and
half of the auxiliary head's; the auxiliary head at ten times the rate; incomplete batches dropped.

Three ways: the reference as its description has it, in float32; the same in bfloat16, as its `--amp` does with float16;
and ours. All get the same model, weights, files, size, batch, workers and machine, and the same tuning: four learning
rates each, on a seed of their own, the best by validation IoU. The files are the pictures shrunk once, to twice the
size of training, so that nobody's time goes into decoding what is thrown away. The reference's model lies in memory as
torchvision makes it, with torchvision's BatchNorm momentum. Then equal seconds of training for each of three seeds:
speed is measured first, over several seconds, and the number of steps is what fits into the time, so that each schedule
ends when its time ends; the seconds that it really took are stored, and must agree within a twentieth. Measuring the
IoU, and our cache's first look at the files, are not counted.

    python benchmarks/reference.py [--seconds 60]       writes benchmarks/results/reference.json
    python benchmarks/reference.py --tiny               a minute on a CPU, to see that it runs; with --out FILE
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from benchmarks.common.machine import machine
from seglib.data.byte_dataset import ByteDataset
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.image_io import IGNORE_INDEX
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from seglib.data.splits import Split, read_split
from seglib.data.transforms import joint_transform, resize_labels
from seglib.device import Timer, pick_device, seed_everything
from seglib.errors import TrainingError
from seglib.lesson.common.small_dataset import write_small
from seglib.losses import make_loss
from seglib.metrics import confusion_matrix, iou
from seglib.model import BUNDLED_MODEL, build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import train_one_epoch
from seglib.training.precision import use_bfloat16

OF_THE_REFERENCE, OURS = (0.003, 0.01, 0.03, 0.1), (2.5e-4, 5e-4, 1e-3, 2e-3)
RATES = {"reference": OF_THE_REFERENCE, "reference, bfloat16": OF_THE_REFERENCE, "ours": OURS}
TUNING_SEED, SEEDS = 100, (0, 1, 2)
Batch = tuple[Tensor, Tensor]
Size = tuple[int, int]


def random_resize(image: Tensor, mask: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Both at 0.5 to 2 times the size, by the shorter side; image smoothly, mask by nearest."""
    shorter = min(size) * (0.5 + 1.5 * torch.rand(()).item())
    scale = shorter / min(image.shape[-2:])
    new = [max(1, round(side * scale)) for side in image.shape[-2:]]
    return v2.functional.resize(image, new), tv_tensors.Mask(resize_labels(mask, tuple(new)))


def to_class_labels(image: Tensor, mask: Tensor) -> Batch:
    return image, mask.long()


def reference_transform(size: Size) -> Callable:
    """The reference's training transform, on tv_tensors: mask 0 and 1, and 255 where the crop reaches beyond."""
    return v2.Compose(
        [
            Resizer(size),
            v2.RandomHorizontalFlip(0.5),
            v2.RandomCrop(size, pad_if_needed=True, fill={tv_tensors.Mask: IGNORE_INDEX, "others": 0}),
            v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
            v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            v2.ToPureTensor(),
            to_class_labels,
        ]
    )


@dataclass(frozen=True)
class Resizer:
    """`random_resize` with its size; an object and no lambda, so that a worker can get it."""

    size: Size

    def __call__(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return random_resize(image, mask, self.size)


def reference_loss(outputs: dict[str, Tensor], masks: Tensor) -> Tensor:
    main = F.cross_entropy(outputs["out"], masks, ignore_index=IGNORE_INDEX)
    return main + 0.5 * F.cross_entropy(outputs["aux"], masks, ignore_index=IGNORE_INDEX)


@dataclass
class Training:
    """One recipe on its way: `run(batches)` trains; what it needs is made for a number of steps in advance."""

    recipe: str
    lr: float
    steps: int
    device: torch.device
    weights: str | None

    def __post_init__(self) -> None:
        two = self.recipe != "ours"
        momentum, layout = (None, torch.contiguous_format) if two else (0.1, torch.channels_last)
        self.model = build_deeplab(BUNDLED_MODEL, 2 if two else 1, self.weights, aux=two, batchnorm_momentum=momentum, verbose=False)
        self.model.to(self.device, memory_format=layout)
        if two:
            trunk = [*self.model.backbone.parameters(), *self.model.classifier.parameters()]
            groups = [{"params": trunk}, {"params": [*self.model.aux_classifier.parameters()], "lr": 10 * self.lr}]
            self.optimizer: Any = torch.optim.SGD(groups, lr=self.lr, momentum=0.9, weight_decay=1e-4)
            self.schedule = make_scheduler(self.optimizer, "poly", self.steps)
            return
        if self.device.type == "cuda":
            with contextlib.suppress(TrainingError):  # an older GPU: float32
                use_bfloat16(self.model)
        self.optimizer = make_optimizer(self.model, "adamw", lr=self.lr, head_lr=5 * self.lr, weight_decay=1e-4)
        self.schedule = make_scheduler(self.optimizer, "poly", self.steps, warmup=min(8, self.steps // 4))

    def run(self, batches: Iterable[Batch]) -> None:
        if self.recipe == "ours":
            train_one_epoch(self.model, batches, make_loss("bce_dice"), self.optimizer, self.device, scheduler=self.schedule)
            return
        self.model.train()
        short = self.recipe.endswith("bfloat16")
        for images, masks in batches:
            images, masks = images.to(self.device), masks.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=short):
                loss = reference_loss(self.model(images), masks)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            loss.item()  # its log asks for the loss in every step

    @torch.inference_mode()
    def score(self, batches: Iterable[Batch]) -> float:
        """IoU of the object, from one confusion matrix over all validation pixels."""
        self.model.eval()
        matrix = torch.zeros(2, 2, dtype=torch.int64)
        for images, masks in batches:
            outputs = self.model(images.to(self.device))["out"]
            predicted = make_loss("bce_dice").predict(outputs) if self.recipe == "ours" else outputs.argmax(1)
            matrix += confusion_matrix(predicted.cpu(), masks[:, 0].long())
        return iou(matrix)[1].item()


def data(recipe: str, folders: tuple[Path, Path], split: Split, size: Size, arguments: Any, seed: int) -> tuple:
    """(training batches, validation batches); each recipe loads as it is used to, ours from bytes and a cache."""
    if recipe == "ours":
        joint = joint_transform(size, train=True, as_bytes=True)
        train: CustomDataset = ByteDataset(*folders, size, joint_transform=joint, cache_gib=4)
    else:
        train = CustomDataset(*folders, joint_transform=reference_transform(size))
    validation = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation)
    loaders = make_loaders(
        train.subset(split.train), list(validation), arguments.batch, arguments.workers, seed, drop_last=True
    )
    return loaders[0], list(loaders[1])


def take(batches: Iterable[Batch], number: int) -> Iterator[Batch]:
    """So many batches, epoch after epoch."""
    while number > 0:
        for batch in batches:
            yield batch
            number -= 1
            if not number:
                return


def run(recipe: str, lr: float, seconds: float, seed: int, files: Any, arguments: Any) -> dict:
    """Measure the speed, then train from the start for as many steps as fit into the time; IoU at the end."""
    folders, split, size = files
    seed_everything(seed)
    batches, validation = data(recipe, folders, split, size, arguments, seed)
    trial, device = Training(recipe, lr, 10_000, arguments.device, arguments.weights), arguments.device
    trial.run(take(batches, max(8, len(batches))))  # an epoch at least, for the cache
    steps, timer = arguments.warm, Timer(device)
    while timer.seconds < seconds / 6:  # long enough to be no accident
        steps *= 2
        with timer:
            trial.run(take(batches, steps))
    steps = max(2, round(seconds * steps / timer.seconds))
    seed_everything(seed)
    training = Training(recipe, lr, steps, device, arguments.weights)
    with Timer(device) as timer:
        training.run(take(batches, steps))
    row = {"recipe": recipe, "lr": lr, "seed": seed, "steps": steps, "seconds": round(timer.seconds, 2)}
    row |= {"images_a_second": round(steps * arguments.batch / timer.seconds, 2)}
    row |= {"iou": round(training.score(validation), 4)}
    print(row, flush=True)
    return row


def summary_of(runs: list[dict]) -> dict:
    """Mean and spread over the seeds of each recipe; how much faster ours is, and whether it is ahead in both."""
    table: dict[str, Any] = {}
    for recipe in RATES:
        mine = [row for row in runs if row["recipe"] == recipe]
        medians = {key: statistics.median(row[key] for row in mine) for key in ("images_a_second", "seconds")}
        scores = [row["iou"] for row in mine]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        table[recipe] = {"iou": round(statistics.mean(scores), 4), "spread": round(spread, 4), **medians}
    ours = table["ours"]
    for recipe in [name for name in RATES if name != "ours"]:
        other = table[recipe]
        other["ours_is_faster"] = round(ours["images_a_second"] / other["images_a_second"], 2)
        other["equal_seconds"] = abs(ours["seconds"] / other["seconds"] - 1) < 0.05
        other["ahead_in_both"] = other["ours_is_faster"] > 1 and ours["iou"] > other["iou"]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of each training")
    parser.add_argument("--tuning-seconds", type=float, default=30, help="of each training that looks for a rate")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), help="height width")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1))
    parser.add_argument("--warm", type=int, default=8, help="steps that are timed first; doubled until they take long")
    parser.add_argument("--weights", default="bundled")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "reference.json")
    arguments = parser.parse_args()
    rates: dict[str, tuple[float, ...]] = dict(RATES)
    if arguments.tiny:
        arguments.seconds = arguments.tuning_seconds = 1.0
        arguments.size, arguments.batch, arguments.workers, arguments.warm = (48, 64), 2, 0, 1
        arguments.seeds, rates = (0,), {recipe: some[1:3] for recipe, some in RATES.items()}
    arguments.device = pick_device()
    gpu = torch.cuda.get_device_name(arguments.device) if arguments.device.type == "cuda" else None
    size = tuple(arguments.size)
    result: dict[str, Any] = {"what": "ours against a recipe like torchvision's reference, after equal time"}
    result |= {"machine": {**machine(), "gpu": gpu}, "model": BUNDLED_MODEL, "height": size[0], "width": size[1]}
    result |= {"batch_size": arguments.batch, "seconds": arguments.seconds, "tuning": [], "runs": []}

    def store() -> None:
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")

    samples = CustomDataset(ROOT / "data_samples/images", ROOT / "data_samples/masks")
    split = read_split(ROOT / "data_samples/split.json")
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.tiny:
            split = Split(split.train[:4], split.validation[:2])
        samples = samples.subset([*split.train, *split.validation])
        samples = write_small(samples, Path(scratch) / "small", size=(2 * size[0], 2 * size[1]))
        files = (samples.image_folder, samples.mask_folder), split, size
        best = {}
        for recipe, some in rates.items():
            tried = [run(recipe, lr, arguments.tuning_seconds, TUNING_SEED, files, arguments) for lr in some]
            result["tuning"] += tried
            best[recipe] = max(tried, key=lambda row: row["iou"])["lr"]
            store()
        for seed in arguments.seeds:
            for recipe, lr in best.items():
                result["runs"].append(run(recipe, lr, arguments.seconds, seed, files, arguments))
                result["summary"] = summary_of(result["runs"]) if len(result["runs"]) >= len(best) else {}
                store()
    print(json.dumps(result["summary"], indent=1))


if __name__ == "__main__":
    main()
