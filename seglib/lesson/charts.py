"""Owns the charts that more than one notebook draws; each function returns a Figure for `show`. See 00_start_here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from seglib.engine import History
from seglib.lesson.drawing import to_labels
from seglib.lesson.figures import new_figure, styled
from seglib.lesson.palette import BLUE, GREEN, ORANGE, SKY_BLUE, VERMILLION


@styled
def plot_history(history: History, ceiling: float | None = None) -> Figure:
    """Draw what training did: the losses at the left, the validation IoU at the right, epoch by epoch.

    Args:
        history: what `fit` returned.
        ceiling: the best IoU that the model could reach, drawn as a dashed line.
    """
    figure, ((losses, scores),) = new_figure(1, 2, 8.0, 3.2)
    _curve(losses, history.train_loss, BLUE, "o", "training")
    _curve(losses, history.validation_loss, VERMILLION, "s", "validation")
    losses.set(title="loss", xlabel="epoch", ylabel="mean loss per image", ylim=(0, None))
    losses.legend(frameon=False)
    _curve(scores, history.validation_iou, GREEN, "s", "validation")
    scores.set(title="IoU", xlabel="epoch", ylabel="IoU (0 to 1)", ylim=(0, 1))
    if ceiling is not None:
        scores.axhline(ceiling, color="black", linestyle="--", linewidth=1, label=f"ceiling {ceiling:.2f}")
    scores.legend(frameon=False, loc="lower right")
    return figure


def _curve(axes: Axes, values: Sequence[float], colour: str, marker: str, label: str) -> None:
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, values, color=colour, marker=marker if len(values) <= 25 else None, markersize=5, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


@styled
def iou_grid_figure(predicted: Any, target: Any) -> Figure:
    """Draw two small masks cell by cell, then their intersection and their union, counted: IoU by hand.

    Args:
        predicted: mask (H, W), a few cells wide; every value but 0 counts.
        target: mask of the same shape, likewise.
    """
    predicted, target = to_labels(predicted) != 0, to_labels(target) != 0
    panels = (
        ("predicted", predicted, SKY_BLUE),
        ("target", target, ORANGE),
        ("intersection", predicted & target, GREEN),
        ("union", predicted | target, "#BBBBBB"),
    )
    rows, columns = predicted.shape
    figure, (axes,) = new_figure(1, 4, 8.0, 1.9 * rows / columns + 0.75)
    for place, (name, cells, colour) in zip(axes, panels, strict=True):
        number = 0
        for row, column in np.ndindex(rows, columns):
            inside = bool(cells[row, column])
            place.add_patch(
                Rectangle((column, row), 1, 1, facecolor=colour if inside else "white", edgecolor="#666666")
            )
            number += inside
            if inside and name in ("intersection", "union"):
                place.text(column + 0.5, row + 0.54, str(number), ha="center", va="center", fontsize=11)
        place.set(xlim=(-0.06, columns + 0.06), ylim=(rows + 0.06, -0.06), aspect="equal", title=f"{name}: {number}")
        place.axis("off")
    both, either = int((predicted & target).sum()), int((predicted | target).sum())
    result = f"{both / either:.3f}" if either else "not defined"
    figure.supxlabel(f"IoU = intersection / union = {both} / {either} = {result}", fontsize=13)
    return figure


@styled
def mask_values_bar(mask: Any, names: Mapping[int, str] | None = None) -> Figure:
    """Draw how many pixels of a mask hold each value, on a logarithmic axis, with the counts on the bars.

    Args:
        mask: whatever `to_labels` takes.
        names: what a value means, written beneath it.
    """
    values, counts = np.unique(to_labels(mask), return_counts=True)
    many = len(values) > 12
    # Few values: one bar each, side by side. Many, as JPEG smears them: each at its place between 0 and 255.
    figure, ((axes,),) = new_figure(1, 1, 8.0 if many else min(8.0, 2.4 + 1.4 * len(values)), 3.0)
    places = values if many else np.arange(len(values))
    bars = axes.bar(places, counts, color=BLUE, width=1.0 if many else 0.6)
    axes.set(yscale="log", xlabel="value in the mask", ylabel="pixels (log scale)")
    axes.set_ylim(0.7, counts.max() * 4)
    if not many:
        labels = [f"{value}\n{names[value]}" if names and value in names else str(value) for value in values.tolist()]
        axes.set_xticks(places, labels)
        axes.set_xlim(-0.6, len(values) - 0.4)
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=3)
    return figure
