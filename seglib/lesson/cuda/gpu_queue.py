"""Owns the timeline of a GPU's queue: when Python launches a step, when the GPU computes it. See 08_cuda."""

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
    """When Python launches each step and when the GPU computes it, in milliseconds from the start.

    Python puts the operations of a step into a queue and goes on. The GPU takes them out in order. With `item`, Python
    reads a value at the end of each step (a synchronization), and has to wait until the GPU has computed it.

    Args:
        steps: how many.
        python: milliseconds that Python takes to launch a step.
        gpu: milliseconds that the GPU takes to compute it.
        item: whether Python calls `.item()` at the end of each step.

    Returns:
        The spans of Python, and those of the GPU, one for each step.

    Example:
        >>> timeline(2, 1.0, 3.0, item=True)
        ([(0.0, 1.0), (4.0, 5.0)], [(1.0, 4.0), (5.0, 8.0)])
        >>> timeline(2, 1.0, 3.0, item=False)
        ([(0.0, 1.0), (1.0, 2.0)], [(1.0, 4.0), (4.0, 7.0)])
    """
    launched: list[Span] = []
    computed: list[Span] = []
    now = 0.0
    gpu_free = 0.0
    for _ in range(steps):
        launched.append((now, now + python))
        now += python
        begin = max(now, gpu_free)
        gpu_free = begin + gpu
        computed.append((begin, gpu_free))
        if item:
            now = gpu_free
    return launched, computed


def idle_share(spans: Sequence[Span]) -> float:
    """The share of the time, from the first beginning to the last end, that no span covers: from 0 to 1."""
    whole = spans[-1][1] - spans[0][0]
    return 1 - sum(end - begin for begin, end in spans) / whole


@styled
def timeline_figure(steps: int, python: float, gpu: float) -> Figure:
    """Draw both ways, one above the other: with `.item()` in each step, and without.

    Args:
        steps: of the training loop.
        python: milliseconds that Python takes to launch a step.
        gpu: milliseconds that the GPU takes for it.
    """
    figure, places = new_figure(2, 1, 8.0, 3.6)
    longest = timeline(steps, python, gpu, item=True)[1][-1][1]
    for axes, item in zip(places[:, 0], (True, False), strict=True):
        launched, computed = timeline(steps, python, gpu, item)
        draw_spans(axes, launched, 1, ORANGE)
        draw_spans(axes, computed, 0, BLUE)
        words = "with .item() in each step" if item else "without"
        axes.set(title=f"{words}: {computed[-1][1]:g} ms", yticks=[0, 1], ylim=(-0.6, 1.6), ylabel="who")
        axes.set_yticklabels(["GPU", "Python"])
        axes.set_xlim(0, 1.02 * longest)
    places[1, 0].set_xlabel("milliseconds")
    places[0, 0].set_xlabel("milliseconds")
    return figure


def draw_spans(
    axes: Axes, spans: Sequence[Span], height: int, colour: str, *, numbers: Iterable[int] | None = None
) -> None:
    """Draw spans as boxes in one row, each with its number: 1, 2, 3 and so on, unless `numbers` says otherwise."""
    for number, (begin, end) in zip(numbers or itertools.count(1), spans, strict=False):
        axes.barh(height, end - begin, 0.7, left=begin, color=colour, edgecolor="white", linewidth=1)
        axes.text((begin + end) / 2, height, str(number), ha="center", va="center", color="white", fontsize=10)


class QueueWidget(ipywidgets.VBox):
    """Two sliders, milliseconds of Python and of the GPU in a step, and the timeline of both ways."""

    def __init__(self, steps: int = 4):
        self.steps = steps
        layout = ipywidgets.Layout(width="420px")
        self.python = ipywidgets.IntSlider(value=10, min=1, max=40, description="Python", layout=layout)
        self.gpu = ipywidgets.IntSlider(value=20, min=1, max=40, description="GPU", layout=layout)
        self.picture = ipywidgets.Image(format="png")
        self.caption = ipywidgets.HTML()
        for slider in (self.python, self.gpu):
            slider.observe(self._draw, names="value")
        super().__init__([self.python, self.gpu, self.picture, self.caption])
        self._draw()

    def _draw(self, change: object = None) -> None:
        png = io.BytesIO()
        figure = timeline_figure(self.steps, self.python.value, self.gpu.value)
        figure.savefig(png, format="png", dpi=96, metadata={"Software": None})
        self.picture.value = png.getvalue()
        with_item = self._milliseconds(item=True)
        without = self._milliseconds(item=False)
        self.caption.value = f"{with_item:g} ms with .item(), {without:g} ms without: {with_item / without:.2f} times"

    def _milliseconds(self, item: bool) -> float:
        _, computed = timeline(self.steps, self.python.value, self.gpu.value, item)
        return computed[-1][1]

    def __repr__(self) -> str:
        return f"QueueWidget({self.steps} steps)"


def queue_widget(steps: int = 4) -> QueueWidget:
    """Make the sliders; move one, by mouse or by arrow keys, and the timeline follows."""
    return QueueWidget(steps)
