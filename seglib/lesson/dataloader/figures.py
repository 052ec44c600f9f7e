"""Owns the charts of 03_dataloader: the order of pictures, the time of an epoch, workers, IoU after a leaking split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from seglib.inference.palette import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION, YELLOW
from seglib.lesson.common.figures import new_figure, styled

# Loading in light colours, the training step in dark ones; neighbours differ in lightness too.
PART_COLOURS = {
    "decode": ORANGE,
    "resize": YELLOW,
    "augment": SKY_BLUE,
    "normalise": "#DDDDDD",
    "collate": PURPLE,
    "forward": GREEN,
    "backward": BLUE,
    "step": BLACK,
}
LEFT_OUT = "#DDDDDD"


@styled
def epoch_time_chart(epochs: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw where the time of an epoch goes, a bar for each epoch, cut into its parts.

    Args:
        epochs: name of the bar -> {part: seconds}; the parts are those of `PART_COLOURS`, in their order.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 1.4 + 0.7 * len(epochs))
    ends = np.zeros(len(epochs))
    for part, colour in PART_COLOURS.items():
        seconds = np.array([parts.get(part, 0.0) for parts in epochs.values()])
        axes.barh(list(epochs), seconds, left=ends, color=colour, label=part)  # without edges, which hide thin parts
        ends += seconds
    for row, end in enumerate(ends):
        axes.text(end, row, f" {end:.1f} s", va="center")
    axes.invert_yaxis()
    axes.set(xlabel="seconds of one epoch, 32 pictures", xlim=(0, ends.max() * 1.12))
    axes.set_ylabel("files on the disk")
    figure.legend(loc="outside upper center", ncols=8, frameon=False, handlelength=0.9, columnspacing=1.0)
    return figure


def panels_of(record: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """The seconds of a record of benchmarks/loading.py as `workers_chart` takes them, of pictures that end up 320 wide.

    Returns:
        Title of the panel -> {which files: seconds with 0, 1 and 2 workers}.
    """
    panels: dict[str, dict[str, list[float]]] = {"loading an epoch": {}, "training an epoch": {}}
    for case in record["workers"]:
        files, _, pictures = case["case"].partition(", ")
        if pictures == "pictures 320 wide":
            panels["loading an epoch"][files] = [row["loading_seconds"] for row in case["rows"]]
            panels["training an epoch"][files] = [row["training_seconds"] for row in case["rows"]]
    return panels


@styled
def workers_chart(panels: Mapping[str, Mapping[str, Sequence[float]]], workers: Sequence[int] = (0, 1, 2)) -> Figure:
    """Draw what workers bring: a panel for each kind of epoch, a group of bars for each number of workers.

    Args:
        panels: title -> {name in the legend: seconds, one value for each number of workers}.
        workers: the numbers along the x axis.
    """
    figure, (row,) = new_figure(1, len(panels), 8.0, 3.2)
    for panel, (axes, (title, series)) in enumerate(zip(row, panels.items(), strict=True)):
        width = 0.84 / len(series)
        for number, (name, seconds) in enumerate(series.items()):
            x = np.arange(len(workers)) + (number - (len(series) - 1) / 2) * width
            colour = (ORANGE, SKY_BLUE, GREEN)[number]
            bars = axes.bar(x, seconds, width * 0.94, color=colour, label=name if panel == 0 else None)
            axes.bar_label(bars, [f"{value:.2f}" for value in seconds], padding=2, fontsize=9)
        axes.set_xticks(range(len(workers)), [str(count) for count in workers])
        axes.set(title=title, xlabel="workers", ylabel="seconds of one epoch")
        axes.margins(y=0.12)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure


@styled
def leak_chart(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw the IoU after each training as dots, one a seed, with a line at their mean.

    Args:
        scores: name of the training pictures -> {name of the pictures that were measured: one IoU a seed}.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.4)
    kinds = list(dict.fromkeys(kind for row in scores.values() for kind in row))
    for number, kind in enumerate(kinds):
        colour = (VERMILLION, BLUE, GREEN)[number]
        marker = "osD"[number]
        axes.plot([], [], marker, color=colour, label=kind)  # for the legend
        for position, row in enumerate(scores.values()):
            ious = row.get(kind, [])
            if not ious:
                continue
            x = position + (number - (len(kinds) - 1) / 2) * 0.32
            mean = float(np.mean(ious))
            axes.plot(x + np.linspace(-0.04, 0.04, len(ious)), ious, marker, color=colour, markersize=6)
            axes.hlines(mean, x - 0.08, x + 0.08, color=colour, linewidth=2)
            axes.text(x + 0.09, mean, f"{mean:.2f}", va="center", color=colour)
    axes.set_xticks(range(len(scores)), list(scores))
    low, high = axes.get_ylim()
    axes.set(xlabel="trained on", ylabel="IoU (at most 1)", xlim=(-0.5, len(scores) - 0.38), ylim=(low, high + 0.02))
    figure.legend(loc="outside upper center", ncols=len(kinds), frameon=False, title="IoU measured on")
    return figure


@styled
def order_chart(panels: Mapping[str, Sequence[Sequence[int]]], batch_size: int) -> Figure:
    """Draw which picture comes when: a panel for each loader, a row for each epoch, a colour for each batch.

    Args:
        panels: title -> for each epoch the numbers of the pictures, in their order; at least one epoch and one picture.
        batch_size: pictures in a batch. Those behind the last full batch are grey: `drop_last=True` leaves them out.
    """
    rows = max(len(epochs) for epochs in panels.values())
    figure, (row_of_axes,) = new_figure(1, len(panels), 8.0, 1.5 + 0.42 * rows)
    for axes, (title, epochs) in zip(row_of_axes, panels.items(), strict=True):
        for row, order in enumerate(epochs):
            full = len(order) - len(order) % batch_size
            for place, picture in enumerate(order):
                colour = (SKY_BLUE, ORANGE)[place // batch_size % 2] if place < full else LEFT_OUT
                axes.add_patch(Rectangle((place, row), 0.94, 0.9, facecolor=colour))
                axes.text(place + 0.47, row + 0.47, str(picture), ha="center", va="center")
        longest = max(len(order) for order in epochs)
        axes.set(title=title, xlabel="place in the epoch, from 1", ylabel="epoch", xlim=(0, longest), ylim=(rows, 0))
        axes.set_xticks([place + 0.47 for place in range(longest)], [str(place + 1) for place in range(longest)])
        axes.set_yticks([row + 0.47 for row in range(rows)], [str(row + 1) for row in range(rows)])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    longest_of_all = max(len(order) for epochs in panels.values() for order in epochs)
    numbers = [str(number + 1) for number in range(longest_of_all // batch_size)]  # of the full batches
    words = {"batch " + ", ".join(numbers[::2]): SKY_BLUE, "batch " + ", ".join(numbers[1::2]): ORANGE}
    handles = [Patch(facecolor=colour, label=label) for label, colour in words.items() if label != "batch "]
    handles.append(Patch(facecolor=LEFT_OUT, label="left out by drop_last=True"))
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
    return figure
