"""Owns the normalisation of pixels by ImageNet's mean and standard deviation, and its inverse. See 02_transforms.

It imports no torchvision transforms: the training loop needs it, and `import seglib` stays quick.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from seglib.errors import ShapeError

# Of red, green and blue, for pixels in [0, 1]; from torchvision's documentation of its pretrained models.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def to_model_inputs(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Turn bytes of a `ByteDataset` into what model and losses ask for, on their device; floats stay as they are.

    Shape:
        images: uint8 (N, 3, H, W) in, float32 out, normalised.
        masks: uint8 (N, 1, H, W) in, float32 of 0.0 and 1.0 out; or (N, H, W) in, int64 labels out.

    Example:
        >>> to_model_inputs(torch.zeros(1, 3, 1, 1, dtype=torch.uint8), torch.ones(1, 1, 1, 1, dtype=torch.uint8))[1]
        tensor([[[[1.]]]])
    """
    if images.dtype != torch.uint8:
        return images, masks
    images = images.to(torch.float32, memory_format=torch.contiguous_format)  # each channel is then one block of memory
    for channel, mean, std in zip(images.unbind(-3), IMAGENET_MEAN, IMAGENET_STD, strict=True):
        # Python numbers: a tensor of them would have to be copied to the device first.
        channel.sub_(255 * mean).div_(255 * std)
    if masks.dtype == torch.uint8:
        masks = masks.float() if masks.ndim == 4 else masks.long()
    return images, masks


def normalize(image: Tensor) -> Tensor:
    """Pixels in [0, 1], (3, H, W) or (N, 3, H, W), to ImageNet's mean 0 and standard deviation 1 in each channel."""
    return (image - _channels(IMAGENET_MEAN, image)) / _channels(IMAGENET_STD, image)


def denormalize(image: Tensor) -> Tensor:
    """The inverse of `normalize`, for plotting: float32 (3, H, W) or (N, 3, H, W) back to [0, 1].

    Example:
        >>> image = torch.rand(3, 4, 4)
        >>> bool(torch.allclose(denormalize(normalize(image)), image, atol=1e-6))
        True
    """
    return image * _channels(IMAGENET_STD, image) + _channels(IMAGENET_MEAN, image)


def _channels(values: Sequence[float], image: Tensor) -> Tensor:
    if not image.is_floating_point() or image.ndim not in (3, 4) or image.shape[-3] != 3:
        raise ShapeError(
            f"The image is {tuple(image.shape)} {str(image.dtype).removeprefix('torch.')}.",
            "(3, H, W) or (N, 3, H, W), float; before normalize in [0, 1]",
            "ToTensor, or v2.ToDtype(torch.float32, scale=True), makes floats in [0, 1] of pixels from 0 to 255.",
        )
    return torch.tensor(values, dtype=image.dtype, device=image.device).view(3, 1, 1)
