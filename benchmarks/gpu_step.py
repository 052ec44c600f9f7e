"""How much faster does each change make training on a GPU, alone and all together, than the notes' loop as written?

Two cases. "large" is ResNet-50 at 1280 wide and 960 high in batches of 8: there the GPU has more than enough to do.
"small" is the model of the lessons at 320 wide and 240 high in batches of 4: there it waits for Python, which starts a
thousand small kernels one by one. Random weights: speed does not depend on them, and nothing is downloaded.

For each case: the notes' loop; all changes together, which is `seglib`'s own `train_one_epoch` on a `ByteDataset`; the
notes' loop with one thing changed, for each thing. Of each way: images a second with pictures from the loader, which
has no end, so that no start of an epoch is in the figure; images a second of the step alone, on a batch that is on the
device already; the seconds of the first steps, in which torch.compile translates and a CUDA graph is recorded; peak
memory; the share of the GPU's rate of matrix products in bfloat16 (float16 on a GPU without bfloat16 units), which is
measured first. A way that runs out of memory is stored as such.

A last part trains the small model by our recipe, three seeds each: from floats in float32 (convolutions in TF32 where
the GPU has it, as torch does by itself), and all together. It compares the IoU.

    python -m benchmarks.gpu_step                      writes benchmarks/results/gpu_step.json, after each way
    python -m benchmarks.gpu_step --tiny --out FILE    a minute on a CPU, to see that it runs

Each way is bounded in seconds, and so is the whole run: what it did not reach is stored by name, and what is stored
already is not run again. So a run that was stopped, or ran out of time, goes on when it is started again.
"""

import argparse
import functools
import gc
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, RandomSampler

from benchmarks.common.machine import machine_with_gpu
from benchmarks.common.results import option_parser, read_record, refuse_a_tiny_record, write_record
from benchmarks.common.samples import SAMPLES, sample_files
from seglib.data.byte_dataset import ByteDataset
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.normalization import to_model_inputs
from seglib.data.splits import read_split
from seglib.data.transforms import image_transform, joint_transform, mask_transform
from seglib.device import Timer, gpu_memory, pick_device, seed_everything
from seglib.lesson.common.small_dataset import write_small
from seglib.lesson.cuda.step_memory import operations
from seglib.losses import Loss, make_loss
from seglib.model import BUNDLED_MODEL, build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.divergence_guard import DivergenceGuard
from seglib.training.loop import evaluate, train_one_epoch
from seglib.training.precision import Step, make_step, precision_of, set_precision

FIRST_STEPS = 5  # nothing is measured in them: cuDNN chooses, torch.compile translates, a CUDA graph is recorded
TRIAL = 2  # steps, to see how long one takes
TINY = {"workers": 1, "seconds": 0.1, "side": 256, "epochs": 1, "seeds": [0]}  # arguments of --tiny


Batch = tuple[Tensor, Tensor]
Size = tuple[int, int]  # (height, width)
Folders = tuple[Path, Path]  # of images, of masks


@dataclass(frozen=True)
class Case:
    """A model, a size and a batch."""

    name: str
    model: str
    size: Size
    batch: int


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
    compiled: str | None = None  # a mode of torch.compile
    recorded: bool = False  # the step is a CUDA graph
    ours: bool = False  # `train_one_epoch`
    guard: bool = True  # of ours, against NaN
    larger: int = 1  # so many times the batch


def ways_of(case: str, workers: int) -> list[Way]:
    """The ways of a case, the most important first."""
    notes = Way("the notes' loop")
    together = Way(
        "all together",
        workers=workers,
        bytes=True,
        item=False,
        channels_last=True,
        tf32=True,
        precision=torch.bfloat16,
        fused=True,
        ours=True,
    )
    alone = [
        Way("channels-last", channels_last=True),
        Way("no .item()", item=False),
        Way("fused Adam", fused=True),
        Way("float16 with a scaler", precision=torch.float16),
        Way("TF32 nowhere", tf32=False),
    ]
    if case == "small":
        together = replace(together, name="all together, recorded", precision=torch.float32, recorded=True)
        return [
            notes,
            together,
            replace(together, name="all together, recorded, no guard", guard=False),
            Way("recorded as a CUDA graph", item=False, recorded=True),
            replace(together, name="all together, recorded, bfloat16", precision=torch.bfloat16),
            replace(together, name="all together, not recorded", recorded=False),
            Way("bfloat16", precision=torch.bfloat16),
            Way("4 times the batch", larger=4),
            *alone[:4],
            replace(together, name="all together, recorded, compiled", compiled="default"),
            Way("torch.compile", compiled="default"),
            Way("torch.compile, reduce-overhead", compiled="reduce-overhead"),
            replace(notes, name="the notes' loop, again"),
        ]
    return [
        notes,
        together,
        Way("bfloat16", precision=torch.bfloat16),
        replace(together, name="all together, compiled", compiled="default"),
        replace(together, name="all together, no guard", guard=False),
        *alone,
        Way("bytes and a cache", bytes=True),
        Way("workers", workers=workers),
        replace(notes, name="the notes' loop, again"),
        Way("TF32 everywhere", tf32=True),
        Way("torch.compile", compiled="default"),
        Way("cuDNN tries", tuned=True),
    ]


