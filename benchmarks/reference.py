"""Ours against a recipe like torchvision's reference for segmentation: images a second, and IoU after equal time.

The reference recipe is written here from its published description (torchvision's references/segmentation, its README
and the defaults that it states): each picture scaled at random so that its shorter side is 0.5 to 2 times the wanted
one, mirrored in half of all cases, cropped at random, padded where it is too small and ignored there; SGD with momentum
0.9 and weight decay 1e-4; a learning rate that falls with the power 0.9 of the remaining iterations; cross-entropy, and
half of the auxiliary head's; the auxiliary head at ten times the rate; incomplete batches dropped.

Three ways: the reference as its description has it, in float32; the same in bfloat16, as its `--amp` does with float16;
and ours. All get the same model, weights, files, size, batch, workers and machine, and the same tuning: four learning
rates each, on a seed of their own, the best by validation IoU. The files are the pictures shrunk once, to twice the
size of training, so that no time goes into decoding pixels that the resizing drops. The reference's model lies in
memory as torchvision makes it, with torchvision's BatchNorm momentum. Then equal seconds of training for each of three
seeds: speed is measured first, over several seconds, and the number of steps is what fits into the time, so that each
schedule ends when its time ends; the seconds that it really took are stored, and must agree within a twentieth.
Measuring the IoU, and our cache's first look at the files, are not counted.

    python -m benchmarks.reference [--seconds 60]       writes benchmarks/results/reference.json
    python -m benchmarks.reference --tiny               a minute on a CPU, to see that it runs; with --out FILE
"""

import argparse
import contextlib
import json
import os
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from benchmarks.common.machine import machine_with_gpu
from benchmarks.common.results import option_parser, write_record
from benchmarks.common.samples import SAMPLES, sample_files, shrunk_copies
from benchmarks.common.seeds import spread
from seglib.data.byte_dataset import ByteDataset
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.image_io import IGNORE_INDEX
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from seglib.data.splits import Split, read_split
from seglib.data.transforms import joint_transform, resize_labels
from seglib.device import Timer, pick_device, seed_everything
from seglib.errors import TrainingError
from seglib.losses import make_loss
from seglib.metrics import confusion_matrix, iou
from seglib.model import BUNDLED_MODEL, build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import train_one_epoch
from seglib.training.precision import use_bfloat16

OURS = "ours"
RATES_OF_THE_REFERENCE = (0.003, 0.01, 0.03, 0.1)
RATES = {
    "reference": RATES_OF_THE_REFERENCE,
    "reference, bfloat16": RATES_OF_THE_REFERENCE,
    OURS: (2.5e-4, 5e-4, 1e-3, 2e-3),
}
TUNING_SEED = 100
SEEDS = (0, 1, 2)
TINY = {  # arguments of --tiny
    "seconds": 1.0,
    "tuning_seconds": 1.0,
    "size": (48, 64),
    "batch": 2,
    "workers": 0,
    "warm": 1,
    "seeds": (0,),
}
Batch = tuple[Tensor, Tensor]
Size = tuple[int, int]  # (height, width)


