"""Owns the charts of 07_training_loop: the graph of a loss, weights and losses by step, a training, two recipes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from seglib.inference.overlay import overlay
from seglib.inference.palette import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.common.plots import draw_curve
from seglib.training.history import History

RECIPES = {"ours": "ours", "notes": "the notes'"}  # key in the record -> name
LINES = ((BLUE, "-", "o"), (VERMILLION, "--", "s"), (GREEN, "-.", "^"), (PURPLE, ":", "D"), (ORANGE, "-", "v"))


@styled
def graph_chart(nodes: Sequence[tuple[str, str, str]]) -> Figure:
    """Draw the graph of a loss as a row of boxes: numbers go forward along the top, gradients back along the bottom.

    Args:
        nodes: from the weight to the loss: its name, its value and its gradient, in words; lines end in newlines.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 2.5)
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": BLACK}
    for x, (name, value, gradient) in enumerate(nodes):
        axes.text(x, 0.5, name, ha="center", va="center", bbox=box)
        axes.text(x, 0.95, value, ha="center", va="center", color=BLUE, fontfamily="monospace")
        axes.text(x, 0.05, gradient, ha="center", va="center", color=VERMILLION, fontfamily="monospace")
    for x in range(len(nodes) - 1):
        for y, start, end, colour in ((0.95, 0.3, 0.7, BLUE), (0.05, 0.7, 0.3, VERMILLION)):
            style = {"arrowstyle": "->", "color": colour, "lw": 1.8}
            axes.annotate("", xy=(x + end, y), xytext=(x + start, y), arrowprops=style)
    axes.text(-0.75, 0.95, "forward", color=BLUE, ha="left", va="center")
    axes.text(-0.75, 0.05, "backward", color=VERMILLION, ha="left", va="center")
    axes.set(xlim=(-0.8, len(nodes) - 0.4), ylim=(-0.1, 1.1))
    axes.axis("off")
    return figure


