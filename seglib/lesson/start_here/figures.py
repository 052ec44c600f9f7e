"""Owns the figures of 00_start_here: kinds of masks, a training step, outputs, IoU, before and after, errors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle

from seglib.inference.overlay import error_picture, overlay, to_labels, to_picture
from seglib.inference.palette import BLUE, GREEN, HIT, INVENTED, MISSED, ORANGE, SKY_BLUE
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.common.plots import image_grid

BOX = (380, 200, 1080, 720)  # of fruit_007: left, top, right, bottom of the part with two lemons and a banana
DISC = (776, 532, 142)  # the lemon in front: column and row of its middle, radius
LEMON = 2  # its class


def semantic_and_instance_figure(image: Any, classes: Any) -> Figure:
    """Draw a part of fruit_007 three times: bare, filled by class, and with each fruit in a colour of its own.

    The two lemons are of one class, and one hides a part of the other. A disc over the one in front tells them apart.

    Args:
        image: the whole photograph, whatever `to_picture` takes.
        classes: its mask of classes, whatever `to_labels` takes; 2 is lemon, 3 is banana.
    """
    left, top, right, bottom = BOX
    part = (slice(top, bottom), slice(left, right))
    picture = to_picture(image)[part]
    labels = to_labels(classes)
    panels = [overlay(picture, each[part], [SKY_BLUE, ORANGE, GREEN], alpha=0.75) for each in (labels, objects(labels))]
    return image_grid([[picture, *panels]], ["photograph", "semantic", "instances"])


def objects(labels: np.ndarray) -> np.ndarray:
    """The labels of fruit_007, (H, W), with 1 for the lemon in front: 2 is left to the other."""
    column, row, radius = DISC
    rows, columns = np.indices(labels.shape)
    in_front = (columns - column) ** 2 + (rows - row) ** 2 < radius**2
    return np.where((labels == LEMON) & in_front, 1, labels)


STAGES = (  # name, the notes' line, the middle of the box; the boxes are SIDE wide
    ("picture", "images", (1.1, 3.0)),
    ("outputs", "model(images)", (4.15, 3.0)),
    ("loss", "criterion(outputs, masks)", (7.2, 3.0)),
    ("gradients", "loss.backward()", (7.2, 0.95)),
    ("step", "optimizer.step()", (4.15, 0.95)),
)
SIDE = (2.5, 0.95)  # width and height of a box, in inches


@styled
def training_step_figure(image: Any, mask: Any, batches: int, batch_size: int) -> Figure:
    """Draw one training step as five boxes in the order of their making, and below it an epoch as a row of batches.

    Args:
        image: a photograph, whatever `to_picture` takes; it stands above the first box.
        mask: its mask, whatever `to_labels` takes; it stands above the third.
        batches: of an epoch.
        batch_size: photographs in each of them.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.3, 5.6)
    axes.set(xlim=(-0.25, 8.55), ylim=(-1.15, 5.0), aspect="equal")
    axes.axis("off")
    for number, (name, line, middle) in enumerate(STAGES, 1):
        _box(axes, middle, f"{number}. {name}", line, SKY_BLUE if name != "step" else ORANGE)
    fruit = np.where(to_labels(mask) != 0, 255, 0).astype(np.uint8)
    for picture, across, words in ((to_picture(image), 1.1, ""), (fruit, 7.2, "true mask")):
        axes.imshow(picture, extent=(across - 0.75, across + 0.75, 3.75, 4.875), cmap="gray", aspect="equal")
        axes.text(across, 4.9, words, ha="center", va="bottom")
        _arrow(axes, (across, 3.75), (across, 3.5))
    _arrow(axes, (2.37, 3.0), (2.88, 3.0))
    _arrow(axes, (5.42, 3.0), (5.93, 3.0))
    _arrow(axes, (7.2, 2.5), (7.2, 1.45))
    _arrow(axes, (5.93, 0.95), (5.42, 0.95))
    _arrow(axes, (4.15, 1.45), (4.15, 1.79))
    axes.text(4.15, 1.975, "weights of the model", ha="center", va="center", fontsize=12, fontweight="bold")
    _arrow(axes, (4.15, 2.16), (4.15, 2.5))
    for up, words in ((1.6, "changes the"), (2.33, "with its")):
        axes.text(4.3, up, words, ha="left", va="center", fontsize=10)
    axes.text(1.1, 1.0, "then clear the gradients,\nand take the next batch", ha="center", va="center", fontsize=11)
    axes.text(1.1, 0.6, "optimizer.zero_grad()", ha="center", va="center", fontsize=10, family="monospace")
    _arrow(axes, (2.88, 0.95), (2.25, 0.95))
    _arrow(axes, (1.1, 1.32), (1.1, 2.5))
    axes.set(xlim=(-0.25, 8.55), ylim=(-1.15, 5.2))
    _epoch(axes, batches, batch_size)
    return figure


