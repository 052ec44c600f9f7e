"""Owns the widget of 01_dataset: a slider over the samples of a dataset."""

import copy
import html
from collections.abc import Sequence

import ipywidgets
import numpy as np
from PIL import Image

from seglib.data.dataset import CustomDataset
from seglib.inference.overlay import overlay
from seglib.inference.palette import OKABE_ITO, SKY_BLUE
from seglib.lesson.common.figures import jpeg_bytes
from seglib.lesson.common.lesson_widget import LessonWidget, widget_picture

ALT = "A photograph of the dataset, and beside it the same with its mask drawn over it."


class SampleSlider(LessonWidget):
    """A slider over the samples; `slider`, `pictures` and `caption` are its parts. Made by `sample_slider`.

    Moving the slider, by mouse or by arrow keys, replaces the bytes of one picture: no output is cleared or written.
    """

    def __init__(self, dataset: CustomDataset, start: int = 0, side: int = 240):
        # Without its transforms the dataset gives the pictures as the files hold them.
        self.dataset = copy.copy(dataset)
        self.dataset.transform = self.dataset.mask_transform = self.dataset.joint_transform = None
        self.side = side
        self.slider = ipywidgets.IntSlider(
            value=start, min=0, max=len(dataset) - 1, description="sample", layout=ipywidgets.Layout(width="480px")
        )
        self.pictures = widget_picture("jpeg", ALT)
        self.caption = ipywidgets.HTML()
        self.slider.observe(self._draw, names="value")
        super().__init__([self.slider, self.pictures, self.caption])
        self._draw()

    def _draw(self, change: object = None) -> None:
        idx = self.slider.value
        names = f"{self.dataset.image_filenames[idx]} with {self.dataset.mask_filenames[idx]}"
        try:
            image, mask = self.dataset[idx]
        except ValueError as error:  # say what is wrong with a broken sample, and let the slider move on
            self.pictures.value = jpeg_bytes(np.full((self.side * 3 // 4, self.side * 2, 3), 128, np.uint8))
            self.caption.value = f"{html.escape(names)}<br>{html.escape(str(error)).replace(chr(10), '<br>')}"
            return
        colour: str | Sequence[str] = SKY_BLUE
        if self.dataset.classes is not None:
            colour = OKABE_ITO[2 : 1 + len(self.dataset.classes)]
        values = describe_mask_values(np.asarray(mask), self.dataset.classes)
        words = f"{image.width} wide, {image.height} high; {values}"
        # Shrunk before the overlay is drawn: at full size each move of the slider would be slow.
        image.thumbnail((self.side, self.side))
        mask = mask.resize(image.size, Image.Resampling.NEAREST)
        pair = np.concatenate([np.asarray(image), overlay(image, mask, colour, line=1)], axis=1)  # (H, 2 W, 3)
        self.pictures.value = jpeg_bytes(pair)
        self.caption.value = f"{html.escape(names)}<br>{html.escape(words)}"

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return f"SampleSlider({len(self.dataset)} samples)"


def sample_slider(dataset: CustomDataset, start: int = 0, side: int = 240) -> SampleSlider:
    """Make a slider over the samples of a dataset: the photograph, its mask drawn over it, names and numbers.

    Args:
        dataset: its transforms, if it has any, are not applied.
        start: the sample to begin with.
        side: of a picture, its longer one, in pixels; two stand side by side.
    """
    return SampleSlider(dataset, start, side)


def describe_mask_values(labels: np.ndarray, classes: Sequence[str] | None = None) -> str:
    """Say in words what share of a mask (H, W) each value has.

    Example:
        >>> describe_mask_values(np.array([[0, 255], [0, 0]]))
        'mask: 0 on 75.0 %, 255 on 25.0 %'
    """
    values, counts = np.unique(labels, return_counts=True)
    shares = []
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        name = f"{value} ({classes[value]})" if classes is not None and value < len(classes) else str(value)
        shares.append(f"{name} on {count / labels.size:.1%}".replace("%", " %"))
    return "mask: " + ", ".join(shares)
