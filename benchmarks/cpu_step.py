"""What does seglib's loop gain on a CPU? One step, and a whole training, against the notes' loop on the same machine.

Three questions:
- mobilenet: one step of `deeplabv3_mobilenet_v3_large`, batch 4 at 320 wide and 240 high, float32. The notes' loop as
  written against `train_one_epoch`: same model, batch, loss (MSE), optimizer and weights. What differs is the order in
  memory (channels-last) and the loss, which is not read from the model's device in each step.
- resnet50: the same with `deeplabv3_resnet50`, where ours also computes in bfloat16 (autocast); and the IoU after a
  training in both, three seeds each, from random weights.
- fit: `fit` for 10 epochs by our recipe, three seeds: IoU, and seconds on all cores, validation included.

How many steps and seconds both recipes need to one IoU is a race in `hundred_epochs.py`.

    python benchmarks/cpu_step.py [mobilenet] [fit] [resnet50]      writes benchmarks/results/cpu_step.json

Each run of a training is stored when it is done, and not run again: a long benchmark may be stopped and go on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from benchmarks.ceiling import ceiling_at
from benchmarks.common.fast_cpu import Bfloat16
from benchmarks.common.machine import machine
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import joint_transform
from seglib.device import pick_device, seed_everything
from seglib.lesson.common.small_dataset import write_small
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, fit, train_one_epoch

CPU = pick_device("cpu")
SEEDS = (0, 1, 2)
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "amx_int8")
Batch = tuple[Tensor, Tensor]
MOBILENET, RESNET = "deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50"


def flags() -> list[str]:
    """Which of the instructions that matter here this CPU has, where the system gives them away."""
    cpuinfo = Path("/proc/cpuinfo")
    words = cpuinfo.read_text(encoding="utf-8").split() if cpuinfo.exists() else []
    return [flag for flag in FLAGS if flag in words]


def plain(model: nn.Module) -> nn.Module:
    """The model as torchvision gives it, channels first in memory."""
    return model.to(memory_format=torch.contiguous_format)


def notes_epoch(pretrained_deeplab: nn.Module, train_dataloader: Iterable[Batch], optimizer: optim.Optimizer) -> float:
    """The notes' inner loop, word for word but for the device."""
    device, criterion = CPU, nn.MSELoss(reduction="mean")
    pretrained_deeplab.train()
    total_loss = 0
    count = 0
    for images, masks in train_dataloader:
        images = images.to(device)
        masks = masks.to(device)
        optimizer.zero_grad()

        # Forward pass
        outputs = pretrained_deeplab(images)["out"]

        # Calculate the loss
        loss = criterion(outputs, masks.float())
        count += 4
        total_loss += loss.item()

        # Backward pass and optimization
        loss.backward()
        optimizer.step()
    return total_loss / count


