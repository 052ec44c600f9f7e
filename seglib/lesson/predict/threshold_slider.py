"""Owns the slider of 11_predict: move the threshold, and see the mask, its mistakes and its scores change."""

from typing import Any

import ipywidgets
import numpy as np
from torch import Tensor

from seglib.inference.overlay import overlay, to_picture
from seglib.lesson.common.figures import jpeg_bytes
from seglib.lesson.common.lesson_widget import LessonWidget, widget_picture
from seglib.lesson.predict.figures import mistakes_picture
from seglib.lesson.predict.scores import at_thresholds, kinds_of_mistakes

ALT = "The photograph with its predicted mask, and beside it the same with the mistakes of that mask."


class ThresholdSlider(LessonWidget):
    """The threshold as a slider; `picture` shows the mask and its mistakes, `caption` the scores.

    Moving the slider replaces the bytes of one picture: no output is cleared or written.
    """

    def __init__(self, image: Any, probabilities: Tensor, mask: Tensor, start: float = 0.5):
        self.image = to_picture(image)
        self.probabilities = probabilities
        self.mask = mask
        self.slider = ipywidgets.FloatSlider(
            value=start, min=0.0, max=1.0, step=0.05, description="threshold", layout=ipywidgets.Layout(width="480px")
        )
        self.picture = widget_picture("jpeg", ALT)
        self.caption = ipywidgets.HTML()
        self.slider.observe(self._draw, names="value")
        super().__init__([self.slider, self.picture, self.caption])
        self._draw()

    def _draw(self, _: object = None) -> None:
        threshold = self.slider.value
        predicted = (self.probabilities > threshold).long()
        views = [overlay(self.image, predicted), mistakes_picture(predicted, self.mask, self.image)]
        self.picture.value = jpeg_bytes(np.concatenate(views, axis=1))
        scores = at_thresholds(self.probabilities, self.mask, [threshold])
        counts = {kind: int(where.sum()) for kind, where in kinds_of_mistakes(predicted, self.mask).items()}
        words = [f"{name} {values[0]:.2f}" for name, values in scores.items()]
        self.caption.value = ", ".join(words + [f"{count} pixels {kind}" for kind, count in counts.items()])

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return "ThresholdSlider(threshold from 0 to 1)"


def threshold_slider(image: Any, probabilities: Tensor, mask: Tensor, start: float = 0.5) -> ThresholdSlider:
    """Make the widget.

    Args:
        image: whatever `to_picture` takes.
        probabilities: (H, W) in [0, 1].
        mask: (H, W), 0 and 1; 255 is not counted.
        start: where the slider begins.
    """
    return ThresholdSlider(image, probabilities, mask, start)