@dataclass
class Training:
    """A model, its optimizer and a way to train it; `epoch(batches)` runs the loop."""

    way: Way
    model: nn.Module
    optimizer: optim.Optimizer
    device: torch.device
    step: Step | None  # of ours, and of the notes' loop where it is recorded
    guard: Any  # of ours
    scaler: torch.amp.GradScaler

    def epoch(self, batches: Iterable[Batch]) -> float:
        if self.way.ours:
            loss = make_loss("mse")
            return train_one_epoch(
                self.model, batches, loss, self.optimizer, self.device, guard=self.guard, step=self.step
            )
        return self._notes_epoch(batches)

    def _notes_epoch(self, batches: Iterable[Batch]) -> float:
        way = self.way
        device = self.device
        layout = torch.channels_last if way.channels_last else torch.contiguous_format
        self.model.train()
        total_loss: Any = 0
        count = 0
        for images, masks in batches:
            images = images.to(device, non_blocking=way.bytes, memory_format=layout)
            masks = masks.to(device, non_blocking=way.bytes)
            images, masks = to_model_inputs(images, masks)
            loss = self.step(images, masks.float()) if self.step else self._notes_step(images, masks)
            count += 4
            total_loss += loss.item() if way.item else loss.detach()
        return float(total_loss) / count

    def _notes_step(self, images: Tensor, masks: Tensor) -> Tensor:
        """In the notes `.item()` stands before `backward`; here it waits for the whole step, which is no faster."""
        way = self.way
        self.optimizer.zero_grad()
        with torch.autocast(self.device.type, way.precision, enabled=way.precision != torch.float32):
            outputs = self.model(images)["out"]
        loss = nn.functional.mse_loss(outputs.float(), masks.float())
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss


class NoGuard:
    """Stands in for a `DivergenceGuard`, to measure what the real one costs. It looks at no loss and keeps nothing."""

    def start_epoch(self) -> None: ...
    def keep_weights(self) -> None: ...
    def check_step(self, mean_loss: Tensor) -> None: ...
    def check(self, loss: float, where: str = "") -> float:
        return loss


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
    if way.ours and way.precision != torch.float32:
        set_precision(model, "auto")
    if way.compiled and backend == "inductor":
        model.compile(mode=way.compiled)
    elif way.compiled:
        model.compile(backend=backend)
    recorded = way.recorded and device.type == "cuda"
    optimizer = optim.Adam(model.parameters(), lr=1e-5, **({"fused": True} if way.fused or recorded else {}))
    scaler = torch.amp.GradScaler(device.type, enabled=way.precision == torch.float16)
    step = make_step(model, make_loss("mse"), optimizer, cuda_graph=True) if recorded else None
    if way.ours and precision_of(model) == "float16" and not step:
        step = make_step(model, make_loss("mse"), optimizer)
    guard = DivergenceGuard(model, optimizer) if way.guard and way.ours else NoGuard()
    return Training(way, model, optimizer, device, step, guard, scaler)


@functools.cache
def dataset_of(bytes_: bool, folders: Folders, size: Size) -> CustomDataset:
    """Pictures as floats through PIL, or as bytes from a cache that is full already."""
    if not bytes_:
        return CustomDataset(*folders, image_transform(size), mask_transform(size))
    dataset = ByteDataset(*folders, size, cache_gib=8)
    for _ in dataset:
        pass
    return dataset


def loader(way: Way, folders: Folders, size: Size, batch: int) -> Iterable[Batch]:
    """Batches without end."""
    dataset = dataset_of(way.bytes, folders, size)
    order = RandomSampler(dataset, replacement=True, num_samples=10**6)
    pinned = way.bytes and torch.cuda.is_available()
    return DataLoader(dataset, batch, sampler=order, num_workers=way.workers, pin_memory=pinned)


