"""Owns masks drawn over their photographs, and the picture of a prediction's errors. Explained in 00_start_here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageColor

from seglib.errors import ShapeError
from seglib.inference.palette import HIT, INVENTED, MISSED, SKY_BLUE


def to_picture(image: Any) -> np.ndarray:
    """Return an image as (H, W, 3) uint8, for drawing.

    Args:
        image: a PIL image; an array (H, W) or (H, W, 3); a tensor (3, H, W) or (1, H, W). Floats lie in [0, 1].

    Raises:
        ShapeError: another shape, or floats outside [0, 1], as a normalised image has them.
    """
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        image = image.permute(1, 2, 0) if image.ndim == 3 else image  # (H, W, C)
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise ShapeError(
            f"An image of shape {tuple(np.shape(image))} cannot be drawn.",
            "one image: (3, H, W) as a tensor, (H, W, 3) as an array",
            "pass one image of the batch: images[0].",
        )
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if low < -0.01 or high > 1.01:
            raise ShapeError(
                f"The image runs from {low:.2f} to {high:.2f}.",
                "values in [0, 1]; a normalised image has others",
                "undo the normalisation first: denormalize(image).",
            )
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    return np.broadcast_to(array.astype(np.uint8), (*array.shape[:2], 3))


def to_labels(mask: Any) -> np.ndarray:
    """Return a mask as (H, W) int64 with its values unchanged; accepts PIL, (H, W) or (1, H, W) arrays and tensors."""
    if isinstance(mask, torch.Tensor):
        mask = mask.detach().cpu()
    labels = np.asarray(mask)
    if labels.ndim == 3 and labels.shape[0] == 1:
        labels = labels[0]
    if labels.ndim != 2:
        raise ShapeError(
            f"A mask of shape {tuple(np.shape(mask))} cannot be drawn.",
            "one mask: (H, W) or (1, H, W)",
            "pass one mask of the batch: masks[0].",
        )
    return labels.astype(np.int64)


def overlay(
    image: Any, mask: Any, colour: str | Sequence[str] = SKY_BLUE, *, alpha: float = 0.45, line: int | None = None
) -> np.ndarray:
    """Draw a mask over its image: a transparent fill and a contour line, both readable on any fruit.

    Args:
        image: whatever `to_picture` takes.
        mask: whatever `to_labels` takes, of the image's height and width.
        colour: one colour, as "#56B4E9" or a name of CSS: every value but 0 is filled with it. Several: label k is
            filled with colour number k - 1, and labels without a colour, as the 255 of a class mask, are left alone.
        alpha: opacity of the fill, in [0, 1].
        line: width of the contour in pixels; by default a 300th of the longer side.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ShapeError: image and mask differ in size.
    """
    picture = to_picture(image).astype(np.float32)
    labels = to_labels(mask)
    if picture.shape[:2] != labels.shape:
        raise ShapeError(
            f"The image is {picture.shape[:2]} and the mask {labels.shape}, as (height, width).",
            "an image and a mask of one size",
            "resize the mask to the image with nearest-neighbour interpolation.",
        )
    layers = {1: colour} if isinstance(colour, str) else dict(enumerate(colour, 1))
    labels = (labels != 0).astype(np.int64) if isinstance(colour, str) else labels
    width = max(1, round(max(labels.shape) / 300)) if line is None else line
    for label, name in layers.items():
        inside = labels == label
        paint = np.array(ImageColor.getrgb(name), np.float32)
        picture[inside] = (1 - alpha) * picture[inside] + alpha * paint
        # A light line and a dark one around it: one of the two is visible on any background.
        picture[inside & ~_shrink(inside, width)] = 255
        picture[_grow(inside, width) & ~inside] = paint * 0.35
    return picture.round().astype(np.uint8)


def error_picture(predicted: Any, target: Any, image: Any = None) -> np.ndarray:
    """Colour each pixel by what the prediction made of it: HIT, MISSED or INVENTED; the rest is the image, greyed out.

    Args:
        predicted: (H, W) mask; every value but 0 counts as fruit.
        target: (H, W) mask, likewise.
        image: what to show beneath; light grey where there is none.

    Returns:
        (H, W, 3) uint8.
    """
    predicted = to_labels(predicted) != 0
    target = to_labels(target) != 0
    if predicted.shape != target.shape:
        raise ShapeError(
            f"The prediction is {predicted.shape} and the target {target.shape}, as (height, width).",
            "a prediction and a target of one size",
            "resize the prediction to the target, or compare both at the size of the model.",
        )
    picture = np.full((*target.shape, 3), 235, np.uint8)
    if image is not None:
        grey = to_picture(image).mean(axis=2, keepdims=True)
        picture = np.broadcast_to(grey * 0.45 + 140, picture.shape).astype(np.uint8)
    for where, colour in ((predicted & target, HIT), (target & ~predicted, MISSED), (predicted & ~target, INVENTED)):
        picture[where] = ImageColor.getrgb(colour)
    return picture


def _grow(inside: np.ndarray, pixels: int) -> np.ndarray:
    for _ in range(pixels):
        padded = np.pad(inside, 1)
        inside = inside | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return inside


def _shrink(inside: np.ndarray, pixels: int) -> np.ndarray:
    # Outside the picture counts as inside, so that a fruit cut off by the edge gets no line along it.
    return ~_grow(~inside, pixels)
