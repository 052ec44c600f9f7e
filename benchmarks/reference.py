"""Ours against a recipe like torchvision's reference for segmentation: images a second, and IoU after equal time.

The reference recipe is written here from its published description (torchvision's references/segmentation, its README
and the defaults that it states): each picture scaled at random so that its shorter side is 0.5 to 2 times the wanted
one, mirrored in half of all cases, cropped at random, padded where it is too small and ignored there; SGD with momentum
0.9 and weight decay 1e-4; a learning rate that falls with the power 0.9 of the remaining iterations; cross-entropy, and
half of the auxiliary head's; the auxiliary head at ten times the rate; incomplete batches dropped; the loss read in
every step. Its model lies in memory as torchvision makes it, with torchvision's BatchNorm momentum.

The recipes:

- ours: `train_one_epoch` in float32, on a GPU with its step recorded as a CUDA graph. (In bfloat16 a recorded step of
  this small model is slower, as gpu_step.json shows: the weights of each layer are converted in each step.)
- reference: as its description has it, in float32 (on a GPU torch computes convolutions in TF32 by itself).
- reference, bfloat16: the same in bfloat16, as its `--amp` does with float16.
- reference, bfloat16, recorded: that with our `RecordedStep`, which torchvision's script does not have. On a GPU only.
- ours, not recorded: what the recording brings. On a GPU only, and not with --quick.

All get the same model, weights, pictures, size, batch, workers and machine. The files are decoded once: for ours at the
size of training, for the reference at twice that, since it enlarges up to twofold. From then on all pictures come from
memory. There are only 32 of them. A loader that stops after each 32 would keep the GPU waiting while its workers start
again, so each loader goes on without end: epoch after epoch, each in a new order, that of `make_loaders`. This is the
same for all recipes.

Each recipe is tuned alike, on a seed of its own: learning rates a factor of 2 apart, the best by validation IoU. While
the best is the lowest or the highest that was tried, the next one beyond is tried too, up to three more. The record
holds all of them, and whether the best lies inside. Then come equal seconds of training for each of three seeds. The
clock starts before the first step, so that what a start costs, the recording included, is part of the time. A trial
before each training measures the first steps and, after them, the speed. The number of steps is what fits, so that each
schedule ends when its time ends. `capture_seconds` is what the first steps took longer in that trial than later ones.
The seconds that a training really took are stored, and must agree within a twentieth. Making the model, decoding the
files and measuring the IoU are not counted, nor is torch's own start: each recipe does a few steps before anything is
measured.

    python -m benchmarks.reference [--seconds 60]       writes benchmarks/results/reference.json; half an hour or more
    python -m benchmarks.reference --quick              less than 4 minutes on an H100
    python -m benchmarks.reference --tiny --out FILE    a minute on a CPU, to see that it runs

It stores after each run, and goes on where it was stopped. --quick: four recipes, three seeds, trainings of 6 s; three
rates each, tried for 2.5 s, and those beyond an edge. A run takes a sixth more for its trial, and some 2 s to make two
models. So twelve trainings take 12 x (6 + 1 + 2) = 108 s, twelve rates 12 x (2.5 + 0.4 + 2) = 59 s, the start some
20 s; what is left is for rates beyond an edge. It has a deadline: it tries no rate when the trainings would then not
fit, and begins no training that would not fit. On a slower machine call it again: it goes on.
"""

import argparse
import gc
import itertools
import json
import math
import os
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Sampler
from torchvision import tv_tensors
from torchvision.transforms import v2

from benchmarks.common.machine import machine_with_gpu
from benchmarks.common.results import option_parser, read_record, refuse_a_tiny_record, write_record
from benchmarks.common.resuming import runs_so_far, weights_used
from benchmarks.common.samples import SAMPLES
from benchmarks.common.seeds import spread
from seglib.data.byte_dataset import ByteDataset
from seglib.data.dataloaders import SeededSampler, make_loaders
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
from seglib.training.cuda_graph import WARM_UP, RecordedStep
from seglib.training.loop import train_one_epoch
from seglib.training.precision import make_step

Batch = tuple[Tensor, Tensor]
Size = tuple[int, int]  # (height, width)
Row = dict[str, Any]  # of the record: one training