def take(batches: Iterator[Batch], number: int) -> Iterator[Batch]:
    for _ in range(number):
        yield next(batches)


def steps_a_second(run: Callable[[int], object], device: torch.device, seconds: float) -> float:
    """`run(n)` does n steps: as many as fit into the time are run, after a short trial, and measured."""
    with Timer(device) as trial:
        run(TRIAL)
    steps = min(400, max(TRIAL, round(TRIAL * seconds / trial.seconds)))
    with Timer(device) as timer:
        run(steps)
    return steps / timer.seconds


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
    backend: str  # of torch.compile
    seconds: float  # of a measurement; each way has two
    matrix_rate: float  # of `matrix_rate`


def measure(way: Way, case: Case, folders: Folders, setting: Setting) -> dict[str, Any]:
    """Images a second with the loader and without, and the peak of memory; an error is recorded, out of memory too."""
    batch = case.batch * way.larger
    row: dict[str, Any] = {"case": case.name, "way": way.name, "model": case.model, "batch_size": batch}
    row |= {"height": case.size[0], "width": case.size[1]}
    try:
        batches = iter(loader(way, folders, case.size, batch))
        one = tuple(tensor.to(setting.device) for tensor in next(batches))
        reset_peak(setting.device)
        with Timer(setting.device) as timer:
            training = start(way, case.model, setting.device, setting.backend)
            training.epoch([one] * FIRST_STEPS)
        # Of its own: cuDNN may try algorithms that take more memory than the one it chooses.
        row |= {"seconds_of_the_first_steps": round(timer.seconds, 1)}
        row |= {"peak_gib_of_the_first_steps": peak_gib(setting.device)}
        reset_peak(setting.device)
        row |= measure_step(training, one, case, setting)
        row |= measure_with_loader(training, batches, batch, setting)
        row |= {"peak_gib": peak_gib(setting.device), "reserved_gib": reserved_gib(setting.device)}
    except (RuntimeError, ValueError) as error:
        row["error"] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
    return row


def measure_with_loader(training: Training, batches: Iterator[Batch], batch: int, setting: Setting) -> dict[str, float]:
    """Images a second with pictures from the loader."""
    for _ in take(batches, 2 * training.way.workers):
        pass  # what workers have loaded meanwhile, two batches each, would count as loaded in no time
    rate = steps_a_second(lambda steps: training.epoch(take(batches, steps)), setting.device, setting.seconds)
    return {"images_a_second_with_the_loader": round(batch * rate, 2)}


def measure_step(training: Training, one: Any, case: Case, setting: Setting) -> dict[str, float]:
    """Images a second of the step alone, on a batch that is on the device already."""
    rate = steps_a_second(lambda steps: training.epoch([one] * steps), setting.device, setting.seconds)
    images = len(one[0]) * rate
    share = images * operations(case.model, case.size) / setting.matrix_rate
    return {"images_a_second_of_the_step": round(images, 2), "share_of_the_matrix_rate": round(share, 4)}


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_gib(device: torch.device) -> float:
    return round(gpu_memory(device)["peak"] / 2**30, 2)


def reserved_gib(device: torch.device) -> float:
    return round(torch.cuda.max_memory_reserved(device) / 2**30, 2) if device.type == "cuda" else 0.0


def train(together: bool, seed: int, files: CustomDataset, arguments: argparse.Namespace) -> float:
    """The IoU of the small model after the same training, in float32 from floats, or in bfloat16 from bytes."""
    device = arguments.device
    seed_everything(seed)
    torch.set_float32_matmul_precision("high" if together else "highest")
    train_dataloader, validation_dataloader = training_loaders(together, seed, files, arguments)
    model = build_deeplab(BUNDLED_MODEL, verbose=False).to(device)
    criterion = make_loss("bce_dice")
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3, weight_decay=1e-4)
    step = speed_up(model, criterion, optimizer) if together else None
    steps = arguments.epochs * len(train_dataloader)
    scheduler = make_scheduler(optimizer, "poly", steps, warmup=min(8, steps // 4))
    guard = DivergenceGuard(model, optimizer)
    for _ in range(arguments.epochs):
        train_one_epoch(
            model, train_dataloader, criterion, optimizer, device, scheduler=scheduler, guard=guard, step=step
        )
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


def speed_up(model: nn.Module, criterion: Loss, optimizer: optim.Optimizer) -> Step | None:
    """The step recorded, where the device is a GPU."""
    return make_step(model, criterion, optimizer, cuda_graph=True) if next(model.parameters()).is_cuda else None


def read_arguments() -> argparse.Namespace:
    parser = option_parser(__doc__, "gpu_step", gpu=True)
    parser.add_argument("--cases", nargs="*", default=["large", "small"], help="large, small [both]")
    parser.add_argument("--ways", nargs="*", help="only these")
    parser.add_argument("--batch", type=int, default=8, help="of the large case; 2 fits a card of 16 GB")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1))
    parser.add_argument("--seconds", type=float, default=2.5, help="of a measurement; each way has two")
    parser.add_argument("--limit", type=float, default=240, help="seconds after which nothing else is begun")
    parser.add_argument("--side", type=int, default=8192, help="of the matrices")
    parser.add_argument("--epochs", type=int, default=9, help="of the trainings that are compared by IoU")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    refuse_a_tiny_record(arguments, parser)
    if arguments.tiny:
        vars(arguments).update(TINY)
    arguments.backend = "eager" if arguments.tiny else "inductor"  # traced, but not translated: that takes minutes
    arguments.device = pick_device()
    return arguments


