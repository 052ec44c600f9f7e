"""Owns the plots of several lessons: rows of pictures, the curves of a training, over-fitting. See 00_start_here.

Each function returns a Figure for `show`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seglib.inference.overlay import to_picture
from seglib.inference.palette import BLACK, BLUE, GREEN, VERMILLION
from seglib.lesson.common.figures import new_figure, styled
from seglib.training.history import History


@styled
def image_grid(
    rows: Sequence[Sequence[Any]],
    titles: Sequence[str] | None = None,
    row_labels: Sequence[str] | None = None,
    width: float = 8.0,
) -> Figure:
    """Draw pictures in rows and columns.

    Args:
        rows: rows of images, each whatever `to_picture` takes; None leaves a place empty.
        titles: one for each column; or one for each picture, row by row.
        row_labels: one for each row, written at its left.
        width: of the figure, in inches.
    """
    columns = max(len(row) for row in rows)
    pictures = [[None if image is None else to_picture(image) for image in row] for row in rows]
    titles = list(titles or [])
    height = _grid_height(pictures, titles, columns, width)
    figure, axes = new_figure(len(rows), columns, width, height)
    for number, axes_of_row in enumerate(axes):
        for column, axis in enumerate(axes_of_row):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if column < len(pictures[number]) and pictures[number][column] is not None:
                axis.imshow(pictures[number][column], interpolation="antialiased")
            index = number * columns + column
            if index < len(titles):
                axis.set_title(titles[index])
        if row_labels is not None:
            axes_of_row[0].set_ylabel(row_labels[number])
    return figure


def _grid_height(
    pictures: Sequence[Sequence[np.ndarray | None]], titles: Sequence[str], columns: int, width: float
) -> float:
    """The height of an image grid in inches: each row is as high as its highest picture at the width of a column."""
    ratios = [max(p.shape[0] / p.shape[1] for p in row if p is not None) for row in pictures]
    title_lines = max((title.count("\n") + 1 for title in titles), default=0)
    title_rows = len(pictures) if len(titles) > columns else 1
    return sum(ratios) * width / columns + 0.28 * title_lines * title_rows + 0.08 * len(pictures)


@styled
def plot_history(history: History, ceiling: float | None = None) -> Figure:
    """Draw what training did: the losses at the left, the validation IoU at the right, epoch by epoch.

    Args:
        history: what `fit` returned.
        ceiling: the best IoU that the model could reach, drawn as a dashed line.
    """
    figure, ((losses, scores),) = new_figure(1, 2, 8.0, 3.2)
    draw_curve(losses, history.train_loss, BLUE, "o", "training")
    draw_curve(losses, history.validation_loss, VERMILLION, "s", "validation")
    losses.set(title="loss", xlabel="epoch", ylabel="mean loss per image", ylim=(0, None))
    losses.legend(frameon=False)
    draw_curve(scores, history.validation_iou, GREEN, "s", "validation")
    scores.set(title="IoU", xlabel="epoch", ylabel="IoU (0 to 1)", ylim=(0, 1))
    if ceiling is not None:
        scores.axhline(ceiling, color="black", linestyle="--", linewidth=1, label=f"ceiling {ceiling:.2f}")
    scores.legend(frameon=False, loc="lower right")
    return figure


def draw_curve(axes: Axes, values: Sequence[float], colour: str, marker: str, label: str) -> None:
    """Draw one value an epoch into axes, counted from 1; above 25 epochs without markers, which would overlap."""
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, values, color=colour, marker=marker if len(values) <= 25 else None, markersize=5, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


@styled
def over_fitting_chart(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw IoU on pictures trained on and on new ones, over the number of pictures, one panel for each way.

    Args:
        rows: the summary of `benchmarks/over_fitting.py`.
    """
    ways = list(dict.fromkeys(row["way"] for row in rows))
    figure, (panels,) = new_figure(1, len(ways), 8.0, 3.2)
    for axes, way in zip(panels, ways, strict=True):
        rows_of_way = [row for row in rows if row["way"] == way]
        positions = range(len(rows_of_way))
        for name, label, colour, marker in (
            ("train", "on these", BLACK, "o"),
            ("validation", "on new ones", GREEN, "s"),
        ):
            means = [row[f"{name}_iou"] for row in rows_of_way]
            spreads = [row[f"{name}_iou_spread"] for row in rows_of_way]
            axes.errorbar(positions, means, spreads, color=colour, marker=marker, capsize=3, label=label)
        axes.set_xticks(positions, [str(row["pictures"]) for row in rows_of_way])
        axes.set(title=way, xlabel="training pictures", ylabel="IoU (0 to 1)", ylim=(0, 1))
    panels[0].legend(frameon=False, loc="lower right")
    return figure
