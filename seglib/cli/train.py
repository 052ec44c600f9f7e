"""Owns the command that trains: the way from two folders to a checkpoint. Explained in 14_many_gpus.

python -m seglib train IMAGES MASKS --out run.pt
torchrun --nproc-per-node=2 -m seglib.train IMAGES MASKS --out run.pt
"""

import argparse
import copy
import math
import statistics
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from seglib.checkpoint_io import backup_path, load_or_backup
from seglib.cli.doctor import examine_folders
from seglib.cli.epoch_report import EpochReport
from seglib.cli.options import group_function, reading_of, split_of
from seglib.cli.surface import command_line, in_options, options_of, print_error
from seglib.cli.tensorboard_log import TensorBoardLog, require_tensorboard
from seglib.cli.train_options import (
    DESCRIPTION,
    MAY_DIFFER,
    add_options,
    names_in_split,
    names_of_classes,
    parser,
    plain_options,
)
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split, k_folds
from seglib.data.transforms import joint_transform
from seglib.device import seed_everything
from seglib.errors import MaskError, SegError, TrainingError
from seglib.inference.tiles import TiledModel
from seglib.losses import Loss, balanced_class_weights, make_loss
from seglib.metrics import Evaluation
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.checkpoint import Checkpoint, require_same_training
from seglib.training.cpu_convolutions import skip_padding
from seglib.training.distributed import (
    all_gather,
    evaluate_sharded,
    global_batch_loss,
    min_pictures_per_rank,
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
from seglib.training.precision import Step, prepare_step, set_precision

WARMUP = 8  # steps, if the training is long enough
BATCH_SIZE = 4  # more, if there are so many processes that each needs its pictures
NEVER = 1_000_000  # epochs of patience: the best weights are kept, and nothing is stopped


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code: 0, 2 after an error of the reader's, 130 after Ctrl-C."""
    own = parser()
    try:
        options = own.parse_args(arguments)
        return run_command(options)
    except SegError as error:
        print_error(error, own)
        return 2
    except KeyboardInterrupt:
        return 130


def add_parser(commands: Any) -> None:
    """Add `train` to the sub commands."""
    made = commands.add_parser("train", help="fine-tune a model", description=DESCRIPTION)
    add_options(made)
    made.set_defaults(run=run_command, parser=made)


def run_command(options: argparse.Namespace) -> int:
    """Train as the options say, on the device or devices that they name."""
    if options.tensorboard:
        require_tensorboard()  # now, not after the doctor's minutes
    with process_group(options.device) as device:
        if options.folds:
            cross_validate(options, device)
        else:
            train(options, device)
    return 0


def train(options: argparse.Namespace, device: torch.device, split: Split | None = None) -> History:
    """Train as the options say, or go on with it; rank 0 prints and saves."""
    exists = is_saved(options)
    if options.batch_size is None:
        options.batch_size = _batch_size_for(device)
    datasets = read_folders(options)
    split = split or split_of(options, datasets[0].stems)
    if not exists:
        consult_doctor(options, split)
    training = build(options, device, datasets, split)
    history = resume(training, exists)
    run(training, history)
    report(training, history)
    return history


def is_saved(options: argparse.Namespace) -> bool:
    """Whether there is a checkpoint to go on with; all processes get the same answer, or the same error.

    Raises:
        SegError: it is there and is not to be gone on with; or it lies on some of the machines only.
    """
    name = options.out.name
    found = all_gather(options.out.exists() or backup_path(options.out).exists())
    if any(found) and not options.resume:
        raise SegError(f"{name} is there already.", "a new name", "--resume goes on with it, or name another.")
    if any(found) and not all(found):
        raise SegError(
            f"{name} is missing for {found.count(False)} of {len(found)} processes: it lies on one machine only.",
            "the same file on every machine",
            f"Copy {name} to all of them, and type --resume again.",
        )
    return all(found)


def cross_validate(options: argparse.Namespace, device: torch.device) -> None:
    """Train once for each fold, each with a checkpoint of its own; says the mean IoU and its spread."""
    folds = k_folds(read_folders(options)[0].stems, options.folds, options.seed, group_of=group_function(options))
    best = []
    for number, split in enumerate(folds, 1):
        own = copy.copy(options)
        own.out = options.out.with_name(f"{options.out.stem}.fold{number}{options.out.suffix}")
        if rank() == 0:
            print(f"\nFold {number} of {options.folds}: {len(split.train)} + {len(split.validation)} pictures.")
        history = train(own, device, split)
        best.append(max((iou for iou in history.validation_iou if not math.isnan(iou)), default=math.nan))
    if rank() == 0:
        each = ", ".join(f"{iou:.3f}" for iou in best)
        spread = statistics.stdev(best)
        print(f"\nBest IoU of each fold: {each}. Mean {statistics.mean(best):.3f}, standard deviation {spread:.3f}.")


def consult_doctor(options: argparse.Namespace, split: Split) -> None:
    """Look at all files before a model is built; what stops training is one error with all findings.

    Raises:
        SegError: the folders are not fit; names every kind of flaw.
    """
    if options.skip_doctor:
        return
    found = None
    if rank() == 0:
        found = examine_folders(options, split).in_training()
    stops, words = all_gather(found)[0]
    if rank() == 0 and words and not stops:
        print(in_options(words, options_of(parser())), flush=True)
    if stops:
        raise MaskError(words)


def _batch_size_for(device: torch.device) -> int:
    """The batch size if none was typed: that of one process, or as many pictures as all processes need."""
    least = min_pictures_per_rank(device)
    batch_size = max(BATCH_SIZE, least * world_size())
    if batch_size > BATCH_SIZE and rank() == 0:
        print(
            f"{world_size()} processes that need {least} each: batches of {batch_size}, where one process takes "
            f"{BATCH_SIZE}. An epoch has fewer steps.",
            flush=True,
        )
    return batch_size


# Building


@dataclass
class Training:
    """All parts of a training in this process."""

    options: argparse.Namespace
    device: torch.device
    names: list[str]  # of the classes
    model: nn.Module
    replica: nn.Module  # the model, or what `to_ddp` makes of it
    criterion: Loss
    global_criterion: Loss  # over the batches of all processes
    optimizer: Optimizer
    step: Step | None
    scheduler: LRScheduler
    stopping: EarlyStopping
    train_dataloader: DataLoader  # the part of this process
    validation_dataloader: DataLoader
    checkpoint: Checkpoint


def build(
    options: argparse.Namespace,
    device: torch.device,
    datasets: tuple[CustomDataset, CustomDataset],
    split: Split,
) -> Training:
    """Loaders, model, loss, optimizer, schedule and checkpoint of the options; nothing is trained or read."""
    parts = (datasets[0].subset(split.train), datasets[1].subset(split.validation))
    min_per_rank = min_pictures_per_rank(device)
    loaders = _loaders(options, parts, min_per_rank)
    train_dataloader = shard_loader(loaders[0], min_per_rank=min_per_rank)
    validation_dataloader = shard_loader(loaders[1], whole_batches=True)
    classes = parts[0].classes
    _seed(options.seed, epoch=0, process=0)  # the new layer is the same in all processes
    criterion = _criterion(options, parts[0])
    model = _model(options, device, num_classes=len(classes) if classes else 1)
    optimizer = make_optimizer(model, options.optimizer, options.lr, options.head_lr, options.weight_decay)
    steps = options.epochs * len(train_dataloader)
    scheduler = make_scheduler(optimizer, options.schedule, steps, _warmup(options, steps))
    stopping = EarlyStopping(model, options.patience or NEVER)
    replica = to_ddp(model, device)
    global_criterion = global_batch_loss(criterion, math.ceil(options.batch_size / world_size()))
    step = prepare_step(
        replica,
        global_criterion,
        optimizer,
        clip_norm=options.clip_norm,
        compile=options.compile,
        cuda_graph=options.cuda_graph,
    )
    checkpoint = Checkpoint(
        options.out,
        model,
        criterion,
        optimizer,
        loaders[0],
        size=tuple(options.crop or options.size),
        classes=classes,
        scale=options.scale,
        scheduler=scheduler,
        scaler=getattr(step, "scaler", None),
        stopping=stopping,
        config=_config(options, criterion, split),
        about={
            "options": plain_options(options),
            "reading": _plain_reading(options),
            "split": names_in_split(split),
        },
    )
    return Training(
        options=options,
        device=device,
        names=names_of_classes(parts[0]),
        model=model,
        replica=replica,
        criterion=criterion,
        global_criterion=global_criterion,
        optimizer=optimizer,
        step=step,
        scheduler=scheduler,
        stopping=stopping,
        train_dataloader=train_dataloader,
        validation_dataloader=validation_dataloader,
        checkpoint=checkpoint,
    )


def read_folders(options: argparse.Namespace) -> tuple[CustomDataset, CustomDataset]:
    """All pictures twice: with the transforms of the training, and with those of the validation."""
    if options.crop and not options.scale:
        raise TrainingError(
            f"crop = {options.crop} without a scale.", "both", "Add scale=1, or what the doctor proposes."
        )
    reading = reading_of(options)
    size = tuple(options.crop or options.size)
    train, validation = (
        CustomDataset(
            options.images,
            options.masks,
            joint_transform=joint_transform(size, augment, reading["classes"], options.portrait, scale=options.scale),
            **reading,
        )
        for augment in (not options.no_augment or options.scale is not None, False)
    )
    return train, validation


def _loaders(
    options: argparse.Namespace, parts: tuple[CustomDataset, CustomDataset], min_per_rank: int
) -> tuple[DataLoader, DataLoader]:
    """The loaders; the rest of a training epoch is left out where it is too small for BatchNorm."""
    count = len(parts[0])
    batch_size = min(options.batch_size, count)
    rest = count % batch_size
    drop_last = 0 < rest < min_per_rank * world_size()
    if drop_last and rank() == 0:
        print(f"{count} training pictures in batches of {batch_size}: {rest} in turn left out of each epoch.")
    train, validation = make_loaders(*parts, batch_size, options.workers, options.seed, drop_last=drop_last)
    if options.scale is not None:  # whole pictures, each of its own size
        validation = make_loaders(*parts, 1, options.workers, options.seed)[1]
    return train, validation


def _criterion(options: argparse.Namespace, dataset: CustomDataset) -> Loss:
    """The loss, with the weights of the classes; a class without a pixel to learn from is an error."""
    name = options.loss or ("ce_dice" if dataset.classes else "bce_dice")
    if (make_loss(name).threshold is None) != (dataset.classes is not None):
        kind = "classes" if dataset.classes else "one object: no classes are named"
        fitting = ("ce_dice", "cross_entropy") if dataset.classes else ("bce_dice", "bce", "dice", "mse")
        raise TrainingError(
            f'The loss "{name}" is none for {kind}.', f"one of {', '.join(fitting)}", f'loss="{fitting[0]}".'
        )
    words = options.class_weights or (["balanced"] if dataset.classes else ["none"])
    pixels = dataset.count_pixels() if dataset.classes else {}
    missing = [label for label, count in pixels.items() if not count and label not in (options.allow_missing or ())]
    if missing:
        raise MaskError(
            f"No training mask holds {', '.join(missing)}.",
            "pixels of each class to learn from",
            f"Correct the masks or the classes, or allow it: allow_missing={missing!r}.".replace("'", '"'),
        )
    if words == ["none"]:
        return make_loss(name)
    if words == ["balanced"]:
        return make_loss(name, balanced_class_weights(pixels) if pixels else [1.0])
    try:
        weights = [float(word) for word in words]
    except ValueError:
        weights = []
    if len(weights) != len(pixels):
        raise TrainingError(
            f"class_weights = {' '.join(words)}",
            f'"balanced", "none", or {len(pixels)} numbers, one for each of {", ".join(pixels) or "no classes"}',
            "Correct the weights.",
        )
    return make_loss(name, weights)


def _model(options: argparse.Namespace, device: torch.device, num_classes: int) -> nn.Module:
    weights = None if options.weights == "none" else options.weights
    model = build_deeplab(options.model, num_classes, weights, verbose=rank() == 0).to(device)
    if options.weights == "bundled" and rank() == 0:
        print(
            "The bundled weights have seen renders only; with a network, --weights coco starts from real photographs."
        )
    set_precision(model, options.precision)
    if device.type == "cpu":
        skip_padding(model)
    return model


def _warmup(options: argparse.Namespace, steps: int) -> int:
    """The steps of the warm-up; without a wish, a quarter of a short training."""
    if options.warmup is None:
        return min(WARMUP, steps // 4)
    if options.warmup >= steps:
        raise TrainingError(
            f"A warm-up of {options.warmup} steps in a training of {steps}.",
            "more steps than warm-up",
            f"warmup={steps // 4}, or more epochs.",
        )
    return options.warmup


def _config(options: argparse.Namespace, criterion: Loss, split: Split) -> dict[str, Any]:
    """What has to be the same when a training goes on, in plain values."""
    names = zlib.crc32("/".join([*split.train, "", *split.validation]).encode())
    config = {key: value for key, value in vars(options).items() if key not in MAY_DIFFER}
    config["pictures"] = f"{len(split.train)} + {len(split.validation)} (checksum of their names {names:08x})"
    config["loss"] = criterion.name
    return config


def _plain_reading(options: argparse.Namespace) -> dict[str, Any]:
    """How the folders were read, for `evaluate`."""
    return {key: value for key, value in reading_of(options).items() if value is not None}


def _seed(seed: int, epoch: int, process: int) -> None:
    seed_everything(int(np.random.SeedSequence((seed, epoch, process)).generate_state(1)[0]))


# Resuming, running, reporting


def resume(training: Training, exists: bool) -> History:
    """Go on from the checkpoint, if it is there; returns its history, or an empty one."""
    checkpoint = training.checkpoint
    if not exists:
        return History()
    saved, _ = load_or_backup(checkpoint.path)
    in_file = {key: value for key, value in saved["config"].items() if key not in MAY_DIFFER}
    planned = in_file.pop("planned epochs", None)  # of the first edition
    if in_file.pop("bfloat16", False):  # likewise
        in_file["precision"] = "bfloat16"
    planned = saved.get("about", {}).get("options", {}).get("epochs", planned)
    require_same_training(checkpoint.path.name, _defaults() | in_file, _defaults() | checkpoint.config)
    if saved["facts"]["stopping"] == "none":  # of the first edition, which kept no best epoch without a patience
        checkpoint.parts.pop("stopping")
        checkpoint.facts["stopping"] = "none"
    longer = planned != training.options.epochs
    if longer:  # its schedule ends elsewhere, and is not read
        checkpoint.parts.pop("schedule")
        checkpoint.facts["schedule"] = saved["facts"]["schedule"]
    # Rank 0 first: it renames a damaged file, and the others must not read it before.
    history = checkpoint.resume() if rank() == 0 else None
    all_gather("rank 0 has resumed")
    history = history or checkpoint.resume()
    if longer:
        _lay_schedule_anew(training, done=len(history.train_loss))
    return history


def _defaults() -> dict[str, Any]:
    """The options that a file of an earlier version need not hold."""
    options = vars(parser().parse_args(["images", "masks", "--out", "run.pt"]))
    return {key: value for key, value in options.items() if key not in MAY_DIFFER}


def _lay_schedule_anew(training: Training, done: int) -> None:
    """Lay the schedule over the epochs that are wanted now: the file was planned for fewer, or for more.

    The learning rates go on as if this number of epochs had been planned from the beginning.
    """
    optimizer = training.optimizer
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"]
    steps = training.options.epochs * len(training.train_dataloader)
    scheduler = make_scheduler(optimizer, training.options.schedule, steps, _warmup(training.options, steps))
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # "step() before optimizer.step()": on purpose
        for _ in range(min(done * len(training.train_dataloader), steps)):
            scheduler.step()
    training.scheduler = scheduler
    training.checkpoint.parts["schedule"] = scheduler
    training.checkpoint.facts["schedule"] = type(scheduler).__name__


def run(training: Training, history: History) -> None:
    """Train to the last epoch. Rank 0 saves and prints after each; Ctrl-C says how to go on."""
    options = training.options
    steps = len(training.train_dataloader)
    progress = EpochReport(training.checkpoint, training.names, options.epochs, steps, len(history.train_loss))
    guard = DivergenceGuard(training.replica, training.optimizer, progress.on_step, epoch=len(history.train_loss))

    def train_epoch(model: nn.Module, dataloader: DataLoader, criterion: Loss, *others: Any, **kwargs: Any) -> float:
        _seed(options.seed, guard.epoch, rank())  # each process has a dropout of its own
        return train_one_epoch_sharded(training.replica, dataloader, training.global_criterion, *others, **kwargs)

    def evaluate_epoch(model: nn.Module, *others: Any) -> Evaluation:
        if options.scale is not None:
            model = TiledModel(model, tuple(options.crop or options.size))
        progress.evaluation = evaluate_sharded(model, *others)
        return progress.evaluation

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
            step=training.step,
            scheduler=training.scheduler,
            stopping=training.stopping,
            on_epoch=_after_epoch(progress, training, history) if rank() == 0 else None,
            validate_every=options.validate_every,
            train_epoch=train_epoch,
            evaluate_epoch=evaluate_epoch,
        )
    except KeyboardInterrupt:
        if rank() == 0:
            saved = _saved_epochs(training)
            print(f"Stopped in epoch {guard.epoch}. {options.out.name} holds {saved} epochs; ", end="")
            print("the same line with --resume goes on.", flush=True)
        raise
    finally:
        progress.close()


def _after_epoch(progress: EpochReport, training: Training, history: History) -> Callable[[History], None]:
    """What is called after each epoch: it is saved and printed, and logged where --tensorboard asks for it."""
    if not training.options.tensorboard:
        return progress.on_epoch
    folder = training.options.out.with_suffix(".tensorboard")
    log = TensorBoardLog(folder, training.names, training.optimizer, done=len(history.train_loss))
    print(f"To see the curves as they grow: {command_line('tensorboard', '--logdir', folder)}")

    def on_epoch(history: History) -> None:
        progress.on_epoch(history)
        log.on_epoch(history)

    return on_epoch


def _saved_epochs(training: Training) -> int:
    """How many epochs the checkpoint on the disk holds."""
    path = training.checkpoint.path
    if not path.exists():
        return 0
    contents, _ = load_or_backup(path)
    return len(contents["history"]["train_loss"])


def report(training: Training, history: History) -> None:
    """Say what the checkpoint holds, and what to type next."""
    if rank() == 0:
        out = training.options.out
        epoch = training.stopping.best_epoch or _saved_epochs(training)
        print(f"{out.name} holds the weights of epoch {epoch}, the best, beside those of the last. Next:")
        folders = (training.options.images, training.options.masks)
        print(command_line("python", "-m", "seglib", "evaluate", out, *folders, "--side", "validation"))
        print(command_line("python", "-m", "seglib", "predict", out, "PHOTOGRAPHS", "NEW_MASKS", "--overlay"))


if __name__ == "__main__":
    raise SystemExit("Type: python -m seglib train --help")
