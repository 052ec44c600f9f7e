"""How much faster does each change make training on a GPU, alone and all together, than the notes' loop as written?

For each model and batch size, at 1280 wide and 960 high, in this order: the notes' loop; that loop with one thing
changed, for each thing; all of them, which is `seglib`'s own `train_one_epoch` on a `ByteDataset`; the notes' loop once
more, which shows whether the machine has become slower meanwhile. Random weights: speed does not depend on them, and
nothing is downloaded.

Of each way: images a second with pictures from the loader, which has no end, so that no start of an epoch is in the
figure; images a second of the step alone, on a batch that is on the device already; peak memory; the share of the
GPU's rate of matrix products in bfloat16, or in float16 on a GPU without bfloat16 units, which is measured first. A way
that runs out of memory is stored as such. A last part trains the small model by our recipe, three seeds each, from
floats in float32 (convolutions in TF32 where the GPU has it, as torch does by itself), and from changed pictures that
travel as bytes, in bfloat16, compiled, with fused AdamW; and compares the IoU.

    python -m benchmarks.gpu_step                      writes benchmarks/results/gpu_step.json, after each way
    python -m benchmarks.gpu_step --tiny --out FILE    a minute on a CPU, to see that it runs

What is stored already is not run again: a long benchmark may be stopped and go on. `--models deeplabv3_resnet50
--batches 8` is the part that notebook 08 draws.
"""

import argparse
import contextlib
import gc
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, RandomSampler

from benchmarks.common.machine import machine_with_gpu
from benchmarks.common.results import option_parser, read_record, write_record
from benchmarks.common.samples import SAMPLES, sample_files
from seglib.data.byte_dataset import ByteDataset
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.normalization import to_model_inputs
from seglib.data.splits import read_split
from seglib.data.transforms import image_transform, joint_transform, mask_transform
from seglib.device import Timer, gpu_memory, pick_device, seed_everything
from seglib.errors import TrainingError
from seglib.lesson.common.small_dataset import write_small
from seglib.lesson.cuda.step_memory import operations
from seglib.losses import make_loss
from seglib.model import BUNDLED_MODEL, build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, train_one_epoch
from seglib.training.precision import use_bfloat16

Batch = tuple[Tensor, Tensor]
Size = tuple[int, int]  # (height, width)
Folders = tuple[Path, Path]  # of images, of masks

TINY = {  # arguments of --tiny
    "models": [BUNDLED_MODEL],
    "batches": [2],
    "size": (48, 64),
    "workers": 1,
    "steps": 1,
    "rounds": 1,
    "warm": 1,
    "side": 256,
    "epochs": 1,
    "seeds": [0],
}


@dataclass(frozen=True)
class Way:
    """The notes' loop is the one with nothing changed."""

    name: str
    workers: int = 0
    bytes: bool = False  # ByteDataset with its cache, normalised on the device; pinned and copied asynchronously
    item: bool = True  # read the loss in every step
    channels_last: bool = False
    tf32: bool | None = None  # None is torch's own choice: in convolutions yes, in matrix products no
    precision: torch.dtype = torch.float32
    fused: bool = False  # Adam in one kernel
    tuned: bool = False  # cuDNN tries its algorithms
    compiled: bool = False
    ours: bool = False


def ways(workers: int) -> list[Way]:
    notes = Way("the notes' loop")
    return [
        notes,
        Way("workers", workers=workers),
        Way("bytes and a cache", bytes=True),
        Way("no .item()", item=False),
        Way("channels-last", channels_last=True),
        Way("TF32 nowhere", tf32=False),
        Way("TF32 everywhere", tf32=True),
        Way("bfloat16", precision=torch.bfloat16),
        Way("float16 with a scaler", precision=torch.float16),
        Way("fused Adam", fused=True),
        Way("cuDNN tries", tuned=True),
        Way("torch.compile", compiled=True),
        Way(
            "all together",
            workers=workers,
            bytes=True,
            item=False,
            channels_last=True,
            tf32=True,
            precision=torch.bfloat16,
            fused=True,
            tuned=True,
            compiled=True,
            ours=True,
        ),
        Way("the notes' loop, again"),
    ]


