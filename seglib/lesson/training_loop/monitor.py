"""Owns the live monitor of 07_training_loop: curves and a prediction while a model trains, and a stop button."""

import html
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import ipywidgets
from IPython import get_ipython
from IPython.display import HTML, Image, display

from seglib.errors import SegError
from seglib.lesson.common.figures import CSS_PIXELS_PER_INCH, encode
from seglib.lesson.common.lesson_widget import LessonWidget, widget_picture
from seglib.lesson.training_loop.figures import monitor_figure
from seglib.training.history import History

OnEpoch = Callable[[History], None]
OnStep = Callable[[int, int, float], None]

ALT = "Three panels: the losses by epoch, the validation IoU by epoch, and a photograph with the mask predicted now."
IN_COLAB = (
    "Colab shows nothing of a training that runs in a thread. Call <code>run()</code> of this monitor in a cell of its "
    "own; the square beside that cell ends the training."
)


class TrainingMonitor(LessonWidget):
    """Two buttons, a line of words, a bar and a picture; made by `training_monitor`.

    So that the cell ends at once and other cells can be run, the training runs in a thread of its own. `stop`, and the
    kernel's own stop button, raise KeyboardInterrupt in the next step of the training. One training runs at a time:
    another one that begins, and the cell that is run again, first end the one under way.
    """

    under_way: ClassVar["TrainingMonitor | None"] = None  # whose training runs now

    def __init__(self, train: Callable[[OnEpoch, OnStep], History], predict: Callable[[], Any], image: Any):
        end_training()  # of this cell, run before: the model that it changes is the one that we ask for a mask
        self.train = train
        self.predict = predict
        self.image = image
        self.history = History()
        self.thread: threading.Thread | None = None
        self.stopping = threading.Event()
        self.start = ipywidgets.Button(description="start", icon="play")
        self.stop = ipywidgets.Button(description="stop", icon="stop", disabled=True)
        self.words = ipywidgets.HTML("Press start.")
        self.bar = ipywidgets.Output()
        self.picture = widget_picture("png", ALT, width=9 * CSS_PIXELS_PER_INCH)
        self.start.on_click(self._start)
        self.stop.on_click(lambda _: self.stopping.set())
        buttons = [ipywidgets.HBox([self.start, self.stop])]
        if "google.colab" in sys.modules:
            buttons = []
            self.words.value = IN_COLAB
        super().__init__([*buttons, self.words, self.bar, self.picture])
        self._draw(self.history)
        stop_with_the_kernel()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the training has ended, or for so many seconds."""
        if self.thread:
            self.thread.join(seconds)

    def run(self) -> None:
        """Train in the cell that calls this, and show the same there: for Colab, and for any page without buttons.

        The cell ends with the training. The kernel's stop button ends both.
        """
        end_training()
        words = display(HTML("Loading the first batch."), display_id=True)
        picture = display(Image(self.picture.value, width=int(self.picture.width)), display_id=True)

        def show(change: Any) -> None:
            if change.owner is self.words:
                words.update(HTML(change.new))
            else:
                picture.update(Image(change.new, width=int(self.picture.width)))

        parts = (self.words, self.picture)
        self.stopping.clear()
        try:
            for part in parts:
                part.observe(show, names="value")
            self._run()
        finally:
            for part in parts:
                part.unobserve(show, names="value")

    def _start(self, _: object) -> None:
        if TrainingMonitor.under_way is self:  # a second click, made before the button was grey
            return
        end_training()
        TrainingMonitor.under_way = self
        self.stopping.clear()
        self.words.value = "Loading the first batch."
        self.thread = threading.Thread(target=self._run_in_thread, daemon=True)
        self.thread.start()

    def _run_in_thread(self) -> None:
        publisher = getattr(get_ipython(), "display_pub", None)
        if publisher is not None and hasattr(
            publisher, "register_hook"
        ):  # a hook sees what this thread displays, and nothing else
            publisher.register_hook(self._take_bar)
        self._run()

    def _run(self) -> None:
        TrainingMonitor.under_way = self
        self._set_running(True)
        try:
            self.history = self.train(self._draw, self._on_step)
            ended = f"Stopped in {self.history.stopped}." if self.history.stopped else "Done."
            self.words.value = f"{ended} Whole epochs: {len(self.history.train_loss)}."
        except KeyboardInterrupt:  # outside of `fit`, which keeps weights and history
            self.words.value = "Stopped."
        except SegError as error:  # for example a loss of NaN
            self.words.value = html.escape(str(error)).replace("\n", "<br>")
        except Exception as error:  # a traceback of this thread would not appear under the cell
            self.words.value = html.escape(f"{type(error).__name__}: {error}")
        finally:
            self._set_running(False)
            TrainingMonitor.under_way = None

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

    def _take_bar(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Put what `fit` displays, its bar, into the widget: a message from a thread belongs to no cell."""
        if message["msg_type"] != "display_data":
            return message
        content = message["content"]
        output = {"output_type": "display_data", "data": content["data"], "metadata": content["metadata"]}
        self.bar.outputs = (output,)
        return None

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return "TrainingMonitor(start, stop, curves, a prediction)"


def end_training() -> None:
    """End the training that a monitor has under way, if there is one, at its next step; wait until it has ended."""
    monitor = TrainingMonitor.under_way
    if monitor:
        monitor.stopping.set()
        monitor.wait()


def stop_with_the_kernel() -> None:
    """Let the kernel's stop button end a training that runs in a thread; call this from a cell.

    The button sends SIGINT. A kernel that runs no cell ignores that signal: after each cell it sets the handler that it
    found before. We put ours in that place. A cell under way is interrupted as ever.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is not None and hasattr(kernel, "saved_sigint_handler"):
        kernel.saved_sigint_handler = _stop_training


def _stop_training(*_: object) -> None:
    if TrainingMonitor.under_way:
        TrainingMonitor.under_way.stopping.set()


def training_monitor(
    train: Callable[[OnEpoch, OnStep], History], predict: Callable[[], Any], image: Any
) -> TrainingMonitor:
    """Make a monitor; nothing is trained until somebody presses start, or a cell calls its `run()`.

    Args:
        train: called with (on_epoch, on_step), which it hands to `fit`; gives back what `fit` returns.
        predict: gives the mask (H, W) that the model predicts now for `image`; called first, and after each epoch.
        image: whatever `to_picture` takes.
    """
    return TrainingMonitor(train, predict, image)
