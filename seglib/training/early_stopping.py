"""Owns when a training ends early, and the best weights that it then keeps. Explained in 09_when_to_stop."""

import math
from typing import Any

from torch import nn

from seglib.errors import TrainingError
from seglib.training.history import History


class EarlyStopping:
    """Ends a training that gets no better, and gives the model the weights of its best epoch back. `fit` asks it.

    Args:
        model: whose weights are kept, in as much memory again.
        patience: so many epochs in a row may pass without a better one; above 0.
        min_delta: by how much more than the best so far an epoch must score to count as better; 0 or more.
        monitor: "validation_iou", of which more is better, or "validation_loss" or "train_loss", of which less is.

    Raises:
        TrainingError: a patience, a min_delta or a monitor that cannot be.

    Example:
        >>> stopping = EarlyStopping(nn.Linear(2, 1), patience=2)
        >>> history = History()
        >>> for validation_iou in (0.5, 0.7, 0.6, 0.7):
        ...     history.add(0.1, 0.1, validation_iou)
        ...     stopping.update(history)
        >>> stopping.best_epoch, stopping.finished
        (2, True)
    """

    def __init__(self, model: nn.Module, patience: int = 10, min_delta: float = 0.0, monitor: str = "validation_iou"):
        known = ("validation_iou", "validation_loss", "train_loss")
        if patience < 1 or not min_delta >= 0 or monitor not in known:
            raise TrainingError(
                f'patience = {patience}, min_delta = {min_delta}, monitor = "{monitor}"',
                f"a patience of 1 or more, a min_delta of 0 or more, one of {', '.join(known)}",
                "patience=10 waits for ten epochs.",
            )
        self.model = model
        self.patience = patience
        self.min_delta = min_delta
        self.monitor = monitor
        self.best = -math.inf
        self.best_epoch = 0
        self.finished = False
        self.weights: dict[str, Any] = {}

    def update(self, history: History) -> None:
        """Compare the last epoch of the history with the best so far; the model still has the weights of that epoch."""
        values = getattr(history, self.monitor)
        score = values[-1] if self.monitor == "validation_iou" else -values[-1]
        if score > self.best + self.min_delta:  # NaN, where there is nothing to find, is not better
            self.best = score
            self.best_epoch = len(values)
            self.weights = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        if len(values) - self.best_epoch >= self.patience:
            self.finished = True
            history.stopped = f"epoch {len(values)}, no better since epoch {self.best_epoch}"

    def restore(self) -> None:
        """Give the model its best weights, running means included; nothing if there was no epoch yet."""
        if self.weights:
            self.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint needs to go on, under the name that torch's own objects use."""
        return {name: getattr(self, name) for name in ("best", "best_epoch", "finished", "weights")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        for name in self.state_dict():
            setattr(self, name, state[name])
