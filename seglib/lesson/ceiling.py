"""Owns the pictures of the ceiling: against the size of the photographs, and a knob for the grid. See 04_model."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

import ipywidgets
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from seglib.lesson.drawing import error_picture
from seglib.lesson.figures import new_figure, styled
from seglib.lesson.palette import BLUE, ORANGE
from seglib.lesson.widgets import _jpeg
from seglib.metrics import confusion_matrix, iou

STRIDES = (4, 8, 16, 32, 64)


def best_masks(masks: Tensor, stride: int = 16, steps: int = 50) -> Tensor:
    """The best masks that a grid with one number for each `stride` x `stride` pixels can draw, as 04 writes it.

    Shape:
        (N, 1, H, W) float of 0 and 1 in, (N, 1, H, W) bool out.
    """
    height, width = masks.shape[-2:]
    cells = (ceil(height / stride), ceil(width / stride))
    grid = (16 * (F.adaptive_avg_pool2d(masks, cells) - 0.5)).requires_grad_()  # (N, 1, h, w), a first guess
    optimizer = torch.optim.Adam([grid], lr=2)
    for _ in range(steps):
        sure = F.interpolate(grid, (height, width), mode="bilinear").sigmoid()  # (N, 1, H, W)
        both = (sure * masks).sum()
        loss = 1 - both / (sure + masks - sure * masks).sum()  # 1 - IoU
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return F.interpolate(grid.detach(), (height, width), mode="bilinear") > 0


@styled
def ceiling_chart(
    sizes: Sequence[tuple[int, int]], live: Mapping[int, Sequence[float]], record: Sequence[float]
) -> Figure:
    """Draw the best IoU of coarse logits against the size of the photographs, a line for each output stride.

    Args:
        sizes: (height, width) of the photographs.
        live: output stride -> one IoU a size, found just now.
        record: the same for one output stride, measured earlier; drawn as rings.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 3.4)
    widths = [width for _, width in sizes]
    for (stride, ious), colour, marker in zip(live.items(), (BLUE, ORANGE), "os", strict=False):
        axes.plot(widths, ious, f"{marker}-", color=colour, label=f"output stride {stride}")
    axes.plot(widths, record, "o", color="black", fillstyle="none", markersize=12, label="as recorded")
    axes.set_xticks(widths, [f"{width} wide,\n{height} high" for height, width in sizes])
    axes.set(xlabel="size of the photographs (pixels)", ylabel="best IoU (0 to 1)", ylim=(None, 1.0))
    axes.legend(frameon=False, loc="lower right")
    return figure


class StrideSlider(ipywidgets.VBox):
    """A slider over output strides, and the best mask that a grid of such cells can draw. Made by `stride_slider`.

    Moving the slider replaces the bytes of one picture: no output is cleared or written.
    """

    def __init__(self, image: Any, mask: Tensor, best_masks: Callable[[Tensor, int], Tensor], strides: Sequence[int]):
        self.image, self.mask, self.best_masks = image, mask, best_masks
        self.drawn: dict[int, tuple[bytes, str]] = {}  # a stride that was shown once is shown at once
        self.slider = ipywidgets.SelectionSlider(
            options=list(strides), value=16 if 16 in strides else strides[0], description="stride"
        )
        self.picture, self.caption = ipywidgets.Image(format="jpeg"), ipywidgets.HTML()
        self.slider.observe(self._draw, names="value")
        super().__init__([self.slider, self.picture, self.caption])
        self._draw()

    def _draw(self, _: object = None) -> None:
        stride = self.slider.value
        if stride not in self.drawn:
            height, width = self.mask.shape[-2:]
            best = self.best_masks(self.mask[None], stride)[0]  # (1, H, W)
            score = iou(confusion_matrix(best.long(), self.mask.long()))[1].item()
            words = f"{ceil(width / stride)} cells wide, {ceil(height / stride)} high: best IoU {score:.3f}"
            self.drawn[stride] = _jpeg(error_picture(best, self.mask, self.image)), words
        self.picture.value, self.caption.value = self.drawn[stride]

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return f"StrideSlider({', '.join(map(str, self.slider.options))})"


def stride_slider(
    image: Any, mask: Tensor, best_masks: Callable[[Tensor, int], Tensor], strides: Sequence[int] = STRIDES
) -> StrideSlider:
    """Make a slider over output strides for one photograph.

    Args:
        image: the photograph, whatever `to_picture` takes.
        mask: (1, H, W) float of 0 and 1, of the photograph's height and width.
        best_masks: takes masks (N, 1, H, W) and a stride, gives the best masks of such a grid, (N, 1, H, W) bool.
        strides: to choose from, in pixels.
    """
    return StrideSlider(image, mask, best_masks, strides)
