"""Pretrains the bundled weights: DeepLabV3-MobileNetV3 on the pictures of `stream.py`, on a CPU.

Its length is a time: learning rate and picture size follow the share of the wall-clock budget that is used up, so the
rate has fallen to 0 after `--minutes`, however busy the machine was. Stop it at any time; the same command goes on from
the last checkpoint. At the end, or with --export alone, the weights are written for `seglib` to find.

    python -m tools.assets.render_pretraining scenes        # until there are enough: it has no end
    torchrun --nproc-per-node 2 -m tools.assets.pretrain --minutes 150 --folder pretrain --scenes scenes

Each process computes on one core with a share of each batch: on two cores that was 1.7 times as fast as two threads.
"""

import argparse
import hashlib
import json
import math
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from benchmarks.common.fast_cpu import speed_up
from benchmarks.common.machine import processor
from seglib.losses import make_loss
from seglib.model import BUNDLED_MODEL, build_deeplab, bundled_weights_path, output_stride
from seglib.optim import make_optimizer
from seglib.training.loop import evaluate, train_one_epoch
from tools.assets.stream import BLOCK, CLASS_NAMES, Stream, read_scene, to_tensors

# From which share of the budget on: (height, width), pictures in a batch. Small pictures are parts of scenes: cheap,
# and they teach most of it. The last part is at the size that the lessons use.
STAGES = ((0.0, (160, 208), 16), (0.75, (240, 320), 8))
HELD_OUT_EVERY = 30  # of the scenes, this one is never trained on
WARMUP = 0.03  # share of the budget at which the learning rate stops rising
DECAY = 0.55  # and at which it begins to fall
PEAK_LR = 1.5e-3
WEIGHT_DECAY = 0.02
EPOCH = 3840 * 160 * 208  # pixels between two log lines; pictures an epoch = EPOCH / pixels of one
TRAIN_SEED = 1
HELD_OUT_SEED = 2
CPU = torch.device("cpu")


def rate(share: float) -> float:
    """The learning rate as a share of its peak: a linear rise, a constant part, then half a cosine down to 0."""
    return min((share + 0.01) / WARMUP, 0.5 + 0.5 * math.cos(math.pi * max(share - DECAY, 0) / (1 - DECAY)))


def save(state: dict, path: Path) -> None:
    """Writes beside the path, then renames, so that a crash leaves the old file or the new one."""
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def forget_the_untrained(model: nn.Module, sizes: list[list[int]]) -> None:
    """Sets to 0 the taps of dilated convolutions that saw nothing but padding in pictures of all `sizes`.

    They still hold the random numbers of the beginning: a third of the file, and noise in larger pictures.
    """
    widest = max(math.ceil(side / output_stride(BUNDLED_MODEL)) for size in sizes for side in size)  # feature map
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and module.dilation[0] >= widest:
            middle = module.weight.data[:, :, 1, 1].clone()
            module.weight.data.zero_()[:, :, 1, 1] = middle


def average(model: nn.Module, other: dict[str, torch.Tensor]) -> None:
    """Moves the floating-point weights and running statistics of `model` half of the way to those of `other`."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(other[name].to(tensor.dtype), 0.5)


def export(model: nn.Module, state: dict, held_out: dict[str, float], path: Path, *, averaged: bool) -> None:
    """Writes the half-precision state dict, and beside it a JSON file that says how it was made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    forget_the_untrained(model, state["sizes"])
    half = {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
    save({key: value.contiguous() for key, value in half.items()}, path)
    data = path.read_bytes()
    about = {
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "trained_on": "procedural shapes and path-traced things, none of them fruit",
        "made_by": "tools/assets/pretrain.py, on the pictures of procedural.py and render_pretraining.py beside it",
        "stored": "the mean of two ends of the training" if averaged else "the end of the training",
        "num_classes": len(CLASS_NAMES),
        "class_names": list(CLASS_NAMES),
        "sizes_height_width": state["sizes"],
        "procedural_pictures": state["drawn"],
        "path_traced_scenes": state["scenes"],
        "pictures_shown": state["shown"],
        "steps": state["steps"],
        "hours": round((state["seconds"] + state["earlier"]) / 3600, 2),
        "machine": f"{os.cpu_count()} cores, {processor()}, torch {torch.__version__.split('+')[0]}",
        "held_out_mean_iou": held_out,
        "normalisation": "ImageNet mean and standard deviation",
        "licence": "CC0-1.0",
    }
    path.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=150)
    parser.add_argument("--folder", type=Path, default=Path("pretrain"), help="checkpoint and log")
    parser.add_argument("--output", type=Path, default=bundled_weights_path())
    parser.add_argument("--scenes", type=Path, help="a folder of render_pretraining.py; without it, procedural only")
    parser.add_argument("--restart", action="store_true", help="begin the clock anew, from the last weights")
    parser.add_argument("--export", action="store_true", help="write the weights of the last checkpoint, train nothing")
    parser.add_argument(
        "--average", type=Path, help="weights that an earlier round ended with: export the mean of both"
    )
    return parser.parse_args()