OURS = "ours"
TUNING_SEED = 100
SEEDS = (0, 1, 2)
FACTOR = 2  # between learning rates
RATES_OF_THE_REFERENCE = (0.0025, 0.005, 0.01, 0.02)
OUR_RATES = (5e-4, 1e-3, 2e-3, 4e-3)
RATE_OF_TRIALS = 1e-6  # speed does not depend on it, and no loss becomes NaN
TRIAL = 1 / 6  # of the seconds of a training
OVERHEAD = 2.0  # seconds: two models, the first steps of the trial, the IoU
QUICK = {  # options of --quick
    "seconds": 6.0,
    "tuning_seconds": 2.5,
    "rates": 3,
    "limit": 215.0,  # from the first line of main: Python and torch have been loaded then
}
TINY = {  # options of --tiny
    "seconds": 0.5,
    "tuning_seconds": 0.5,
    "rates": 2,
    "beyond": 1,
    "size": (48, 64),
    "batch": 2,
    "workers": 0,
    "warm": 1,
    "seeds": (0,),
}


@dataclass(frozen=True)
class Recipe:
    """A row of the comparison; with nothing but a name the reference as its description has it."""

    name: str
    ours: bool = False
    bfloat16: bool = False  # of the reference; ours takes what the device has units for
    recorded: bool = False

    @property
    def rates(self) -> Sequence[float]:
        return OUR_RATES if self.ours else RATES_OF_THE_REFERENCE

    @property
    def first_steps(self) -> int:
        """How many steps may take longer than later ones: until a recorded one has been replayed once."""
        return WARM_UP + 2 if self.recorded else 2


def recipes_on(kind: str, quick: bool = False) -> list[Recipe]:
    """The recipes that a device of this kind ("cuda", "cpu") can do, in the order in which they are run."""
    on_cuda = kind == "cuda"
    recipes = [
        Recipe(OURS, ours=True, recorded=on_cuda),
        Recipe("reference"),
        Recipe("reference, bfloat16", bfloat16=True),
    ]
    if on_cuda:
        recipes.append(Recipe("reference, bfloat16, recorded", bfloat16=True, recorded=True))
    if on_cuda and not quick:
        recipes.append(Recipe("ours, not recorded", ours=True))
    return recipes


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


class Epochs(Sampler):
    """Keys of pictures without end: one epoch of `make_loaders` after the other. A new iterator begins with the first.

    A batch may hold the last pictures of one epoch and the first of the next.
    """

    def __init__(self, count: int):
        self.count = count
        self.seed = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        of_an_epoch = SeededSampler(self.count, shuffle=True, seed=self.seed)
        while True:
            yield from of_an_epoch


class Stream:
    """Training batches without end, from workers that live as long as the stream; what is iterated is `steps` of it.

    It is one object for all trainings, so that `train_one_epoch` looks at its labels once, as in a training of many
    epochs.
    """

    def __init__(self, dataloader: DataLoader, epochs: Epochs):
        self.dataloader = dataloader
        self.epochs = epochs
        dataloader.batch_sampler.sampler = epochs
        self.restart(0)

    def restart(self, seed: int) -> None:
        """Begin anew, with the first batch of this seed."""
        self.epochs.seed = seed
        self.batches = iter(self.dataloader)
        self.number = 0

    def steps(self, number: int) -> "Stream":
        """So many batches more."""
        self.number = number
        return self

    def __iter__(self) -> Iterator[Batch]:
        return itertools.islice(self.batches, self.number)


def reference_loss(outputs: dict[str, Tensor], masks: Tensor) -> Tensor:
    main = F.cross_entropy(outputs["out"], masks, ignore_index=IGNORE_INDEX)
    return main + 0.5 * F.cross_entropy(outputs["aux"], masks, ignore_index=IGNORE_INDEX)