@dataclass
class Training:
    """A model, its optimizer and a way to train it; `epoch(batches)` runs the loop."""

    way: Way
    model: nn.Module
    optimizer: optim.Optimizer
    device: torch.device
    scaler: torch.amp.GradScaler

    def epoch(self, batches: Iterable[Batch]) -> float:
        if self.way.ours:
            return train_one_epoch(self.model, batches, make_loss("mse"), self.optimizer, self.device)
        return self._notes_epoch(batches)

    def _notes_epoch(self, batches: Iterable[Batch]) -> float:
        way = self.way
        device = self.device
        criterion = nn.MSELoss(reduction="mean")
        layout = torch.channels_last if way.channels_last else torch.contiguous_format
        self.model.train()
        total_loss: Any = 0
        count = 0
        for images, masks in batches:
            images = images.to(device, non_blocking=way.bytes, memory_format=layout)
            masks = masks.to(device, non_blocking=way.bytes)
            images, masks = to_model_inputs(images, masks)
            self.optimizer.zero_grad()
            with torch.autocast(device.type, way.precision, enabled=way.precision != torch.float32):
                outputs = self.model(images)["out"]
            loss = criterion(outputs.float(), masks.float())
            count += 4
            total_loss += loss.item() if way.item else loss.detach()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return float(total_loss) / count


