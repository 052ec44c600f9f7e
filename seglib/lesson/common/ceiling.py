"""Owns the chart of the ceiling, the IoU of the best masks that coarse logits can draw. Explained in 04_model."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from seglib.doctor.ceiling import best_masks
from seglib.inference.palette import BLUE, ORANGE
from seglib.lesson.common.figures import new_figure, styled

__all__ = ["best_masks", "ceiling_chart"]


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
