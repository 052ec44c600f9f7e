"""Owns the button of 11_predict: choose a photograph of yours, and see the mask that the model draws on it."""

import html
import io
from collections.abc import Iterable
from typing import Any

import ipywidgets
import numpy as np
from PIL import Image

from seglib.data.image_io import upright_rgb
from seglib.errors import ImageError, SegError
from seglib.inference.overlay import overlay
from seglib.inference.predict import predict
from seglib.lesson.common.figures import jpeg_bytes
from seglib.training.checkpoint import TrainedModel

LONGER_SIDE = 640  # of what is shown, in pixels


class PhotoUpload(ipywidgets.VBox):
    """A button that asks for a file; `picture` shows the photograph and its mask side by side, `caption` says the rest.

    The photograph is read from memory and written nowhere. Jupyter drops messages above about 10 MB without a word.
    """

    def __init__(self, trained: TrainedModel):
        self.trained = trained
        self.button = ipywidgets.FileUpload(accept="image/*", multiple=False, description="a photograph")
        self.picture = ipywidgets.Image(format="jpeg", layout=ipywidgets.Layout(display="none"))
        self.caption = ipywidgets.HTML("Choose a photograph below 10 MB: its mask appears here.")
        self.button.observe(self._draw, names="value")
        super().__init__([self.button, self.caption, self.picture])

    def _draw(self, _: object = None) -> None:
        for name, data in uploaded_files(self.button.value):
            try:
                image = read_photograph(name, data)
                prediction = predict(self.trained, image, probabilities=True)
            except SegError as error:
                self.caption.value = html.escape(str(error)).replace("\n", "<br>")
                self.picture.layout.display = "none"
                continue
            image.thumbnail((LONGER_SIDE, LONGER_SIDE))
            mask = Image.fromarray(prediction.mask.numpy()).resize(image.size, Image.Resampling.NEAREST)
            self.picture.value = jpeg_bytes(np.concatenate([np.array(image), overlay(image, np.array(mask))], axis=1))
            self.picture.layout.display = None
            share = (prediction.mask != 0).float().mean().item()
            self.caption.value = f"{html.escape(name)}: {100 * share:.1f} % of the pixels are called fruit"

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return "PhotoUpload(a photograph of yours)"


def photo_upload(trained: TrainedModel) -> PhotoUpload:
    """Make the widget.

    Args:
        trained: draws the masks, of `load_trained`.
    """
    return PhotoUpload(trained)


def uploaded_files(value: Any) -> Iterable[tuple[str, bytes]]:
    """The names and contents of what a `FileUpload` holds.

    ipywidgets 8 gives a tuple of dicts with "name" and "content"; ipywidgets 7, which Colab had for long, a dict of
    dicts by name.

    Example:
        >>> list(uploaded_files(({"name": "a.jpg", "content": memoryview(b"1")},)))
        [('a.jpg', b'1')]
        >>> list(uploaded_files({"a.jpg": {"metadata": {}, "content": b"1"}}))
        [('a.jpg', b'1')]
    """
    if isinstance(value, dict):
        return [(str(name), bytes(file["content"])) for name, file in value.items()]
    return [(str(file["name"]), bytes(file["content"])) for file in value]


def read_photograph(name: str, data: bytes) -> Image.Image:
    """The bytes of a picture file as an image, upright and in RGB.

    Raises:
        ImageError: it is no picture that Pillow can open, as HEIC of a phone, or one that cannot be read rightly.
    """
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise ImageError(
            f"{name} cannot be opened ({type(error).__name__}).",
            "a JPEG, a PNG or another kind that Pillow reads",
            "Save it as a JPEG; a phone's HEIC has to be exported first.",
        ) from None
    return upright_rgb(picture, name)
