"""Owns the live monitor of 07_training_loop: curves and a prediction while a model trains, and a stop button."""

import html
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets

from seglib.errors import SegError
from seglib.lesson.common.figures import encode
from seglib.lesson.training_loop.figures import monitor_figure
from seglib.training.history import History

OnEpoch = Callable[[History], None]
OnStep = Callable[[int, int, float], None]


class TrainingMonitor(ipywidgets.VBox):
    """Two buttons, a line of words and a picture; made by `training_monitor`.

    A kernel that runs a cell handles no clicks. So the training runs in a thread of its own and the cell ends at once;
    `stop` raises KeyboardInterrupt in the next step of the training, as the kernel's own stop button does.
    """

    def __init__(self, train: Callable[[OnEpoch, OnStep], History], predict: Callable[[], Any], image: Any):
        self.train = train
        self.predict = predict
        self.image = image
        self.history = History()
        self.thread: threading.Thread | None = None
        self.stopping = threading.Event()
        self.start = ipywidgets.Button(description="start", icon="play")
        self.stop = ipywidgets.Button(description="stop", icon="stop", disabled=True)
        self.words = ipywidgets.HTML("Press start.")
        self.picture = ipywidgets.Image(format="png")
        self.start.on_click(self._start)
        self.stop.on_click(lambda _: self.stopping.set())
        super().__init__([ipywidgets.HBox([self.start, self.stop]), self.words, self.picture])
        self._draw(self.history)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the training has ended, or for so many seconds."""
        if self.thread:
            self.thread.join(seconds)

    def _start(self, _: object) -> None:
        self._set_running(True)
        self.stopping.clear()
        self.words.value = "Loading the first batch."
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.history = self.train(self._draw, self._on_step)
            ended = f"Stopped in {self.history.stopped}." if self.history.stopped else "Done."
            self.words.value = f"{ended} Whole epochs: {len(self.history.train_loss)}."
        except SegError as error:  # for example a loss of NaN
            self.words.value = html.escape(str(error)).replace("\n", "<br>")
        except Exception as error:  # a traceback of this thread would not appear under the cell
            self.words.value = html.escape(f"{type(error).__name__}: {error}")
        finally:
            self._set_running(False)

    def _set_running(self, running: bool) -> None:
        self.start.disabled = running
        self.stop.disabled = not running

    def _on_step(self, epoch: int, step: int, loss: float) -> None:
        if self.stopping.is_set():
            raise KeyboardInterrupt
        self.words.value = f"epoch {epoch}, step {step}, loss {loss:.3f}"

    def _draw(self, history: History) -> None:
        kind, data = encode(monitor_figure(history, self.image, self.predict()))
        self.picture.format = kind.removeprefix("image/")
        self.picture.value = data

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return "TrainingMonitor(start, stop, curves, a prediction)"


def training_monitor(
    train: Callable[[OnEpoch, OnStep], History], predict: Callable[[], Any], image: Any
) -> TrainingMonitor:
    """Make a monitor; nothing is trained until somebody presses start.

    Args:
        train: called with (on_epoch, on_step), which it hands to `fit`; gives back what `fit` returns.
        predict: gives the mask (H, W) that the model predicts now for `image`; called first, and after each epoch.
        image: whatever `to_picture` takes.
    """
    return TrainingMonitor(train, predict, image)