@styled
def paths_chart(panels: Mapping[str, Mapping[str, Sequence[float]]], xlabel: str = "step") -> Figure:
    """Draw in each panel how a number moves step by step, a line for each way of training.

    Args:
        panels: what the number is -> {name of the line: its value at the start and after each step}; the lines of all
            panels have one order, and share a legend.
        xlabel: what is counted.
    """
    figure, (row,) = new_figure(1, len(panels), 8.0, 3.6)
    lines = {}
    for axes, (title, paths) in zip(row, panels.items(), strict=True):
        for number, ((name, values), (colour, dash, marker)) in enumerate(zip(paths.items(), LINES, strict=False)):
            # Each line is thinner than those drawn before it, so that lines with equal values are all visible.
            sizes = {"linewidth": 4 - 0.7 * number, "markersize": 10 - 1.7 * number}
            (lines[name],) = axes.plot(values, color=colour, linestyle=dash, marker=marker, **sizes)
        axes.set(xlabel=xlabel, ylabel=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(lines.values(), lines, loc="outside upper center", ncols=len(lines), frameon=False, columnspacing=1.2)
    return figure


@styled
def losses_chart(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the loss of each step, a line for each training, on a log scale; its name stands at its end.

    Args:
        curves: name -> the loss of each step.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.2)
    longest = max(len(losses) for losses in curves.values())
    for (name, losses), (colour, dash, _) in zip(curves.items(), LINES, strict=False):
        axes.plot(range(1, len(losses) + 1), losses, color=colour, linestyle=dash)
        axes.text(longest * 1.02, losses[-1], name, color=colour, va="center")
    axes.set(xlabel="step", ylabel="loss of the step (log scale)", yscale="log", xlim=(0, longest * 1.25))
    axes.set_xticks(range(0, longest + 1, 10))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    return figure


@styled
def monitor_figure(history: History, image: Any, predicted: Any, ceiling: float | None = None) -> Figure:
    """Draw a training under way: the losses, the validation IoU, and what the model makes of one photograph.

    Args:
        history: of the epochs so far; it may be empty.
        image: whatever `to_picture` takes.
        predicted: the mask that the model predicts now, whatever `to_labels` takes.
        ceiling: the best IoU that the model could reach, drawn as a dashed line.
    """
    figure, ((losses, scores, sample),) = new_figure(1, 3, 9.0, 2.7)
    draw_curve(losses, history.train_loss, BLUE, "o", "training")
    draw_curve(losses, history.validation_loss, VERMILLION, "s", "validation")
    draw_curve(scores, history.validation_iou, GREEN, "s", "validation")
    losses.set(title="loss", xlabel="epoch", ylabel="mean loss per image", ylim=(0, None))
    scores.set(title="IoU", xlabel="epoch", ylabel="IoU (0 to 1)", ylim=(0, 1))
    if ceiling is not None:
        scores.axhline(ceiling, color=BLACK, linestyle="--", linewidth=1)
        scores.text(0.03, ceiling - 0.02, f"ceiling {ceiling:.2f}", transform=scores.get_yaxis_transform(), va="top")
    if history.train_loss:
        losses.legend(frameon=False, fontsize=9)
    else:
        losses.set(xticks=[], yticks=[])
        scores.set(xticks=[])
    sample.imshow(overlay(image, predicted, SKY_BLUE))
    sample.set_title(f"after epoch {len(history.train_loss)}")
    sample.axis("off")
    return figure


def race_runs(record: Mapping[str, Any], pictures: str) -> dict[str, list[Mapping[str, Any]]]:
    """The runs of the two recipes that `benchmarks/hundred_epochs.py` compares: name -> one run for each seed.

    Args:
        record: what the benchmark stored.
        pictures: "as they are" or "augmented".
    """
    arms = record["race"][pictures]["arms"]
    return {name: [run for run in record["runs"] if run["arm"] == arms[key]] for key, name in RECIPES.items()}


def race_table(record: Mapping[str, Any], pictures: str) -> str:
    """The runs of `race_runs` as a table: a row for each goal, with how many seeds reached it and the median steps.

    A run that never reached it counts with all its steps. The last column is how many times the seconds of ours the
    notes' recipe took, or more than that where most of its runs never arrived. It is rounded down, so that "at least"
    is true. A dash stands where ours did not arrive either.
    """
    lines = [f"pictures {pictures}", f"{'goal':<28}{'ours':<24}{'the notes':<26}seconds, notes / ours"]
    for row in record["race"][pictures]["rows"]:
        goal = f"IoU {row['iou']:.2f} ({row['share']:.0%} of ceiling)"
        ratio = f"at least {_down(row['ratio_of_seconds'])}" if "ratio_of_seconds" in row else "-"
        lines.append(f"{goal:<28}{_reached(row['ours']):<24}{_reached(row['notes']):<26}{ratio}")
    ends = [
        ", ".join(f"{run['validation_iou'][-1]:.2f}" for run in runs) for runs in race_runs(record, pictures).values()
    ]
    lines.append(f"{'IoU at the end':<28}{ends[0]:<24}{ends[1]}")
    return "\n".join(line.rstrip() for line in lines)


def _down(ratio: float) -> str:
    """A ratio with at most one place, never larger than it is."""
    return f"{math.floor(ratio)}" if ratio >= 10 else f"{math.floor(10 * ratio) / 10:.1f}"


def _reached(row: Mapping[str, Any]) -> str:
    """How many seeds of a recipe reached the IoU, after how many steps; if most did not, in how many in all."""
    after = 2 * row["reached"] > row["runs"]  # else the median is that of a run that never reached it
    return f"{row['reached']} of {row['runs']}, {'after' if after else 'in'} {row['steps']:.0f} steps"


@styled
def race_chart(record: Mapping[str, Any]) -> Figure:
    """Draw the validation IoU of two recipes over the steps, a panel for each kind of pictures, a line for each seed.

    Args:
        record: what `benchmarks/hundred_epochs.py` stored. The highest share of the ceiling that it asks for is drawn
            as a dotted line, the ceiling as a dashed one.
    """
    figure, (row,) = new_figure(1, len(record["race"]), 8.0, 3.4)
    for axes, (pictures, race) in zip(row, record["race"].items(), strict=True):
        for (name, runs), (colour, dash, marker) in zip(race_runs(record, pictures).items(), LINES, strict=False):
            style = {"color": colour, "linestyle": dash, "marker": marker, "markersize": 3}
            for number, run in enumerate(runs):
                label = name if number == 0 else None
                axes.plot(run["steps"], run["validation_iou"], label=label, **style)
        _draw_goals(axes, race["rows"][-1]["share"], record["ceiling"])
        axes.set(title=f"pictures {pictures}", xlabel="steps of training (log scale)", xscale="log", ylim=(0, 1))
        axes.set_ylabel("validation IoU (0 to 1)")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def _draw_goals(axes: Axes, share: float, ceiling: float) -> None:
    for height, dash, label in ((ceiling, "--", "ceiling"), (share * ceiling, ":", f"{share} of the ceiling")):
        axes.axhline(height, color=BLACK, linestyle=dash, linewidth=1)
        side = "top" if label == "ceiling" else "bottom"  # above the ceiling there is no room under the frame
        axes.text(0.02, height, label, transform=axes.get_yaxis_transform(), ha="left", va=side, fontsize=9)
