"""What does loading cost, and how much do workers save? Where the milliseconds of an epoch go, on a CPU.

Three questions, each asked of the 32 training pictures in batches of 4, at 320 wide and 240 high:
1. The parts of an epoch: decode, resize, augment, normalise, collate, forward, backward, step. Once with the files as
   they are (1280 wide, 960 high), once with files that were shrunk beforehand.
2. An epoch with 0, 1 and 2 workers: loading alone, and training; and the batches, which must be the same.
3. The first batch of a loader with 2 workers, by the way in which the system starts processes.

    python -m benchmarks.loading        writes benchmarks/results/loading.json
"""

import json
import multiprocessing
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.samples import SAMPLES, sample_files
from seglib.data.dataloaders import collate, make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split, read_split
from seglib.data.transforms import joint_transform
from seglib.device import seed_everything
from seglib.lesson.common.small_dataset import write_small
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer

SIZE = (240, 320)  # (height, width)
NOTES_SIZE = (960, 1280)
BATCH_SIZE = 4
Folders = tuple[Path, Path]  # of images, of masks
# What the steps of joint_transform are called, by their class; its first one is a partial function, the resize.
PART_OF = {"partial": "resize", "ColorJitter": "augment", "RandomCrop": "augment", "RandomHorizontalFlip": "augment"}


class Clock:
    """Adds up the seconds of each part."""

    def __init__(self):
        self.parts: dict[str, float] = defaultdict(float)

    def run(self, part: str, work: Callable, *arguments: Any) -> Any:
        begin = time.perf_counter()
        result = work(*arguments)
        self.parts[part] += time.perf_counter() - begin
        return result


