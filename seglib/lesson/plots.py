"""Owns the figures made of photographs; each function returns a Figure for `show`. See 00_start_here."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from seglib.lesson.drawing import error_picture, overlay, to_labels, to_picture
from seglib.lesson.figures import new_figure, styled
from seglib.lesson.palette import HIT, INVENTED, MISSED, SKY_BLUE


@styled
def image_grid(
    rows: Sequence[Sequence[Any]],
    titles: Sequence[str] | None = None,
    row_labels: Sequence[str] | None = None,
    width: float = 8.0,
) -> Figure:
    """Draw pictures in rows and columns.

    Args:
        rows: rows of images, each whatever `to_picture` takes; None leaves a place empty.
        titles: one for each column; or one for each picture, row by row.
        row_labels: one for each row, written at its left.
        width: of the figure, in inches.
    """
    columns = max(len(row) for row in rows)
    pictures = [[None if image is None else to_picture(image) for image in row] for row in rows]
    # Each row is as high as its highest picture wants to be at the width of a column.
    tall = [max(p.shape[0] / p.shape[1] for p in row if p is not None) for row in pictures]
    titles = list(titles or [])
    lines = max((title.count("\n") + 1 for title in titles), default=0)
    heads = len(rows) if len(titles) > columns else 1
    height = sum(tall) * width / columns + 0.28 * lines * heads + 0.08 * len(rows)
    figure, axes = new_figure(len(rows), columns, width, height)
    for number, places in enumerate(axes):
        for column, place in enumerate(places):
            place.set(xticks=[], yticks=[])
            place.spines[:].set_visible(False)
            if column < len(pictures[number]) and pictures[number][column] is not None:
                place.imshow(pictures[number][column], interpolation="antialiased")
            index = number * columns + column
            if index < len(titles):
                place.set_title(titles[index])
        if row_labels is not None:
            places[0].set_ylabel(row_labels[number])
    return figure


def before_after(
    images: Sequence[Any],
    masks: Sequence[Any],
    predictions_before: Sequence[Any],
    predictions_after: Sequence[Any],
    scores: Sequence[tuple[float, float]] | None = None,
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
        titles = [t for b, a in scores for t in ("the mask", f"before: IoU {b:.2f}", f"after: IoU {a:.2f}")]
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
    predicted, target = to_labels(predicted) != 0, to_labels(target) != 0
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
