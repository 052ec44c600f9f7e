"""Pretrains the bundled weights: DeepLabV3-MobileNetV3 on the pictures of `stream.py`, on a CPU.

It runs on a clock: learning rate and picture size follow the share of the wall-clock budget that is used up, so a
training ends fully annealed after `--minutes`, however busy the machine was. Stop it at any time; the same command
goes on from the last checkpoint. At the end, or with --export alone, the weights are written for `seglib` to find.

    python tools/assets/render_pretraining.py scenes        # until there are enough: it has no end
    torchrun --nproc-per-node 2 tools/assets/pretrain.py --minutes 150 --folder pretrain --scenes scenes

Each process computes on one core with a share of each batch: on two cores that was 1.7 times as fast as two threads.
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
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from benchmarks.common.fast_cpu import speed_up
from benchmarks.common.machine import processor
from seglib.losses import make_loss
from seglib.model import build_deeplab, bundled_weights_path
from seglib.optim import make_optimizer
from seglib.training.loop import evaluate, train_one_epoch
from tools.assets.stream import BLOCK, CLASS_NAMES, Stream, read_scene, to_tensors

# From which share of the budget on: (height, width), pictures in a batch. Small pictures are parts of scenes: cheap,
# and they teach most of it. The last part is at the size that the lessons use.
STAGES = ((0.0, (160, 208), 16), (0.75, (240, 320), 8))
HELD_OUT_EVERY = 30  # of the scenes, this one is never trained on
WARMUP = 0.03  # shares of the budget at which the learning rate stops rising and begins to fall
DECAY = 0.55
PEAK_LR = 1.5e-3
WEIGHT_DECAY = 0.02
EPOCH = 3840 * 160 * 208  # pixels between two log lines; pictures an epoch = EPOCH / pixels of one
TRAIN_SEED = 1
HELD_OUT_SEED = 2


def rate(share: float) -> float:
    """The learning rate as a share of its peak: a linear rise, a plain, then half a cosine down to 0."""
    return min((share + 0.01) / WARMUP, 0.5 + 0.5 * math.cos(math.pi * max(share - DECAY, 0) / (1 - DECAY)))


def save(state: dict, path: Path) -> None:
    """Writes beside the path, then renames, so that a crash leaves the old file or the new one."""
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def forget_the_untrained(model: nn.Module, sizes: list[list[int]]) -> None:
    """Sets to 0 the taps of dilated convolutions that saw nothing but padding in pictures of all `sizes`.

    They still hold the random numbers of the beginning: a third of the file, and noise in larger pictures.
    """
    widest = max(-(-side // 16) for size in sizes for side in size)  # of the feature map, at an output stride of 16
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and module.dilation[0] >= widest:
            middle = module.weight.data[:, :, 1, 1].clone()
            module.weight.data.zero_()[:, :, 1, 1] = middle


def average(model: nn.Module, other: dict[str, torch.Tensor]) -> None:
    """Moves the floating-point weights and running statistics of `model` half of the way to those of `other`."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(other[name].to(tensor.dtype), 0.5)


def export(model: nn.Module, state: dict, held_out: dict[str, float], path: Path, averaged: bool) -> None:
    """Writes the half-precision state dict and its story."""
    path.parent.mkdir(parents=True, exist_ok=True)
    forget_the_untrained(model, state["sizes"])
    half = {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
    save({key: value.contiguous() for key, value in half.items()}, path)
    data = path.read_bytes()
    story = {
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "trained_on": "procedural shapes and path-traced things, none of them fruit",
        "made_by": "tools/assets/pretrain.py, on the pictures of tools/assets/procedural.py and tools/assets/render_pretraining.py",
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
    path.with_suffix(".json").write_text(json.dumps(story, indent=2) + "\n", encoding="utf-8")


def main() -> None:
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
    args = parser.parse_args()

    rank = int(os.environ.get("RANK", 0))  # torchrun sets them
    processes = int(os.environ.get("WORLD_SIZE", 1))
    torch.manual_seed(rank)
    device = torch.device("cpu")
    criterion = make_loss("cross_entropy")
    model = build_deeplab(num_classes=len(CLASS_NAMES), weights=None, verbose=False)
    optimizer = make_optimizer(model, "adamw", lr=PEAK_LR, weight_decay=WEIGHT_DECAY)
    state = {"drawn": 0, "shown": 0, "scenes": 0, "steps": 0, "seconds": 0.0, "earlier": 0.0, "sizes": []}
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / "checkpoint.pt"
    if path.exists():
        checkpoint = torch.load(path, weights_only=True)
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        state |= checkpoint["state"]
        if args.restart:
            state |= {"seconds": 0.0, "earlier": state["earlier"] + state["seconds"]}
    fast = shared = speed_up(model)  # the same parameters
    if processes > 1:
        dist.init_process_group("gloo")
        shared = DistributedDataParallel(fast)

    scenes = sorted(args.scenes.rglob("*.jpg")) if args.scenes else []
    kept = scenes[::HELD_OUT_EVERY]
    scenes = [path for path in scenes if path not in kept]

    def held_out(pictures) -> float:
        """Mean IoU over the classes."""
        return round(evaluate(fast, DataLoader(pictures, batch_size=16), criterion, device).iou, 4)

    held_out_pictures = {"procedural": Stream(0, 128, STAGES[-1][1], HELD_OUT_SEED, alter=False)}
    if kept:
        held_out_pictures["path-traced"] = [to_tensors(*read_scene(path)) for path in kept]

    while not args.export and state["seconds"] < args.minutes * 60:
        begin = time.monotonic()
        share = state["seconds"] / (args.minutes * 60)
        _, size, batch_size = next(stage for stage in reversed(STAGES) if share >= stage[0])
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LR * rate(share)
        count = (
            EPOCH // (size[0] * size[1]) // (10 if scenes else 2) // processes // BLOCK * BLOCK
        )  # see Stream's shares
        stream = Stream(state["drawn"] + rank * count, count, size, TRAIN_SEED, scenes=scenes)
        loader = DataLoader(stream, batch_size // processes, num_workers=1, drop_last=True, prefetch_factor=6)
        loss = train_one_epoch(shared, loader, criterion, optimizer, device)
        seconds = torch.tensor(time.monotonic() - begin)
        if processes > 1:
            dist.broadcast(seconds, src=0)  # one clock for all
        state = {
            "drawn": state["drawn"] + count * processes,
            "shown": state["shown"] + len(stream) * processes,
            "scenes": len(scenes),
            "steps": state["steps"] + len(stream) * processes // batch_size,
            "seconds": state["seconds"] + seconds.item(),
            "earlier": state["earlier"],
            "sizes": [*state["sizes"], *([] if list(size) in state["sizes"] else [list(size)])],
        }
        if rank == 0:
            save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state}, path)
            name, pictures = list(held_out_pictures.items())[-1]
            line = f"{share:6.1%} {size[1]}x{size[0]} shown {state['shown']} steps {state['steps']} loss {loss:.4f}"
            with (args.folder / "log.txt").open("a") as log:
                log.write(f"{line} lr {PEAK_LR * rate(share):.1e} {name} mIoU {held_out(pictures)}\n")

    if rank == 0:
        if args.average:  # two ends of one training: their mean generalises at least as well (arXiv 1803.05407)
            average(model, torch.load(args.average, weights_only=True))
        final = {name: held_out(pictures) for name, pictures in held_out_pictures.items()}
        export(model, state, final, args.output, averaged=bool(args.average))
        print(json.dumps(final))


if __name__ == "__main__":
    main()
