"""Owns when a training ends early, and the best weights that it then keeps. Explained in 08_when_to_stop."""

import math
from typing import Any

from torch import nn

from seglib.errors import TrainingError
from seglib.watch import History


class EarlyStopping:
    """Ends a training that gets no better, and gives the model the weights of its best epoch back. `fit` asks it.

    Args:
        model: whose weights are kept, in as much memory again.
        patience: so many epochs in a row may pass without a better one; above 0.
        least_change: by how much more than the best so far an epoch must score to count as better; 0 or more.
        measure: "validation_iou", of which more is better, or "validation_loss" or "train_loss", of which less is.

    Raises:
        TrainingError: a patience, a change or a measure that cannot be.

    Example:
        >>> stopping = EarlyStopping(nn.Linear(2, 1), patience=2)
        >>> history = History()
        >>> for validation_iou in (0.5, 0.7, 0.6, 0.7):
        ...     history.add(0.1, 0.1, validation_iou)
        ...     stopping.look(history)
        >>> stopping.best_epoch, stopping.finished
        (2, True)
    """

    def __init__(
        self, model: nn.Module, patience: int = 10, least_change: float = 0.0, measure: str = "validation_iou"
    ):
        measures = ("validation_iou", "validation_loss", "train_loss")
        if patience < 1 or not least_change >= 0 or measure not in measures:
            raise TrainingError(
                f'patience = {patience}, least_change = {least_change}, measure = "{measure}"',
                f"a patience of 1 or more, a change of 0 or more, one of {', '.join(measures)}",
                "patience=10 waits for ten epochs.",
            )
        self.model, self.patience, self.least_change, self.measure = model, patience, least_change, measure
        self.best, self.best_epoch, self.finished = -math.inf, 0, False
        self.weights: dict[str, Any] = {}

    def look(self, history: History) -> None:
        """Judge the last epoch of the history; the model has the weights that it ended with."""
        values = getattr(history, self.measure)
        score = values[-1] if self.measure == "validation_iou" else -values[-1]
        if score > self.best + self.least_change:  # NaN, where there is nothing to find, is not better
            self.best, self.best_epoch = score, len(values)
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
