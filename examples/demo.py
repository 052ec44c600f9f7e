"""A page in the browser that draws the mask of an uploaded photograph. It stays on this computer.

    python examples/demo.py run.pt

`run.pt` is what `python -m seglib train IMAGES MASKS --out run.pt` has saved. Beside seglib the page needs gradio:
`python -m pip install gradio`.
"""

import sys

import gradio

from seglib.data.image_io import to_rgb_image
from seglib.inference.overlay import overlay
from seglib.inference.palette import SKY_BLUE, class_colours
from seglib.inference.predict import predict
from seglib.training.checkpoint import load_trained

trained = load_trained(sys.argv[1])
colours = class_colours(len(trained.classes)) if trained.classes else SKY_BLUE


def segment(path):
    """The photograph in the file `path` with its mask drawn over it, as an array (H, W, 3)."""
    if path is None:
        raise gradio.Error("Choose a photograph first.")
    photograph = to_rgb_image(path)  # upright, whatever the camera wrote
    return overlay(photograph, predict(trained, photograph).mask, colours)


upload = gradio.Image(type="filepath", label="photograph")
gradio.Interface(segment, upload, gradio.Image(label="its mask"), flagging_mode="never").launch(show_error=True)
