"""What does each way to make training fast bring on a GPU, alone and all together, against the notes' loop as written?

For each model and batch size, at 1280 wide and 960 high, in this order: the notes' loop; that loop with one thing
changed, for each thing; all of them, which is `seglib`'s own `train_one_epoch` on a `ByteDataset`; the notes' loop once
more, so that a machine that drifts shows. Random weights: speed does not depend on them, and nothing is downloaded.

Of each way: images a second with pictures from the loader, which draws without end, so that no epoch's beginning is in
the figure; images a second of the step alone, on a batch that is on the device already; peak memory; the share of the
GPU's rate of matrix products in bfloat16, or in float16 on a GPU without bfloat16 units, which is measured first. A way
that runs out of memory is stored as such. A last part trains the small model by our recipe, three seeds each, from
floats in float32 (convolutions in TF32 where the GPU has it, as torch does by itself), and from changed pictures that
travel as bytes, in bfloat16, compiled, with fused AdamW; and compares the IoU.

    python benchmarks/gpu_step.py                      writes benchmarks/results/gpu_step.json, after each way
    python benchmarks/gpu_step.py --tiny --out FILE    a minute on a CPU, to see that it runs

What is stored already is not run again: a long benchmark may be stopped and go on. `--models deeplabv3_resnet50
--batches 8` is the part that notebook 07 draws.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, RandomSampler

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from benchmarks.common.machine import machine
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


@dataclass(frozen=True)
class Way:
    """The notes' loop is the one with nothing changed."""

    name: str
    workers: int = 0
    bytes: bool = False  # ByteDataset with its cache, normalised on the device; pinned and copied without waiting
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
        way, criterion, device, scaler = self.way, nn.MSELoss(reduction="mean"), self.device, self.scaler
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
            scaler.scale(loss).backward()
            scaler.step(self.optimizer)
            scaler.update()
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


def loader(way: Way, folders: tuple[Path, Path], size: tuple[int, int], batch: int) -> Iterable[Batch]:
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


def measure(way: Way, name: str, batch: int, folders: tuple[Path, Path], arguments: argparse.Namespace) -> dict:
    """Images a second with the loader and without, and the peak of memory; an error, out of memory too, is told.

    The first steps have a peak of their own: cuDNN may try algorithms that take more memory than the one it chooses.
    """
    device, size, steps = arguments.device, tuple(arguments.size), arguments.steps
    row: dict[str, Any] = {"way": way.name, "model": name, "batch_size": batch}
    try:
        training = start(way, name, device, arguments.backend)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        batches = iter(loader(way, folders, size, batch))
        training.epoch(take(batches, max(3, arguments.warm)))  # compiles, starts workers
        steps = max(steps, 4 * way.workers)
        training.epoch(take(batches, 1 + 2 * way.workers))  # what workers have loaded meanwhile, two batches each
        row["peak_gib_of_the_first_steps"] = round(gpu_memory(device)["peak"] / 2**30, 2)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = seconds_of(lambda: training.epoch(take(batches, steps)), device, arguments.rounds)
        row["images_a_second_with_the_loader"] = round(batch * steps / seconds, 2)
        one = tuple(tensor.to(device) for tensor in next(batches))
        training.epoch([one] * 2)
        seconds = seconds_of(lambda: training.epoch([one] * steps), device, arguments.rounds)
        row["images_a_second_of_the_step"] = round(batch * steps / seconds, 2)
        row["share_of_the_matrix_rate"] = round(
            batch * operations(name, size) * steps / seconds / arguments.matrix_rate, 4
        )
        row["peak_gib"] = round(gpu_memory(device)["peak"] / 2**30, 2)
    except (RuntimeError, ValueError) as error:
        row["error"] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
    return row


