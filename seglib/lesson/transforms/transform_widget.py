"""Owns the widget of 02_transforms: pick a transform, move its strength, see image and mask together."""

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
from seglib.lesson.common.lesson_widget import LessonWidget, widget_picture

# Each takes an image (3, H, W) uint8 or a mask (H, W) uint8, and a strength in [-1, 1]; at 0 it does nothing.
GEOMETRIC_TRANSFORMS = ("flip", "scale", "shift", "rotate")  # these move pixels, so image and mask must go together
COLOR_TRANSFORMS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "brightness": lambda image, strength: F.adjust_brightness(image, 2**strength),
    "contrast": lambda image, strength: F.adjust_contrast(image, 2**strength),
    "saturation": lambda image, strength: F.adjust_saturation(image, 1 + strength),
    "hue": lambda image, strength: F.adjust_hue(image, strength / 2),
}
TRANSFORM_NAMES = (*GEOMETRIC_TRANSFORMS, *COLOR_TRANSFORMS)
ALT = "The changed photograph, and beside it the same with its mask in blue and with orange where it is ignored."


def transform_pair(
    image: Tensor, mask: Tensor, name: str, strength: float, *, mask_too: bool = True
) -> tuple[Tensor, Tensor]:
    """Apply one transform of a given strength to image and mask.

    Args:
        image: (3, H, W) uint8.
        mask: (H, W) uint8.
        name: one of `TRANSFORM_NAMES`.
        strength: in [-1, 1]; 0 leaves everything as it is. A flip happens from 0.5 on, left to right, or, from -0.5
            down, upside down.
        mask_too: False moves the image alone, so that the mask no longer fits.

    Returns:
        Both, of the same shape. What comes in from outside is black in the image and 255 in the mask.
    """
    if name in COLOR_TRANSFORMS:
        return COLOR_TRANSFORMS[name](image, strength), mask
    image = _transform_geometry(image, name, strength)
    if mask_too:
        mask = _transform_geometry(mask, name, strength)
    return image, mask


def _transform_geometry(picture: Tensor, name: str, strength: float) -> Tensor:
    if name == "flip":
        return _flip(picture, strength)
    is_mask = picture.ndim == 2
    channels = picture[None] if is_mask else picture  # (1, H, W) or (3, H, W)
    fill = [float(IGNORE_INDEX)] if is_mask else [0.0]
    if name == "scale":
        channels = _scale(channels, 2**strength, is_mask, fill)
    else:
        angle = 45 * strength if name == "rotate" else 0.0
        shift = channels.shape[-1] * strength / 2 if name == "shift" else 0.0
        interpolation = InterpolationMode.NEAREST if is_mask else InterpolationMode.BILINEAR
        channels = F.affine(channels, angle, [shift, 0.0], 1.0, [0.0], interpolation, fill)
    return channels[0] if is_mask else channels


def _flip(picture: Tensor, strength: float) -> Tensor:
    if strength >= 0.5:
        return picture.flip(-1)
    if strength <= -0.5:
        return picture.flip(-2)
    return picture


def _scale(channels: Tensor, factor: float, is_mask: bool, fill: list[float]) -> Tensor:
    """Enlarge or shrink about the centre, then crop or pad to the size that came in: (C, H, W) in and out."""
    height, width = channels.shape[-2:]
    new_height = round(height * factor)
    new_width = round(width * factor)
    if is_mask:
        channels = resize_labels(channels, (new_height, new_width))
    else:
        channels = F.resize(channels, [new_height, new_width])
    # What is missing at each side: above 0 it is padded, below 0 there is too much, and it is cropped.
    top = (height - new_height) // 2
    left = (width - new_width) // 2
    bottom = height - new_height - top
    right = width - new_width - left
    channels = F.pad(channels, [max(side, 0) for side in (left, top, right, bottom)], fill)
    return F.crop(channels, max(-top, 0), max(-left, 0), height, width)


class TransformWidget(LessonWidget):
    """A transform, its strength, and whether the mask goes along: the controls `change`, `strength`, `mask_too`.

    Moving a control replaces the bytes of one picture: no output is cleared or written.
    """

    def __init__(self, dataset: CustomDataset, idx: int, side: int = 300):
        image, mask = dataset[idx]
        image.thumbnail((side, side))
        mask = mask.resize(image.size, 0)  # 0: nearest
        self.name = dataset.image_filenames[idx]
        self.image = F.pil_to_tensor(image)  # (3, H, W)
        self.mask = F.pil_to_tensor(mask)[0] // 255  # (H, W), 0 and 1
        self.change = ipywidgets.Dropdown(options=TRANSFORM_NAMES, value="rotate", description="change")
        self.strength = ipywidgets.FloatSlider(value=0.0, min=-1.0, max=1.0, step=0.05, description="strength")
        self.mask_too = ipywidgets.Checkbox(value=True, description="the mask moves too")
        self.pictures = widget_picture("jpeg", ALT)
        self.caption = ipywidgets.HTML()
        for control in (self.change, self.strength, self.mask_too):
            control.observe(self._draw, names="value")
        super().__init__([ipywidgets.HBox([self.change, self.strength]), self.mask_too, self.pictures, self.caption])
        self._draw()

    def _draw(self, _: object = None) -> None:
        name = self.change.value
        strength = self.strength.value
        image, mask = transform_pair(self.image, self.mask, name, strength, mask_too=self.mask_too.value)
        pair = np.concatenate([to_picture(image), overlay_ignored(image, mask)], axis=1)  # (H, 2 W, 3)
        self.pictures.value = jpeg_bytes(pair)
        moves = "moves pixels" if name in GEOMETRIC_TRANSFORMS else "changes colours: the mask stays as it is"
        values = ", ".join(map(str, mask.unique().tolist()))
        self.caption.value = f"{self.name}, {name} {strength:+.2f}: {moves}. The mask holds {values}."

    def __repr__(self) -> str:
        # A notebook stores this line as the widget's plain text, and nbval compares it.
        return f"TransformWidget({self.name}, {len(TRANSFORM_NAMES)} changes)"


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
    return overlay(image, np.where(labels == IGNORE_INDEX, 2, labels), (SKY_BLUE, ORANGE), alpha=0.75, line=1)
