"""Owns the charts of 08_cuda that show recorded figures: pictures from file to batch, and what speeds up a step."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from seglib.inference.palette import BLUE, GREEN, ORANGE, SKY_BLUE
from seglib.lesson.common.figures import new_figure, styled

LABELS = {"notes": "the notes' way", "first": "bytes, first epoch", "later": "bytes, from the cache"}


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
        axes.annotate(f"{value:.1f}{times}", (value, place), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(LABELS)), list(LABELS.values()))
    axes.invert_yaxis()
    axes.set(xlabel="milliseconds of one core for a picture and its mask", ylabel="way")
    axes.set_xlim(0, 1.35 * max(measured["milliseconds"][name] for name in LABELS))
    return figure


@styled
def speed_bars(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw what `benchmarks/gpu_step.py` recorded for one model and batch: images a second, by way, in two panels.

    Args:
        rows: those of one model and one batch size; a row with an "error" has no bar.
    """
    rows = [row for row in rows if "error" not in row]
    figure, (places,) = new_figure(1, 2, 8.0, 1.2 + 0.34 * len(rows))
    keys = {"images_a_second_with_the_loader": "with the loader", "images_a_second_of_the_step": "the step alone"}
    for axes, (key, title), colour in zip(places, keys.items(), (BLUE, GREEN), strict=True):
        values = [row[key] for row in rows]
        bars = axes.barh(range(len(rows)), values, 0.7, color=colour)
        axes.bar_label(bars, [f"{value:.0f}" for value in values], padding=3)
        axes.set(title=title, xlabel="images a second", ylabel="way", xlim=(0, 1.15 * max(values)))
        axes.set_yticks(range(len(rows)), [row["way"] for row in rows] if axes is places[0] else [""] * len(rows))
        axes.invert_yaxis()
    places[1].set_ylabel("")
    return figure
