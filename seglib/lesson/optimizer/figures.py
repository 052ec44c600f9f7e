"""Owns the charts of 06_optimizer.

Steps on one weight, a range test, what a learning rate reaches and how far it moves the weights, which part of the
model is trained, and how a schedule changes the rate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from seglib.inference.palette import BLACK, BLUE, GREEN, ORANGE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled
from seglib.optim import make_optimizer, make_scheduler

COLOURS = (ORANGE, GREEN, BLUE, VERMILLION, BLACK)
MARKERS = "osD^v"
NOTES_LR = 1e-5
Row = Mapping[str, Any]


def at_epoch(row: Row, epoch: int) -> Row:
    """What was measured after this epoch, of one row of the summary of `benchmarks/learning_rates.py`."""
    return next(mark for mark in row["marks"] if mark["epoch"] == epoch)


def learning_rates(schedule: str, steps: int, warmup: int, lr: float) -> list[float]:
    """The learning rate of each step under a schedule of `make_scheduler`.

    Example:
        >>> learning_rates("poly", steps=2, warmup=0, lr=0.5)[0]
        0.5
    """
    optimizer = make_optimizer(nn.Linear(1, 1), lr=lr)
    scheduler = make_scheduler(optimizer, schedule, steps, warmup)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@styled
def descent_paths(paths: Mapping[float, Sequence[float]]) -> Figure:
    """Draw the steps of gradient descent on the loss w * w, a panel for each learning rate.

    Args:
        paths: learning rate -> the weight before the first step and after each.
    """
    figure, (row,) = new_figure(1, len(paths), 8.0, 2.9)
    reach = 1.1 * max(abs(weight) for path in paths.values() for weight in path)
    curve = np.linspace(-reach, reach, 200)
    for axes, (lr, path) in zip(row, paths.items(), strict=True):
        axes.plot(curve, curve**2, color="#999999", linewidth=1.2)
        axes.plot(path, np.square(path), color=BLUE, marker="o", markersize=4, linewidth=1)
        axes.plot(path[:1], np.square(path[:1]), color=VERMILLION, marker="s", markersize=7)
        axes.set(title=f"lr {lr:g}", xlabel="weight", ylabel="loss")
    return figure


@styled
def range_curve(rates: Sequence[float], losses: Sequence[float]) -> Figure:
    """Draw the losses of a range test over its rates, both axes logarithmic.

    Args:
        rates: rising.
        losses: one for each; what is no finite number is left out.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.2)
    finite = [(rate, loss) for rate, loss in zip(rates, losses, strict=True) if np.isfinite(loss)]
    axes.plot(*zip(*finite, strict=True), color=BLUE, marker="o", markersize=4)
    _mark_the_notes(axes)
    axes.set(xscale="log", yscale="log", xlabel="learning rate of the step", ylabel="loss before the step")
    return figure


@styled
def part_curves(series: Mapping[str, Sequence[Row]]) -> Figure:
    """Draw the IoU over the number of training pictures, a line for each part of the model that was trained.

    Args:
        series: name in the legend -> rows of the record of benchmarks/freezing.py, fewest pictures first.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.4)
    for place, (name, rows) in enumerate(series.items()):
        _with_spread(axes, [row["pictures"] for row in rows], rows, place, name)
    counts = [row["pictures"] for row in next(iter(series.values()))]
    axes.set(xscale="log", xlabel="training pictures", ylabel="IoU of fruit (0 to 1)", ylim=(0, 1))
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=len(series), frameon=False)
    return figure


@styled
def sweep_curves(rows: Sequence[Row]) -> Figure:
    """Draw a sweep of one optimizer: at the left the IoU after each mark, at the right how far the weights moved.

    Args:
        rows: one for each rate, lowest first.
    """
    figure, ((scores, distances),) = new_figure(1, 2, 8.0, 3.7)
    rates = [row["lr"] for row in rows]
    epochs = [mark["epoch"] for mark in rows[0]["marks"]]
    for number, epoch in enumerate(epochs):
        marks = [at_epoch(row, epoch) for row in rows]
        label = f"after {epoch} epoch{'s' * (epoch > 1)}"
        _with_spread(scores, rates, marks, number, label)
        percent = [100 * mark["share"] for mark in marks]
        distances.plot(rates, percent, color=COLOURS[number], marker=MARKERS[number], markersize=5)
    for axes in (scores, distances):
        axes.set(xscale="log", xlabel="learning rate of Adam")
        _mark_the_notes(axes)
    scores.set(ylabel="IoU (0 to 1)", ylim=(0, None))
    distances.set(yscale="log", ylabel="moved (% of the start)")
    figure.legend(loc="outside upper center", ncols=len(epochs), frameon=False)
    return figure


@styled
def budget_curves(rows: Sequence[Row], ceiling: float | None = None) -> Figure:
    """Draw the IoU of a few rates over the epochs, on a logarithmic axis: what a rate reaches with which budget.

    Args:
        rows: one for each rate; they need not have the same number of marks.
        ceiling: drawn as a dashed line.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.4)
    for number, row in enumerate(rows):
        epochs = [mark["epoch"] for mark in row["marks"]]
        _with_spread(axes, epochs, row["marks"], number, f"lr {row['lr']:g}")
    if ceiling is not None:
        axes.axhline(ceiling, color="black", linestyle="--", linewidth=1, label=f"ceiling {ceiling:.2f}")
    axes.set(xscale="log", xlabel="epochs (log scale)", ylabel="IoU (0 to 1)", ylim=(0, 1))
    ticks = sorted({mark["epoch"] for row in rows for mark in row["marks"]})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=len(rows) + 1, frameon=False)
    return figure


@styled
def rate_curves(series: Mapping[str, Sequence[Row]], epoch: int) -> Figure:
    """Draw the IoU of several optimizers, each over its own learning rates.

    Args:
        series: name in the legend -> rows, one for each rate, lowest first.
        epoch: the mark to draw.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.4)
    for number, (name, rows) in enumerate(series.items()):
        marks = [at_epoch(row, epoch) for row in rows]
        _with_spread(axes, [row["lr"] for row in rows], marks, number, name)
    axes.set(xscale="log", xlabel="learning rate", ylabel="IoU (0 to 1)", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=len(series), frameon=False)
    return figure


@styled
def schedule_curves(rates: Mapping[str, Sequence[float]]) -> Figure:
    """Draw learning rates over the steps of a training.

    Args:
        rates: name of the schedule -> the learning rate of each step.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.0)
    for number, (name, values) in enumerate(rates.items()):
        style = ("-", "--", "-.")[number % 3]
        axes.plot(np.arange(1, len(values) + 1), values, style, color=COLOURS[number], linewidth=2, label=name)
    axes.set(xlabel="step", ylabel="learning rate", ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def _mark_the_notes(axes: Axes) -> None:
    """A dotted line at the learning rate of the notes."""
    axes.axvline(NOTES_LR, color="#666666", linestyle=":", linewidth=1.4)
    axes.text(NOTES_LR, 1.02, "the notes", ha="center", fontsize=10, transform=axes.get_xaxis_transform())


def _with_spread(axes: Axes, x: Sequence[float], marks: Sequence[Row], number: int, label: str) -> None:
    """Draw a line through the means, with the spread over the seeds as bars; `number` chooses colour and marker."""
    means = [mark["iou"] for mark in marks]
    spreads = [mark["iou_spread"] for mark in marks]
    colour = COLOURS[number]
    axes.errorbar(x, means, spreads, color=colour, marker=MARKERS[number], markersize=5, capsize=3, label=label)