def _box(axes: Axes, middle: tuple[float, float], name: str, line: str, colour: str) -> None:
    left = middle[0] - SIDE[0] / 2
    below = middle[1] - SIDE[1] / 2
    shape = FancyBboxPatch(
        (left, below), *SIDE, boxstyle="round,pad=0,rounding_size=0.12", facecolor=colour, edgecolor="black", alpha=0.45
    )
    axes.add_patch(shape)
    axes.text(middle[0], middle[1] + 0.17, name, ha="center", va="center", fontsize=14, fontweight="bold")
    axes.text(middle[0], middle[1] - 0.22, line, ha="center", va="center", fontsize=10, family="monospace")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 1.8})


def _epoch(axes: Axes, batches: int, batch_size: int) -> None:
    """A row of batches: a small box each, with a dot for each photograph."""
    axes.text(-0.15, -0.02, f"an epoch: {batches} batches of {batch_size} photographs, {batches} steps", va="bottom")
    width = 8.6 / batches
    for batch in range(batches):
        left = -0.15 + batch * width
        axes.add_patch(Rectangle((left, -0.85), 0.85 * width, 0.72, facecolor="white", edgecolor="#666666"))
        dots = left + 0.85 * width * (np.arange(batch_size) + 0.5) / batch_size
        for across in dots:
            axes.add_patch(Rectangle((across - 0.06, -0.55), 0.12, 0.12, facecolor=BLUE))


@styled
def outputs_figure(image: Any, outputs: Any, mask: Any, threshold: float) -> Figure:
    """Draw a photograph, the outputs of a model for it, and the mask that a threshold makes of them.

    Args:
        image: whatever `to_picture` takes.
        outputs: (H, W), the numbers of the model; what lies below -2 or above 3 gets the colour of the end.
        mask: (H, W), the true mask, drawn as a black outline over the outputs.
        threshold: what lies above counts as fruit. In the middle panel it is blue, the threshold white, the rest grey.
    """
    outputs = np.asarray(outputs)
    figure, ((bare, numbers, called),) = new_figure(1, 3, 8.5, 3.2)
    bare.imshow(to_picture(image))
    colours = LinearSegmentedColormap.from_list("around the threshold", ["#777777", "white", BLUE])
    drawn = numbers.imshow(outputs, cmap=colours, norm=TwoSlopeNorm(threshold, -2.0, 3.0))
    numbers.contour(to_labels(mask) != 0, levels=[0.5], colors="black", linewidths=1.2)
    called.imshow(overlay(image, outputs > threshold, SKY_BLUE, alpha=0.75))
    for axes, title in ((bare, "photograph"), (numbers, "outputs"), (called, f"above {threshold:g}: a mask")):
        axes.set_title(title)
        axes.axis("off")
    panels = [bare, numbers, called]
    bar = figure.colorbar(drawn, ax=panels, orientation="horizontal", extend="both", shrink=0.45, aspect=35, pad=0.04)
    bar.set_ticks([-2, -1, 0, threshold, 1, 2, 3] if threshold else [-2, -1, 0, 1, 2, 3])
    bar.ax.tick_params(labelsize=9)
    bar.set_label("output, a number for each pixel", fontsize=10)
    return figure


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
    """Draw each image four times: bare, with its mask, with the prediction before training, with the one after.

    Args:
        images: whatever `to_picture` takes.
        masks: the targets, whatever `to_labels` takes.
        predictions_before: masks of the untrained model, likewise.
        predictions_after: masks of the trained model, likewise.
        scores: for each image its IoU (before, after), written above the pictures.
        colour: of the masks.
    """
    rows = [
        [to_picture(image), *[overlay(image, layer, colour, alpha=0.75) for layer in layers]]
        for image, *layers in zip(images, masks, predictions_before, predictions_after, strict=True)
    ]
    titles = ["photograph", "true mask", "before", "after"]
    if scores is not None:
        titles = []
        for score_before, score_after in scores:
            above = ["photograph", "true mask"] if not titles else ["", ""]
            titles += [*above, f"before: IoU {score_before:.2f}", f"after: IoU {score_after:.2f}"]
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