def start(way: Way, name: str, device: torch.device, backend: str) -> Training:
    """Model and optimizer as the way wants them; sets the switches that torch keeps for all."""
    # A compiled model holds itself, and makes the next one of another batch size count as one of any batch size.
    torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    torch.set_float32_matmul_precision("high" if way.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = way.tf32 is not False
    torch.backends.cudnn.benchmark = way.tuned
    seed_everything(0)
    model = build_deeplab(name, weights=None, verbose=False)
    model = model.to(device, memory_format=torch.channels_last if way.channels_last else torch.contiguous_format)
    if way.ours:
        use_bfloat16(model)
    if way.compiled:
        model.compile(backend=backend)
    fused = {"fused": True} if way.fused else {}
    scaler = torch.amp.GradScaler(device.type, enabled=way.precision == torch.float16)
    return Training(way, model, optim.Adam(model.parameters(), lr=1e-5, **fused), device, scaler)


def loader(way: Way, folders: Folders, size: Size, batch: int) -> Iterable[Batch]:
    """Pictures as the way wants them, without end: float32 through PIL, or bytes from a cache that is full already."""
    if way.bytes:
        dataset: CustomDataset = ByteDataset(*folders, size, cache_gib=8)
        for _ in dataset:
            pass
    else:
        dataset = CustomDataset(*folders, image_transform(size), mask_transform(size))
    order = RandomSampler(dataset, replacement=True, num_samples=10**6)
    pinned = way.bytes and torch.cuda.is_available()
    return DataLoader(dataset, batch, sampler=order, num_workers=way.workers, pin_memory=pinned)


def take(batches: Iterator[Batch], number: int) -> Iterator[Batch]:
    for _ in range(number):
        yield next(batches)


def seconds_of(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """The median of some rounds, on a clock that waits for the GPU."""
    times = []
    for _ in range(rounds):
        with Timer(device) as timer:
            work()
        times.append(timer.seconds)
    return statistics.median(times)


def short_numbers(device: torch.device) -> torch.dtype:
    """bfloat16, or float16 on a GPU that has units for that one alone."""
    old = device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0)
    return torch.float16 if old else torch.bfloat16


def matrix_rate(device: torch.device, side: int, rounds: int = 9) -> float:
    """Operations a second of a product of two matrices of short numbers: the best that this device does."""
    left, right = (torch.randn(side, side, device=device, dtype=short_numbers(device)) for _ in range(2))
    seconds_of(lambda: left @ right, device, 3)
    return 2 * side**3 / seconds_of(lambda: [left @ right for _ in range(10)], device, rounds) * 10


@dataclass(frozen=True)
class Setting:
    """What all measurements of a run share."""

    device: torch.device
    size: Size
    backend: str  # of torch.compile
    steps: int  # in a round
    rounds: int
    warm: int  # steps before anything is measured
    matrix_rate: float  # of `matrix_rate`


def measure(way: Way, name: str, batch: int, folders: Folders, setting: Setting) -> dict[str, Any]:
    """Images a second with the loader and without, and the peak of memory; an error is recorded, out of memory too."""
    row: dict[str, Any] = {"way": way.name, "model": name, "batch_size": batch}
    try:
        training = start(way, name, setting.device, setting.backend)
        batches = iter(loader(way, folders, setting.size, batch))
        row |= measure_with_loader(training, batches, batch, setting)
        one = tuple(tensor.to(setting.device) for tensor in next(batches))
        row |= measure_step(training, one, name, setting)
        row["peak_gib"] = peak_gib(setting.device)
    except (RuntimeError, ValueError) as error:
        row["error"] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
    return row


def measure_with_loader(training: Training, batches: Iterator[Batch], batch: int, setting: Setting) -> dict[str, float]:
    """Images a second with pictures from the loader.

    The first steps have a peak of their own: cuDNN may try algorithms that take more memory than the one it chooses.
    """
    workers = training.way.workers
    reset_peak(setting.device)
    training.epoch(take(batches, max(3, setting.warm)))  # compiles, starts workers
    training.epoch(take(batches, 1 + 2 * workers))  # what workers have loaded meanwhile, two batches each
    first_peak = peak_gib(setting.device)
    reset_peak(setting.device)
    steps = steps_in_a_round(training.way, setting)
    seconds = seconds_of(lambda: training.epoch(take(batches, steps)), setting.device, setting.rounds)
    rate = round(batch * steps / seconds, 2)
    return {"peak_gib_of_the_first_steps": first_peak, "images_a_second_with_the_loader": rate}


def measure_step(training: Training, one: Batch, name: str, setting: Setting) -> dict[str, float]:
    """Images a second of the step alone, on a batch that is on the device already."""
    batch = len(one[0])
    training.epoch([one] * 2)
    steps = steps_in_a_round(training.way, setting)
    seconds = seconds_of(lambda: training.epoch([one] * steps), setting.device, setting.rounds)
    share = batch * operations(name, setting.size) * steps / seconds / setting.matrix_rate
    return {
        "images_a_second_of_the_step": round(batch * steps / seconds, 2),
        "share_of_the_matrix_rate": round(share, 4),
    }


def steps_in_a_round(way: Way, setting: Setting) -> int:
    """Several for each worker: they load ahead, and a short round would measure what was loaded before it began."""
    return max(setting.steps, 4 * way.workers)


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_gib(device: torch.device) -> float:
    return round(gpu_memory(device)["peak"] / 2**30, 2)


def train(together: bool, seed: int, files: CustomDataset, arguments: argparse.Namespace) -> float:
    """The IoU of the small model after the same training, in float32 from floats, or in bfloat16 from bytes."""
    device = arguments.device
    seed_everything(seed)
    torch.set_float32_matmul_precision("high" if together else "highest")
    train_dataloader, validation_dataloader = training_loaders(together, seed, files, arguments)
    model = build_deeplab(BUNDLED_MODEL, verbose=False).to(device)
    criterion = make_loss("bce_dice")
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3, weight_decay=1e-4)
    if together:
        speed_up(model, optimizer, arguments)
    steps = arguments.epochs * len(train_dataloader)
    scheduler = make_scheduler(optimizer, "poly", steps, warmup=min(8, steps // 4))
    for _ in range(arguments.epochs):
        train_one_epoch(model, train_dataloader, criterion, optimizer, device, scheduler=scheduler)
    return evaluate(model, validation_dataloader, criterion, device).iou


def training_loaders(
    together: bool, seed: int, files: CustomDataset, arguments: argparse.Namespace
) -> tuple[DataLoader, DataLoader]:
    """Augmented batches, as floats or as bytes from a cache, and validation batches."""
    folders = files.image_folder, files.mask_folder
    size = (48, 64) if arguments.tiny else (240, 320)
    split = read_split(SAMPLES / "split.json")
    varied = joint_transform(size, train=True, as_bytes=together)
    if together:
        train: CustomDataset = ByteDataset(*folders, size, joint_transform=varied, cache_gib=2)
    else:
        train = CustomDataset(*folders, joint_transform=varied)
    validation = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation)
    return make_loaders(train.subset(split.train), list(validation), batch_size=4, seed=seed)


def speed_up(model: nn.Module, optimizer: optim.Optimizer, arguments: argparse.Namespace) -> None:
    """bfloat16, torch.compile and a fused optimizer, where the device has them; in place."""
    with contextlib.suppress(TrainingError):  # a GPU without bfloat16 of its own stays with float32
        use_bfloat16(model)
    if arguments.device.type == "cuda":
        model.compile(backend=arguments.backend)
    for group in optimizer.param_groups:
        group["fused"] = True


def read_arguments() -> argparse.Namespace:
    parser = option_parser(__doc__, "gpu_step")
    parser.add_argument("--models", nargs="*", default=["deeplabv3_resnet50", "deeplabv3_resnet101"])
    parser.add_argument("--batches", type=int, nargs="*", default=[2, 4, 8, 16])
    parser.add_argument("--size", type=int, nargs=2, default=(960, 1280), help="height width")
    parser.add_argument("--ways", nargs="*", help="only these")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1))
    parser.add_argument("--steps", type=int, default=8, help="in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=int, default=4, help="steps before anything is measured")
    parser.add_argument("--side", type=int, default=8192, help="of the matrices")
    parser.add_argument("--epochs", type=int, default=9, help="of the trainings that are compared by IoU")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    if arguments.tiny and arguments.out == parser.get_default("out"):
        parser.error("--tiny is no measurement: name another file with --out")
    if arguments.tiny:
        vars(arguments).update(TINY)
    arguments.backend = "eager" if arguments.tiny else "inductor"  # traced, but not translated: that takes minutes
    arguments.device = pick_device()
    return arguments


def figures_so_far(arguments: argparse.Namespace, rate: float, hardware: dict[str, Any]) -> dict[str, Any]:
    """What the record will hold before anything is measured: the rows and IoUs of an earlier run on this machine."""
    figures: dict[str, Any] = {
        "height": arguments.size[0],
        "width": arguments.size[1],
        "matrix_rate_tera": round(rate / 1e12, 2),
        "matrix_rate_in": str(short_numbers(arguments.device)).removeprefix("torch."),
    }
    before = read_record(arguments.out)
    here = figures | {"machine": hardware}
    if before and any(before[key] != here[key] for key in ("machine", "height", "width")):
        raise SystemExit(f"{arguments.out.name}: measured on another machine or at another size: move it away first")
    # What failed is tried again: another program may have held the memory.
    figures["rows"] = [row for row in before.get("rows", []) if "error" not in row]
    figures["iou"] = before.get("iou", {})
    return figures


def main() -> None:
    arguments = read_arguments()
    hardware = machine_with_gpu(arguments.device)
    rate = matrix_rate(arguments.device, arguments.side)
    figures = figures_so_far(arguments, rate, hardware)

    def store() -> None:
        what = "training on a GPU, the notes' loop and each way to make it faster"
        write_record(arguments.out, what, figures, hardware=hardware)

    measure_all(arguments, rate, figures, store)
    files = sample_files()
    for kind, together in (("float32", False), ("all together", True)):
        scores = figures["iou"].setdefault(kind, [])
        for seed in arguments.seeds[len(scores) :]:
            scores.append(round(train(together, seed, files, arguments), 4))
            print(kind, seed, scores[-1], flush=True)
            store()


def measure_all(arguments: argparse.Namespace, rate: float, figures: dict[str, Any], store: Callable[[], None]) -> None:
    """Measure each way with each model and batch size, unless it is among the rows of `figures` already."""
    setting = Setting(
        device=arguments.device,
        size=tuple(arguments.size),
        backend=arguments.backend,
        steps=arguments.steps,
        rounds=arguments.rounds,
        warm=arguments.warm,
        matrix_rate=rate,
    )
    done = {(row["model"], row["batch_size"], row["way"]) for row in figures["rows"]}
    wanted = [way for way in ways(arguments.workers) if not arguments.ways or way.name in arguments.ways]
    with tempfile.TemporaryDirectory() as scratch:
        files = sample_files()
        if arguments.tiny:
            files = write_small(files.subset(files.stems[:4]), Path(scratch) / "tiny", size=setting.size)
        folders = files.image_folder, files.mask_folder
        for name, batch, way in itertools.product(arguments.models, arguments.batches, wanted):
            if (name, batch, way.name) not in done:
                begin = time.perf_counter()
                row = measure(way, name, batch, folders, setting)
                figures["rows"].append(row)
                print(row, f"({time.perf_counter() - begin:.0f} s)", flush=True)
                store()


if __name__ == "__main__":
    main()