def cases_of(arguments: argparse.Namespace) -> list[Case]:
    large = Case("large", "deeplabv3_resnet50", (960, 1280), arguments.batch)
    small = Case("small", BUNDLED_MODEL, (240, 320), 4)
    cases = [case for case in (large, small) if case.name in arguments.cases]
    return [replace(case, model=BUNDLED_MODEL, size=(48, 64), batch=2) for case in cases] if arguments.tiny else cases


def figures_so_far(arguments: argparse.Namespace, rate: float, hardware: dict[str, Any]) -> dict[str, Any]:
    """What the record will hold before anything is measured: the rows and IoUs of an earlier run on this machine."""
    figures: dict[str, Any] = {
        "matrix_rate_tera": round(rate / 1e12, 2),
        "matrix_rate_in": str(short_numbers(arguments.device)).removeprefix("torch."),
    }
    before = read_record(arguments.out)
    if before and before["machine"] != hardware:
        raise SystemExit(f"{arguments.out.name}: measured on another machine: move it away first")
    # What failed is tried again: another program may have held the memory.
    figures["rows"] = [row for row in before.get("rows", []) if "error" not in row]
    figures["iou"] = before.get("iou", {})
    return figures


def main() -> None:
    arguments = read_arguments()
    end = time.monotonic() + arguments.limit
    hardware = machine_with_gpu(arguments.device)
    rate = matrix_rate(arguments.device, arguments.side)
    figures = figures_so_far(arguments, rate, hardware)

    def store() -> None:
        what = "training on a GPU, the notes' loop and each way to make it faster"
        write_record(arguments.out, what, figures, hardware=hardware)

    measure_all(arguments, figures, end, Setting(arguments.device, arguments.backend, arguments.seconds, rate), store)
    files = sample_files()
    for kind, together in (("float32", False), ("all together", True)):
        scores = figures["iou"].setdefault(kind, [])
        for seed in arguments.seeds[len(scores) :]:
            if time.monotonic() < end:
                scores.append(round(train(together, seed, files, arguments), 4))
                print(kind, seed, scores[-1], flush=True)
                store()


def measure_all(
    arguments: argparse.Namespace, figures: dict[str, Any], end: float, setting: Setting, store: Callable[[], None]
) -> None:
    """Measure each way of each case in turn, unless it is among the rows of `figures` already."""
    done = {(row["case"], row["way"]) for row in figures["rows"]}
    cases = cases_of(arguments)
    each = [[(case, way) for way in ways_of(case.name, arguments.workers)] for case in cases]
    in_turn = [pair for pairs in itertools.zip_longest(*each) for pair in pairs if pair]
    wanted = [(case, way) for case, way in in_turn if not arguments.ways or way.name in arguments.ways]
    missing = [(case, way) for case, way in wanted if (case.name, way.name) not in done]
    with tempfile.TemporaryDirectory() as scratch:
        files = sample_files()
        if arguments.tiny:
            files = write_small(files.subset(files.stems[:4]), Path(scratch) / "tiny", size=cases[0].size)
        folders = files.image_folder, files.mask_folder
        while missing and time.monotonic() < end:
            case, way = missing.pop(0)
            begin = time.perf_counter()
            row = measure(way, case, folders, setting)
            figures["rows"].append(row)
            figures["not_reached"] = [f"{case.name}: {way.name}" for case, way in missing]
            print(row, f"({time.perf_counter() - begin:.0f} s)", flush=True)
            store()


if __name__ == "__main__":
    main()
