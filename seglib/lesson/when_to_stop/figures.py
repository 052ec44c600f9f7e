"""Owns the charts of 09_when_to_stop: long trainings, over-fitting, where a training ends, how sure a score is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from seglib.inference.palette import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.when_to_stop.uncertainty import interval, iou_of, middle
from seglib.lesson.when_to_stop.uncertainty_record import (
    counts_of,
    gains,
    ious_by_epoch,
    runs_of,
)

Runs = Sequence[Mapping[str, Any]]
# No colour and no dash of these stands for a loss.
_LINES = ((BLUE, "-"), (GREEN, "-."), (PURPLE, ":"))
_LOSSES = (("train", BLACK, "-"), ("validation", VERMILLION, "--"))


def _mean_and_span(axes: Axes, x: Sequence[float], rows: Any, **line: Any) -> None:
    """The mean of several curves as a line, and between the lowest and the highest a band."""
    curves = np.asarray(rows, dtype=float)  # (seeds, points)
    axes.plot(x, curves.mean(axis=0), **line)
    axes.fill_between(x, curves.min(axis=0), curves.max(axis=0), color=line["color"], alpha=0.2, linewidth=0)


def _draw_ceiling(axes: Axes, ceiling: float) -> None:
    axes.axhline(ceiling, color=BLACK, linestyle=":", linewidth=1)
    axes.text(0.98, ceiling - 0.02, "ceiling", transform=axes.get_yaxis_transform(), ha="right", va="top")


def _plain_logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())


@styled
def long_curves(arms: Mapping[str, Runs], ceiling: float) -> Figure:
    """Draw losses and IoU of long trainings: a panel of losses for each arm, and one with the IoU of all.

    A line is the mean of the seeds, a band reaches from the lowest to the highest.

    Args:
        arms: name -> its runs, one a seed, as `benchmarks/hundred_epochs.py` records them.
        ceiling: the best IoU that the model could reach, drawn as a dotted line.
    """
    figure, (row,) = new_figure(1, len(arms) + 1, 8.5, 3.2)
    for (name, runs), (colour, dash), axes in zip(arms.items(), _LINES, row, strict=False):
        epochs = range(1, len(runs[0]["train_loss"]) + 1)
        for side, line_colour, line_dash in _LOSSES:
            label = "training" if side == "train" else side
            losses = [run[f"{side}_loss"] for run in runs]
            _mean_and_span(axes, epochs, losses, color=line_colour, linestyle=line_dash, label=label)
        axes.set(title=f"loss, {name}", xlabel="epoch", ylabel="loss per image (log scale)")
        _plain_logarithmic(axes)
        scores = [run["validation_iou"] for run in runs]
        _mean_and_span(row[-1], epochs, scores, color=colour, linestyle=dash, label=f"IoU, {name}")
    _draw_ceiling(row[-1], ceiling)
    row[-1].set(title="validation IoU", xlabel="epoch", ylabel="IoU (0 to 1)", ylim=(0, 1))
    lines, labels = row[0].get_legend_handles_labels()
    more_lines, more_labels = row[-1].get_legend_handles_labels()
    figure.legend([*lines, *more_lines], [*labels, *more_labels], loc="outside upper center", ncols=4, frameon=False)
    return figure


@styled
def over_fitting_curves(runs: Runs, counts: Sequence[int] = (4, 32), way: str = "as they are") -> Figure:
    """Draw both losses over the steps, a panel for each number of pictures, and the validation IoU of all of them.

    Args:
        runs: of `benchmarks/over_fitting.py`.
        counts: numbers of training pictures.
        way: "as they are" or "augmented".
    """
    figure, (row,) = new_figure(1, len(counts) + 1, 8.5, 3.2)
    for count, (colour, dash), axes in zip(counts, _LINES, row, strict=False):
        marks = [run["marks"] for run in runs if run["pictures"] == count and run["way"] == way]
        steps = [mark["step"] for mark in marks[0]]
        for side, line_colour, line_dash in _LOSSES:
            label = f"{'training' if side == 'train' else side} pictures"
            losses = [[mark[f"{side}_loss"] for mark in of_seed] for of_seed in marks]
            _mean_and_span(axes, steps, losses, color=line_colour, linestyle=line_dash, label=label)
        axes.set(title=f"loss, {count} pictures", xlabel="step", ylabel="loss per image", ylim=(0, 1.4))
        scores = [[mark["validation_iou"] for mark in of_seed] for of_seed in marks]
        _mean_and_span(row[-1], steps, scores, color=colour, linestyle=dash, label=f"IoU, {count} pictures")
    row[-1].set(title="validation IoU", xlabel="step", ylabel="IoU (0 to 1)", ylim=(0, 1))
    lines, labels = row[0].get_legend_handles_labels()
    more_lines, more_labels = row[-1].get_legend_handles_labels()
    figure.legend([*lines, *more_lines], [*labels, *more_labels], loc="outside upper center", ncols=4, frameon=False)
    return figure


@styled
def minutes_curves(arms: Mapping[str, Runs], ceiling: float) -> Figure:
    """Draw the validation IoU over the minutes of training, at the left whole, at the right the best IoUs, enlarged.

    A line is the mean of the seeds, a band reaches from the lowest to the highest.

    Args:
        arms, ceiling: as in `long_curves`.
    """
    figure, ((whole, enlarged),) = new_figure(1, 2, 8.5, 3.4)
    for (name, runs), (colour, dash) in zip(arms.items(), _LINES, strict=False):
        minutes = np.mean([run["seconds"] for run in runs], axis=0) / 60
        scores = [run["validation_iou"] for run in runs]
        for axes in (whole, enlarged):
            _mean_and_span(axes, minutes.tolist(), scores, color=colour, linestyle=dash, label=name)
    _draw_ceiling(whole, ceiling)
    whole.set(title="all", ylim=(0, 1))
    enlarged.set(title="enlarged: IoU 0.7 to 0.9", ylim=(0.7, 0.9))
    for axes in (whole, enlarged):
        axes.set(xlabel="minutes of training, on one core", ylabel="validation IoU", xlim=(0, None))
    figure.legend(*whole.get_legend_handles_labels(), loc="outside upper center", ncols=len(arms), frameon=False)
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


@styled
def bootstrap_chart(pictures: Any, draws: Any) -> Figure:
    """Draw the IoU of each picture, and how often a draw of as many pictures had which IoU.

    Args:
        pictures: one IoU for each picture.
        draws: the IoU of each draw.
    """
    figure, ((left, right),) = new_figure(1, 2, 8.5, 3.2)
    left.bar(range(1, len(pictures) + 1), np.sort(pictures), color=BLUE)
    left.set(title="each picture", xlabel="picture, sorted by its IoU", ylabel="IoU (0 to 1)", ylim=(0, 1))
    right.hist(draws, bins=30, color=ORANGE, edgecolor="white")
    for end in middle(np.asarray(draws)):
        right.axvline(end, color=BLACK, linestyle="--")
        right.text(end, 1.02, f"{end:.2f}", ha="center", transform=right.get_xaxis_transform())
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set(xlabel="IoU of the drawn pictures", ylabel="draws")
    return figure


@styled
def intervals_chart(record: Mapping[str, Any]) -> Figure:
    """Draw the IoU of trainings with its bootstrap interval: seeds on the fixed split, and folds with other pictures.

    Args:
        record: of `benchmarks/uncertainty.py`.
    """
    figure, (row,) = new_figure(1, 2, 8.5, 3.4)
    panels = (
        ("constant, split.json", "the same 16 pictures", BLUE),
        ("constant, folds", "16 others each time", VERMILLION),
    )
    for axes, (arm, title, colour) in zip(row, panels, strict=True):
        runs = runs_of(record, arm)
        counts = [counts_of(run, "last") for run in runs]
        scores = np.array([iou_of(each) for each in counts])
        ends = np.array([interval(each) for each in counts]).T  # (2, runs)
        positions = np.arange(len(runs)) + 1
        axes.errorbar(positions, scores, np.abs(ends - scores), fmt="o", color=colour, capsize=4)
        axes.axhline(scores.mean(), color=BLACK, linestyle=":", linewidth=1)
        axes.set(title=title, ylabel="IoU, with 95 % interval", ylim=(0.4, 1), xticks=positions)
        names = [f"{run['seed']}" if run["arm"].endswith("json") else f"{run['seed']}.{run['fold']}" for run in runs]
        axes.set_xticklabels(names)
        axes.set_xlabel("seed" if arm.endswith("json") else "division.fold")
    return figure


@styled
def averaging_chart(record: Mapping[str, Any], seed: int = 0) -> Figure:
    """Draw one training's IoU by epoch beside that of its averaged weights, and the gain of averaging in every one.

    Args:
        record: of `benchmarks/uncertainty.py`.
        seed: of the training whose curves are drawn, on the fixed split.
    """
    figure, ((curves, dots),) = new_figure(1, 2, 8.5, 3.4)
    for arm, colour, dash in (("constant, split.json", BLUE, "-"), ("poly, split.json", GREEN, "-.")):
        run = next(run for run in runs_of(record, arm) if run["seed"] == seed)
        scores = ious_by_epoch(run)
        epochs = range(1, len(scores) + 1)
        curves.plot(epochs, scores, color=colour, linestyle=dash, label=arm.partition(",")[0] + " rate")
        if arm.startswith("constant"):
            mean = iou_of(counts_of(run, "mean"))
            curves.hlines(mean, len(scores) - record["settings"]["averaged_epochs"] + 1, len(scores), color=VERMILLION)
            curves.plot(len(scores), mean, "D", color=VERMILLION, label="mean of weights")
    curves.set(title=f"seed {seed}", xlabel="epoch", ylabel="validation IoU (0 to 1)")
    curves.xaxis.set_major_locator(MaxNLocator(integer=True))
    curves.legend(frameon=False, loc="lower right")
    groups = (
        ("constant, split.json", BLUE, "o"),
        ("constant, folds", VERMILLION, "s"),
        ("poly, split.json", GREEN, "^"),
    )
    for place, (arm, colour, marker) in enumerate(groups):
        values = gains(record, arm, "mean")
        dots.plot(place + np.linspace(-0.25, 0.25, len(values)), values, marker, color=colour)
    dots.axhline(0, color=BLACK, linewidth=0.8)
    dots.set_xticks(range(len(groups)), ["constant,\nseeds", "constant,\nfolds", "poly,\nseeds"])
    dots.set(title="mean of weights minus last", xlabel="training", ylabel="gain in IoU")
    return figure


@styled
def choice_chart(leads: Sequence[Sequence[float]]) -> Figure:
    """Draw the lead of the best epoch over the last, on the pictures that chose it and on the others.

    Args:
        leads: for each halving, the lead in IoU on the half that chose, and on the other.
    """
    figure, ((left, right),) = new_figure(1, 2, 8.5, 2.8)
    chose, judged = np.array(leads).T
    # One bar has 0 in its middle: often the last epoch is the best, and then both leads are exactly 0.
    low, high = min(chose.min(), judged.min()), max(chose.max(), judged.max())
    edges = np.arange(round(50 * low) - 0.5, round(50 * high) + 1) / 50
    for axes, values, title in ((left, chose, "on the half that chose"), (right, judged, "on the other half")):
        axes.hist(values, bins=edges, color=ORANGE, edgecolor="white")
        axes.axvline(0, color=BLACK, linewidth=1)
        axes.axvline(float(values.mean()), color=BLUE, linestyle="--", label=f"mean {values.mean():+.3f}")
        axes.set(xlabel="lead of the best epoch over the last (IoU)", ylabel="halvings", title=title)
        axes.legend(frameon=False)
    highest = max(left.get_ylim()[1], right.get_ylim()[1])
    left.set_ylim(0, highest)
    right.set_ylim(0, highest)
    return figure