def random_resize(image: Tensor, mask: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Both at 0.5 to 2 times the size, by the shorter side; image smoothly, mask by nearest."""
    shorter = min(size) * (0.5 + 1.5 * torch.rand(()).item())
    scale = shorter / min(image.shape[-2:])
    new = [max(1, round(side * scale)) for side in image.shape[-2:]]
    return v2.functional.resize(image, new), tv_tensors.Mask(resize_labels(mask, tuple(new)))


def to_class_labels(image: Tensor, mask: Tensor) -> Batch:
    return image, mask.long()


def reference_transform(size: Size) -> Callable:
    """The reference's training transform, on tv_tensors: mask 0 and 1, and 255 where the crop reaches beyond it."""
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


class Training(ABC):
    """A model and its way to be trained; `run(batches)` trains it."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: LRScheduler
    device: torch.device

    @abstractmethod
    def run(self, batches: Iterable[Batch]) -> None: ...

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Outputs (N, C, H, W) as labels (N, H, W)."""

    @torch.inference_mode()
    def score(self, batches: Iterable[Batch]) -> float:
        """IoU of the object, from one confusion matrix over all validation pixels."""
        self.model.eval()
        matrix = torch.zeros(2, 2, dtype=torch.int64)
        for images, masks in batches:
            outputs = self.model(images.to(self.device))["out"]
            matrix += confusion_matrix(self.predict(outputs).cpu(), masks[:, 0].long())
        return iou(matrix)[1].item()


class ReferenceTraining(Training):
    """The loop of the reference, in float32 or in bfloat16.

    Args:
        lr: the learning rate; the auxiliary head gets ten times that.
        steps: of the whole training: the schedule ends with them.
        bfloat16: compute in bfloat16 where autocast does.
        setting: device and weights.
    """

    def __init__(self, lr: float, steps: int, bfloat16: bool, setting: "Setting"):
        self.device = setting.device
        self.bfloat16 = bfloat16
        model = build_deeplab(BUNDLED_MODEL, 2, setting.weights, aux=True, batchnorm_momentum=None, verbose=False)
        self.model = model.to(self.device, memory_format=torch.contiguous_format)
        trunk = [*self.model.backbone.parameters(), *self.model.classifier.parameters()]
        groups = [{"params": trunk}, {"params": [*self.model.aux_classifier.parameters()], "lr": 10 * lr}]
        self.optimizer = torch.optim.SGD(groups, lr=lr, momentum=0.9, weight_decay=1e-4)
        self.scheduler = make_scheduler(self.optimizer, "poly", steps)

    def run(self, batches: Iterable[Batch]) -> None:
        self.model.train()
        for images, masks in batches:
            images = images.to(self.device)
            masks = masks.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                loss = reference_loss(self.model(images), masks)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            loss.item()  # its log asks for the loss in every step

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(1)


class OurTraining(Training):
    """`train_one_epoch` with our recipe; in bfloat16 on a GPU that has it. Arguments as in `ReferenceTraining`."""

    def __init__(self, lr: float, steps: int, setting: "Setting"):
        self.device = setting.device
        self.criterion = make_loss("bce_dice")
        self.model = build_deeplab(BUNDLED_MODEL, 1, setting.weights, verbose=False).to(self.device)
        if self.device.type == "cuda":
            with contextlib.suppress(TrainingError):  # an older GPU: float32
                use_bfloat16(self.model)
        self.optimizer = make_optimizer(self.model, "adamw", lr=lr, head_lr=5 * lr, weight_decay=1e-4)
        self.scheduler = make_scheduler(self.optimizer, "poly", steps, warmup=min(8, steps // 4))

    def run(self, batches: Iterable[Batch]) -> None:
        train_one_epoch(self.model, batches, self.criterion, self.optimizer, self.device, scheduler=self.scheduler)

    def predict(self, outputs: Tensor) -> Tensor:
        return self.criterion.predict(outputs)


@dataclass(frozen=True)
class Setting:
    """What all trainings share: files, split, size, batch, workers, device and weights."""

    files: Path  # a folder with `images` and `masks`
    split: Split
    size: Size
    batch: int
    workers: int
    warm: int  # steps that are timed first
    device: torch.device
    weights: str


def make_training(recipe: str, lr: float, steps: int, setting: Setting) -> Training:
    if recipe == OURS:
        return OurTraining(lr, steps, setting)
    return ReferenceTraining(lr, steps, recipe.endswith("bfloat16"), setting)


def loaders_of(recipe: str, seed: int, setting: Setting) -> tuple[DataLoader, list[Batch]]:
    """(training batches, validation batches); each recipe loads as it is used to, ours from bytes and a cache."""
    folders = setting.files / "images", setting.files / "masks"
    size = setting.size
    if recipe == OURS:
        varied = joint_transform(size, train=True, as_bytes=True)
        train: CustomDataset = ByteDataset(*folders, size, joint_transform=varied, cache_gib=4)
    else:
        train = CustomDataset(*folders, joint_transform=reference_transform(size))
    validation = CustomDataset(*folders, joint_transform=joint_transform(size, train=False))
    train_dataloader, validation_dataloader = make_loaders(
        train.subset(setting.split.train),
        list(validation.subset(setting.split.validation)),
        setting.batch,
        setting.workers,
        seed,
        drop_last=True,
    )
    return train_dataloader, list(validation_dataloader)


def take(batches: Iterable[Batch], number: int) -> Iterator[Batch]:
    """So many batches, epoch after epoch."""
    while number > 0:
        for batch in batches:
            yield batch
            number -= 1
            if not number:
                return


def steps_a_second(training: Training, batches: DataLoader, setting: Setting, seconds: float) -> float:
    """The speed of a training, measured over at least so many seconds."""
    training.run(take(batches, max(8, len(batches))))  # an epoch at least, for the cache
    steps = setting.warm
    timer = Timer(setting.device)
    while timer.seconds < seconds:
        steps *= 2
        with timer:
            training.run(take(batches, steps))
    return steps / timer.seconds


def run(recipe: str, lr: float, seed: int, seconds: float, setting: Setting) -> dict[str, Any]:
    """Measure the speed, then train from the start for as many steps as fit into the time; IoU at the end."""
    seed_everything(seed)
    batches, validation = loaders_of(recipe, seed, setting)
    trial = make_training(recipe, lr, 10_000, setting)
    steps = max(2, round(seconds * steps_a_second(trial, batches, setting, seconds / 6)))
    seed_everything(seed)
    training = make_training(recipe, lr, steps, setting)
    with Timer(setting.device) as timer:
        training.run(take(batches, steps))
    row = {
        "recipe": recipe,
        "lr": lr,
        "seed": seed,
        "steps": steps,
        "seconds": round(timer.seconds, 2),
        "images_a_second": round(steps * setting.batch / timer.seconds, 2),
        "iou": round(training.score(validation), 4),
    }
    print(row, flush=True)
    return row


def summary_of(runs: list[dict]) -> dict:
    """Mean and spread over the seeds of each recipe; how much faster ours is, and whether it is ahead in both."""
    table: dict[str, Any] = {}
    for recipe in RATES:
        mine = [row for row in runs if row["recipe"] == recipe]
        medians = {key: statistics.median(row[key] for row in mine) for key in ("images_a_second", "seconds")}
        scores = [row["iou"] for row in mine]
        table[recipe] = {"iou": round(statistics.mean(scores), 4), "spread": round(spread(scores), 4), **medians}
    ours = table[OURS]
    for recipe in [name for name in RATES if name != OURS]:
        other = table[recipe]
        other["ours_is_faster"] = round(ours["images_a_second"] / other["images_a_second"], 2)
        other["equal_seconds"] = abs(ours["seconds"] / other["seconds"] - 1) < 0.05
        other["ahead_in_both"] = other["ours_is_faster"] > 1 and ours["iou"] > other["iou"]
    return table


def read_arguments() -> argparse.Namespace:
    parser = option_parser(__doc__, "reference")
    parser.add_argument("--seconds", type=float, default=60, help="of each training")
    parser.add_argument("--tuning-seconds", type=float, default=30, help="of each training that looks for a rate")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), help="height width")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1))
    parser.add_argument("--warm", type=int, default=8, help="steps that are timed first; doubled until they take long")
    parser.add_argument("--weights", default="bundled")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    if arguments.tiny:
        vars(arguments).update(TINY)
    return arguments


