"""Owns the drawings of 04_model: the window of a convolution, and the IoU of one model in several ways."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from seglib.inference.palette import BLACK, BLUE, ORANGE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled

CELLS = 9  # along each side of the input
PLAIN = "#E8E8E8"

# name -> (stride, dilation)
WINDOWS = {"3x3 window": (1, 1), "stride 2": (2, 1), "dilation 2": (1, 2)}


@styled
def window_drawing(windows: Mapping[str, tuple[int, int]] = WINDOWS) -> Figure:
    """Draw which nine cells two neighbouring outputs of a 3x3 convolution read, and where they are written.

    Args:
        windows: title -> (stride, dilation).
    """
    figure, (above, below) = new_figure(2, len(windows), 8.0, 5.0)
    for axes, axes_below, (title, (stride, dilation)) in zip(above, below, windows.items(), strict=True):
        reach = 2 * dilation + 1  # cells from the first to the last that the window reads
        outputs = (CELLS - reach) // stride + 1
        _draw_cells(axes, CELLS, title)
        _draw_cells(axes_below, outputs, f"output: {outputs} x {outputs}")
        for number, (colour, inset) in enumerate(((BLUE, 0.08), (ORANGE, 0.3))):
            left = number * stride
            for row in range(0, reach, dilation):
                for column in range(left, left + reach, dilation):
                    _mark(axes, row, column, colour, inset)
            _mark(axes_below, 0, number, colour, inset)
    above[0].set_ylabel(f"input: {CELLS} x {CELLS}", fontsize=12)
    return figure


def _draw_cells(axes: Axes, count: int, title: str) -> None:
    for row in range(count):
        for column in range(count):
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=PLAIN, edgecolor="white", linewidth=1.5))
    axes.set(xlim=(0, CELLS), ylim=(CELLS, 0), xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)
    axes.set_title(title)


def _mark(axes: Axes, row: int, column: int, colour: str, inset: float) -> None:
    """A coloured square in a cell; the larger the inset, the smaller the square, so that two fit into one cell."""
    side = 1 - 2 * inset
    axes.add_patch(Rectangle((column + inset, row + inset), side, side, facecolor=colour, edgecolor="white"))


# Way of benchmarks/batchnorm_modes.py -> what the chart and the lesson call it, in the order of the chart.
WAYS = {
    "stored": "eval()",
    "taken anew": "eval(), averages of the training pictures",
    "of validation": "eval(), averages of the validation pictures",
    "slower averages": "eval(), averages kept with torchvision's momentum",
    "as left": "train(), dropout on, with three validation pictures",
    "validation pictures": "train(), with three validation pictures",
    "training pictures": "train(), with three training pictures",
    "copy of itself": "train(), with a copy of itself",
}


@styled
def modes_chart(runs: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the IoU of each way of measuring, a dot for each seed, a panel for each length of training, on one scale.

    A way that not every run has measured is left out.

    Args:
        runs: of `benchmarks/batchnorm_modes.py`; "epochs", and "iou" {way: IoU, or a list of several draws}.
    """
    lengths = sorted({run["epochs"] for run in runs})
    ways = [way for way in WAYS if all(way in run["iou"] for run in runs)]
    labels = [textwrap.fill(WAYS[way], 30) for way in ways]
    everything = [np.mean(run["iou"][way]) for run in runs for way in ways]
    first, last = np.floor(20 * min(everything)) / 20, np.ceil(20 * max(everything)) / 20  # ticks in steps of 0.05
    figure, (panels,) = new_figure(1, len(lengths), 8.0, 0.4 + 0.57 * len(ways))
    for number, (axes, epochs) in enumerate(zip(panels, lengths, strict=True)):
        here = [run["iou"] for run in runs if run["epochs"] == epochs]
        base = np.mean([ious["stored"] for ious in here])
        axes.axvline(base, color=BLACK, linewidth=1, linestyle=":")
        for row, way in enumerate(ways):
            values = [np.mean(ious[way]) for ious in here]
            colour = BLUE if WAYS[way].startswith("eval") else VERMILLION
            axes.plot(values, row + np.linspace(-0.2, 0.2, len(values)), "o", color=colour, markersize=4)
            axes.vlines(np.mean(values), row - 0.35, row + 0.35, color=colour)
        axes.set_yticks(range(len(ways)), labels if number == 0 else [""] * len(ways))
        axes.set(title=f"after {epochs} epochs", xlabel="IoU on validation (0 to 1)")
        axes.set(xlim=(first, last), xticks=np.arange(first, last + 0.01, 0.05))
        axes.invert_yaxis()
    figure.supylabel("where mean and spread come from", fontsize=12)
    return figure
