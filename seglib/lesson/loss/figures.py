"""Owns the charts of 05_loss: what one pixel costs, what each loss reaches, what a wrong threshold does to it."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from seglib.inference.palette import BLACK, BLUE, GREEN, ORANGE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled
from seglib.losses import make_loss

# BCE and cross-entropy lie on one line: one of them is broad, the other drawn dashed on top of it.
LOSS_LINES = {
    "mse": {"color": VERMILLION, "linewidth": 2.0},
    "bce": {"color": BLUE, "linewidth": 4.5, "alpha": 0.55},
    "cross_entropy": {"color": BLACK, "linewidth": 1.6, "linestyle": "--"},
    "dice": {"color": GREEN, "linewidth": 2.0},
}
TRUTHS = {1.0: "fruit", 0.0: "background"}
# What each loss is for one pixel: x its output, p the sigmoid of x. Of two classes, the background's logit is 0.
FORMULAS = {
    1.0: {"mse": "$(x-1)^2$", "bce": r"$-\log p$", "cross_entropy": r"$-\log p$", "dice": r"$1-(2p+1)\,/\,(p+2)$"},
    0.0: {"mse": "$x^2$", "bce": r"$-\log(1-p)$", "cross_entropy": r"$-\log(1-p)$", "dice": r"$1-1\,/\,(p+1)$"},
}
OWN_THRESHOLD = "its own threshold"
OTHER_THRESHOLD = "the other's (MSE at 0, the rest at 0.5)"


def pixel_loss(name: str, output: float, target: float) -> tuple[float, float]:
    """What one pixel alone costs, and the gradient: how much more, if its output rose a little.

    Args:
        name: of `make_loss`. For cross-entropy, of two classes: the background's logit stays 0, the other one moves.
        output: of the model, before any activation.
        target: 1.0 for fruit, 0.0 for background.

    Example:
        >>> pixel_loss("mse", 3.0, 1.0)
        (4.0, 4.0)
    """
    moving = torch.full((1, 1, 1, 1), output, dtype=torch.float64, requires_grad=True)
    mask = torch.full((1, 1, 1, 1), target, dtype=torch.float64)
    if name == "cross_entropy":
        loss = make_loss(name)(torch.cat([torch.zeros_like(moving), moving], dim=1), mask[:, 0].long())
    else:
        loss = make_loss(name)(moving, mask)
    (gradient,) = torch.autograd.grad(loss, moving)
    return loss.item(), gradient.item()


@functools.cache
def _curve(name: str, target: float) -> np.ndarray:
    """(3, number of points): outputs from -6 to 6, values, gradients."""
    outputs = np.linspace(-6, 6, 121)
    return np.array([(x, *pixel_loss(name, x, target)) for x in outputs.tolist()]).T


@styled
def one_pixel_curves(target: float = 1.0, at: float | None = None) -> Figure:
    """Draw the value and the gradient of the four losses as the output of one pixel moves.

    Args:
        target: 1.0 for a pixel of fruit, 0.0 for one of background.
        at: an output to mark on every curve.
    """
    figure, (axes,) = new_figure(1, 2, 8.0, 4.1)
    for name, style in LOSS_LINES.items():
        label = f"{name}:  {FORMULAS[target][name]}"
        outputs, *curves = _curve(name, target)
        for panel, values in zip(axes, curves, strict=True):
            panel.plot(outputs, values, label=label if panel is axes[0] else None, **style)
        if at is not None:
            for panel, value in zip(axes, pixel_loss(name, at, target), strict=True):
                panel.plot([at], [value], "o", color=style["color"])
    axes[0].set(title="value", xlabel="output of the pixel", ylabel="loss", ylim=(-0.15, 5.2))
    axes[1].set(title="gradient", xlabel="output of the pixel", ylabel="loss per unit of output", ylim=(-2.3, 2.3))
    axes[1].axhline(0, color="#888888", linewidth=0.8)
    title = f"one pixel of {TRUTHS[target]}: output x, p = sigmoid(x)"
    figure.legend(loc="outside upper center", ncols=2, frameon=False, title=title)
    return figure


def best_scores(record: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Of `benchmarks/losses.py`, each loss at its best: the IoU of its seeds, at its own threshold and the other.

    Returns:
        loss -> {OWN_THRESHOLD: one IoU a seed, OTHER_THRESHOLD: the same}.
    """
    scores = {}
    for name, best in record["best"].items():
        choice = (name, best["schedule"], best["lr"])
        runs = [run for run in record["runs"] if (run["loss"], run["schedule"], run["lr"]) == choice]
        other = "0.0" if name.startswith("mse") else "0.5"
        scores[name] = {
            OWN_THRESHOLD: [run["iou"] for run in runs],
            OTHER_THRESHOLD: [run["iou_at"][other] for run in runs],
        }
    return scores


