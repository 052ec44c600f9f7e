"""Owns prediction: any picture in, its mask at the picture's own size out. Explained in 09_predict."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from seglib.checkpoint import Trained
from seglib.photos import Picture, to_photograph, working_size
from seglib.tiles import in_tiles
from seglib.transforms import image_transform


@dataclass(frozen=True)
class Prediction:
    """A mask at the size of its picture, upright: (H, W) uint8 of labels, 1 for the object; 0 is the background.

    `probabilities`, if they were asked for, are (C, H, W) float32 in [0, 1], as the loss of the training reads them.
    """

    mask: Tensor
    probabilities: Tensor | None = None


def predict(trained: Trained, picture: Picture, probabilities: bool = False, scale: float | None = None) -> Prediction:
    """Draw the mask of one picture.

    Args:
        trained: a model and how to read it, of `load_trained`. Its model is in evaluation mode afterwards.
        picture: whatever `to_photograph` takes, of any size; a phone's photograph is turned upright.
        probabilities: give them too.
        scale: None resizes the picture to as many pixels as the training pictures had. A number says how many pixels
            the model sees for one of the picture, along each side: 1.0 for a picture much larger than those of the
            training, in which things are no larger. It is then predicted in tiles that overlap.

    Shape:
        Any height and width from 1 on; the mask has the same.

    Raises:
        ImageError, ShapeError: no picture, or one that cannot be read rightly.

    Example:
        >>> from seglib import build_deeplab, make_loss
        >>> trained = Trained(build_deeplab(weights=None, verbose=False), make_loss("bce"), size=(24, 32))
        >>> predict(trained, torch.zeros(3, 48, 64)).mask.shape
        torch.Size([48, 64])
    """
    photo = to_photograph(picture)
    size = working_size((photo.height, photo.width), trained.size, scale)
    if scale is None:
        outputs = model_outputs(trained, image_transform(size, portrait=True)(photo)[None])[0]
    else:
        shrunk = photo.resize(size[::-1], Image.Resampling.BILINEAR)

        def outputs_of(rows: slice, columns: slice) -> Tensor:
            tile = shrunk.crop((columns.start, rows.start, columns.stop, rows.stop))
            return model_outputs(trained, image_transform((tile.height, tile.width), portrait=True)(tile)[None])[0]

        outputs = in_tiles(outputs_of, size, trained.size)
    return read_outputs(trained, outputs, (photo.height, photo.width), probabilities)


@torch.inference_mode()
def model_outputs(trained: Trained, images: Tensor) -> Tensor:
    """The raw outputs (N, C, h, w) of normalised images (N, 3, h, w), on the CPU."""
    trained.model.eval()  # running means, no dropout; in training mode each picture would depend on its batch
    device = next(trained.model.parameters()).device
    return trained.model(images.to(device, memory_format=torch.channels_last))["out"].float().cpu()


@torch.no_grad()
def read_outputs(trained: Trained, outputs: Tensor, size: tuple[int, int], probabilities: bool = False) -> Prediction:
    """Raw outputs (C, h, w) as a mask of `size`: enlarged first and read then, for an enlarged mask has steps.

    Args:
        trained: as in `predict`.
        outputs: of `model_outputs`, for one picture.
        size: (height, width) of the picture.
        probabilities: give them too.
    """
    outputs = F.interpolate(outputs[None], size, mode="bilinear")  # (1, C, H, W)
    chances = trained.criterion.probabilities(outputs)[0] if probabilities else None  # (C, H, W)
    return Prediction(trained.criterion.predict(outputs)[0].to(torch.uint8), chances)
