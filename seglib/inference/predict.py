"""Owns prediction: any picture in, its mask at the picture's own size out. Explained in 11_predict."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from seglib.data.image_io import ImageLike, to_rgb_image
from seglib.data.transforms import image_transform, scaled_size
from seglib.inference.tiles import predict_in_tiles
from seglib.training.checkpoint import TrainedModel


@dataclass(frozen=True)
class Prediction:
    """A mask at the size of its picture, upright: (H, W) uint8 of labels, 1 for the object; 0 is the background.

    `probabilities`, if they were asked for, are (C, H, W) float32 in [0, 1], as the loss of the training reads them.
    """

    mask: Tensor
    probabilities: Tensor | None = None


def predict(
    trained: TrainedModel,
    picture: ImageLike,
    *,
    probabilities: bool = False,
    scale: float | None = None,
    max_pixels: int | None = None,
) -> Prediction:
    """Draw the mask of one picture.

    Args:
        trained: a model and how to read it, of `load_trained`. Its model is in evaluation mode afterwards.
        picture: whatever `to_rgb_image` takes, of any size; a phone's photograph is turned upright.
        probabilities: give them too.
        scale: None does what the training did: it stretches the picture to the size of the training pictures, or, if
            the model was trained on crops, enlarges it as then. A number says how many pixels the model sees for one of
            the picture, along each side: 1.0 for a picture much larger than those of the training, in which things are
            no larger. It is then predicted in tiles that overlap.
        max_pixels: as in `load_image`.

    Shape:
        Any height and width from 1 on; the mask has the same.

    Raises:
        ImageError, ShapeError: no picture, or one that cannot be read rightly.

    Example:
        >>> from seglib import build_deeplab, make_loss
        >>> trained = TrainedModel(build_deeplab(weights=None, verbose=False), make_loss("bce"), size=(24, 32))
        >>> predict(trained, torch.zeros(3, 48, 64)).mask.shape
        torch.Size([48, 64])
    """
    image = to_rgb_image(picture, max_pixels=max_pixels)
    scale = scale or trained.scale
    size = model_input_size((image.height, image.width), trained.size, scale)
    if scale is None:
        outputs = model_outputs(trained, image_transform(size, portrait=True)(image)[None])[0]  # (C, h, w)
    else:
        outputs = outputs_in_tiles(trained, image.resize(size[::-1], Image.Resampling.BILINEAR))  # (C, h, w)
    return outputs_to_prediction(trained, outputs, (image.height, image.width), probabilities=probabilities)


def outputs_in_tiles(trained: TrainedModel, image: Image.Image) -> Tensor:
    """The raw outputs (C, H, W) of an image at its own size, computed tile by tile."""

    def outputs_of(rows: slice, columns: slice) -> Tensor:
        tile = image.crop((columns.start, rows.start, columns.stop, rows.stop))
        return model_outputs(trained, image_transform((tile.height, tile.width), portrait=True)(tile)[None])[0]

    return predict_in_tiles(outputs_of, (image.height, image.width), trained.size)


@torch.inference_mode()
def model_outputs(trained: TrainedModel, images: Tensor) -> Tensor:
    """The raw outputs (N, C, h, w) of normalised images (N, 3, h, w), on the CPU."""
    trained.model.eval()  # running means, no dropout; in training mode each picture would depend on its batch
    device = next(trained.model.parameters()).device
    return trained.model(images.to(device, memory_format=torch.channels_last))["out"].float().cpu()


@torch.no_grad()
def outputs_to_prediction(
    trained: TrainedModel, outputs: Tensor, size: tuple[int, int], *, probabilities: bool = False
) -> Prediction:
    """Raw outputs (C, h, w) as a mask of `size`. The outputs are enlarged, not the mask: that would have steps.

    Args:
        trained: as in `predict`.
        outputs: of `model_outputs`, for one picture.
        size: (height, width) of the picture.
        probabilities: give them too.
    """
    outputs = F.interpolate(outputs[None], size, mode="bilinear")  # (1, C, H, W)
    mask = trained.criterion.predict(outputs)[0].to(torch.uint8)  # (H, W)
    return Prediction(mask, trained.criterion.probabilities(outputs)[0] if probabilities else None)


def model_input_size(size: tuple[int, int], trained_at: tuple[int, int], scale: float | None = None) -> tuple[int, int]:
    """The size at which a model should see a picture: as in training, whatever the picture's own shape.

    Args:
        size: (height, width) of the picture.
        trained_at: (height, width) of the training pictures, which were stretched to it.
        scale: instead, so many new pixels for one old one, along each side.

    Example:
        >>> model_input_size((1280, 960), (240, 320)), model_input_size((1280, 960), (240, 320), scale=0.5)
        ((240, 320), (640, 480))
    """
    return trained_at if scale is None else scaled_size(size, scale)


if __name__ == "__main__":
    raise SystemExit("Type: python -m seglib predict --help")