def main() -> None:
    arguments = read_arguments()
    device = pick_device()
    size = tuple(arguments.size)
    split = read_split(SAMPLES / "split.json")
    rates: dict[str, tuple[float, ...]] = dict(RATES)
    if arguments.tiny:
        split = Split(split.train[:4], split.validation[:2])
        rates = {recipe: some[1:3] for recipe, some in RATES.items()}
    figures: dict[str, Any] = {
        "model": BUNDLED_MODEL,
        "height": size[0],
        "width": size[1],
        "batch_size": arguments.batch,
        "seconds": arguments.seconds,
        "tuning": [],
        "runs": [],
    }

    def store() -> None:
        what = "ours against a recipe like torchvision's reference, after equal time"
        write_record(arguments.out, what, figures, hardware=machine_with_gpu(device))

    needed = sample_files().subset([*split.train, *split.validation])
    with shrunk_copies(needed, (2 * size[0], 2 * size[1])) as files:
        setting = Setting(
            files=files,
            split=split,
            size=size,
            batch=arguments.batch,
            workers=arguments.workers,
            warm=arguments.warm,
            device=device,
            weights=arguments.weights,
        )
        best = {}
        for recipe, some in rates.items():
            tried = [run(recipe, lr, TUNING_SEED, arguments.tuning_seconds, setting) for lr in some]
            figures["tuning"] += tried
            best[recipe] = max(tried, key=lambda row: row["iou"])["lr"]
            store()
        for seed in arguments.seeds:
            for recipe, lr in best.items():
                figures["runs"].append(run(recipe, lr, seed, arguments.seconds, setting))
                figures["summary"] = summary_of(figures["runs"]) if len(figures["runs"]) >= len(best) else {}
                store()
    print(json.dumps(figures["summary"], indent=1))


if __name__ == "__main__":
    main()
