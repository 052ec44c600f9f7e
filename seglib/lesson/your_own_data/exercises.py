"""Owns the exercise checks of 13_your_own_data: polygons and values become labels, and what joined classes score."""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from seglib.errors import SegError
from seglib.lesson.common.exercise import Attempt, NotYet, close, describe, exercise, one_number


def _values(mask: object, size: tuple[int, int]) -> np.ndarray:
    """The labels of an answer that is a PIL mask of this (width, height); else a hint."""
    if not isinstance(mask, Image.Image):
        raise NotYet(f"a PIL image is wanted; this is {describe(mask)}. Image.fromarray makes one of an array.")
    if mask.mode != "L":
        raise NotYet(f'the mask is of mode "{mask.mode}". Labels stand in one channel of 8 bits: mode "L".')
    if mask.size == size[::-1] != size:
        raise NotYet("width and height are exchanged: PIL says (width, height).")
    if mask.size != size:
        raise NotYet(f"the mask is {mask.size}; the picture is {size}, (width, height).")
    return np.asarray(mask)


@exercise
def check_polygons(my_mask: Attempt) -> str:
    """Check `my_mask(shapes, size, classes)`: shapes with "label" and "points" in, a PIL mask of labels out."""
    classes = ["background", "apple", "banana"]
    size = (60, 40)
    apple: dict[str, Any] = {"label": "apple", "points": [[5, 5], [40, 5], [40, 30], [5, 30]]}
    banana = {"label": "banana", "points": [[20, 10], [55, 10], [55, 20]]}
    given = "an apple, and a banana drawn after it"
    labels = _values(my_mask([apple, banana], size, classes, given=given), size)
    drawn = Image.new("L", size)
    for shape, value in ((apple, 1), (banana, 2)):
        ImageDraw.Draw(drawn).polygon([tuple(point) for point in shape["points"]], fill=value)
    _compare_labels(labels, np.asarray(drawn))
    try:
        silent = my_mask.raw([{**apple, "label": "aple"}], size, classes)
    except (SegError, ValueError, KeyError):
        silent = None
    if silent is not None:
        raise NotYet('the label "aple" is in no list of classes, and passes in silence. Raise an error that names it.')
    return "Filled, in order, by the number of the class; and an unknown label is an error."


def _compare_labels(labels: np.ndarray, right: np.ndarray) -> None:
    """Whether these are the labels (40, 60) of the apple and the banana; typical wrong ones get a hint of their own."""
    if set(np.unique(labels)) <= {0, 255}:
        raise NotYet("the mask holds 0 and 255. With several classes the value is the label: classes.index(...).")
    if set(np.unique(labels)) == {0, 1}:
        raise NotYet("every object is 1. The value is the number of its class: classes.index(...).")
    if labels[7, 7] == 0 and labels[13, 50]:
        raise NotYet("only the last shape is there. Make the empty mask once, before the loop.")
    if labels[12, 30] == 1:
        raise NotYet("where two shapes lie on each other, the later one counts: it was drawn on top.")
    if not labels[15, 20]:
        raise NotYet("the outlines are drawn, and the inside is empty: polygon(..., fill=label), not line.")
    if not np.array_equal(labels, right):
        wrong = int((labels != right).sum())
        raise NotYet(
            f"{wrong} of {labels.size} pixels differ from those of ImageDraw.polygon, in the order of the list."
        )


@exercise
def check_repair(my_repair: Attempt) -> str:
    """Check `my_repair(mask)`: a PIL mask of 0 and 1 becomes 0 and 255, 0 and 255 stay, all else is an error."""
    values = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    repaired = _values(my_repair(Image.fromarray(values), given="a mask of 0 and 1"), (3, 2))
    if repaired.max() == 1:
        raise NotYet("the mask still holds 0 and 1.")
    if not np.array_equal(repaired, values * 255):
        raise NotYet(f"0 and 1 are to become 0 and 255; the answer holds {np.unique(repaired).tolist()}.")
    kept = _values(my_repair(Image.fromarray(values * 255), given="a mask of 0 and 255"), (3, 2))
    if not np.array_equal(kept, values * 255):
        held = np.unique(kept).tolist()
        raise NotYet(f"a mask that was right is changed: 0 and 255 went in, {held} came out. In uint8 255 * 255 is 1.")
    try:
        guessed = my_repair.raw(Image.fromarray(np.array([[0, 128, 255]], np.uint8)))
    except (SegError, ValueError):
        guessed = None
    if guessed is not None:
        raise NotYet("a mask with 128 in it passes in silence. Nobody knows what 128 means: raise a ValueError.")
    empty = _values(my_repair(Image.new("L", (3, 2)), given="a mask of 0 alone"), (3, 2))
    if empty.any():
        raise NotYet("a mask without any object is to stay as it is.")
    return "0 and 1 mended, 0 and 255 kept, and nothing guessed."


# What a wrong answer to `check_joined` comes from: 0.8 is background's IoU, 0.8 / 3 the mean before, 0.4 the one after.
_JOINED = (
    (0.4, "this is the mean afterwards. Asked is how much higher it is than before."),
    (0.4 - 0.8 / 4, "before, pear was counted as 0. No mask holds it and no pixel is called so: a mean leaves it out."),
    (0.8 / 3 - 0.8 / 4, "afterwards there are two classes, background and fruit: pear was dropped."),
    (0.0, "the model is the same, but the mean is over other classes. Write down both means."),
    (0.8 - 0.8 / 3, "0.8 is the IoU of background alone. Fruit has one too: no pixel is called fruit."),
    (0.8, "0.8 is the IoU of background alone. Asked is by how much the mean over classes rises."),
    (0.8 / 3 - 0.4, "the sign: the mean rises. Take the one afterwards less the one before."),
    (0.1 - 0.8 / 3, "the model still calls everything background, not fruit."),
)


@exercise
def check_joined(my_rise: Attempt) -> str:
    """Check `my_rise()`: by how much a mean IoU rises when two classes are joined and an absent one is dropped."""
    rise = one_number(my_rise(given="nothing"))
    if close(rise, 0.4 - 0.8 / 3):
        return "The model is the same and the masks are the same: only the list of classes has changed."
    for wrong, hint in _JOINED:
        if close(rise, wrong):
            raise NotYet(hint)
    raise NotYet("background has IoU 0.8 before and after. What have the other classes, and how many are there?")
