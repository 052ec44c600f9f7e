"""Owns the charts of 08_cuda: why a GPU is faster, from file to batch, and what speeds up a step."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from seglib.inference.palette import BLUE, GREEN, ORANGE, SKY_BLUE
from seglib.lesson.common.figures import new_figure, styled

LABELS = {"notes": "the notes' way", "first": "bytes, first epoch", "later": "bytes, from the cache"}
GRID = (12, 16)  # rows and columns of the outputs in `rounds_figure`


def rounds(units: int, grid: tuple[int, int] = GRID) -> np.ndarray:
    """In which round each output of a layer is computed, if so many units compute one each in a round.

    Args:
        units: of the processor, all alike.
        grid: rows and columns of the outputs.

    Returns:
        Whole numbers from 1, in the shape of the grid.

    Example:
        >>> rounds(4, (2, 3)).tolist()
        [[1, 1, 1], [1, 2, 2]]
    """
    return np.arange(math.prod(grid)).reshape(grid) // units + 1


@styled
def rounds_figure(units: Sequence[int] = (4, math.prod(GRID))) -> Figure:
    """Draw the outputs of a layer for a processor with few units and for one with many, each with its round.

    Args:
        units: of each processor.
    """
    figure, (places,) = new_figure(1, len(units), 8.0, 3.2)
    for axes, count in zip(places, units, strict=True):
        numbers = rounds(count)
        axes.imshow(numbers, cmap="cividis_r", vmin=0, vmax=rounds(min(units)).max(), aspect="auto")
        axes.set(xticks=[], yticks=[], title=f"{count} units: {numbers.max()} round{'s' if numbers.max() > 1 else ''}")
        for (row, column), number in np.ndenumerate(numbers):
            dark = number > 0.6 * rounds(min(units)).max()
            axes.text(column, row, number, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    return figure


@styled
def input_bars(measured: dict[str, Any]) -> Figure:
    """Draw what `benchmarks/input.py` recorded: milliseconds a picture, and their ratio to the notes' way.

    Args:
        measured: "milliseconds" and "ratio", by "notes", "first" and "later".
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 2.3)
    for place, (name, colour) in enumerate(zip(LABELS, (ORANGE, SKY_BLUE, BLUE), strict=True)):
        value = measured["milliseconds"][name]
        axes.barh(place, value, 0.6, color=colour)
        times = f", {measured['ratio'][name]:.1f} times as fast" if name in measured["ratio"] else ""
        axes.annotate(f"{value:.3g}{times}", (value, place), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(LABELS)), list(LABELS.values()))
    axes.invert_yaxis()
    axes.set(xlabel="milliseconds of one core for a picture and its mask", ylabel="way of loading")
    axes.set_xlim(0, 1.35 * max(measured["milliseconds"][name] for name in LABELS))
    return figure


@styled
def speed_bars(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw what `benchmarks/gpu_step.py` recorded for one model and batch: images a second, by way, in two panels.

    Args:
        rows: those of one model and one batch size; a row with an "error" has no bar.
    """
    drawn = [row for row in rows if "error" not in row]
    names = [row["way"] for row in drawn]
    figure, (places,) = new_figure(1, 2, 8.0, 1.3 + 0.34 * len(names))
    keys = {"images_a_second_with_the_loader": "with the loader", "images_a_second_of_the_step": "the step alone"}
    for axes, (key, title), colour in zip(places, keys.items(), (BLUE, GREEN), strict=True):
        values = [row[key] for row in drawn]
        bars = axes.barh(range(len(drawn)), values, 0.7, color=colour)
        axes.bar_label(bars, [f"{value:.1f}" for value in values], padding=3)
        axes.set(title=title, xlabel="images a second", xlim=(0, 1.2 * max(values, default=1.0)))
        axes.set_yticks(range(len(names)), names if axes is places[0] else [""] * len(names))
        axes.set_ylim(len(names) - 0.5, -0.5)
    places[0].set_ylabel("changed in the notes' loop")
    places[1].set_ylabel(" ")  # the names stand at the left panel
    return figure
