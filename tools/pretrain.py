"""Pretrains the bundled weights: DeepLabV3-MobileNetV3 on the pictures of `stream.py`, on a CPU.

It runs on a clock: learning rate and picture size follow the share of the wall-clock budget that is used up, so a
training ends fully annealed after `--minutes`, however busy the machine was. Stop it at any time; the same command
goes on from the last checkpoint. At the end, or with --export alone, the weights are written for `seglib` to find.

    python tools/render_pretraining.py scenes --count 600
    python tools/pretrain.py --minutes 150 --folder pretrain --scenes scenes
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from fast_cpu import speed_up
from machine import processor
from seglib.engine import evaluate, train_one_epoch
from seglib.losses import make_loss
from seglib.model import build_deeplab, bundled_path
from seglib.optim import make_optimizer
from stream import BLOCK, CLASS_NAMES, Stream, read_scene, to_tensors

# From which share of the budget on: (height, width), pictures in a batch. Small pictures are parts of scenes: cheap,
# and they teach most of it. The last part is at the size that the lessons use.
STAGES = ((0.0, (160, 208), 16), (0.75, (240, 320), 8))
HELD_OUT_EVERY = 20  # of the scenes, this one is never trained on
WARMUP, DECAY = 0.03, 0.55  # shares of the budget at which the learning rate stops rising and begins to fall
PEAK_LR, WEIGHT_DECAY = 1.5e-3, 0.02
EPOCH = 3840 * 160 * 208  # pixels between two log lines; pictures an epoch = EPOCH / pixels of one
TRAIN_SEED, HELD_OUT_SEED = 1, 2


class Clock:
    """The share of the budget that is used up, over all the times that the training was stopped and went on."""

    def __init__(self, minutes: float):
        self.budget, self.before, self.start = minutes * 60, 0.0, time.monotonic()

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.start

    def share(self) -> float:
        return min(self.seconds() / self.budget, 1.0)

    def rate(self) -> float:
        """The learning rate as a share of its peak: a linear rise, a plain, then half a cosine down to 0."""
        share = self.share()
        if share < WARMUP:
            return max(share / WARMUP, 0.01)
        return max(0.5 + 0.5 * math.cos(math.pi * max(share - DECAY, 0) / (1 - DECAY)), 1e-3)


def save(state: dict, path: Path) -> None:
    """Writes beside the path, then renames, so that a crash leaves the old file or the new one."""
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def export(model: nn.Module, state: dict, held_out: dict[str, float], path: Path) -> None:
    """Writes the half-precision state dict and its story."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
    save({key: value.contiguous() for key, value in half.items()}, path)
    data = path.read_bytes()
    story = {
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "trained_on": "procedural shapes and path-traced things, none of them fruit",
        "made_by": "tools/pretrain.py, on the pictures of tools/procedural.py and tools/render_pretraining.py",
        "num_classes": len(CLASS_NAMES),
        "class_names": list(CLASS_NAMES),
        "sizes_height_width": [list(size) for _, size, _ in STAGES],
        "procedural_pictures": state["drawn"],
        "path_traced_scenes": state["scenes"],
        "pictures_shown": state["shown"],
        "steps": state["steps"],
        "hours": round(state["seconds"] / 3600, 2),
        "machine": f"{os.cpu_count()} shared cores, {processor()}, torch {torch.__version__.split('+')[0]}",
        "held_out_mean_iou": held_out,
        "normalisation": "ImageNet mean and standard deviation",
        "licence": "CC0-1.0",
    }
    path.with_suffix(".json").write_text(json.dumps(story, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=150)
    parser.add_argument("--folder", type=Path, default=Path("pretrain"), help="checkpoint and log")
    parser.add_argument("--output", type=Path, default=bundled_path())
    parser.add_argument("--scenes", type=Path, help="a folder of render_pretraining.py; without it, procedural only")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--export", action="store_true", help="write the weights of the last checkpoint, train nothing")
    args = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    device, criterion, clock = torch.device("cpu"), make_loss("cross_entropy"), Clock(args.minutes)
    model = build_deeplab(num_classes=len(CLASS_NAMES), weights=None)
    fast = speed_up(model)  # the same parameters
    optimizer = make_optimizer(model, "adamw", lr=PEAK_LR, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: clock.rate())
    state = {"drawn": 0, "shown": 0, "scenes": 0, "steps": 0, "seconds": 0.0}
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / "checkpoint.pt"
    if path.exists():
        checkpoint = torch.load(path, weights_only=True)
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        state = checkpoint["state"]
        clock.before = state["seconds"]

    scenes = sorted(args.scenes.rglob("*.jpg")) if args.scenes else []
    kept = scenes[::HELD_OUT_EVERY]
    scenes = [path for path in scenes if path not in kept]

    def held_out() -> dict[str, float]:
        """Mean IoU over the classes: of pictures, or of scenes, that are never trained on, 320 wide and 240 high."""
        pictures = Stream(0, 64, STAGES[-1][1], HELD_OUT_SEED, alter=False)
        kinds = {"procedural": pictures, "path-traced": [to_tensors(*read_scene(path)) for path in kept]}
        loaders = {name: DataLoader(pairs, batch_size=16) for name, pairs in kinds.items() if len(pairs)}
        return {name: round(evaluate(fast, pairs, criterion, device).iou, 4) for name, pairs in loaders.items()}

    while not args.export and clock.share() < 1:
        _, size, batch_size = next(stage for stage in reversed(STAGES) if clock.share() >= stage[0])
        count = EPOCH // (size[0] * size[1]) // (10 if scenes else 2) // BLOCK * BLOCK  # see Stream's shares
        stream = Stream(state["drawn"], count, size, TRAIN_SEED, scenes)
        ahead = 6 if args.workers else None
        loader = DataLoader(stream, batch_size, num_workers=args.workers, drop_last=True, prefetch_factor=ahead)
        loss = train_one_epoch(fast, loader, criterion, optimizer, device, schedule)
        state = {
            "drawn": state["drawn"] + count,
            "shown": state["shown"] + len(stream),
            "scenes": len(scenes),
            "steps": state["steps"] + len(stream) // batch_size,
            "seconds": clock.seconds(),
        }
        save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state}, path)
        with (args.folder / "log.txt").open("a") as log:
            line = f"{clock.share():6.1%} {size[1]}x{size[0]} shown {state['shown']} steps {state['steps']}"
            log.write(f"{line} lr {optimizer.param_groups[0]['lr']:.1e} loss {loss:.4f} mIoU {held_out()}\n")

    final = held_out()
    export(model, state, final, args.output)
    print(json.dumps(final))


if __name__ == "__main__":
    main()
