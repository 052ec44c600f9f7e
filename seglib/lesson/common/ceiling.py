"""Owns the ceiling: the best masks that coarse logits can draw, and their IoU as a chart. Explained in 04_model."""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from seglib.inference.palette import BLUE, ORANGE
from seglib.lesson.common.figures import new_figure, styled
from seglib.model import BUNDLED_MODEL, OUTPUT_STRIDE


def best_masks(masks: Tensor, stride: int = OUTPUT_STRIDE[BUNDLED_MODEL], steps: int = 50) -> Tensor:
    """The best masks that a grid with one number for each `stride` x `stride` pixels can draw.

    04_model writes the same function in a cell; a test compares the two.

    Args:
        masks: to be drawn as well as the grid can.
        stride: pixels of the mask for one cell of the grid, along each side.
        steps: of Adam, which moves the numbers of the grid.

    Shape:
        (N, 1, H, W) float of 0.0 and 1.0 in, (N, 1, H, W) bool out.

    Example:
        >>> bool(best_masks(torch.ones(1, 1, 32, 32)).all())
        True
    """
    height, width = masks.shape[-2:]
    cells = (math.ceil(height / stride), math.ceil(width / stride))
    grid = (16 * (F.adaptive_avg_pool2d(masks, cells) - 0.5)).requires_grad_()  # (N, 1, h, w), a first guess
    optimizer = torch.optim.Adam([grid], lr=2)
    for _ in range(steps):
        sure = F.interpolate(grid, (height, width), mode="bilinear").sigmoid()  # (N, 1, H, W), from 0 to 1
        both = (sure * masks).sum()
        loss = 1 - both / (sure + masks - sure * masks).sum()  # 1 - IoU, with "sure" in place of yes and no
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
        live: output stride -> one IoU a size, found just now; two strides at most.
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
