"""Owns the widget of 04_model: a slider over output strides, and the best mask that each can draw."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from torch import Tensor

from seglib.inference.overlay import error_picture
from seglib.lesson.common.figures import jpeg_bytes
from seglib.lesson.common.lesson_widget import LessonWidget, widget_picture
from seglib.metrics import confusion_matrix, iou
from seglib.model import BUNDLED_MODEL, OUTPUT_STRIDE

STRIDES = (4, 8, 16, 32, 64)
ALT = "The best mask of a grid over its photograph: found pixels blue, missed ones orange, invented ones pink."


class StrideSlider(LessonWidget):
    """A slider over output strides, and the best mask that a grid of such cells can draw. Made by `stride_slider`.

    The mask of each stride is searched when the slider is made, so that a move only shows one that is ready. Moving
    replaces the bytes of one picture: no output is cleared or written.
    """

    def __init__(self, image: Any, mask: Tensor, best_masks: Callable[[Tensor, int], Tensor], strides: Sequence[int]):
        self.image = image
        self.mask = mask
        self.best_masks = best_masks
        self.drawn = {stride: self._picture_and_caption(stride) for stride in strides}
        default = OUTPUT_STRIDE[BUNDLED_MODEL]
        self.slider = ipywidgets.SelectionSlider(
            options=list(strides), value=default if default in strides else strides[0], description="stride"
        )
        self.picture = widget_picture("jpeg", ALT)
        self.caption = ipywidgets.HTML()
        self.slider.observe(self._draw, names="value")
        super().__init__([self.slider, self.picture, self.caption])
        self._draw()

    def _draw(self, change: object = None) -> None:
        self.picture.value, self.caption.value = self.drawn[self.slider.value]

    def _picture_and_caption(self, stride: int) -> tuple[bytes, str]:
        height, width = self.mask.shape[-2:]
        best = self.best_masks(self.mask[None], stride)[0]  # (1, H, W)
        score = iou(confusion_matrix(best.long(), self.mask.long()))[1].item()
        cells = f"{math.ceil(width / stride)} cells wide, {math.ceil(height / stride)} high"
        return jpeg_bytes(error_picture(best, self.mask, self.image)), f"{cells}: best IoU {score:.3f}"

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return f"StrideSlider({', '.join(map(str, self.slider.options))})"


def stride_slider(
    image: Any, mask: Tensor, best_masks: Callable[[Tensor, int], Tensor], strides: Sequence[int] = STRIDES
) -> StrideSlider:
    """Make a slider over output strides for one photograph; it begins at that of the bundled model.

    Args:
        image: the photograph, whatever `to_picture` takes.
        mask: (1, H, W) float of 0 and 1, of the photograph's height and width.
        best_masks: takes masks (N, 1, H, W) and a stride, gives the best masks of such a grid, (N, 1, H, W) bool.
        strides: to choose from, in pixels.
    """
    return StrideSlider(image, mask, best_masks, strides)
