"""Owns the command that trains: its options, and the way from two folders to a checkpoint. See 14_many_gpus.

python -m seglib.train IMAGES MASKS --out run.pt
torchrun --nproc-per-node=2 -m seglib.train IMAGES MASKS --out run.pt
"""

import argparse
import math
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from seglib.checkpoint_io import backup_path, load_or_backup
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split, random_split, read_split
from seglib.data.transforms import joint_transform
from seglib.device import seed_everything
from seglib.errors import SegError, TrainingError
from seglib.losses import Loss, make_loss
from seglib.model import BUNDLED_MODEL, OUTPUT_STRIDE, build_deeplab
from seglib.optim import SCHEDULES, make_optimizer, make_scheduler
from seglib.training.checkpoint import Checkpoint, require_same_training
from seglib.training.distributed import (
    all_gather,
    evaluate_sharded,
    first_to_report,
    global_batch_loss,
    process_group,
    rank,
    shard_loader,
    to_ddp,
    train_one_epoch_sharded,
    world_size,
)
from seglib.training.divergence_guard import DivergenceGuard
from seglib.training.early_stopping import EarlyStopping
from seglib.training.history import History
from seglib.training.loop import run_epochs
from seglib.training.precision import use_bfloat16

# What may differ when a training goes on. Its pictures are compared by their names, wherever the folders lie.
MAY_DIFFER = (
    "images",
    "masks",
    "out",
    "split",
    "validation_share",
    "epochs",
    "workers",
    "patience",
    "resume",
    "device",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code: 0, 2 after an error of the reader's, 130 after Ctrl-C."""
    try:
        options = parser().parse_args(arguments)
        with process_group(options.device) as device:
            train(options, device)
    except SegError as error:
        if first_to_report():
            print(error, file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def train(options: argparse.Namespace, device: torch.device) -> None:
    """Train as the options say, or go on with it; rank 0 prints and saves."""
    exists = options.out.exists() or backup_path(options.out).exists()
    if exists and not options.resume:
        found = f"{options.out.name} is there already."
        raise SegError(found, "a new name", "--resume goes on with it, or name another.")
    training = build(options, device)
    history = resume(training, exists)
    run(training, history)
    report(training, history)


# Building


@dataclass
class Training:
    """All parts of a training in this process."""

    options: argparse.Namespace
    device: torch.device
    model: nn.Module
    criterion: Loss
    optimizer: Optimizer
    scheduler: LRScheduler
    stopping: EarlyStopping | None
    train_dataloader: DataLoader  # the part of this process
    validation_dataloader: DataLoader
    checkpoint: Checkpoint


def build(options: argparse.Namespace, device: torch.device) -> Training:
    """Datasets, loaders, model, loss, optimizer, schedule and checkpoint of the options; nothing is trained or read."""
    parts, split = _datasets(options)
    loaders = make_loaders(*parts, options.batch_size, options.workers, options.seed)
    train_dataloader = shard_loader(loaders[0], min_per_rank=2)
    validation_dataloader = shard_loader(loaders[1], whole_batches=True)
    _seed(options.seed, epoch=0, process=0)  # the new layer is the same in all processes
    model = _model(options, device)
    criterion = make_loss(options.loss or ("cross_entropy" if options.classes else "bce_dice"))
    optimizer = make_optimizer(model, options.optimizer, options.lr, options.head_lr, options.weight_decay)
    steps = options.epochs * len(train_dataloader)
    scheduler = make_scheduler(optimizer, options.schedule, steps, options.warmup)
    stopping = EarlyStopping(model, options.patience) if options.patience else None
    checkpoint = Checkpoint(
        options.out,
        model,
        criterion,
        optimizer,
        loaders[0],
        size=tuple(options.size),
        classes=options.classes,
        scheduler=scheduler,
        stopping=stopping,
        config=_config(options, criterion, split),
    )
    return Training(
        options=options,
        device=device,
        model=model,
        criterion=criterion,
        optimizer=optimizer,
        scheduler=scheduler,
        stopping=stopping,
        train_dataloader=train_dataloader,
        validation_dataloader=validation_dataloader,
        checkpoint=checkpoint,
    )


def _datasets(options: argparse.Namespace) -> tuple[tuple[CustomDataset, CustomDataset], Split]:
    size = tuple(options.size)
    datasets = []
    for train in (not options.no_augment, False):
        transform = joint_transform(size, train, options.classes, options.portrait)
        dataset = CustomDataset(options.images, options.masks, joint_transform=transform, classes=options.classes)
        datasets.append(dataset)
    if options.split:
        split = read_split(options.split)
    else:
        split = random_split(datasets[0].stems, options.validation_share, options.seed)
    return (datasets[0].subset(split.train), datasets[1].subset(split.validation)), split


def _model(options: argparse.Namespace, device: torch.device) -> nn.Module:
    num_classes = len(options.classes) if options.classes else 1
    weights = None if options.weights == "none" else options.weights
    model = build_deeplab(options.model, num_classes, weights, verbose=rank() == 0).to(device)
    return use_bfloat16(model) if options.bfloat16 else model


def _config(options: argparse.Namespace, criterion: Loss, split: Split) -> dict[str, Any]:
    """What has to be the same when a training goes on, in plain values."""
    names = zlib.crc32("/".join([*split.train, "", *split.validation]).encode())
    config = {key: value for key, value in vars(options).items() if key not in MAY_DIFFER}
    config["pictures"] = f"{len(split.train)} + {len(split.validation)} (checksum of their names {names:08x})"
    config["loss"] = criterion.name
    # A constant rate can go on for any number of epochs; the other schedules depend on where they end.
    config["planned epochs"] = None if options.schedule == "constant" else options.epochs
    return config


def _seed(seed: int, epoch: int, process: int) -> None:
    seed_everything(int(np.random.SeedSequence((seed, epoch, process)).generate_state(1)[0]))


# Resuming, running, reporting


def resume(training: Training, exists: bool) -> History:
    """Go on from the checkpoint, if it is there; returns its history, or an empty one."""
    checkpoint = training.checkpoint
    if exists:
        saved, _ = load_or_backup(checkpoint.path)
        require_same_training(checkpoint.path.name, saved["config"], checkpoint.config)
    # Rank 0 first: it renames a damaged file, and the others must not read it before.
    history = checkpoint.resume() if rank() == 0 else None
    all_gather("rank 0 has resumed")
    return history or checkpoint.resume()


def run(training: Training, history: History) -> None:
    """Train to the last epoch. Rank 0 saves and prints after each; Ctrl-C says how to go on."""
    options = training.options
    replica = to_ddp(training.model, training.device)
    global_criterion = global_batch_loss(training.criterion, math.ceil(options.batch_size / world_size()))
    guard = DivergenceGuard(replica, training.optimizer, epoch=len(history.train_loss))

    def train_epoch(model: nn.Module, dataloader: DataLoader, criterion: Loss, *others: Any, **kwargs: Any) -> float:
        _seed(options.seed, guard.epoch, rank())  # each process has a dropout of its own
        return train_one_epoch_sharded(replica, dataloader, global_criterion, *others, **kwargs)

    try:
        run_epochs(
            training.model,
            training.train_dataloader,
            training.validation_dataloader,
            training.criterion,
            training.optimizer,
            epochs=options.epochs,
            device=training.device,
            history=history,
            guard=guard,
            scheduler=training.scheduler,
            stopping=training.stopping,
            on_epoch=_save_and_print(training) if rank() == 0 else None,
            train_epoch=train_epoch,
            evaluate_epoch=evaluate_sharded,
        )
    except KeyboardInterrupt:
        if rank() == 0:
            saved = _saved_epochs(training)
            print(f"Stopped in epoch {guard.epoch}. {options.out.name} holds {saved} epochs; ", end="")
            print("the same line with --resume goes on.", flush=True)
        raise


def _save_and_print(training: Training) -> Callable[[History], None]:
    def on_epoch(history: History) -> None:
        training.checkpoint.save(history)
        epoch = len(history.train_loss)
        print(f"epoch {epoch} of {training.options.epochs}: loss {history.train_loss[-1]:.4f}, ", end="")
        print(f"IoU {history.validation_iou[-1]:.3f}", flush=True)

    return on_epoch


def _saved_epochs(training: Training) -> int:
    """How many epochs the checkpoint on the disk holds."""
    path = training.checkpoint.path
    if not path.exists():
        return 0
    contents, _ = load_or_backup(path)
    return len(contents["history"]["train_loss"])


def report(training: Training, history: History) -> None:
    """Say what the checkpoint holds, and how to predict with it."""
    if rank() == 0:
        out = training.options.out
        epoch = training.stopping.best_epoch if training.stopping else _saved_epochs(training)
        model = f"seglib.training.checkpoint.load_trained({str(out)!r})"
        call = f"seglib.inference.predict_folder.predict_folder({model}, 'photographs', 'masks')"
        print(f"{out.name} holds the weights of epoch {epoch}. To predict a folder:")
        print(f'python -c "import seglib.inference.predict_folder; {call}"')


# Options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise TrainingError(f"{message[:1].upper()}{message[1:]}.", "arguments as --help lists them", "Add --help.")


def _whole_number(smallest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"{text} is no whole number from {smallest} on")
        return int(text)

    return number


def parser() -> argparse.ArgumentParser:
    """The options of `python -m seglib.train`; what is left out makes the recipe of notebook 00, for 30 epochs.

    Example:
        >>> options = parser().parse_args(["images", "masks", "--out", "run.pt", "--lr", "2e-3"])
        >>> options.lr, options.head_lr, options.size
        (0.002, 0.005, [240, 320])
    """
    made = _Parser(prog="python -m seglib.train", description="Fine-tune a DeepLabV3 on images and their masks.")
    made.add_argument("images", metavar="IMAGES", help="folder of photographs")
    made.add_argument("masks", metavar="MASKS", help="folder of masks: for each photograph one of the same stem")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="checkpoint to write, as in run.pt")
    made.add_argument("--resume", action="store_true", help="go on with the training in --out, if it is there [no]")
    sides = made.add_mutually_exclusive_group()
    sides.add_argument("--split", metavar="FILE", help='{"train": [stems], "validation": [stems]} in JSON [at random]')
    sides.add_argument(
        "--validation-share", type=float, default=0.25, metavar="X", help="of all pictures [%(default)s]"
    )
    text = {"metavar": "NAME"}
    rate = {"metavar": "X", "type": float}
    for name, default, meaning, more in (
        ("seed", 0, "decides split, order, augmentation, new weights and dropout", {"type": _whole_number(0)}),
        ("size", [240, 320], "height and width that pictures get, in pixels", {"nargs": 2, "type": _whole_number(1)}),
        ("model", BUNDLED_MODEL, f"one of {', '.join(OUTPUT_STRIDE)}", text),
        ("weights", "bundled", "to start from: bundled, coco (downloaded once), none, or a file", text),
        ("classes", None, "for masks of labels: all names, the background's first [0 and 255]", {"nargs": "+"} | text),
        ("loss", None, "bce_dice, bce, dice, mse [bce_dice]; with --classes [cross_entropy]", text),
        ("optimizer", "adamw", "adamw, adam, sgd", text),
        ("lr", 1e-3, "learning rate of the backbone", rate),
        ("head-lr", 5e-3, "learning rate of all but the backbone", rate),
        ("weight-decay", 1e-4, "pull of the weights towards 0", rate),
        ("schedule", "poly", f"of the learning rates: {', '.join(SCHEDULES)}", text),
        ("warmup", 8, "steps in which they rise to that, fewer than all", {"type": _whole_number(0)}),
        ("epochs", 30, "passes over the training pictures", {"type": _whole_number(1)}),
        ("batch-size", 4, "pictures in a step, of all processes together", {"type": _whole_number(1)}),
        ("workers", 0, "processes that load pictures, beside each that trains", {"type": _whole_number(0)}),
        ("patience", None, "epochs without a better IoU after which to stop [never]", {"type": _whole_number(1)}),
        ("device", None, "cuda, mps, cpu [the best one here; under torchrun a GPU each, else the CPU]", text),
    ):
        made.add_argument(f"--{name}", default=default, help=meaning + _shown(default), **({"metavar": "N"} | more))
    made.add_argument("--portrait", action="store_true", help="allow a height above the width [no]")
    made.add_argument("--bfloat16", action="store_true", help="compute in bfloat16 where that is safe [float32]")
    made.add_argument("--no-augment", action="store_true", help="show pictures as they are [varied at random]")
    return made


def _shown(default: Any) -> str:
    """A default value as the help shows it."""
    if default is None:
        return ""
    return f" [{' '.join(map(str, default)) if isinstance(default, list) else default}]"
