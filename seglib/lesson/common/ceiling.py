"""Owns the pictures of the ceiling: against the size of the photographs, and a knob for the grid. See 04_model."""

from collections.abc import Mapping, Sequence
from math import ceil

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from seglib.inference.palette import BLUE, ORANGE
from seglib.lesson.common.figures import new_figure, styled


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
