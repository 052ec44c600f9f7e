"""Owns the command line, `python -m seglib.train IMAGES MASKS --out run.pt`, alone or under torchrun. See 12_many_gpus.

torchrun --nproc-per-node=2 -m seglib.train IMAGES MASKS --out run.pt
"""

import argparse
import sys
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader

from seglib import CustomDataset, SegError, build_deeplab, make_loss, optim, precision, states, storage, train_one_epoch
from seglib.arguments import parser
from seglib.checkpoint import Checkpoint
from seglib.device import seed_everything
from seglib.distributed import average_statistics, evaluate_all, mean_of_all, replicate, share, together
from seglib.loaders import make_loaders, random_split, read_split
from seglib.processes import everyone, first_to_fail, group, processes, rank
from seglib.stopping import EarlyStopping
from seglib.transforms import joint_transform
from seglib.watch import Watch

# What may differ when a training goes on. Its pictures are told by their names, wherever the folders lie.
FREE = ("images", "masks", "out", "split", "validation_share", "epochs", "workers", "patience", "resume", "device")


def train(options: argparse.Namespace, device: torch.device) -> None:
    """Train as the options say, or go on with it; process 0 prints and saves."""
    out, classes = options.out, options.classes
    there = out.exists() or storage.one_before(out).exists()
    if there and not options.resume:
        raise SegError(f"{out.name} is there already.", "a new name", "--resume goes on with it, or name another.")
    loaders, pictures = _loaders(options)
    train_dataloader, validation_dataloader = share(loaders[0], least=2), share(loaders[1], whole=True)
    _chance(options.seed, 0, 0)  # the new layer is the same in all processes
    weights = None if options.weights == "none" else options.weights
    model = build_deeplab(options.model, len(classes or "1"), weights, verbose=rank() == 0).to(device)
    model = precision.use_bfloat16(model) if options.bfloat16 else model
    criterion = make_loss(options.loss or ("cross_entropy" if classes else "bce_dice"))
    optimizer = optim.make_optimizer(model, options.optimizer, options.lr, options.head_lr, options.weight_decay)
    schedule = optim.make_schedule(optimizer, options.schedule, options.epochs * len(train_dataloader), options.warmup)
    stopping = EarlyStopping(model, options.patience) if options.patience else None
    planned = None if options.schedule == "constant" else options.epochs  # the other schedules know their end
    config = {key: value for key, value in vars(options).items() if key not in FREE} | pictures
    config, facts = config | {"loss": criterion.name, "planned epochs": planned}, (tuple(options.size), classes)
    checkpoint = Checkpoint(out, model, criterion, optimizer, loaders[0], *facts, schedule, None, stopping, config)
    if there:
        states.refuse_another(out.name, storage.read_file(out)[0]["config"], config)
    history = checkpoint.resume() if rank() == 0 else None  # first, for it may have to put a damaged file aside
    everyone("after process 0")
    history = history or checkpoint.resume()  # an empty one, if there is no file
    replica, criterion_of_all = replicate(model, device), together(criterion, -(-options.batch_size // processes()))
    watch, saved = Watch(replica, optimizer, epoch=len(history.train_loss)), len(history.train_loss)
    try:
        while watch.epoch < options.epochs and not (stopping and stopping.finished):
            watch.epoch += 1
            _chance(options.seed, watch.epoch, rank())  # each process has a dropout of its own
            loss = train_one_epoch(replica, train_dataloader, criterion_of_all, optimizer, device, schedule, watch)
            average_statistics(model)
            evaluation = evaluate_all(model, validation_dataloader, criterion, device, watch)
            history.add(mean_of_all(loss, train_dataloader), evaluation.loss, evaluation.iou)
            if stopping:
                stopping.look(history)
            if rank() == 0:
                saved = watch.epoch if checkpoint.save(history) else saved
                print(f"epoch {watch.epoch} of {options.epochs}: loss {history.train_loss[-1]:.4f}, ", end="")
                print(f"IoU {evaluation.iou:.3f}", flush=True)
    except KeyboardInterrupt:
        if rank() == 0:
            kept = f"{out.name} holds {saved} epochs; the same line with --resume goes on."
            print(f"Stopped in epoch {watch.epoch}. {kept}", flush=True)
        raise
    if rank() == 0:
        epoch = stopping.best_epoch if stopping else saved
        call = f"seglib.folders.predict_folder(seglib.checkpoint.load_trained({str(out)!r}), 'photographs', 'masks')"
        print(f"{out.name} holds the weights of epoch {epoch}. To predict a folder:")
        print(f'python -c "import seglib.folders; {call}"')


def _loaders(options: argparse.Namespace) -> tuple[tuple[DataLoader, DataLoader], dict[str, str]]:
    """The loaders of all processes together, and what tells their pictures from others."""
    known = tuple(options.size), options.classes, options.portrait
    transforms = (joint_transform(known[0], train, *known[1:]) for train in (not options.no_augment, False))
    folders = options.images, options.masks
    sides = [CustomDataset(*folders, joint_transform=each, classes=options.classes) for each in transforms]
    split = read_split(options.split) if options.split else None
    split = split or random_split(sides[0].stems, options.validation_share, options.seed)
    names = zlib.crc32("/".join([*split.train, "", *split.validation]).encode())
    parts = sides[0].subset(split.train), sides[1].subset(split.validation)
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
