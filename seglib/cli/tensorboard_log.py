"""Owns the option --tensorboard: losses, IoU and learning rates of each epoch as TensorBoard draws them.

See 14_many_gpus.
"""

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

from torch.optim import Optimizer

from seglib.errors import SegError
from seglib.training.history import History


def require_tensorboard() -> Any:
    """The class that writes what TensorBoard reads, `torch.utils.tensorboard.SummaryWriter`.

    Raises:
        SegError: the package tensorboard is not installed, or does not fit what is.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:  # torch brings the module, and the module needs the package
        raise SegError(
            f"--tensorboard cannot write its log: {error}.",
            "the package tensorboard in the environment of torch",
            "python -m pip install tensorboard. Without it the same figures stand in the table beside --out.",
        ) from error
    return SummaryWriter


class TensorBoardLog:
    """Adds each epoch to the log.

    Args:
        folder: of the log, made if it is not there.
        names: of the classes.
        optimizer: whose learning rates are logged.
        done: epochs that are done already. Later ones that the log holds, of a training that broke off, are hidden.
    """

    def __init__(self, folder: str | os.PathLike[str], names: Sequence[str], optimizer: Optimizer, done: int):
        self.names = names
        self.optimizer = optimizer
        self.writer = require_tensorboard()(os.fspath(folder), purge_step=done + 1)

    def on_epoch(self, history: History) -> None:
        """Add the last epoch; as `run_epochs` calls it. What was not measured, or is no number, is left out."""
        epoch = len(history.train_loss)
        for name, value in self._figures(history):
            if math.isfinite(value):
                self.writer.add_scalar(name, value, epoch)
        self.writer.flush()  # whoever watches sees each epoch at once, and a training that ends anyhow has logged it

    def _figures(self, history: History) -> Iterator[tuple[str, float]]:
        yield "loss/training", history.train_loss[-1]
        yield "loss/validation", history.validation_loss[-1]
        yield "IoU", history.validation_iou[-1]  # of the object, or the mean of the classes, as the printed line
        for name, iou in zip(self.names, history.class_iou[-1], strict=False):  # empty where nothing was measured
            yield f"IoU_of_class/{name}", iou
        groups = self.optimizer.param_groups
        parts = ("backbone", "head") if len(groups) == 2 else ("all",)
        for part, group in zip(parts, groups, strict=True):
            yield f"learning_rate/{part}", float(group["lr"])  # with which the next epoch begins
