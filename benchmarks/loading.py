"""What does loading cost, and what do workers bring? Where the milliseconds of an epoch go, on a CPU.

Three questions, each asked of the 32 training pictures in batches of 4, at 320 wide and 240 high:
1. The parts of an epoch: decode, resize, augment, normalise, collate, forward, backward, step. Once with the files as
   they are (1280 wide, 960 high), once with files that were shrunk beforehand.
2. An epoch with 0, 1 and 2 workers: loading alone, and training; and the batches, which must be the same.
3. The first batch of a loader with 2 workers, by the way in which the system starts processes.

    python benchmarks/loading.py        writes benchmarks/results/loading.json
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from benchmarks.common.machine import machine
from seglib.data.dataloaders import collate, make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import joint_transform
from seglib.device import seed_everything
from seglib.lesson.common.small_dataset import write_small
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer

SIZE = (240, 320)  # (height, width)
NOTES_SIZE = (960, 1280)
BATCH_SIZE = 4
# What the steps of joint_transform are called, by their class; its first one is a partial function, the resize.
PART_OF = {"partial": "resize", "ColorJitter": "augment", "RandomCrop": "augment", "RandomHorizontalFlip": "augment"}


class Clock:
    """Adds up the seconds of each part."""

    def __init__(self):
        self.parts = defaultdict(float)

    def run(self, part: str, work: Callable, *arguments):
        begin = time.perf_counter()
        result = work(*arguments)
        self.parts[part] += time.perf_counter() - begin
        return result


def as_tensors(image, mask) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """What `CustomDataset` hands to a joint transform."""
    return tv_tensors.Image(functional.pil_to_tensor(image)), tv_tensors.Mask(functional.pil_to_tensor(mask)[0] // 255)


def parts_of_an_epoch(files: CustomDataset, model, batch_size: int = BATCH_SIZE) -> dict[str, float]:
    """Seconds of each part of one epoch; loading is done step by step here, in the order of `CustomDataset`."""
    clock, criterion = Clock(), make_loss("bce")
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


def median_parts(files: CustomDataset, model, rounds: int) -> dict[str, float]:
    """The median of each part over some epochs, after one that is not counted."""
    epochs = [parts_of_an_epoch(files, model) for _ in range(rounds + 1)][1:]
    return {part: round(statistics.median(epoch[part] for epoch in epochs), 4) for part in epochs[0]}


def train(model, loader: DataLoader, optimizer) -> None:
    criterion = make_loss("bce")
    model.train()
    for images, masks in loader:
        optimizer.zero_grad()
        criterion(model(images)["out"], masks).backward()
        optimizer.step()


def with_workers(workers: int, folders: tuple[Path, Path], split, size: tuple[int, int], rounds: int, model) -> dict:
    """Seconds until the first batch, of an epoch of loading, and of an epoch of training (if there is a model)."""
    train_loader, _ = make_loaders(
        CustomDataset(*folders, joint_transform=joint_transform(size, train=True)).subset(split.train),
        CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation),
        BATCH_SIZE,
        workers,
    )
    begin = time.perf_counter()
    batches = iter(train_loader)
    first = next(batches)
    row = {"workers": workers, "first_batch_seconds": round(time.perf_counter() - begin, 2)}
    checksum = first[0].double().sum().item() + sum(images.double().sum().item() for images, _ in batches)

    def epoch() -> float:
        begin = time.perf_counter()
        for _ in train_loader:
            pass
        return time.perf_counter() - begin

    def training_epoch() -> float:
        begin = time.perf_counter()
        train(model, train_loader, optimizer)
        return time.perf_counter() - begin

    row["loading_seconds"] = round(statistics.median(epoch() for _ in range(rounds)), 2)
    if model is not None:
        optimizer = make_optimizer(model, "adamw", lr=1e-4)
        training_epoch()
        row["training_seconds"] = round(statistics.median(training_epoch() for _ in range(rounds)), 2)
    return row | {"checksum_of_first_epoch": round(checksum, 3)}


def start_of_workers(method: str, folders: tuple[Path, Path], split) -> float:
    """Seconds until two workers, started in this way, have given the first batch."""
    dataset = CustomDataset(*folders, joint_transform=joint_transform(SIZE, train=True))
    loader, _ = make_loaders(dataset.subset(split.train), dataset.subset(split.validation), BATCH_SIZE, 2)
    loader.multiprocessing_context = method
    begin = time.perf_counter()
    next(iter(loader))
    return round(time.perf_counter() - begin, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=ROOT / "data_samples")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of which the median is taken")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "loading.json")
    arguments = parser.parse_args()
    split = read_split(arguments.samples / "split.json")
    folders = arguments.samples / "images", arguments.samples / "masks"
    files = CustomDataset(*folders)
    seed_everything(0)
    model = build_deeplab(weights=None, verbose=False).to(memory_format=torch.channels_last)
    result = {"what": "seconds of an epoch of 32 training pictures in batches of 4", "machine": machine()}
    result |= {"threads": torch.get_num_threads(), "rounds": arguments.rounds, "height": SIZE[0], "width": SIZE[1]}
    with tempfile.TemporaryDirectory() as scratch:
        small = write_small(files, Path(scratch) / "small", size=SIZE)
        small.transform = small.mask_transform = None
        small_folders = small.image_folder, small.mask_folder
        result["parts"] = {
            "1280 wide": median_parts(files.subset(split.train), model, arguments.rounds),
            "320 wide": median_parts(small.subset(split.train), model, arguments.rounds),
        }
        print(json.dumps(result["parts"], indent=1), flush=True)
        result["workers"] = []
        for name, where, size, net in (
            ("files 1280 wide, pictures 320 wide", folders, SIZE, model),
            ("files 320 wide, pictures 320 wide", small_folders, SIZE, model),
            ("files 1280 wide, pictures 1280 wide", folders, NOTES_SIZE, None),
        ):
            rows = [with_workers(count, where, split, size, arguments.rounds, net) for count in (0, 1, 2)]
            same = len({row["checksum_of_first_epoch"] for row in rows}) == 1
            result["workers"].append({"case": name, "same_batches": same, "rows": rows})
            print(json.dumps(result["workers"][-1], indent=1), flush=True)
        methods = [
            method for method in ("fork", "forkserver", "spawn") if method in multiprocessing.get_all_start_methods()
        ]
        result["first_batch_of_two_workers"] = {m: start_of_workers(m, small_folders, split) for m in methods}
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(result["first_batch_of_two_workers"])


if __name__ == "__main__":
    main()