@styled
def loss_dots(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw the IoU that each loss reached, a dot a seed, read with the right threshold and with a wrong one.

    Args:
        scores: loss -> {how its outputs were read: one IoU a seed}; the first way is drawn filled, the second open.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.6)
    kinds = list(dict.fromkeys(kind for row in scores.values() for kind in row))
    for number, kind in enumerate(kinds):
        colour = (BLUE, VERMILLION)[number]
        marker = "os"[number]
        style = {"color": colour, "markersize": 6, "markerfacecolor": (colour, "white")[number]}
        axes.plot([], [], marker, label=kind, **style)
        for column, row in enumerate(scores.values()):
            values = row[kind]
            x = column + (number - (len(kinds) - 1) / 2) * 0.36
            mean = float(np.mean(values))
            axes.hlines(mean, x - 0.14, x + 0.14, color=colour, linewidth=2)
            axes.plot(x + np.linspace(-0.07, 0.07, len(values)), values, marker, **style)
            axes.annotate(f"{mean:.2f}", (x, max(values)), (0, 5), textcoords="offset points", ha="center", fontsize=10)
    axes.set_xticks(range(len(scores)), [name.replace(", ", ",\n") for name in scores])
    axes.set(xlabel="trained with", ylabel="IoU (0 to 1)", ylim=(0, None), xlim=(-0.5, len(scores) - 0.5))
    axes.margins(y=0.12)
    figure.legend(loc="outside upper center", ncols=len(kinds), frameon=False, title="outputs cut at")
    return figure


@styled
def threshold_curves(
    thresholds: Sequence[float], scores: Mapping[str, Sequence[float]], own: Mapping[str, float]
) -> Figure:
    """Draw the IoU of trained models over the threshold at which their raw outputs are cut.

    Args:
        thresholds: along the x axis.
        scores: loss -> one IoU for each threshold.
        own: loss -> the threshold that goes with it, marked by a dashed line.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.2)
    for name, values in scores.items():
        colour = LOSS_LINES[name]["color"]
        axes.plot(thresholds, values, color=colour, linewidth=2, label=name)
        axes.axvline(own[name], color=colour, linestyle="--", linewidth=1.2)
        axes.text(own[name], 1.02, f"its own: {own[name]:g}", color=colour, ha="center", fontsize=10,
                  transform=axes.get_xaxis_transform())  # fmt: skip
    axes.set(xlabel="threshold on the raw output", ylabel="IoU (0 to 1)", ylim=(0, None))
    axes.legend(frameon=False, title="trained with")
    return figure


def runs_of_choice(record: Mapping[str, Any], loss: str, schedule: str, lr: float) -> list[dict[str, Any]]:
    """Of `benchmarks/imbalance.py`, the trainings with one loss, schedule and learning rate, a row a seed."""
    choice = (loss, schedule, lr)
    return [run for run in record["runs"] if (run["loss"], run["schedule"], run["lr"]) == choice]


def row_of_choice(record: Mapping[str, Any], loss: str, schedule: str, lr: float) -> dict[str, Any]:
    """Of `benchmarks/imbalance.py`, mean and spread over the seeds of one choice."""
    choice = (loss, schedule, lr)
    return next(row for row in record["table"] if (row["loss"], row["schedule"], row["lr"]) == choice)


@styled
def cure_dots(record: Mapping[str, Any]) -> Figure:
    """Draw the IoU that each cure for imbalance reached at its best choice, a row a cure and a dot a seed.

    Args:
        record: of `benchmarks/imbalance.py`.
    """
    names = list(record["best"])
    figure, ((axes,),) = new_figure(1, 1, 8.0, 0.8 + 0.42 * len(names))
    for row, name in enumerate(names):
        best = record["best"][name]
        values = [run["iou"] for run in runs_of_choice(record, name, best["schedule"], best["lr"])]
        colour = BLUE if name == "bce" else BLACK
        axes.plot(values, [row] * len(values), "o", color=colour, markersize=6, alpha=0.7)
        axes.vlines(best["iou"], row - 0.3, row + 0.3, color=colour, linewidth=2)
    axes.axvline(record["best"]["bce"]["iou"], color=BLUE, linestyle=":", linewidth=1.2)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="IoU (the axis does not begin at 0); a dot is a seed, a line the mean", ylabel="trained with")
    axes.invert_yaxis()
    return figure


@styled
def start_curves(record: Mapping[str, Any], names: Sequence[str], schedule: str, lr: float) -> Figure:
    """Draw how the first steps go: loss, share of the pixels that are called fruit, and IoU, over the steps.

    All are of the validation pictures; a point is the mean over the seeds, a bar the spread (standard deviation).

    Args:
        record: of `benchmarks/imbalance.py`.
        names: of losses in it.
        schedule, lr: the choice that they share.
    """
    figure, (panels,) = new_figure(1, 3, 9.0, 3.4)
    for name, colour, marker in zip(names, (BLUE, ORANGE, GREEN), "os^", strict=False):
        courses = [run["marks"] for run in runs_of_choice(record, name, schedule, lr)]
        steps = [8 * mark["epoch"] for mark in courses[0]]
        for axes, key in zip(panels, ("loss", "drawn", "iou"), strict=True):
            values = np.array([[mark[key] for mark in marks] for marks in courses])  # (seeds, marks)
            axes.errorbar(
                steps, values.mean(0), values.std(0, ddof=1), color=colour, marker=marker, capsize=3,
                label=name if key == "loss" else None,
            )  # fmt: skip
            axes.set_xticks([step for step in steps if step != 8], [str(step) for step in steps if step != 8])
            axes.set_xticks(steps, minor=True)
    share = record["settings"]["fruit_share"]
    panels[1].axhline(share, color=BLACK, linestyle=":", linewidth=1.2)
    panels[1].annotate(
        "share of fruit", (1, share), (0, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="right", fontsize=10,
    )  # fmt: skip
    panels[0].set(title="loss", xlabel="steps", ylabel="mean loss of a pixel", ylim=(0, None))
    panels[1].set(title="called fruit", xlabel="steps", ylabel="share of the pixels (0 to 1)", ylim=(0, None))
    panels[2].set(title="IoU", xlabel="steps", ylabel="IoU (0 to 1)", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=len(names), frameon=False)
    return figure