def train(together: bool, seed: int, folders: tuple[Path, Path], split: Any, size: Any, arguments: Any) -> float:
    """The IoU of the small model after the same training, in float32 from floats, or in bfloat16 from bytes."""
    seed_everything(seed)
    torch.set_float32_matmul_precision("high" if together else "highest")
    joint = joint_transform(size, train=True, as_bytes=together)
    if together:
        dataset: CustomDataset = ByteDataset(*folders, size, joint_transform=joint, cache_gib=2)
    else:
        dataset = CustomDataset(*folders, joint_transform=joint)
    measured = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation)
    loaders = make_loaders(dataset.subset(split.train), list(measured), batch_size=4, seed=seed)
    model, criterion = build_deeplab(BUNDLED_MODEL, verbose=False).to(arguments.device), make_loss("bce_dice")
    if together:
        with contextlib.suppress(TrainingError):  # a GPU without bfloat16 of its own stays with float32
            use_bfloat16(model)
        if arguments.device.type == "cuda":
            model.compile(backend=arguments.backend)
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3, weight_decay=1e-4)
    for group in optimizer.param_groups if together else []:
        group["fused"] = True
    steps = arguments.epochs * len(loaders[0])
    schedule = make_scheduler(optimizer, "poly", steps, warmup=min(8, steps // 4))
    for _ in range(arguments.epochs):
        train_one_epoch(model, loaders[0], criterion, optimizer, arguments.device, scheduler=schedule)
    return evaluate(model, loaders[1], criterion, arguments.device).iou


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "gpu_step.json")
    arguments = parser.parse_args()
    if arguments.tiny and arguments.out == parser.get_default("out"):
        parser.error("--tiny is no measurement: name another file with --out")
    arguments.backend = "eager" if arguments.tiny else "inductor"  # traced, but not translated: that takes minutes
    if arguments.tiny:
        arguments.models, arguments.batches, arguments.size = [BUNDLED_MODEL], [2], (48, 64)
        arguments.workers, arguments.steps, arguments.rounds, arguments.warm = 1, 1, 1, 1
        arguments.side, arguments.epochs, arguments.seeds = 256, 1, [0]
    arguments.device = pick_device()
    arguments.matrix_rate = matrix_rate(arguments.device, arguments.side)
    gpu = torch.cuda.get_device_name(arguments.device) if arguments.device.type == "cuda" else None
    result: dict[str, Any] = {"what": "training on a GPU, the notes' loop and each way to make it faster"}
    result |= {"machine": {**machine(), "gpu": gpu}, "height": arguments.size[0], "width": arguments.size[1]}
    result |= {"matrix_rate_tera": round(arguments.matrix_rate / 1e12, 2)}
    result |= {"matrix_rate_in": str(short_numbers(arguments.device)).removeprefix("torch.")}
    before = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    if before and any(before[key] != result[key] for key in ("machine", "height", "width")):
        parser.error(f"{arguments.out.name} was measured on another machine or at another size: move it away first")
    # What failed is tried again: another program may have held the memory.
    result |= {"rows": [row for row in before.get("rows", []) if "error" not in row], "iou": before.get("iou", {})}
    done = {(row["model"], row["batch_size"], row["way"]) for row in result["rows"]}

    def store() -> None:
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")

    with tempfile.TemporaryDirectory() as scratch:
        samples = CustomDataset(ROOT / "data_samples/images", ROOT / "data_samples/masks")
        split = read_split(ROOT / "data_samples/split.json")
        files = samples.subset(split.train[:4]) if arguments.tiny else samples
        if arguments.tiny:
            files = write_small(files, Path(scratch) / "tiny", size=tuple(arguments.size))
        folders = files.image_folder, files.mask_folder
        for name in arguments.models:
            for batch in arguments.batches:
                for way in ways(arguments.workers):
                    wanted = not arguments.ways or way.name in arguments.ways
                    if wanted and (name, batch, way.name) not in done:
                        begin = time.perf_counter()
                        row = measure(way, name, batch, folders, arguments)
                        result["rows"].append(row)
                        print(row, f"({time.perf_counter() - begin:.0f} s)", flush=True)
                        store()
        small = (48, 64) if arguments.tiny else (240, 320)
        for kind, together in (("float32", False), ("all together", True)):
            for seed in arguments.seeds[len(result["iou"].get(kind, [])) :]:
                score = train(together, seed, (samples.image_folder, samples.mask_folder), split, small, arguments)
                result["iou"].setdefault(kind, []).append(round(score, 4))
                print(kind, seed, score, flush=True)
                store()


if __name__ == "__main__":
    main()
