"""Owns the charts of 09_when_to_stop: long trainings, the IoU over minutes, where early stopping ends a training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from seglib.inference.palette import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled

Runs = Sequence[Mapping[str, Any]]
_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)


@styled
def long_curves(arms: Mapping[str, Runs], ceiling: float) -> Figure:
    """Draw losses and IoU of long trainings, a panel of losses for each arm, and one of all IoUs.

    Args:
        arms: name -> its runs, one a seed, as `benchmarks/hundred_epochs.py` records them.
        ceiling: the best IoU that the model could reach, drawn dashed.
    """
    figure, (row,) = new_figure(1, len(arms) + 1, 8.0, 3.2)
    for (name, runs), colour, axes in zip(arms.items(), _COLOURS, row, strict=False):
        for number, run in enumerate(runs):
            epochs = range(1, len(run["train_loss"]) + 1)
            labels = ("training", "validation") if not number else (None, None)
            axes.plot(epochs, run["train_loss"], color=BLACK, linewidth=1, label=labels[0])
            axes.plot(epochs, run["validation_loss"], color=colour, linewidth=1, linestyle="--", label=labels[1])
            row[-1].plot(epochs, run["validation_iou"], color=colour, linewidth=1, label=None if number else name)
        axes.set(title=f"loss, {name}", xlabel="epoch", ylabel="mean loss per image", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
    row[-2].legend(frameon=False)  # the panels before it have the same two kinds of lines, and no room
    row[-1].axhline(ceiling, color=BLACK, linestyle="--", linewidth=1)
    row[-1].set(title="validation IoU", xlabel="epoch", ylabel="IoU (0 to 1)", ylim=(0, 1))
    figure.legend(*row[-1].get_legend_handles_labels(), loc="outside upper right", ncols=len(arms), frameon=False)
    return figure


@styled
def minutes_curves(arms: Mapping[str, Runs], ceiling: float) -> Figure:
    """Draw the validation IoU over the minutes of training, a line for each arm: the mean of its seeds, and their span.

    Args:
        arms, ceiling: as in `long_curves`.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.4)
    for (name, runs), colour in zip(arms.items(), _COLOURS, strict=False):
        scores = np.array([run["validation_iou"] for run in runs])  # (seeds, epochs)
        minutes = np.mean([run["seconds"] for run in runs], axis=0) / 60
        axes.plot(minutes, scores.mean(axis=0), color=colour, label=name)
        axes.fill_between(minutes, scores.min(axis=0), scores.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    axes.axhline(ceiling, color=BLACK, linestyle="--", linewidth=1)
    axes.set(xlabel="minutes of training, on one core", ylabel="IoU (0 to 1)", ylim=(0, 1), xlim=(0, None))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(arms), frameon=False)
    return figure


@styled
def stopping_chart(scores: Sequence[float], best: int, stopped: int) -> Figure:
    """Draw a score over the epochs, with the best epoch and the one after which patience was at its end.

    Args:
        scores: one for each epoch.
        best, stopped: epochs, counted from 1.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 2.8)
    axes.plot(range(1, len(scores) + 1), scores, color=GREEN, marker="o" if len(scores) <= 25 else None)
    for epoch, word, colour, side in ((best, "best", BLUE, "right"), (stopped, "stops", VERMILLION, "left")):
        axes.axvline(epoch, color=colour, linestyle="--", linewidth=1.2)
        axes.text(epoch, 1.02, f" {word}: {epoch} ", color=colour, ha=side, transform=axes.get_xaxis_transform())
    axes.set(xlabel="epoch", ylabel="validation IoU (0 to 1)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
