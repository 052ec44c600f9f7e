"""Owns the charts of 14_many_gpus: a step of two processes, losses with mistakes, the IoU with larger batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from seglib.inference.palette import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled

# For each of two processes its picture, and what it holds after each of `ROWS` but the all-reduce.
STEP_OF_TWO = (
    ("picture 0", "no gradient", "output of picture 0", "its loss", "gradient −1", "weight 0.5"),
    ("picture 1", "no gradient", "output of picture 1", "its loss", "gradient −3", "weight 0.5"),
)
ROWS = ("zero_grad", "forward", "loss", "backward", "all-reduce", "step")


@styled
def ddp_step_figure(columns: Sequence[Sequence[str]], shared: str) -> Figure:
    """Draw a training step of DistributedDataParallel: a column of boxes for each of two processes.

    One box lies across both, between backward and step: the all-reduce.

    Args:
        columns: for each process its pictures, and what it holds after each of `ROWS` but the all-reduce, in words.
        shared: what both hold after the all-reduce.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 5.0)
    heights = {"pictures": 6.0} | {name: 5.0 - number for number, name in enumerate(ROWS)}
    colours = {"pictures": SKY_BLUE, "backward": ORANGE, "all-reduce": VERMILLION, "step": GREEN}
    own = [name for name in heights if name != "all-reduce"]
    for place, words in enumerate(columns):
        x = 0.45 + 0.36 * place
        axes.text(x, 6.75, f"process {place}", ha="center", va="center", fontweight="bold")
        for name, text in zip(own, words, strict=True):
            box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colours.get(name, BLACK), "lw": 1.6}
            axes.text(x, heights[name], text, ha="center", va="center", bbox=box)
        for upper, lower in zip(list(heights), list(heights)[1:], strict=False):
            ends = (x, heights[upper] - 0.3), (x, heights[lower] + 0.3)
            axes.annotate("", xy=ends[1], xytext=ends[0], arrowprops={"arrowstyle": "->", "color": BLACK})
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#F7DDD0", "edgecolor": VERMILLION, "lw": 2}
    axes.text(0.63, heights["all-reduce"], f"{shared:^64}", ha="center", va="center", bbox=box)
    for name, height in heights.items():
        new = name == "all-reduce"
        colour, weight = (VERMILLION, "bold") if new else (BLACK, "normal")
        axes.text(0.0, height, name, va="center", color=colour, fontweight=weight)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.4, 7.0))
    axes.axis("off")
    return figure


@styled
def batch_dots(runs: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the last validation IoU of each recorded run as a dot, a column for each arm, with a line at the mean.

    Args:
        runs: of `benchmarks/many_processes.py`: "arm", "steps" and "validation_iou".
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 2.9)
    arms = list(dict.fromkeys(run["arm"] for run in runs))
    labels = []
    for place, arm in enumerate(arms):
        mine = [run for run in runs if run["arm"] == arm]
        scores = [run["validation_iou"][-1] for run in mine]
        axes.plot(place + np.linspace(-0.06, 0.06, len(scores)), scores, "o", color=BLUE, markersize=7)
        axes.hlines(np.mean(scores), place - 0.18, place + 0.18, color=VERMILLION, linewidth=2)
        axes.text(place + 0.2, np.mean(scores), f"{np.mean(scores):.2f}", va="center", color=VERMILLION)
        labels.append(f"{arm}\n{mine[0]['steps']} steps")
    axes.set_xticks(range(len(arms)), labels)
    axes.set(xlabel="batch of all processes", ylabel="IoU (0 to 1)", xlim=(-0.5, len(arms) - 0.4), ylim=(0.4, 0.7))
    return figure


@styled
def loss_chart(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the loss of several trainings over their epochs, each named at the right, where its line ends.

    Args:
        curves: the mean loss of each epoch, by the name of the training.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.4)
    dashes = ("-", "--", ":", "-.", (0, (5, 1, 1, 1)))
    for (name, losses), colour, dash in zip(
        curves.items(), (BLACK, VERMILLION, BLUE, ORANGE, PURPLE), dashes, strict=False
    ):
        axes.plot(range(1, len(losses) + 1), losses, color=colour, linestyle=dash, linewidth=2, label=name)
    axes.set(xlabel="epoch", ylabel="loss of process 0 (BCE)")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure
