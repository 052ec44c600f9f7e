"""Owns the figures of 11_predict: thresholds, calibration, kinds of mistakes, specks, the confusion matrix, classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from seglib.inference.overlay import to_labels, to_picture
from seglib.inference.palette import BLACK, BLUE, GREEN, INVENTED, MISSED, SKY_BLUE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.common.plots import image_grid
from seglib.lesson.predict.scores import kinds_of_mistakes

# The three kinds differ in lightness too, so that a grey print still tells them apart.
MISTAKE_COLOURS = {"missed": MISSED, "invented": INVENTED, "boundary": BLACK}


@styled
def threshold_chart(thresholds: Sequence[float], scores: Mapping[str, Sequence[float]], own: float) -> Figure:
    """Draw precision, recall and IoU over the threshold on the probability.

    Args:
        thresholds: along the x axis, from 0 to 1.
        scores: of `at_thresholds`.
        own: the threshold that goes with the loss, as a probability; a dotted line.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.2)
    styles = {"precision": (VERMILLION, "--"), "recall": (BLUE, "-."), "iou": (GREEN, "-")}
    for name, (colour, dash) in styles.items():
        axes.plot(thresholds, scores[name], color=colour, linestyle=dash, label=name.replace("iou", "IoU"))
    axes.axvline(own, color=BLACK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="threshold on the probability", ylabel="score (0 to 1)", ylim=(0, 1.02), xlim=(0, 1))
    axes.legend(frameon=False, loc="lower center", ncols=3)
    return figure


@styled
def calibration_chart(rows: Sequence[Mapping[str, float]]) -> Figure:
    """Draw a reliability diagram: how often the object is there, over the probability that the model gives it.

    On the diagonal the two agree. The second panel counts the pixels of each bin.

    Args:
        rows: of `calibration`.
    """
    figure, (axes,) = new_figure(1, 2, 8.0, 3.4)
    axes[0].plot([0, 1], [0, 1], color=BLACK, linestyle="--", linewidth=1)
    axes[0].plot([row["predicted"] for row in rows], [row["observed"] for row in rows], color=BLUE, marker="o")
    axes[0].set(xlabel="probability that the model says", ylabel="share that is fruit", xlim=(0, 1), ylim=(0, 1))
    axes[1].bar([row["predicted"] for row in rows], [row["pixels"] for row in rows], width=0.07, color=SKY_BLUE)
    axes[1].set(xlabel="probability that the model says", ylabel="pixels (log scale)", yscale="log", xlim=(0, 1))
    return figure


def mistakes_picture(predicted: Any, target: Any, image: Any, width: int = 2) -> np.ndarray:
    """The photograph in grey, the target in light blue, and each kind of mistake in its colour: (H, W, 3) uint8.

    Args:
        predicted, target, width: as in `kinds_of_mistakes`.
        image: whatever `to_picture` takes, of the same size.
    """
    grey = to_picture(image).mean(axis=2, keepdims=True) * 0.45 + 140
    picture = np.broadcast_to(grey, (*grey.shape[:2], 3)).astype(np.uint8)
    is_object = to_labels(target) != 0
    tint = 0.4 * 255 * np.array(to_rgb(SKY_BLUE))
    picture[is_object] = (0.6 * picture[is_object] + tint).astype(np.uint8)
    for kind, where in kinds_of_mistakes(predicted, target, width).items():
        picture[where] = np.array(to_rgb(MISTAKE_COLOURS[kind])) * 255
    return picture


@styled
def mistakes_figure(
    triples: Sequence[tuple[Any, Any, Any]], titles: Sequence[str], width: int = 2, *, photographs: bool = False
) -> Figure:
    """Draw the mistakes of several predictions side by side, with one legend.

    Args:
        triples: (predicted, target, image) of each.
        titles: one for each.
        width: of the boundary, in pixels.
        photographs: show each photograph in its colours above its mistakes.
    """
    rows = [[mistakes_picture(*triple, width) for triple in triples]]
    if photographs:
        rows = [[to_picture(image) for _, _, image in triples], *rows]
    figure = image_grid(rows, titles)
    figure.set_figheight(figure.get_figheight() + 0.45)
    colours = {"fruit": SKY_BLUE, **MISTAKE_COLOURS}
    patches = [Patch(facecolor=colour, edgecolor="black", label=kind) for kind, colour in colours.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False, handlelength=1.0)
    return figure


@styled
def specks_chart(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Draw what the removal of specks does: IoU, and the number of pieces, over the size from which a piece stays.

    Args:
        rows: for each way to draw a mask, those of `without_specks`.
    """
    figure, (axes,) = new_figure(1, 2, 8.0, 3.2)
    for (name, each), colour, marker in zip(rows.items(), (VERMILLION, BLUE), "so", strict=False):
        sizes = [row["smallest"] for row in each]
        axes[0].plot(sizes, [row["iou"] for row in each], color=colour, marker=marker, label=name)
        axes[1].plot(sizes, [row["pieces"] for row in each], color=colour, marker=marker)
    axes[0].set(ylabel="IoU (0 to 1)", ylim=(0, 1))
    axes[1].set(ylabel="pieces (log scale)", yscale="log")
    for axis in axes:
        axis.set(xlabel="smallest piece that stays (pixels)", xscale="log")
    figure.legend(frameon=False, loc="outside lower center", ncols=len(rows))
    return figure


@styled
def confusion_figure(matrix: torch.Tensor, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix, each row divided by its sum: what the pixels of a true class were called, in per cent.

    Args:
        matrix: (C, C) counts; the row is the true class, the column the predicted one.
        classes: their names.
    """
    shares = (matrix.double() / matrix.sum(dim=1, keepdim=True)).nan_to_num().numpy()
    figure, ((axes,),) = new_figure(1, 1, 5.2, 4.2)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*shares.shape):
        dark = shares[row, column] > 0.5
        words = f"{100 * shares[row, column]:.0f} %"
        axes.text(column, row, words, ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="called", ylabel="truly")
    return figure


@styled
def class_dots(record: Mapping[str, Any], classes: Sequence[str]) -> Figure:
    """Draw the IoU of each class, a colour for each arm and a dot for each seed.

    Args:
        record: of `benchmarks/weak_class.py`.
        classes: which of its classes, along the x axis.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.4)
    arms = list(record["arms"])
    for number, (arm, colour, marker) in enumerate(zip(arms, (BLACK, VERMILLION, BLUE, GREEN), "osD^", strict=False)):
        for place, name in enumerate(classes):
            values = [run["iou"][name] for run in record["runs"] if run["arm"] == arm]
            across = [place + 0.18 * (number - (len(arms) - 1) / 2)] * len(values)
            label = arm if place == 0 else None
            axes.plot(across, values, color=colour, marker=marker, linestyle="none", label=label)
    axes.set_xticks(range(len(classes)), classes)
    axes.set(xlabel="class", ylabel="IoU (0 to 1)", ylim=(0, 1), xlim=(-0.5, len(classes) - 0.5))
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    return figure