def one_step(
    name: str, weights: str | None, batch: Batch, wrap: Callable[[nn.Module], nn.Module], rounds: int, steps: int
) -> dict:
    """Seconds of a step of both loops, in turns, the ratio in each round; how far apart the logits of the models are.

    Args:
        name, weights: as in `build_deeplab`.
        batch: images and masks.
        wrap: what ours does with its model.
        rounds: each loop runs so often, after once that is not counted.
        steps: in a round.
    """
    seed_everything(0)
    notes, ours = (build_deeplab(name, weights=weights, verbose=False) for _ in range(2))
    ours.load_state_dict(notes.state_dict())  # the last layer is drawn at random
    notes, fast = plain(notes), wrap(ours)
    with torch.inference_mode():
        logits = [model.eval()(batch[0])["out"] for model in (notes, fast)]
    adams = [optim.Adam(model.parameters(), lr=1e-5) for model in (notes, ours)]
    seconds: dict[str, list[float]] = {"notes": [], "seglib": []}
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        notes_epoch(notes, [batch] * steps, adams[0])
        middle = time.perf_counter()
        train_one_epoch(fast, [batch] * steps, make_loss("mse"), adams[1], CPU)
        seconds["notes"].append((middle - begin) / steps)
        seconds["seglib"].append((time.perf_counter() - middle) / steps)
    medians = {loop: statistics.median(times[1:]) for loop, times in seconds.items()}
    ratios = [slow / quick for slow, quick in zip(*(times[1:] for times in seconds.values()), strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "lowest_and_highest_ratio": [round(min(ratios), 3), round(max(ratios), 3)],
        "notes_seconds": round(medians["notes"], 4),
        "seglib_seconds": round(medians["seglib"], 4),
        "largest_difference_of_logits": float((logits[0] - logits[1]).abs().max()),
        "rounds": rounds,
        "steps_in_a_round": steps,
    }


def loaders(files: Path, split: Any, size: tuple[int, int], seed: int) -> tuple:
    """Augmented training batches and plain validation batches of files that were shrunk once."""
    folders = files / "images", files / "masks"
    train = CustomDataset(*folders, joint_transform=joint_transform(size, train=True)).subset(split.train)
    validation = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(split.validation)
    return make_loaders(train, list(validation), batch_size=4, seed=seed)


def our_recipe(model: nn.Module, steps: int) -> tuple:
    """Loss, optimizer and schedule of our recipe."""
    optimizer = make_optimizer(model, "adam", lr=1e-3, head_lr=5e-3)
    return make_loss("bce_dice"), optimizer, make_scheduler(optimizer, "poly", steps, warmup=min(8, steps // 4))


def train_ten(seed: int, files: Path, split: Any, size: tuple[int, int], epochs: int) -> dict:
    """`fit` with our recipe, as a reader calls it."""
    seed_everything(seed)
    train_dataloader, validation_dataloader = loaders(files, split, size, seed)
    model = build_deeplab(MOBILENET, weights="bundled", verbose=False)
    criterion, optimizer, schedule = our_recipe(model, epochs * len(train_dataloader))
    begin = time.perf_counter()
    history = fit(model, train_dataloader, validation_dataloader, criterion, optimizer, epochs, CPU, schedule)
    return {"seed": seed, "iou": history.validation_iou[-1], "seconds": round(time.perf_counter() - begin, 1)}


def train_resnet(kind: str, seed: int, files: Path, split: Any, size: tuple[int, int], epochs: int) -> dict:
    """Train ResNet-50 from random weights by our recipe, in float32 or in bfloat16; its IoU at the end."""
    seed_everything(seed)
    train_dataloader, validation_dataloader = loaders(files, split, size, seed)
    model = build_deeplab(RESNET, weights=None, verbose=False)
    criterion, optimizer, schedule = our_recipe(model, epochs * len(train_dataloader))
    fast, begin = Bfloat16(model) if kind == "bfloat16" else model, time.perf_counter()
    for _ in range(epochs):
        train_one_epoch(fast, train_dataloader, criterion, optimizer, CPU, schedule)
    seconds = time.perf_counter() - begin
    score = evaluate(fast, validation_dataloader, criterion, CPU).iou
    row = {"kind": kind, "seed": seed, "epochs": epochs, "iou": round(score, 4), "seconds": round(seconds, 1)}
    print(row, flush=True)
    return row


def spread_of(runs: list[dict]) -> dict:
    """Mean and standard deviation over the seeds of the final IoU, for float32 and bfloat16; do they agree?"""
    table = {}
    for kind in ("float32", "bfloat16"):
        ious = [run["iou"] for run in runs if run["kind"] == kind]
        if len(ious) > 1:
            table[kind] = {"mean": round(statistics.mean(ious), 4), "spread": round(statistics.stdev(ious), 4)}
    if len(table) == 2:
        apart = abs(table["float32"]["mean"] - table["bfloat16"]["mean"])
        table["within_the_spread"] = apart <= max(side["spread"] for side in table.values())
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["mobilenet", "fit", "resnet50"])
    parser.add_argument("--samples", type=Path, default=ROOT / "data_samples")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), help="height width")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=3, help="in a round")
    parser.add_argument("--epochs", type=int, nargs=2, default=(10, 8), help="of fit, of ResNet-50")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "cpu_step.json")
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    result = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    result |= {"what": "seglib's loop against the notes' on a CPU", "machine": machine(), "flags": flags()}
    result |= {"threads": torch.get_num_threads(), "height": size[0], "width": size[1], "batch_size": 4}

    def store(part: str, value: Any) -> None:
        result[part] = value
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")

    split = read_split(arguments.samples / "split.json")
    ceiling = ceiling_at(size)
    with tempfile.TemporaryDirectory() as scratch:
        whole = CustomDataset(arguments.samples / "images", arguments.samples / "masks")
        files = Path(scratch) / "small"
        write_small(whole, files, size=(size[0] * 3 // 2, size[1] * 3 // 2))
        batch = tuple(next(iter(loaders(files, split, size, 0)[1])))
        if "mobilenet" in arguments.parts:
            store("mobilenet", one_step(MOBILENET, "bundled", batch, lambda m: m, arguments.rounds, arguments.steps))
            print(result["mobilenet"], flush=True)
        if "fit" in arguments.parts:
            runs = [train_ten(seed, files, split, size, arguments.epochs[0]) for seed in arguments.seeds]
            mean = statistics.mean(run["iou"] for run in runs)
            longest = max(run["seconds"] for run in runs)
            share = round(mean / ceiling, 3)
            store("fit", {"share_of_ceiling": share, "longest_seconds": longest, "mean": round(mean, 4), "runs": runs})
            print(result["fit"], flush=True)
        if "resnet50" in arguments.parts:
            step = one_step(RESNET, None, batch, Bfloat16, max(1, arguments.rounds // 2), 1)
            print(step, flush=True)
            runs = result.get("resnet50", {}).get("runs", [])
            for seed in arguments.seeds:
                for kind in ("bfloat16", "float32"):
                    if not any((run["kind"], run["seed"]) == (kind, seed) for run in runs):
                        runs.append(train_resnet(kind, seed, files, split, size, arguments.epochs[1]))
                        store("resnet50", {**step, "training": spread_of(runs), "runs": runs})
            store("resnet50", {**step, "training": spread_of(runs), "runs": runs})


if __name__ == "__main__":
    main()
