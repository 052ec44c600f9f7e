"""Owns what a training on the command line says as it goes: a bar, a line an epoch, a table, warnings.

See 13_your_own_data.
"""

import csv
import math
import os
import time
from collections.abc import Sequence

from tqdm import tqdm

from seglib.metrics import Evaluation, describe_collapse
from seglib.training.checkpoint import Checkpoint
from seglib.training.distributed import rank
from seglib.training.history import History


class EpochReport:
    """Saves and prints after each epoch; shows a bar with the time left on a terminal, or says it once in a log file.

    Args:
        checkpoint: saved after each epoch; the table `NAME.csv` is written beside it.
        names: of the classes.
        epochs: of the whole training.
        steps: of one epoch.
        done: epochs that are done already.
    """

    def __init__(self, checkpoint: Checkpoint, names: Sequence[str], epochs: int, steps: int, done: int):
        self.checkpoint = checkpoint
        self.names = names
        self.epochs = epochs
        self.evaluation: Evaluation | None = None  # of the last epoch; set by whoever evaluates
        self.done = done
        self.begin = time.monotonic()
        self.time_told = False
        total = max(0, epochs - done) * steps
        # disable=None: only on a terminal. In a log file a bar is a long line of noise.
        self.bar = tqdm(total=total, unit="step", leave=False, disable=None if rank() == 0 else True)

    def on_step(self, epoch: int, step: int, loss: float) -> None:
        """Move the bar; as `DivergenceGuard` calls it."""
        self.bar.set_description(f"epoch {epoch} of {self.epochs}", refresh=False)
        self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        self.bar.update()

    def on_epoch(self, history: History) -> None:
        """Save, write the table, and print; as `run_epochs` calls it."""
        self.checkpoint.save(history)
        try:
            write_table(history, self.names, self.checkpoint.path.with_suffix(".csv"))
        except OSError as error:  # a full disk stops no training
            self._say(f"The table was not written: {error.strerror}.")
        epoch = len(history.train_loss)
        line = f"epoch {epoch} of {self.epochs}: loss {history.train_loss[-1]:.4f}"
        if self.evaluation is None:  # this epoch was not measured
            self._say(line)
            return
        ious = zip(self.names, history.class_iou[-1], strict=True)
        classes = ", ".join(f"{name} {_number(iou)}" for name, iou in ious)
        line += f", validation loss {history.validation_loss[-1]:.4f}, IoU {_number(history.validation_iou[-1])}"
        self._say(f"{line} ({classes})")
        for sentence in describe_collapse(self.evaluation.matrix, self.names):
            self._say(f"  {sentence}")
        self._say_time_left(epoch)
        self.evaluation = None

    def _say_time_left(self, epoch: int) -> None:
        """Once, where there is no bar: when the last epoch ends; called after an epoch that was measured too."""
        if self.time_told or not self.bar.disable:
            return
        self.time_told = True
        seconds = (time.monotonic() - self.begin) / (epoch - self.done) * (self.epochs - epoch)
        if seconds >= 60:
            minutes = round(seconds / 60)
            number = "1 minute" if minutes == 1 else f"{minutes} minutes"
            self._say(f"  At this pace epoch {self.epochs} ends in about {number}.")

    def _say(self, line: str) -> None:
        with self.bar.external_write_mode():
            print(line, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()


def _number(value: float) -> str:
    return "absent" if math.isnan(value) else f"{value:.3f}"


def write_table(history: History, names: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Write a history as comma-separated values, one row an epoch; an IoU that is no number is left empty."""
    head = ["epoch", "train_loss", "validation_loss", "validation_iou", *(f"iou_{name}" for name in names)]
    part = f"{path}.part"
    with open(part, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(head)
        numbers = zip(history.train_loss, history.validation_loss, history.validation_iou, strict=True)
        for epoch, row in enumerate(numbers, 1):
            ious = history.class_iou[epoch - 1] if epoch <= len(history.class_iou) else []
            ious = ious or [math.nan] * len(names)  # an epoch of an earlier version
            cells = [f"{value:.6g}" if math.isfinite(value) else "" for value in (*row, *ious)]
            table.writerow([epoch, *cells])
    os.replace(part, path)
