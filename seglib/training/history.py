"""Owns the record of a training: losses and IoU of each epoch. Explained in 07_training_loop."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class History:
    """How a training went, one entry an epoch; `plot_history` of `seglib.lesson` draws it.

    Example:
        >>> history = History()
        >>> history.add(train_loss=0.4, validation_loss=0.5, validation_iou=0.6)
        >>> history.validation_iou
        [0.6]
    """

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_iou: list[float] = field(default_factory=list)
    class_iou: list[list[float]] = field(default_factory=list)  # of each class, NaN where it is absent
    stopped: str = ""  # where it was stopped early, as in "epoch 3, step 5"; "" if it ran to its end

    def add(
        self, train_loss: float, validation_loss: float, validation_iou: float, class_iou: Sequence[float] = ()
    ) -> None:
        """Record one whole epoch. If the training was stopped before, it has gone on: `stopped` is empty again."""
        self.stopped = ""
        self.train_loss.append(train_loss)
        self.validation_loss.append(validation_loss)
        self.validation_iou.append(validation_iou)
        self.class_iou.append(list(class_iou))
