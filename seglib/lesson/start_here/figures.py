"""Owns the figures of 00_start_here: IoU cell by cell, masks before and after training, a map of the errors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from seglib.inference.overlay import error_picture, overlay, to_labels
from seglib.inference.palette import GREEN, HIT, INVENTED, MISSED, ORANGE, SKY_BLUE
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.common.plots import image_grid


@styled
def iou_grid_figure(predicted: Any, target: Any) -> Figure:
    """Draw two small masks cell by cell, then their intersection and their union, counted: IoU by hand.

    Args:
        predicted: mask (H, W), a few cells wide; every value but 0 counts.
        target: mask of the same shape, likewise.
    """
    predicted = to_labels(predicted) != 0
    target = to_labels(target) != 0
    panels = (
        ("predicted", predicted, SKY_BLUE),
        ("target", target, ORANGE),
        ("intersection", predicted & target, GREEN),
        ("union", predicted | target, "#BBBBBB"),
    )
    rows, columns = predicted.shape
    figure, (axes,) = new_figure(1, 4, 8.0, 1.9 * rows / columns + 0.75)
    for place, (name, cells, colour) in zip(axes, panels, strict=True):
        number = 0
        for row, column in np.ndindex(rows, columns):
            inside = bool(cells[row, column])
            place.add_patch(
                Rectangle((column, row), 1, 1, facecolor=colour if inside else "white", edgecolor="#666666")
            )
            number += inside
            if inside and name in ("intersection", "union"):
                place.text(column + 0.5, row + 0.54, str(number), ha="center", va="center", fontsize=11)
        place.set(xlim=(-0.06, columns + 0.06), ylim=(rows + 0.06, -0.06), aspect="equal", title=f"{name}: {number}")
        place.axis("off")
    both = int((predicted & target).sum())
    either = int((predicted | target).sum())
    result = f"{both / either:.3f}" if either else "not defined"
    figure.supxlabel(f"IoU = intersection / union = {both} / {either} = {result}", fontsize=13)
    return figure


def before_after(
    images: Sequence[Any],
    masks: Sequence[Any],
    predictions_before: Sequence[Any],
    predictions_after: Sequence[Any],
    scores: Sequence[tuple[float, float]] | None = None,
    *,
    colour: str = SKY_BLUE,
) -> Figure:
    """Draw each image three times: with its mask, with the prediction before training, with the one after.

    Args:
        images: whatever `to_picture` takes.
        masks: the targets, whatever `to_labels` takes.
        predictions_before: masks of the untrained model, likewise.
        predictions_after: masks of the trained model, likewise.
        scores: for each image its IoU (before, after), written above the pictures.
        colour: of the masks.
    """
    rows = [
        [overlay(image, layer, colour) for layer in layers]
        for image, *layers in zip(images, masks, predictions_before, predictions_after, strict=True)
    ]
    titles = ["the mask", "before", "after"]
    if scores is not None:
        titles = []
        for score_before, score_after in scores:
            titles += ["the mask", f"before: IoU {score_before:.2f}", f"after: IoU {score_after:.2f}"]
    return image_grid(rows, titles)


@styled
def error_map(predicted: Any, target: Any, image: Any = None, width: float = 6.0) -> Figure:
    """Draw where a prediction is right and where it errs: hit, missed, invented, with the pixels of each in the legend.

    Args:
        predicted: mask (H, W); every value but 0 counts as fruit.
        target: mask (H, W), likewise.
        image: shown in grey beneath.
        width: of the figure, in inches.
    """
    picture = error_picture(predicted, target, image)
    predicted = to_labels(predicted) != 0
    target = to_labels(target) != 0
    figure = image_grid([[picture]], width=width)
    figure.set_figheight(figure.get_figheight() + 0.5)
    counts = {
        "hit": (HIT, predicted & target),
        "missed": (MISSED, target & ~predicted),
        "invented": (INVENTED, predicted & ~target),
    }
    patches = [
        Patch(facecolor=colour, edgecolor="black", linewidth=0.6, label=f"{name}: {int(where.sum()):,} px")
        for name, (colour, where) in counts.items()
    ]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=3, frameon=False, handlelength=1.0, columnspacing=1.4
    )
    return figure
