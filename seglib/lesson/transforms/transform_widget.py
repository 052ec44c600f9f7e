"""Owns the knob of 02_transforms: pick a change, move its strength, see image and mask together."""

from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from seglib.data.dataset import CustomDataset
from seglib.data.image_io import IGNORE_INDEX
from seglib.data.transforms import resize_labels
from seglib.inference.overlay import overlay, to_labels, to_picture
from seglib.inference.palette import ORANGE, SKY_BLUE
from seglib.lesson.common.figures import jpeg_bytes

# Each change takes an image (3, H, W) uint8 or a mask (H, W) uint8, and a strength in [-1, 1]; at 0 it does nothing.
MOVES = ("flip", "scale", "shift", "rotate")  # these move pixels, so image and mask must go together
COLOURS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "brightness": lambda image, strength: F.adjust_brightness(image, 2**strength),
    "contrast": lambda image, strength: F.adjust_contrast(image, 2**strength),
    "saturation": lambda image, strength: F.adjust_saturation(image, 1 + strength),
    "hue": lambda image, strength: F.adjust_hue(image, strength / 2),
}
CHANGES = (*MOVES, *COLOURS)


def changed_pair(
    image: Tensor, mask: Tensor, change: str, strength: float, mask_too: bool = True
) -> tuple[Tensor, Tensor]:
    """Apply one change of a given strength to image and mask.

    Args:
        image: (3, H, W) uint8.
        mask: (H, W) uint8.
        change: one of `CHANGES`.
        strength: in [-1, 1]; 0 leaves everything as it is. A flip happens from 0.5 on, left to right, or, from -0.5
            down, upside down.
        mask_too: False moves the image alone, which is the mistake to look at.

    Returns:
        Both, of the same shape. What comes in from outside is black in the image and 255 in the mask.
    """
    if change in COLOURS:
        return COLOURS[change](image, strength), mask
    return _move(image, change, strength), _move(mask, change, strength) if mask_too else mask


def _move(picture: Tensor, change: str, strength: float) -> Tensor:
    height, width = picture.shape[-2:]
    if change == "flip":
        return picture.flip(-1) if strength >= 0.5 else picture.flip(-2) if strength <= -0.5 else picture
    is_mask = picture.ndim == 2
    fill = [float(IGNORE_INDEX)] if is_mask else [0.0]
    planes = picture[None] if is_mask else picture  # (1, H, W) or (3, H, W)
    if change == "scale":
        new = (round(height * 2**strength), round(width * 2**strength))
        planes = resize_labels(planes, new) if is_mask else F.resize(planes, list(new))
        top, left = (height - new[0]) // 2, (width - new[1]) // 2  # above 0 there is too little, below too much
        below, right = height - new[0] - top, width - new[1] - left
        planes = F.pad(planes, [max(side, 0) for side in (left, top, right, below)], fill)
        planes = F.crop(planes, max(-top, 0), max(-left, 0), height, width)
    else:
        turn = 45 * strength if change == "rotate" else 0.0
        way = [width * strength / 2 if change == "shift" else 0.0, 0.0]
        how = InterpolationMode.NEAREST if is_mask else InterpolationMode.BILINEAR
        planes = F.affine(planes, turn, way, 1.0, [0.0], how, fill)
    return planes[0] if is_mask else planes


class TransformWidget(ipywidgets.VBox):
    """A change, its strength, and whether the mask goes along; `change`, `strength`, `mask_too` are its knobs.

    Moving a knob replaces the bytes of one picture: no output is cleared or written.
    """

    def __init__(self, dataset: CustomDataset, idx: int, side: int = 300):
        image, mask = dataset[idx]
        image.thumbnail((side, side))
        mask = mask.resize(image.size, 0)  # 0: nearest
        self.name = dataset.image_filenames[idx]
        self.image, self.mask = F.pil_to_tensor(image), F.pil_to_tensor(mask)[0] // 255
        self.change = ipywidgets.Dropdown(options=CHANGES, value="rotate", description="change")
        self.strength = ipywidgets.FloatSlider(value=0.0, min=-1.0, max=1.0, step=0.05, description="strength")
        self.mask_too = ipywidgets.Checkbox(value=True, description="the mask moves too")
        self.pictures, self.caption = ipywidgets.Image(format="jpeg"), ipywidgets.HTML()
        knobs = (self.change, self.strength, self.mask_too)
        for knob in knobs:
            knob.observe(self._draw, names="value")
        super().__init__([ipywidgets.HBox(knobs[:2]), self.mask_too, self.pictures, self.caption])
        self._draw()

    def _draw(self, _: object = None) -> None:
        change, strength = self.change.value, self.strength.value
        image, mask = changed_pair(self.image, self.mask, change, strength, self.mask_too.value)
        pair = np.concatenate([to_picture(image), overlay_ignored(image, mask)], axis=1)  # (H, 2 W, 3)
        self.pictures.value = jpeg_bytes(pair)
        moves = "moves pixels" if change in MOVES else "changes colours: the mask stays as it is"
        values = ", ".join(map(str, mask.unique().tolist()))
        self.caption.value = f"{self.name}, {change} {strength:+.2f}: {moves}. The mask holds {values}."

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return f"TransformWidget({self.name}, {len(CHANGES)} changes)"


def transform_widget(dataset: CustomDataset, idx: int = 0, side: int = 300) -> TransformWidget:
    """Make the widget for one sample of a dataset of PIL pairs with binary masks.

    Args:
        dataset: without transforms.
        idx: of the sample.
        side: of a picture, its longer one, in pixels; two stand side by side.
    """
    return TransformWidget(dataset, idx, side)


def overlay_ignored(image: Any, mask: Any) -> np.ndarray:
    """Draw a binary mask over its image: fruit (1) in blue, what is ignored (255) in orange.

    Args:
        image: whatever `to_picture` takes.
        mask: whatever `to_labels` takes, of 0, 1 and 255.

    Returns:
        (H, W, 3) uint8.
    """
    labels = to_labels(mask)
    return overlay(image, np.where(labels == IGNORE_INDEX, 2, labels), (SKY_BLUE, ORANGE), line=1)
