"""Owns the widget of 04_model: a slider over output strides, and the best mask that each can draw."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from torch import Tensor

from seglib.inference.overlay import error_picture
from seglib.lesson.common.figures import jpeg_bytes
from seglib.metrics import confusion_matrix, iou
from seglib.model import BUNDLED_MODEL, OUTPUT_STRIDE

STRIDES = (4, 8, 16, 32, 64)


class StrideSlider(ipywidgets.VBox):
    """A slider over output strides, and the best mask that a grid of such cells can draw. Made by `stride_slider`.

    Moving the slider replaces the bytes of one picture: no output is cleared or written.
    """

    def __init__(self, image: Any, mask: Tensor, best_masks: Callable[[Tensor, int], Tensor], strides: Sequence[int]):
        self.image = image
        self.mask = mask
        self.best_masks = best_masks
        self.drawn: dict[int, tuple[bytes, str]] = {}  # stride -> picture and caption: each is computed once
        default = OUTPUT_STRIDE[BUNDLED_MODEL]
        self.slider = ipywidgets.SelectionSlider(
            options=list(strides), value=default if default in strides else strides[0], description="stride"
        )
        self.picture = ipywidgets.Image(format="jpeg")
        self.caption = ipywidgets.HTML()
        self.slider.observe(self._draw, names="value")
        super().__init__([self.slider, self.picture, self.caption])
        self._draw()

    def _draw(self, change: object = None) -> None:
        stride = self.slider.value
        if stride not in self.drawn:
            self.drawn[stride] = self._picture_and_caption(stride)
        picture, caption = self.drawn[stride]
        self.picture.value = picture
        self.caption.value = caption

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