@dataclass(frozen=True)
class Setting:
    """What all trainings share: batches, device, weights, and how speed is measured."""

    streams: dict[bool, Stream]  # True: of ours
    validation: list[Batch]
    batch: int
    device: torch.device
    weights: str
    warm: int  # steps that say how many are timed


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
    """The loop of the reference.

    Args:
        recipe: its precision, and whether the step is recorded.
        lr: the learning rate; the auxiliary head gets ten times that.
        steps: of the whole training: the schedule ends with them.
        setting: device and weights.
    """

    def __init__(self, recipe: Recipe, lr: float, steps: int, setting: Setting):
        self.device = setting.device
        self.bfloat16 = recipe.bfloat16
        model = build_deeplab(BUNDLED_MODEL, 2, setting.weights, aux=True, batchnorm_momentum=None, verbose=False)
        self.model = model.to(self.device, memory_format=torch.contiguous_format)
        trunk = [*self.model.backbone.parameters(), *self.model.classifier.parameters()]
        groups = [{"params": trunk}, {"params": [*self.model.aux_classifier.parameters()], "lr": 10 * lr}]
        self.optimizer = torch.optim.SGD(groups, lr=lr, momentum=0.9, weight_decay=1e-4)
        self.scheduler = make_scheduler(self.optimizer, "poly", steps)
        self.step = RecordedStep(self.compute, self.optimizer) if recipe.recorded else self.compute

    def compute(self, images: Tensor, masks: Tensor) -> Tensor:
        """A step on a batch that is on the device; its loss."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            loss = reference_loss(self.model(images), masks)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def run(self, batches: Iterable[Batch]) -> None:
        self.model.train()
        for images, masks in batches:
            loss = self.step(images.to(self.device), masks.to(self.device))
            self.scheduler.step()
            loss.item()  # its log asks for the loss in every step

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(1)


class OurTraining(Training):
    """`train_one_epoch` with our recipe. Arguments as in `ReferenceTraining`."""

    def __init__(self, recipe: Recipe, lr: float, steps: int, setting: Setting):
        self.device = setting.device
        self.criterion = make_loss("bce_dice")
        self.model = build_deeplab(BUNDLED_MODEL, 1, setting.weights, verbose=False).to(self.device)
        self.optimizer = make_optimizer(self.model, "adamw", lr=lr, head_lr=5 * lr, weight_decay=1e-4)
        self.scheduler = make_scheduler(self.optimizer, "poly", steps, warmup=min(8, steps // 4))
        self.step = make_step(self.model, self.criterion, self.optimizer, cuda_graph=recipe.recorded)

    def run(self, batches: Iterable[Batch]) -> None:
        train_one_epoch(
            self.model,
            batches,
            self.criterion,
            self.optimizer,
            self.device,
            scheduler=self.scheduler,
            step=self.step,
        )

    def predict(self, outputs: Tensor) -> Tensor:
        return self.criterion.predict(outputs)


def make_training(recipe: Recipe, lr: float, steps: int, setting: Setting) -> Training:
    kind = OurTraining if recipe.ours else ReferenceTraining
    return kind(recipe, lr, steps, setting)


def make_setting(split: Split, device: torch.device, arguments: argparse.Namespace) -> Setting:
    """Loaders, whose workers are running and whose pictures are in memory when this returns, and the rest."""
    size = tuple(arguments.size)
    folders = SAMPLES / "images", SAMPLES / "masks"
    varied = joint_transform(size, train=True, as_bytes=True)
    twice = (2 * size[0], 2 * size[1])
    datasets: dict[bool, CustomDataset] = {
        True: ByteDataset(*folders, size, joint_transform=varied, cache_gib=4),
        False: ByteDataset(*folders, twice, joint_transform=reference_transform(size), cache_gib=4),
    }
    resized = CustomDataset(*folders, joint_transform=joint_transform(size, train=False))
    validation = list(resized.subset(split.validation))
    streams = {}
    for ours, dataset in datasets.items():
        train, validation_batches = make_loaders(
            dataset.subset(split.train), validation, arguments.batch, arguments.workers, drop_last=True
        )
        streams[ours] = Stream(train, Epochs(len(split.train)))
        for _ in streams[ours].steps(math.ceil(len(split.train) / arguments.batch)):
            pass  # an epoch, which fills the memory
    return Setting(
        streams=streams,
        validation=list(validation_batches),
        batch=arguments.batch,
        device=device,
        weights=arguments.weights,
        warm=arguments.warm,
    )


def warm_up(recipes: Sequence[Recipe], setting: Setting) -> None:
    """A few steps of each recipe: torch loads each kernel when it is first used."""
    for recipe in recipes:
        stream = setting.streams[recipe.ours]
        stream.restart(TUNING_SEED)
        training = make_training(recipe, RATE_OF_TRIALS, 10_000, setting)
        training.run(stream.steps(recipe.first_steps))
        training.score(setting.validation[:1])


def try_out(recipe: Recipe, seed: int, seconds: float, setting: Setting) -> tuple[float, float]:
    """(seconds that the first steps take, steps a second after them, measured over about `seconds`)."""
    stream = setting.streams[recipe.ours]
    stream.restart(seed)
    training = make_training(recipe, RATE_OF_TRIALS, 10_000, setting)
    with Timer(setting.device) as start:
        training.run(stream.steps(recipe.first_steps))
    with Timer(setting.device) as warm:
        training.run(stream.steps(setting.warm))
    steps = max(1, round(setting.warm * seconds / warm.seconds))
    with Timer(setting.device) as timer:
        training.run(stream.steps(steps))
    return start.seconds, steps / timer.seconds


def run(recipe: Recipe, lr: float, seed: int, seconds: float, setting: Setting) -> Row:
    """Measure the speed, then train from the start for as many steps as fit into the time; IoU at the end."""
    begin = time.perf_counter()
    start_seconds, steps_a_second = try_out(recipe, seed, TRIAL * seconds, setting)
    gc.collect()  # a recorded step and its model hold each other, and memory of the GPU
    steps = max(2, recipe.first_steps + round((seconds - start_seconds) * steps_a_second))
    seed_everything(seed)
    training = make_training(recipe, lr, steps, setting)
    stream = setting.streams[recipe.ours]
    stream.restart(seed)
    row: Row = {"recipe": recipe.name, "lr": lr, "seed": seed, "steps": steps}
    with Timer(setting.device) as timer:
        try:
            training.run(stream.steps(steps))
        except TrainingError as error:  # the rate was too high
            row["diverged"] = error.found
    row |= {
        "seconds": round(timer.seconds, 2),
        "capture_seconds": round(max(0.0, start_seconds - recipe.first_steps / steps_a_second), 2),
        "images_a_second": round(steps * setting.batch / timer.seconds, 2),
        "iou": 0.0 if "diverged" in row else round(training.score(setting.validation), 4),
        "seconds_with_everything": round(time.perf_counter() - begin, 2),
    }
    print(row, flush=True)
    return row


def best_of(tried: Sequence[Row]) -> Row:
    return max(tried, key=lambda row: row["iou"])


def is_inside(tried: Sequence[Row]) -> bool:
    """Whether the best rate is neither the lowest nor the highest that was tried."""
    rates = [row["lr"] for row in tried]
    return min(rates) < best_of(tried)["lr"] < max(rates)


def next_rate(rates: Sequence[float], tried: Sequence[Row], beyond: int) -> float | None:
    """The learning rate to try next; None if there is none.

    Args:
        rates: the grid, which is tried first.
        tried: rows with "lr" and "iou".
        beyond: how many rates outside of the grid may be tried.

    Example:
        >>> tried = [{"lr": 0.01, "iou": 0.5}, {"lr": 0.02, "iou": 0.6}]
        >>> next_rate((0.01, 0.02), tried, beyond=1), next_rate((0.01, 0.02), tried, beyond=0)
        (0.04, None)
    """
    done = [row["lr"] for row in tried]
    left = [lr for lr in rates if lr not in done]
    if left:
        return left[0]
    if is_inside(tried) or len(tried) - len(rates) >= beyond:
        return None
    best = best_of(tried)["lr"]
    return best * FACTOR if best == max(done) else best / FACTOR


def summary_of(runs: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Mean and spread of each recipe over the seeds that all have; how far ours is ahead, in speed and in IoU."""
    names = list(dict.fromkeys(row["recipe"] for row in runs))
    seeds_of = {name: {row["seed"] for row in runs if row["recipe"] == name} for name in names}
    seeds = set.intersection(*seeds_of.values())
    table: dict[str, dict[str, Any]] = {}
    for name in names:
        mine = [row for row in runs if row["recipe"] == name and row["seed"] in seeds]
        scores = [row["iou"] for row in mine]
        table[name] = {"seeds": len(mine), "iou": round(statistics.mean(scores), 4), "spread": round(spread(scores), 4)}
        for key in ("images_a_second", "seconds", "capture_seconds"):
            table[name][key] = round(statistics.median(row[key] for row in mine), 2)
    ours = table[OURS]
    for other in [row for name, row in table.items() if name != OURS]:
        other["ours_is_faster"] = round(ours["images_a_second"] / other["images_a_second"], 2)
        other["points_ahead"] = round(100 * (ours["iou"] - other["iou"]), 2)
        other["equal_seconds"] = abs(ours["seconds"] / other["seconds"] - 1) < 0.05
        other["ahead_in_both"] = other["ours_is_faster"] > 1 and other["points_ahead"] > 0
    return table


