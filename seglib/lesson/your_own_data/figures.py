"""Owns the figures and the slider of 13_your_own_data: the cost of wrong masks, the gain of more, where one fits."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from seglib.doctor.alignment import alignment_scores, describe_misalignment, edges_of, outline_of, thumbnail
from seglib.inference.overlay import overlay
from seglib.inference.palette import BLACK, BLUE, GREEN, VERMILLION
from seglib.lesson.common.figures import jpeg_bytes, new_figure, styled
from seglib.lesson.common.lesson_widget import LessonWidget, widget_picture


@styled
def cost_chart(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw IoU over the share of wrong masks: trained on, or left out; and of a good model that is judged by them.

    Args:
        rows: the summary of `benchmarks/dirty_data.py`.
    """
    figure, (places,) = new_figure(1, 2, 8.0, 3.4)
    clean = rows[0]
    kinds = dict.fromkeys(row["kind"] for row in rows if 0 < row["share"] < 1)
    for kind, colour, marker in zip(kinds, (VERMILLION, BLUE, GREEN, BLACK), "osD^", strict=False):
        here = [row for row in rows if row["kind"] == kind]
        shares = [0.0] + [100 * row["share"] for row in here]
        spreads = [clean["spread"]] + [row["spread"] for row in here]
        look = {"color": colour, "marker": marker, "label": kind}
        trained_on = [clean["iou"]] + [row["iou"] for row in here]
        places[0].errorbar(shares, trained_on, spreads, capsize=3, **look)
        if "clean_model_judged_by_it" in here[0]:
            judged_by = [clean["iou"]] + [row["clean_model_judged_by_it"] for row in here]
            places[1].plot(shares, judged_by, **look)
    for axes, title in zip(places, ("trained on them", "judged by them"), strict=True):
        axes.set(title=title, xlabel="wrong masks (%)", ylabel="IoU (0 to 1)", ylim=(0, 0.75), xticks=(0, 10, 25, 50))
    figure.legend(*places[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    return figure


@styled
def labelling_chart(runs: Sequence[Mapping[str, Any]], minutes: float) -> Figure:
    """Draw IoU over hours of labelling: each fold as a grey line from count to count, and their mean.

    Args:
        runs: of `benchmarks/labelling.py`.
        minutes: that one picture takes to label.
    """
    figure, ((axes,),) = new_figure(1, 1, 7.0, 3.6)
    counts = sorted({run["pictures"] for run in runs})
    hours = [count * minutes / 60 for count in counts]
    lines: dict[Any, dict[int, float]] = {}
    for run in runs:
        lines.setdefault((run["draw"], run["fold"]), {})[run["pictures"]] = run["iou"]
    for number, line in enumerate(lines.values()):
        label = "one fold" if number == 0 else None
        axes.plot(hours, [line[count] for count in counts], color="#999999", linewidth=1, label=label)
    means = [sum(line[count] for line in lines.values()) / len(lines) for count in counts]
    axes.plot(hours, means, color=BLUE, marker="o", linewidth=2.5, label="mean")
    axes.set(xlabel="time spent on labelling", ylabel="IoU of a fold's pictures (0 to 1)", ylim=(0, 1))
    labels = [f"{hour:.1f} hours\n{count} pictures" for hour, count in zip(hours, counts, strict=True)]
    axes.set_xticks(hours, labels)
    axes.set_xlim(0, hours[-1] * 1.12)
    axes.legend(frameon=False, loc="lower right")
    return figure


@styled
def places_figure(image: Image.Image, masks: Mapping[str, Image.Image]) -> Figure:
    """Draw masks over one picture, and below each a map of its alignment scores, moved by up to a quarter.

    Args:
        image: the photograph.
        masks: title -> mask of the same size.
    """
    figure, (above, below) = new_figure(2, len(masks), 8.0, 3.5)
    edges = edges_of(thumbnail(image))
    for (title, mask), top, axes in zip(masks.items(), above, below, strict=True):
        small = image.reduce(2)
        top.imshow(overlay(small, mask.resize(small.size, Image.Resampling.NEAREST)))
        top.set(title=title, xticks=[], yticks=[])
        top.spines[:].set_visible(False)
        scores = np.fft.fftshift(alignment_scores(edges, outline_of(thumbnail(mask))))  # (0, 0) goes to the middle
        drawn = axes.imshow(scores, extent=(-50, 50, 50, -50), cmap="cividis", vmin=0, vmax=4)
        axes.set_aspect(image.height / image.width)
        axes.plot(0, 0, "o", color=VERMILLION, fillstyle="none", markersize=13, markeredgewidth=2)
        axes.set(xlim=(-25, 25), ylim=(25, -25), xticks=(-20, 0, 20), yticks=(-20, 0, 20))
        axes.tick_params(labelleft=axes is below[0])
    below[0].set_ylabel("down (%)")
    figure.supxlabel("moved to the right (%)", fontsize=12)
    figure.colorbar(drawn, ax=[*above, *below], label="fit (1 is chance)", shrink=0.8, ticks=range(5))
    return figure


class PlaceSlider(LessonWidget):
    """Two sliders that move a mask; `picture` shows where it lies, `caption` how well it fits there.

    Moving a slider replaces the bytes of one picture: no output is cleared or written.
    """

    def __init__(self, image: Image.Image, mask: Image.Image):
        self.image = image.reduce(2)
        self.mask = mask.reduce(2).point(lambda value: 255 * (value > 127))
        self.thumb = thumbnail(image)
        self.right = _percent_slider("right")
        self.down = _percent_slider("down")
        self.picture = widget_picture("jpeg", "A photograph with its mask drawn over it, moved as the sliders say.")
        self.caption = ipywidgets.HTML()
        for slider in (self.right, self.down):
            slider.observe(self._draw, names="value")
        super().__init__([self.right, self.down, self.picture, self.caption])
        self._draw()

    def _draw(self, _: object = None) -> None:
        moved = Image.new("L", self.mask.size)
        moved.paste(self.mask, (self.right.value * self.mask.width // 100, self.down.value * self.mask.height // 100))
        mask_thumb = thumbnail(moved)
        fit = alignment_scores(edges_of(self.thumb), outline_of(mask_thumb))[0, 0]
        verdict = describe_misalignment(self.thumb, mask_thumb) or "nothing"
        self.picture.value = jpeg_bytes(overlay(self.image, moved))
        self.caption.value = f"fit {fit:.1f}; the doctor says: {verdict}"

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return "PlaceSlider(right and down, from -20 to 20 %)"


def _percent_slider(name: str) -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(value=0, min=-20, max=20, description=f"{name} (%)", layout={"width": "480px"})


def place_slider(image: Image.Image, mask: Image.Image) -> PlaceSlider:
    """Make the widget for a photograph and its mask of 0 and 255, of one size."""
    return PlaceSlider(image, mask)
