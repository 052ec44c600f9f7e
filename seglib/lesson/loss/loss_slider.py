"""Owns the slider of 05_loss: move the output of one pixel, and see what each loss makes of it."""

import io

import ipywidgets
from matplotlib.figure import Figure

from seglib.lesson.loss.figures import LOSS_LINES, TRUTHS, one_pixel_curves, pixel_loss
from seglib.losses import make_loss


class LossSlider(ipywidgets.VBox):
    """The output of one pixel and its truth as controls, `output` and `truth`; `picture` and `caption` show the losses.

    Moving a control replaces the bytes of one picture: no output of the cell is cleared or written.
    """

    def __init__(self, output: float = 2.0):
        self.output = ipywidgets.FloatSlider(
            value=output, min=-6.0, max=6.0, step=0.25, description="output", layout=ipywidgets.Layout(width="480px")
        )
        self.truth = ipywidgets.ToggleButtons(options=[(name, value) for value, name in TRUTHS.items()])
        self.picture = ipywidgets.Image(format="png")
        self.caption = ipywidgets.HTML()
        for control in (self.output, self.truth):
            control.observe(self._draw, names="value")
        super().__init__([ipywidgets.HBox([self.output, self.truth]), self.picture, self.caption])
        self._draw()

    def _draw(self, _: object = None) -> None:
        output = self.output.value
        target = self.truth.value
        self.picture.value = _png(one_pixel_curves(target, at=output))
        rows = []
        for name in LOSS_LINES:
            value, gradient = pixel_loss(name, output, target)
            push = "up" if gradient < -5e-4 else "down" if gradient > 5e-4 else "nowhere"
            rows.append(f"<td>{name}</td><td>{value:.3f}</td><td>{gradient:+.3f}</td><td>{push}</td>")
        head = "<tr><th>loss</th><th>value</th><th>gradient</th><th>a step pushes the output</th></tr>"
        cuts = ", ".join(f"after {name} {_read(name, output)}" for name in ("mse", "bce"))
        self.caption.value = f"<table>{head}<tr>{'</tr><tr>'.join(rows)}</tr></table>An output of {output:g}: {cuts}."

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return f"LossSlider({len(LOSS_LINES)} losses)"


def loss_slider(output: float = 2.0) -> LossSlider:
    """Make the widget; `output` is where the slider begins, between -6 and 6."""
    return LossSlider(output)


def _read(name: str, output: float) -> str:
    threshold = make_loss(name).threshold
    return TRUTHS[float(threshold is not None and output > threshold)]


def _png(figure: Figure) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    return drawn.getvalue()
