"""Owns what early stopping would have done to a recorded training."""

from collections.abc import Mapping
from typing import Any

import torch

from seglib.training.early_stopping import EarlyStopping
from seglib.training.history import History


def recorded_history(run: Mapping[str, Any], epochs: int | None = None) -> History:
    """A recorded training as a `History`, whole or its first epochs.

    Args:
        run: lists of one value an epoch under "train_loss", "validation_loss" and "validation_iou".
        epochs: how many of them; None takes all.
    """
    return History(
        train_loss=list(run["train_loss"][:epochs]),
        validation_loss=list(run["validation_loss"][:epochs]),
        validation_iou=list(run["validation_iou"][:epochs]),
    )


def replay_early_stopping(run: Mapping[str, Any], patience: int, min_delta: float) -> tuple[int, int]:
    """Where `EarlyStopping` would have ended a recorded training, and its best epoch, both counted from 1.

    Args:
        run: as in `recorded_history`.
        patience, min_delta: of `EarlyStopping`.

    Example:
        >>> curves = {"train_loss": [1.0] * 6, "validation_loss": [1.0] * 6}
        >>> replay_early_stopping(curves | {"validation_iou": [0.1, 0.5, 0.4, 0.5, 0.3, 0.9]}, 3, min_delta=0.01)
        (5, 2)
    """
    stopping = EarlyStopping(torch.nn.Identity(), patience=patience, min_delta=min_delta)
    epochs = len(run["validation_iou"])
    for epoch in range(1, epochs + 1):
        stopping.update(recorded_history(run, epoch))
        if stopping.finished:
            return epoch, stopping.best_epoch
    return epochs, stopping.best_epoch