class Pretraining:
    """Model, optimizer, and how far the training has come; `resume` and `save` keep all of it in one file.

    Under torchrun each process makes one; `rank` 0 saves, logs and exports.
    """

    def __init__(self, arguments: argparse.Namespace):
        self.rank = int(os.environ.get("RANK", 0))  # torchrun sets both
        self.world_size = int(os.environ.get("WORLD_SIZE", 1))
        torch.manual_seed(self.rank)
        self.budget = arguments.minutes * 60
        self.folder = arguments.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "checkpoint.pt"
        self.criterion = make_loss("cross_entropy")
        self.model = build_deeplab(num_classes=len(CLASS_NAMES), weights=None, verbose=False)
        self.optimizer = make_optimizer(self.model, "adamw", lr=PEAK_LR, weight_decay=WEIGHT_DECAY)
        self.state: dict = {
            "drawn": 0,
            "shown": 0,
            "scenes": 0,
            "steps": 0,
            "seconds": 0.0,
            "earlier": 0.0,
            "sizes": [],
        }
        if self.path.exists():
            self.resume(arguments.restart)
        self.fast = speed_up(self.model)  # the same parameters
        self.shared: nn.Module = self.fast
        if self.world_size > 1:
            dist.init_process_group("gloo")
            self.shared = DistributedDataParallel(self.fast)

    def resume(self, restart: bool) -> None:
        """Take weights, optimizer and state from the last checkpoint; with `restart` the clock begins anew."""
        checkpoint = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.state |= checkpoint["state"]
        if restart:
            self.state |= {"seconds": 0.0, "earlier": self.state["earlier"] + self.state["seconds"]}

    def save(self) -> None:
        contents = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "state": self.state}
        save(contents, self.path)

    def train_one_round(self, scenes: list[Path]) -> str:
        """Train on about `EPOCH` pixels at the size and rate that the clock says; returns the line for the log."""
        begin = time.monotonic()
        share = self.state["seconds"] / self.budget
        _, size, batch_size = next(stage for stage in reversed(STAGES) if share >= stage[0])
        for group in self.optimizer.param_groups:
            group["lr"] = PEAK_LR * rate(share)
        # Of the pictures that are shown, only one in ten is drawn anew, or one in two without scenes: see `Stream`.
        shown_for_each_drawn = 10 if scenes else 2
        count = EPOCH // (size[0] * size[1]) // shown_for_each_drawn // self.world_size // BLOCK * BLOCK
        stream = Stream(self.state["drawn"] + self.rank * count, count, size, TRAIN_SEED, scenes=scenes)
        loader = DataLoader(stream, batch_size // self.world_size, num_workers=1, drop_last=True, prefetch_factor=6)
        loss = train_one_epoch(self.shared, loader, self.criterion, self.optimizer, CPU)
        seconds = torch.tensor(time.monotonic() - begin)
        if self.world_size > 1:
            dist.broadcast(seconds, src=0)  # one clock for all
        shown = len(stream) * self.world_size
        self.state |= {
            "drawn": self.state["drawn"] + count * self.world_size,
            "shown": self.state["shown"] + shown,
            "scenes": len(scenes),
            "steps": self.state["steps"] + shown // batch_size,
            "seconds": self.state["seconds"] + seconds.item(),
        }
        if list(size) not in self.state["sizes"]:
            self.state["sizes"] = [*self.state["sizes"], list(size)]
        progress = f"shown {self.state['shown']} steps {self.state['steps']} loss {loss:.4f}"
        return f"{share:6.1%} {size[1]}x{size[0]} {progress} lr {PEAK_LR * rate(share):.1e}"

    def mean_iou(self, pictures: Dataset | list) -> float:
        """Mean IoU over the classes."""
        return round(evaluate(self.fast, DataLoader(pictures, batch_size=16), self.criterion, CPU).iou, 4)


def split_scenes(folder: Path | None) -> tuple[list[Path], list[Path]]:
    """(scenes to train on, scenes that are never trained on)."""
    scenes = sorted(folder.rglob("*.jpg")) if folder else []
    held_out = scenes[::HELD_OUT_EVERY]
    return [path for path in scenes if path not in held_out], held_out


def held_out_pictures(scenes: list[Path]) -> dict[str, Dataset | list]:
    """By kind, the pictures that the model is measured on."""
    pictures: dict[str, Dataset | list] = {"procedural": Stream(0, 128, STAGES[-1][1], HELD_OUT_SEED, alter=False)}
    if scenes:
        pictures["path-traced"] = [to_tensors(*read_scene(path)) for path in scenes]
    return pictures


def main() -> None:
    arguments = read_arguments()
    pretraining = Pretraining(arguments)
    scenes, held_out_scenes = split_scenes(arguments.scenes)
    held_out = held_out_pictures(held_out_scenes)
    name, pictures = list(held_out.items())[-1]
    while not arguments.export and pretraining.state["seconds"] < pretraining.budget:
        line = pretraining.train_one_round(scenes)
        if pretraining.rank == 0:
            pretraining.save()
            with (arguments.folder / "log.txt").open("a") as log:
                log.write(f"{line} {name} mIoU {pretraining.mean_iou(pictures)}\n")
    if pretraining.rank == 0:
        if arguments.average:  # two ends of one training: their mean generalises at least as well (arXiv 1803.05407)
            average(pretraining.model, torch.load(arguments.average, weights_only=True))
        scores = {name: pretraining.mean_iou(pictures) for name, pictures in held_out.items()}
        export(pretraining.model, pretraining.state, scores, arguments.output, averaged=bool(arguments.average))
        print(json.dumps(scores))


if __name__ == "__main__":
    main()
