"""Owns the picture of a queue: what Python asks for, when the GPU does it, and who waits for whom. See 08_cuda."""

import io
import itertools
from collections.abc import Iterable, Sequence

import ipywidgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seglib.inference.palette import BLUE, ORANGE
from seglib.lesson.common.figures import new_figure, styled

Span = tuple[float, float]  # from, to, in milliseconds


def timeline(steps: int, python: float, gpu: float, item: bool) -> tuple[list[Span], list[Span]]:
    """When Python and the GPU are at work, if each step is so many milliseconds of one and then of the other.

    Python puts work into a queue and goes on. The GPU takes it out in order. With `item`, Python asks for a number at
    the end of each step, and has to wait until the GPU has come to it.

    Returns:
        The spans of Python, and those of the GPU, one for each step.

    Example:
        >>> timeline(2, 1.0, 3.0, item=True)
        ([(0.0, 1.0), (4.0, 5.0)], [(1.0, 4.0), (5.0, 8.0)])
        >>> timeline(2, 1.0, 3.0, item=False)
        ([(0.0, 1.0), (1.0, 2.0)], [(1.0, 4.0), (4.0, 7.0)])
    """
    asked: list[Span] = []
    done: list[Span] = []
    now = free = 0.0
    for _ in range(steps):
        asked.append((now, now + python))
        now += python
        begin = max(now, free)
        free = begin + gpu
        done.append((begin, free))
        if item:
            now = free
    return asked, done


def idle(spans: Sequence[Span]) -> float:
    """The share of the time, from the first beginning to the last end, in which nothing is done."""
    whole = spans[-1][1] - spans[0][0]
    return 1 - sum(end - begin for begin, end in spans) / whole


@styled
def timeline_figure(steps: int, python: float, gpu: float) -> Figure:
    """Draw both ways, one above the other: with `.item()` in each step, and without.

    Args:
        steps: of the training loop.
        python: milliseconds that Python takes to ask for a step.
        gpu: milliseconds that the GPU takes for it.
    """
    figure, places = new_figure(2, 1, 8.0, 3.6)
    for axes, item in zip(places[:, 0], (True, False), strict=True):
        asked, done = timeline(steps, python, gpu, item)
        draw_lane(axes, asked, 1, ORANGE)
        draw_lane(axes, done, 0, BLUE)
        words = "with .item() in each step" if item else "without"
        axes.set(title=f"{words}: {done[-1][1]:g} ms", yticks=[0, 1], ylim=(-0.6, 1.6), ylabel="who")
        axes.set_yticklabels(["GPU", "Python"])
        axes.set_xlim(0, 1.02 * timeline(steps, python, gpu, True)[1][-1][1])
    places[1, 0].set_xlabel("milliseconds")
    places[0, 0].set_xlabel("milliseconds")
    return figure


def draw_lane(
    axes: Axes, spans: Sequence[Span], height: int, colour: str, numbers: Iterable[int] | None = None
) -> None:
    """Draw spans as boxes in one row, each with its number: 1, 2, 3 and so on, unless `numbers` says otherwise."""
    for number, (begin, end) in zip(numbers or itertools.count(1), spans, strict=False):
        axes.barh(height, end - begin, 0.7, left=begin, color=colour, edgecolor="white", linewidth=1)
        axes.text((begin + end) / 2, height, str(number), ha="center", va="center", color="white", fontsize=10)


class QueueWidget(ipywidgets.VBox):
    """Two sliders, milliseconds of Python and of the GPU in a step, and the picture of both ways."""

    def __init__(self, steps: int = 4):
        self.steps = steps
        wide = ipywidgets.Layout(width="420px")
        self.python = ipywidgets.IntSlider(value=10, min=1, max=40, description="Python", layout=wide)
        self.gpu = ipywidgets.IntSlider(value=20, min=1, max=40, description="GPU", layout=wide)
        self.picture, self.caption = ipywidgets.Image(format="png"), ipywidgets.HTML()
        for slider in (self.python, self.gpu):
            slider.observe(self._draw, names="value")
        super().__init__([self.python, self.gpu, self.picture, self.caption])
        self._draw()

    def _draw(self, change: object = None) -> None:
        drawn = io.BytesIO()
        figure = timeline_figure(self.steps, self.python.value, self.gpu.value)
        figure.savefig(drawn, format="png", dpi=96, metadata={"Software": None})
        self.picture.value = drawn.getvalue()
        ends = [timeline(self.steps, self.python.value, self.gpu.value, item)[1][-1][1] for item in (True, False)]
        self.caption.value = f"{ends[0]:g} ms with .item(), {ends[1]:g} ms without: {ends[0] / ends[1]:.2f} times"

    def __repr__(self) -> str:
        return f"QueueWidget({self.steps} steps)"


def queue_widget(steps: int = 4) -> QueueWidget:
    """Make the sliders; move one, by mouse or by arrow keys, and the picture follows."""
    return QueueWidget(steps)