class Bench:
    """Runs what the record does not hold yet, and stores after each run.

    Args:
        recipes: in the order in which they are run.
        arguments: of the command line.
        settings: what the runs of a record have in common.
        before: a record with the same settings, or an empty one.
        hardware: the machine.
    """

    def __init__(
        self,
        recipes: Sequence[Recipe],
        arguments: argparse.Namespace,
        settings: Mapping[str, Any],
        *,
        before: Mapping[str, Any],
        hardware: Mapping[str, Any],
    ):
        self.recipes = recipes
        self.arguments = arguments
        self.settings = settings
        self.hardware = hardware
        self.tuning: list[Row] = list(before.get("tuning", []))
        self.runs: list[Row] = list(before.get("runs", []))
        self.begin = time.perf_counter()
        self.overheads: list[float] = []  # of the runs of this call

    def tried(self, recipe: Recipe) -> list[Row]:
        return [row for row in self.tuning if row["recipe"] == recipe.name]

    def rate(self, recipe: Recipe) -> float:
        """The rate to train at; if there was no time to try any, the second of the grid."""
        at = [row["lr"] for row in self.runs if row["recipe"] == recipe.name]
        if at:
            return at[0]
        tried = self.tried(recipe)
        return best_of(tried)["lr"] if tried else recipe.rates[1]

    def rates_to_try(self) -> list[tuple[Recipe, float]]:
        """One for each recipe that needs more, and has not been trained at its best rate yet."""
        trained = {row["recipe"] for row in self.runs}
        wanted = []
        for recipe in self.recipes:
            rates = recipe.rates[: self.arguments.rates]
            lr = next_rate(rates, self.tried(recipe), self.arguments.beyond)
            if lr is not None and recipe.name not in trained:
                wanted.append((recipe, lr))
        return wanted

    def trainings_left(self) -> list[tuple[Recipe, int]]:
        """(recipe, seed), seed by seed: if the time ends, all recipes have had as much."""
        done = {(row["recipe"], row["seed"]) for row in self.runs}
        wanted = itertools.product(self.arguments.seeds, self.recipes)
        return [(recipe, seed) for seed, recipe in wanted if (recipe.name, seed) not in done]

    def tune(self, setting: Setting) -> None:
        """Try rates, one of each recipe in turn, until none needs more or the time is needed for the trainings."""
        seconds = self.arguments.tuning_seconds
        while wanted := self.rates_to_try():
            for recipe, lr in wanted:
                trainings = len(self.trainings_left()) + 1  # one to spare: the overhead is an estimate
                if not self.has_time([seconds] + [self.arguments.seconds] * trainings):
                    print("no time to try more rates", flush=True)
                    return
                self.tuning.append(self.run(recipe, lr, TUNING_SEED, seconds, setting=setting))
                self.store()

    def train(self, setting: Setting) -> None:
        """The trainings of equal seconds."""
        for recipe, seed in self.trainings_left():
            if not self.has_time([self.arguments.seconds]):
                print("no time for more trainings: call it again, and it goes on", flush=True)
                return
            self.runs.append(self.run(recipe, self.rate(recipe), seed, self.arguments.seconds, setting=setting))
            self.store()

    def run(self, recipe: Recipe, lr: float, seed: int, seconds: float, *, setting: Setting) -> Row:
        row = run(recipe, lr, seed, seconds, setting)
        self.overheads.append(row["seconds_with_everything"] - (1 + TRIAL) * seconds)
        return row

    def has_time(self, trainings: Sequence[float]) -> bool:
        """Whether trainings of so many seconds still fit before the deadline."""
        overhead = statistics.median(self.overheads) if self.overheads else OVERHEAD
        needed = sum((1 + TRIAL) * seconds + overhead for seconds in trainings)
        return time.perf_counter() - self.begin + needed <= self.arguments.limit

    def store(self) -> None:
        chosen = {
            recipe.name: {"lr": self.rate(recipe), "inside": is_inside(tried)}
            for recipe in self.recipes
            if (tried := self.tried(recipe))
        }
        figures = {
            "settings": self.settings,
            "tuning": self.tuning,
            "chosen": chosen,
            "runs": self.runs,
            "summary": summary_of(self.runs) if self.runs else {},
        }
        what = "ours against a recipe like torchvision's reference, after equal time"
        write_record(self.arguments.out, what, figures, hardware=self.hardware)


