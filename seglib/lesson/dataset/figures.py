"""Owns the chart of 01_dataset: how many pixels of a mask hold which value."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from seglib.inference.overlay import to_labels
from seglib.inference.palette import BLUE
from seglib.lesson.common.figures import new_figure, styled


@styled
def mask_values_bar(mask: Any, names: Mapping[int, str] | None = None) -> Figure:
    """Draw how many pixels of a mask hold each value, on a logarithmic axis, with the counts on the bars.

    Args:
        mask: whatever `to_labels` takes.
        names: what a value means, written beneath it.
    """
    values, counts = np.unique(to_labels(mask), return_counts=True)
    many = len(values) > 12
    # Few values: one bar each, side by side. Many, as JPEG compression makes them: each at its value from 0 to 255.
    figure, ((axes,),) = new_figure(1, 1, 8.0 if many else min(8.0, 2.4 + 1.4 * len(values)), 3.0)
    positions = values if many else np.arange(len(values))
    bars = axes.bar(positions, counts, color=BLUE, width=1.0 if many else 0.6)
    axes.set(yscale="log", xlabel="value in the mask", ylabel="pixels (log scale)")
    axes.set_ylim(0.7, counts.max() * 4)
    if not many:
        labels = [f"{value}\n{names[value]}" if names and value in names else str(value) for value in values.tolist()]
        axes.set_xticks(positions, labels)
        axes.set_xlim(-0.6, len(values) - 0.4)
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=3)
    return figure
