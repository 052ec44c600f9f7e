"""Owns the training of 11_predict, with the recipe of the series: its model is what the lesson predicts with."""

import os
from typing import Any

from torch import nn

from seglib.device import pick_device
from seglib.losses import make_loss
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.checkpoint import Checkpoint
from seglib.training.history import History
from seglib.training.loop import fit

WARMUP = 8  # steps in which the learning rate rises


def train_and_save(
    path: str | os.PathLike[str],
    model: nn.Module,
    train_dataloader: Any,
    validation_dataloader: Any,
    *,
    size: tuple[int, int],
    epochs: int,
) -> History:
    """Train with BCE and Dice, AdamW and a poly schedule, as 00_start_here does, and save after each epoch.

    Args:
        path: of the checkpoint.
        model: on the device on which it is to be trained.
        train_dataloader, validation_dataloader: of `make_loaders`.
        size: (height, width) of the pictures.
        epochs: how often each picture is shown.
    """
    criterion = make_loss("bce_dice")
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3)
    scheduler = make_scheduler(optimizer, "poly", steps=epochs * len(train_dataloader), warmup=WARMUP)
    checkpoint = Checkpoint(path, model, criterion, optimizer, train_dataloader, size=size, scheduler=scheduler)
    return fit(
        model,
        train_dataloader,
        validation_dataloader,
        criterion,
        optimizer,
        epochs=epochs,
        device=pick_device(),
        scheduler=scheduler,
        on_epoch=checkpoint.save,
    )
