"""Owns timelines of training steps, kernel by kernel: simulated ones, and those a profiler recorded. See 08_cuda."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from seglib.inference.palette import BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION, YELLOW
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.common.lesson_widget import LessonWidget
from seglib.lesson.common.recorded import recorded

Span = tuple[float, float]  # from, to, in milliseconds
HostSpan = tuple[str, float, float]  # what Python does, from, to

GREY = "#B0B0B0"
HOST_COLOURS = {
    "load": GREEN,
    "forward": ORANGE,
    "loss": YELLOW,
    "item": GREY,
    "backward": VERMILLION,
    "update": PURPLE,
    "replay": PURPLE,
}
HOST_WORDS = {
    "load": "loads a batch",
    "item": "waits in .item()",
    "update": "optimizer.step",
}  # the others are called as in the loop
FORWARD = 1 / 3  # the share of a step's kernels that the forward pass has
BACKWARD = 0.6  # and the backward pass; the rest is the optimizer's
ROWS = ("GPU", "CPU (Python)")
DRAWN = 20_000  # gaps shorter than this part of an axis are not drawn


@dataclass(frozen=True)
class Timeline:
    """What Python and the GPU did in some training steps, in milliseconds from the first thing that Python did.

    `host` says what Python did, from when to when. `gpu` are the times in which the GPU computed: sorted, and apart.
    """

    host: list[HostSpan]
    gpu: list[Span]
    step_ms: float
    title: str = ""

    @property
    def end(self) -> float:
        """When the last of both had finished."""
        return max([end for *_, end in self.host] + [end for _, end in self.gpu])

    @property
    def busy(self) -> float:
        """The share of the time from 0 to the end in which the GPU computed: from 0 to 1."""
        return sum(end - begin for begin, end in self.gpu) / self.end

    @property
    def waited(self) -> float:
        """The share of the time in which Python stood in `.item()`: from 0 to 1."""
        return sum(end - begin for name, begin, end in self.host if name == "item") / self.end


def simulate(
    steps: int, python: float, gpu: float, *, load: float = 0.0, item: bool = True, kernels: int = 100
) -> Timeline:
    """Compute a timeline kernel by kernel. Each kernel starts as soon as it is queued and the GPU is free.

    A step is: Python loads a batch, launches the forward pass, reads the loss (with `item`), launches the backward
    pass and the optimizer's kernels. All kernels are alike. Reading the loss waits for all kernels launched so far. In
    truth a kernel also needs some microseconds from queue to GPU, and the queue holds about a thousand; both are left
    out.

    Args:
        steps: how many.
        python: milliseconds that Python takes to launch all kernels of a step.
        gpu: milliseconds that the GPU takes to compute them.
        load: milliseconds that Python takes to load a batch, before each step.
        item: whether Python reads the loss after the forward pass, as the notes do.
        kernels: in a step.

    Example:
        >>> [round(simulate(4, 10, 20, item=item, kernels=300).end, 1) for item in (True, False)]
        [80.2, 80.0]
    """
    forward = round(kernels * FORWARD)
    backward = round(kernels * BACKWARD)
    counts = {"forward": forward, "backward": backward, "update": kernels - forward - backward}
    host: list[HostSpan] = []
    computed: list[Span] = []
    now = 0.0
    gpu_free = 0.0
    for _ in range(steps):
        if load:
            host.append(("load", now, now + load))
            now += load
        for name, count in counts.items():
            launched = _launch(now, gpu_free, count, python / kernels, gpu / kernels)
            host.append((name, now, now + count * python / kernels))
            now += count * python / kernels
            computed += launched
            gpu_free = launched[-1][1] if launched else gpu_free
            if item and name == "forward":
                host.append(("item", now, max(now, gpu_free)))
                now = max(now, gpu_free)
    end = max(now, gpu_free)
    return Timeline(host, joined(computed), end / steps)


def _launch(now: float, gpu_free: float, count: int, python: float, gpu: float) -> list[Span]:
    """When the GPU computes `count` kernels; Python launches one after the other from `now` on, `python` ms each."""
    spans = []
    for number in range(1, count + 1):
        begin = max(now + number * python, gpu_free)
        gpu_free = begin + gpu
        spans.append((begin, gpu_free))
    return spans


def joined(spans: Iterable[Span], gap: float = 1e-9) -> list[Span]:
    """Sort spans, and make one of those that overlap or follow each other within `gap`.

    Example:
        >>> joined([(4.0, 5.0), (0.0, 1.0), (1.5, 2.0)], gap=0.5)
        [(0.0, 2.0), (4.0, 5.0)]
    """
    whole: list[Span] = []
    for begin, end in sorted(spans):
        if whole and begin <= whole[-1][1] + gap:
            whole[-1] = (whole[-1][0], max(whole[-1][1], end))
        else:
            whole.append((begin, end))
    return whole


def read_trace(trace: Mapping[str, Any], title: str = "") -> Timeline:
    """A recorded trace as a timeline that begins at 0.

    Args:
        trace: "host", rows of [name, from, to]; "gpu", rows of [from, to], one for each kernel; "step_ms". All in
            milliseconds, from any beginning.
        title: in words.
    """
    host = sorted(((str(name), begin, end) for name, begin, end in trace["host"]), key=lambda span: span[1])
    spans = joined((begin, end) for begin, end in trace["gpu"])
    zero = min(host[0][1], spans[0][0])
    host = [(name, begin - zero, end - zero) for name, begin, end in host]
    spans = [(begin - zero, end - zero) for begin, end in spans]
    return Timeline(host, spans, float(trace["step_ms"]), title)


def timelines_of_both_models() -> tuple[dict[str, Timeline], str]:
    """A large and a small model, as `benchmarks/results/gpu_trace.json` recorded them.

    Returns:
        The timelines, under "large" and "small"; and where they come from, in words.
    """
    record = recorded("gpu_trace")
    timelines = {}
    for name in ("large", "small"):
        trace = record["traces"][name]
        model = trace["model"].removeprefix("deeplabv3_")
        words = f"{model}, {trace['width']}x{trace['height']}, batch of {trace['batch_size']}"
        timelines[name] = read_trace(trace, words)
    return timelines, f"recorded on an {record['machine']['gpu'].removeprefix('NVIDIA ')}"


@styled
def timelines_figure(timelines: Mapping[str, Timeline], *, longest: float | None = None) -> Figure:
    """Draw timelines, one above the other: what Python does, and when the GPU computes.

    Args:
        timelines: title -> timeline.
        longest: milliseconds of each axis; each has its own length if None.
    """
    figure, places = new_figure(len(timelines), 1, 8.0, 0.9 + 1.35 * len(timelines))
    for axes, (title, timeline) in zip(places[:, 0], timelines.items(), strict=True):
        _draw(axes, timeline, (0.0, longest or timeline.end))
        axes.set(title=title, xlabel="milliseconds")
    _legend(figure, timelines.values())
    return figure


@styled
def trace_figure(timelines: Mapping[str, Timeline], kernels_in_zoom: int = 24) -> Figure:
    """Draw the traces of a large and a small model, two steps of each; and a few kernels of the small one, enlarged.

    Args:
        timelines: "large" and "small".
        kernels_in_zoom: so many kernels of the small model, or runs of kernels without a gap, are seen enlarged.
    """
    figure, places = new_figure(3, 1, 8.0, 5.0)
    for axes, (name, timeline) in zip(places[:2, 0], timelines.items(), strict=True):
        _draw(axes, timeline, (0.0, min(timeline.end, 2.1 * timeline.step_ms)))
        axes.set(title=f"{name}: {timeline.title or 'simulated'}", xlabel="milliseconds")
    small = timelines["small"]
    first = min(len(small.gpu) // 8, max(0, len(small.gpu) - kernels_in_zoom))
    shown = small.gpu[first : first + kernels_in_zoom]
    _draw(places[2, 0], small, (shown[0][0], shown[-1][1]))
    places[2, 0].set(title="small, a piece of it enlarged", xlabel="milliseconds")
    _legend(figure, timelines.values())
    return figure


def _draw(axes: Axes, timeline: Timeline, window: Span) -> None:
    begin, end = window
    computed = [span for span in timeline.gpu if span[1] > begin and span[0] < end]
    # The gaps of a small model are thinner than a pixel: unsnapped, they make the bar as pale as it is empty.
    bars = joined(computed, gap=(end - begin) / DRAWN)
    axes.broken_barh([(left, right - left) for left, right in bars], (-0.35, 0.7), color=BLUE, linewidth=0, snap=False)
    for name in dict.fromkeys(name for name, *_ in timeline.host):
        own = [(left, right - left) for other, left, right in timeline.host if other == name]
        hatch = "////" if name == "item" else None
        colour = HOST_COLOURS.get(name, SKY_BLUE)
        axes.broken_barh(own, (0.65, 0.7), facecolor=colour, edgecolor="white", linewidth=0.0, hatch=hatch, snap=False)
    axes.set(yticks=[0, 1], ylim=(-0.6, 1.6), xlim=(begin, end), ylabel="processor")
    axes.set_yticklabels(ROWS)


def _legend(figure: Figure, timelines: Iterable[Timeline]) -> None:
    names = dict.fromkeys(name for timeline in timelines for name, *_ in timeline.host)
    handles = [Patch(color=BLUE, label="GPU computes")]
    for name in names:
        hatch = "////" if name == "item" else None
        colour = HOST_COLOURS.get(name, SKY_BLUE)
        handles.append(Patch(facecolor=colour, edgecolor="white", hatch=hatch, label=HOST_WORDS.get(name, name)))
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)


def draw_spans(
    axes: Axes, spans: Sequence[Span], height: int, colour: str, *, numbers: Iterable[int] | None = None
) -> None:
    """Draw spans as boxes in one row, each with its number: 1, 2, 3 and so on, unless `numbers` says otherwise."""
    for number, (begin, end) in zip(numbers or itertools.count(1), spans, strict=False):
        axes.barh(height, end - begin, 0.7, left=begin, color=colour, edgecolor="white", linewidth=1)
        axes.text((begin + end) / 2, height, str(number), ha="center", va="center", color="white", fontsize=10)


WIDTH = 760  # of the widget's drawing, in CSS pixels
LEFT = 110  # of it, for the names of the rows


class QueueWidget(LessonWidget):
    """Three sliders, milliseconds of Python, of the GPU and of loading in a step; and two timelines that follow.

    The drawing is SVG, written by hand: a redraw takes some milliseconds, where matplotlib takes hundreds.
    """

    def __init__(self, steps: int = 4):
        self.steps = steps
        layout = ipywidgets.Layout(width="420px")
        words = {"description_width": "110px"}
        self.python = ipywidgets.IntSlider(value=10, min=1, max=40, description="Python, ms", layout=layout)
        self.gpu = ipywidgets.IntSlider(value=20, min=1, max=40, description="GPU, ms", layout=layout)
        self.load = ipywidgets.IntSlider(value=0, min=0, max=40, description="loading, ms", layout=layout)
        sliders = (self.python, self.gpu, self.load)
        for slider in sliders:
            slider.style = words
            slider.observe(self._draw, names="value")
        self.picture = ipywidgets.HTML()
        self.caption = ipywidgets.HTML()
        super().__init__([*sliders, self.picture, self.caption])
        self._draw()

    def _draw(self, change: object = None) -> None:
        timelines = {
            words: simulate(self.steps, self.python.value, self.gpu.value, load=self.load.value, item=item)
            for words, item in (("with .item()", True), ("without", False))
        }
        self.picture.value = timelines_svg(timelines)
        self.caption.value = "; ".join(
            f"{words}: {timeline.end:.1f} ms, the GPU computes in {timeline.busy:.0%} of them"
            for words, timeline in timelines.items()
        )

    def __repr__(self) -> str:
        return f"QueueWidget({self.steps} steps)"


def queue_widget(steps: int = 4) -> QueueWidget:
    """Make the sliders; move one, by mouse or by arrow keys, and both timelines follow."""
    return QueueWidget(steps)


def timelines_svg(timelines: Mapping[str, Timeline]) -> str:
    """Draw timelines as an SVG, black on white, on one scale of milliseconds; for a widget, which redraws often."""
    longest = max(timeline.end for timeline in timelines.values())
    scale = (WIDTH - LEFT - 10) / longest
    height = 78 * len(timelines) + 22
    parts = [f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    for number, (title, timeline) in enumerate(timelines.items()):
        top = 78 * number
        parts.append(_text(LEFT, top + 16, f"{title}: {timeline.end:.1f} ms"))
        parts.append(_text(4, top + 38, ROWS[1]))
        parts.append(_text(4, top + 64, ROWS[0]))
        for name, begin, end in timeline.host:
            parts.append(_box(LEFT + begin * scale, top + 22, (end - begin) * scale, HOST_COLOURS.get(name, SKY_BLUE)))
        for begin, end in joined(timeline.gpu, gap=0.3 / scale):
            parts.append(_box(LEFT + begin * scale, top + 48, (end - begin) * scale, BLUE))
    shown = dict.fromkeys(name for timeline in timelines.values() for name, *_ in timeline.host)
    for place, name in enumerate(shown):
        left = LEFT + 125 * place
        parts.append(_box(left, height - 16, 12, HOST_COLOURS.get(name, SKY_BLUE), 12))
        parts.append(_text(left + 16, height - 5, HOST_WORDS.get(name, name)))
    words = "; ".join(f"{title}: {timeline.end:.1f} milliseconds" for title, timeline in timelines.items())
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img"'
    return f'{opening} aria-label="Two timelines. {words}">{"".join(parts)}</svg>'


def _text(left: float, top: float, words: str) -> str:
    return f'<text x="{left:.0f}" y="{top:.0f}" font-family="sans-serif" font-size="13" fill="black">{words}</text>'


def _box(left: float, top: float, width: float, colour: str, height: float = 20) -> str:
    return f'<rect x="{left:.1f}" y="{top:.0f}" width="{width:.2f}" height="{height:.0f}" fill="{colour}"/>'