def read_arguments() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = option_parser(__doc__, "reference", gpu=True)
    parser.add_argument("--seconds", type=float, default=60, help="of each training [%(default)s]")
    parser.add_argument("--tuning-seconds", type=float, default=30, help="for each learning rate tried [%(default)s]")
    parser.add_argument("--rates", type=int, default=4, help="of the grid of learning rates [%(default)s]")
    parser.add_argument("--beyond", type=int, default=3, help="rates tried beyond an edge, at most [%(default)s]")
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds until the deadline [none]")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), help="height width")
    parser.add_argument("--batch", type=int, default=4)
    workers = min(14, max(0, (os.cpu_count() or 1) - 2))
    parser.add_argument("--workers", type=int, default=workers, help="processes that load [%(default)s]")
    parser.add_argument("--warm", type=int, default=8, help="steps that say how many are timed [%(default)s]")
    parser.add_argument("--weights", default="bundled")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--quick", action="store_true", help="all of it in less than 4 minutes on an H100")
    parser.add_argument("--tiny", action="store_true", help="a minute on a CPU, to see that it runs")
    arguments = parser.parse_args()
    refuse_a_tiny_record(arguments, parser)
    for options in [QUICK] * arguments.quick + [TINY] * arguments.tiny:
        parser.set_defaults(**options)
    return parser, parser.parse_args()  # options that were given win


