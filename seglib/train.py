"""Owns the command line, `python -m seglib.train IMAGES MASKS --out run.pt`, alone or under torchrun. See 12_many_gpus.

torchrun --nproc-per-node=2 -m seglib.train IMAGES MASKS --out run.pt
"""

import argparse
import sys
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from seglib.arguments import parser
from seglib.checkpoint import Checkpoint
from seglib.dataset import CustomDataset
from seglib.device import seed_everything
from seglib.distributed import average_statistics, evaluate_all, mean_of_all, replicate, share, together
from seglib.engine import train_one_epoch
from seglib.errors import SegError, WeightsError
from seglib.loaders import make_loaders, random_split, read_split
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_schedule
from seglib.precision import use_bfloat16
from seglib.processes import everyone, first_to_fail, group, processes, rank
from seglib.states import refuse_another
from seglib.stopping import EarlyStopping
from seglib.storage import one_before, read_file
from seglib.transforms import joint_transform
from seglib.watch import History, Watch

# What may differ when a training goes on. Its pictures are told by their names, wherever the folders lie.
FREE = ("images", "masks", "out", "split", "validation_share", "workers", "patience", "resume", "device")


def train(options: argparse.Namespace, device: torch.device) -> None:
    """Train as the options say, or go on with it; process 0 prints and saves."""
    out, classes = options.out, options.classes
    if not options.resume and (out.exists() or one_before(out).exists()):
        raise WeightsError(f"{out.name} is there already.", "a new name", "--resume goes on with it, or name another.")
    loaders, pictures = _loaders(options)
    train_dataloader, validation_dataloader = share(loaders[0], least=2), share(loaders[1], whole=True)
    _chance(options.seed, 0, 0)  # the new layer is the same in all processes
    weights = None if options.weights == "none" else options.weights
    model = build_deeplab(options.model, len(classes or "1"), weights, verbose=rank() == 0).to(device)
    model = use_bfloat16(model) if options.bfloat16 else model
    criterion = make_loss(options.loss or ("cross_entropy" if classes else "bce_dice"))
    optimizer = make_optimizer(model, options.optimizer, options.lr, options.head_lr, options.weight_decay)
    schedule = make_schedule(optimizer, options.schedule, options.epochs * len(train_dataloader), options.warmup)
    stopping = EarlyStopping(model, options.patience) if options.patience else None
    free = {*FREE, "epochs"} if options.schedule == "constant" else {*FREE}  # the others are planned to their end
    config = {key: value for key, value in vars(options).items() if key not in free} | pictures
    config["loss"] = criterion.name
    parts: dict[str, Any] = {"schedule": schedule, "stopping": stopping, "config": config}
    checkpoint = Checkpoint(out, model, criterion, optimizer, loaders[0], tuple(options.size), classes, **parts)
    history = _resume(checkpoint)
    replica, criterion_of_all = replicate(model, device), together(criterion, -(-options.batch_size // processes()))
    watch, saved = Watch(replica, optimizer, epoch=len(history.train_loss)), len(history.train_loss)
    try:
        while watch.epoch < options.epochs and not (stopping and stopping.finished):
            watch.epoch += 1
            _chance(options.seed, watch.epoch, rank())  # each process has a dropout of its own
            loss = train_one_epoch(replica, train_dataloader, criterion_of_all, optimizer, device, schedule, watch)
            loss = mean_of_all(loss, train_dataloader)
            average_statistics(model)
            evaluation = evaluate_all(model, validation_dataloader, criterion, device, watch)
            history.add(loss, evaluation.loss, evaluation.iou)
            if stopping:
                stopping.look(history)
            if rank() == 0:
                saved = watch.epoch if checkpoint.save(history) else saved
                print(f"epoch {watch.epoch} of {options.epochs}: loss {loss:.4f}, IoU {evaluation.iou:.3f}", flush=True)
    except KeyboardInterrupt:
        if rank() == 0:
            there = f"{out.name} holds epoch {saved}: the same line with --resume goes on."
            print(f"Stopped in epoch {watch.epoch}. {there if saved else 'Nothing was saved.'}", flush=True)
        raise
    if rank() == 0:
        kept = f"the weights of epoch {stopping.best_epoch}, the best" if stopping else f"the weights of epoch {saved}"
        call = f"predict_folder(load_trained({str(out)!r}), 'photographs', 'masks')"
        print(f"{out.name} holds {kept}. To predict a folder:")
        print(
            f'python -c "from seglib.checkpoint import load_trained; from seglib.folders import predict_folder; {call}"'
        )


def _resume(checkpoint: Checkpoint) -> History:
    """What the file holds, if it is of this training; one process after the other, for the first may have to mend."""
    history = History()
    for number in range(processes()):
        if number == rank() and (checkpoint.path.exists() or one_before(checkpoint.path).exists()):
            contents, used = read_file(checkpoint.path)
            refuse_another(used.name, contents["config"], checkpoint.config)
            history = checkpoint.resume()
        everyone(None)
    return history


def _loaders(options: argparse.Namespace) -> tuple[tuple[DataLoader, DataLoader], dict[str, str]]:
    """The loaders of all processes together, and what tells their pictures from others."""
    size, classes = tuple(options.size), options.classes
    train_dataset, validation_dataset = (
        CustomDataset(
            options.images,
            options.masks,
            joint_transform=joint_transform(size, vary, classes, options.portrait),
            classes=classes,
        )
        for vary in (not options.no_augment, False)
    )
    split = read_split(options.split) if options.split else None
    split = split or random_split(train_dataset.stems, options.validation_share, options.seed)
    names = zlib.crc32("/".join([*split.train, "", *split.validation]).encode())
    parts = train_dataset.subset(split.train), validation_dataset.subset(split.validation)
    told = f"{len(split.train)} + {len(split.validation)} (checksum of their names {names:08x})"
    return make_loaders(*parts, options.batch_size, options.workers, options.seed), {"pictures": told}


def _chance(seed: int, epoch: int, number: int) -> None:
    seed_everything(int(np.random.SeedSequence((seed, epoch, number)).generate_state(1)[0]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; gives back the exit code: 0, 2 after an error of the reader's, 130 after Ctrl-C."""
    try:
        options = parser().parse_args(arguments)
        with group(options.device) as device:
            train(options, device)
    except SegError as error:
        if first_to_fail():
            print(error, file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