def as_tensors(image: Image.Image, mask: Image.Image) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """What `CustomDataset` hands to a joint transform."""
    return tv_tensors.Image(functional.pil_to_tensor(image)), tv_tensors.Mask(functional.pil_to_tensor(mask)[0] // 255)


def parts_of_an_epoch(files: CustomDataset, model: nn.Module, batch_size: int = BATCH_SIZE) -> dict[str, float]:
    """Seconds of each part of one epoch; loading is done step by step here, in the order of `CustomDataset`."""
    clock = Clock()
    criterion = make_loss("bce")
    optimizer = make_optimizer(model, "adamw", lr=1e-4)
    steps = joint_transform(SIZE, train=True).transforms
    model.train()
    for first in range(0, len(files), batch_size):
        pairs = []
        for idx in range(first, min(first + batch_size, len(files))):
            pair = clock.run("decode", lambda idx: as_tensors(*files[idx]), idx)
            for step in steps:
                pair = clock.run(PART_OF.get(type(step).__name__, "normalise"), step, *pair)
            pairs.append(pair)
        images, masks = clock.run("collate", collate, pairs)
        images = images.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        outputs = clock.run("forward", model, images)["out"]
        loss = clock.run("forward", criterion, outputs, masks)
        clock.run("backward", loss.backward)
        clock.run("step", optimizer.step)
    return dict(clock.parts)


def median_parts(files: CustomDataset, model: nn.Module, rounds: int) -> dict[str, float]:
    """The median of each part over some epochs, after one that is not counted."""
    epochs = [parts_of_an_epoch(files, model) for _ in range(rounds + 1)][1:]
    return {part: round(statistics.median(epoch[part] for epoch in epochs), 4) for part in epochs[0]}


def seconds_of(epoch: Callable[[], object]) -> float:
    begin = time.perf_counter()
    epoch()
    return time.perf_counter() - begin


def load(loader: DataLoader) -> None:
    for _ in loader:
        pass


def train(model: nn.Module, loader: DataLoader, optimizer: Optimizer) -> None:
    criterion = make_loss("bce")
    model.train()
    for images, masks in loader:
        optimizer.zero_grad()
        criterion(model(images)["out"], masks).backward()
        optimizer.step()


@dataclass(frozen=True)
class Case:
    """Which files are loaded, at which size, and the model that is trained on them, if any."""

    name: str
    folders: Folders
    size: tuple[int, int]  # (height, width)
    model: nn.Module | None


def with_workers(workers: int, case: Case, split: Split, rounds: int) -> dict[str, float]:
    """Seconds until the first batch, of an epoch of loading, and of an epoch of training (if there is a model)."""
    varied = CustomDataset(*case.folders, joint_transform=joint_transform(case.size, train=True))
    plain = CustomDataset(*case.folders, joint_transform=joint_transform(case.size, train=False))
    sides = varied.subset(split.train), plain.subset(split.validation)
    loader, _ = make_loaders(*sides, BATCH_SIZE, workers)
    begin = time.perf_counter()
    batches = iter(loader)
    first = next(batches)
    row = {"workers": workers, "first_batch_seconds": round(time.perf_counter() - begin, 2)}
    checksum = first[0].double().sum().item() + sum(images.double().sum().item() for images, _ in batches)
    row["loading_seconds"] = round(statistics.median(seconds_of(lambda: load(loader)) for _ in range(rounds)), 2)
    if case.model is not None:
        optimizer = make_optimizer(case.model, "adamw", lr=1e-4)
        times = [seconds_of(lambda: train(case.model, loader, optimizer)) for _ in range(rounds + 1)]
        row["training_seconds"] = round(statistics.median(times[1:]), 2)  # the first one warms up
    return row | {"checksum_of_first_epoch": round(checksum, 3)}


def compare_workers(case: Case, split: Split, rounds: int) -> dict:
    """The figures with 0, 1 and 2 workers, and whether they gave the same batches."""
    rows = [with_workers(count, case, split, rounds) for count in (0, 1, 2)]
    same = len({row["checksum_of_first_epoch"] for row in rows}) == 1
    return {"case": case.name, "same_batches": same, "rows": rows}


def start_of_workers(method: str, folders: Folders, split: Split) -> float:
    """Seconds until two workers, started in this way, have given the first batch."""
    dataset = CustomDataset(*folders, joint_transform=joint_transform(SIZE, train=True))
    loader, _ = make_loaders(dataset.subset(split.train), dataset.subset(split.validation), BATCH_SIZE, 2)
    loader.multiprocessing_context = method
    begin = time.perf_counter()
    next(iter(loader))
    return round(time.perf_counter() - begin, 2)


def main() -> None:
    parser = option_parser(__doc__, "loading")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of which the median is taken")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    split = read_split(SAMPLES / "split.json")
    files = sample_files()
    seed_everything(0)
    model = build_deeplab(weights=None, verbose=False)
    figures: dict[str, Any] = {"threads": torch.get_num_threads(), "rounds": rounds}
    figures |= {"height": SIZE[0], "width": SIZE[1]}
    with tempfile.TemporaryDirectory() as scratch:
        write_small(files, Path(scratch) / "small", size=SIZE)
        folders = files.image_folder, files.mask_folder
        small_folders = Path(scratch) / "small" / "images", Path(scratch) / "small" / "masks"
        figures["parts"] = {
            "1280 wide": median_parts(files.subset(split.train), model, rounds),
            "320 wide": median_parts(CustomDataset(*small_folders).subset(split.train), model, rounds),
        }
        print(json.dumps(figures["parts"], indent=1), flush=True)
        figures["workers"] = []
        for case in (
            Case("files 1280 wide, pictures 320 wide", folders, SIZE, model),
            Case("files 320 wide, pictures 320 wide", small_folders, SIZE, model),
            Case("files 1280 wide, pictures 1280 wide", folders, NOTES_SIZE, None),
        ):
            figures["workers"].append(compare_workers(case, split, rounds))
            print(json.dumps(figures["workers"][-1], indent=1), flush=True)
        known = multiprocessing.get_all_start_methods()
        figures["first_batch_of_two_workers"] = {
            method: start_of_workers(method, small_folders, split)
            for method in ("fork", "forkserver", "spawn")
            if method in known
        }
    write_record(arguments.out, "seconds of an epoch of 32 training pictures in batches of 4", figures)
    print(figures["first_batch_of_two_workers"])


if __name__ == "__main__":
    main()