def settings_of(arguments: argparse.Namespace, hardware: Mapping[str, Any]) -> dict[str, Any]:
    """What the runs of a record have in common: others cannot be compared with them."""
    return {
        "model": BUNDLED_MODEL,
        "height": arguments.size[0],
        "width": arguments.size[1],
        "batch_size": arguments.batch,
        "seconds": arguments.seconds,
        "tuning_seconds": arguments.tuning_seconds,
        "rates": arguments.rates,
        "workers": arguments.workers,
        "weights": weights_used() if arguments.weights == "bundled" else arguments.weights,
        "processor": hardware["processor"],
        "gpu": hardware["gpu"],
        "torch": hardware["torch"],
    }


def main() -> None:
    parser, arguments = read_arguments()
    device = pick_device()
    hardware = machine_with_gpu(device)
    settings = settings_of(arguments, hardware)
    before: dict[str, Any] = {"runs": runs_so_far(arguments.out, settings, parser)}
    before["tuning"] = read_record(arguments.out).get("tuning", [])
    recipes = recipes_on(device.type, quick=arguments.quick)
    bench = Bench(recipes, arguments, settings, before=before, hardware=hardware)
    if bench.trainings_left():
        split = read_split(SAMPLES / "split.json")
        if arguments.tiny:
            torch.set_num_threads(1)  # pictures of this size have no work for more
            split = Split(split.train[:4], split.validation[:2])
        setting = make_setting(split, device, arguments)
        warm_up(recipes, setting)
        bench.tune(setting)
        bench.train(setting)
    print(json.dumps(summary_of(bench.runs) if bench.runs else {}, indent=1))


if __name__ == "__main__":
    main()
