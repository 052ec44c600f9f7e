"""Owns recorded trainings."""

from collections.abc import Mapping
from typing import Any

import torch

from seglib.training.early_stopping import EarlyStopping
from seglib.training.history import History


def history_of(run: Mapping[str, Any], epochs: int | None = None) -> History:
    """A recorded training as a `History`, whole or its first epochs."""
    train, validation, scores = (list(run[key][:epochs]) for key in ("train_loss", "validation_loss", "validation_iou"))
    return History(train, validation, scores)


def would_stop(run: Mapping[str, Any], patience: int, min_delta: float) -> tuple[int, int]:
    """Where `EarlyStopping` would have ended a recorded training, and its best epoch, both counted from 1.

    Example:
        >>> curves = {"train_loss": [1.0] * 6, "validation_loss": [1.0] * 6}
        >>> would_stop(curves | {"validation_iou": [0.1, 0.5, 0.4, 0.5, 0.3, 0.9]}, patience=3, min_delta=0.01)
        (5, 2)
    """
    stopping = EarlyStopping(torch.nn.Identity(), patience, min_delta)
    for epoch in range(1, len(run["validation_iou"]) + 1):
        stopping.look(history_of(run, epoch))
        if stopping.finished:
            return epoch, stopping.best_epoch
    return len(run["validation_iou"]), stopping.best_epoch
