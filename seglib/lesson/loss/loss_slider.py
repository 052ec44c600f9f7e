"""Owns the slider of 05_loss: move the output of one pixel, and see what each loss makes of it."""

import io

import ipywidgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from seglib.lesson.common.figures import CSS_PIXELS_PER_INCH, DPI
from seglib.lesson.common.lesson_widget import LessonWidget, widget_picture
from seglib.lesson.loss.figures import LOSS_LINES, TRUTHS, one_pixel_curves, pixel_loss
from seglib.losses import make_loss

ALT = "Two charts of four losses over the output of one pixel, their values and their gradients, with a dot on each."


class MarkedCurves:
    """The curves of one truth, drawn once; a move of the slider draws only the dots on them, in some milliseconds."""

    def __init__(self, target: float):
        self.target = target
        figure = one_pixel_curves(target)
        figure.set_dpi(DPI)
        self.width = round(figure.get_figwidth() * CSS_PIXELS_PER_INCH)
        self.canvas = FigureCanvasAgg(figure)
        self.canvas.draw()
        self.curves = self.canvas.copy_from_bbox(figure.bbox)
        self.axes = figure.axes
        self.dots = {
            name: [axes.plot([], [], "o", color=style["color"])[0] for axes in self.axes]
            for name, style in LOSS_LINES.items()
        }

    def png(self, output: float) -> bytes:
        """The picture with the dots at an output, as a PNG file."""
        self.canvas.restore_region(self.curves)
        for name, dots in self.dots.items():
            for axes, dot, value in zip(self.axes, dots, pixel_loss(name, output, self.target), strict=True):
                dot.set_data([output], [value])
                axes.draw_artist(dot)
        pixels = np.asarray(self.canvas.buffer_rgba())[:, :, :3]  # (H, W, 3)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)  # quick, and a little larger
        return file.getvalue()


class LossSlider(LessonWidget):
    """The output of one pixel and its truth as controls, `output` and `truth`; `picture` and `caption` show the losses.

    Moving a control replaces the bytes of one picture: no output of the cell is cleared or written.
    """

    def __init__(self, output: float = 2.0):
        self.output = ipywidgets.FloatSlider(
            value=output, min=-6.0, max=6.0, step=0.25, description="output", layout=ipywidgets.Layout(width="480px")
        )
        self.truth = ipywidgets.ToggleButtons(options=[(name, value) for value, name in TRUTHS.items()])
        self.curves = {target: MarkedCurves(target) for target in TRUTHS}
        self.picture = widget_picture("png", ALT, width=self.curves[1.0].width)
        self.caption = ipywidgets.HTML()
        for control in (self.output, self.truth):
            control.observe(self._draw, names="value")
        super().__init__([ipywidgets.HBox([self.output, self.truth]), self.picture, self.caption])
        self._draw()

    def _draw(self, _: object = None) -> None:
        output = self.output.value
        target = self.truth.value
        self.picture.value = self.curves[target].png(output)
        rows = []
        for name in LOSS_LINES:
            value, gradient = pixel_loss(name, output, target)
            push = "up" if gradient < -5e-4 else "down" if gradient > 5e-4 else "nowhere"
            rows.append(f"<td>{name}</td><td>{value:.3f}</td><td>{gradient:+.3f}</td><td>{push}</td>")
        # Widgets have no style of their own for tables: without this the headings run together.
        titles = ("loss", "value", "gradient", "a step pushes the output")
        head = "".join(f'<th style="padding-right: 1em; text-align: left">{title}</th>' for title in titles)
        cuts = ", ".join(f"after {name} {_read(name, output)}" for name in ("mse", "bce"))
        table = f"<table><tr>{head}</tr><tr>{'</tr><tr>'.join(rows)}</tr></table>"
        self.caption.value = f"{table}An output of {output:g}: {cuts}."

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return f"LossSlider({len(LOSS_LINES)} losses)"


def loss_slider(output: float = 2.0) -> LossSlider:
    """Make the widget; `output` is where the slider begins, between -6 and 6."""
    return LossSlider(output)


def _read(name: str, output: float) -> str:
    threshold = make_loss(name).threshold
    return TRUTHS[float(threshold is not None and output > threshold)]
