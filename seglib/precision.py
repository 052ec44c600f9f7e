"""Owns in which numbers a device computes: bytes become floats there, and floats may be shorter. Explained in 07_cuda.

It imports no transforms: the engine needs `finish`, and `import seglib` must not wait for them.
"""

import torch
from torch import Tensor
from torchvision.models.segmentation import DeepLabV3

from seglib.errors import TrainingError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # red, green, blue; torchvision's docs


def finish(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Bytes of a `FastDataset` become what model and losses ask for, on their device; floats stay as they are.

    Shape:
        images: uint8 (N, 3, H, W) in, float32 out, normalised.
        masks: uint8 (N, 1, H, W) in, float32 of 0.0 and 1.0 out; or (N, H, W) in, int64 labels out.

    Example:
        >>> finish(torch.zeros(1, 3, 1, 1, dtype=torch.uint8), torch.ones(1, 1, 1, 1, dtype=torch.uint8))[1]
        tensor([[[[1.]]]])
    """
    if images.dtype != torch.uint8:
        return images, masks
    images = images.to(torch.float32, memory_format=torch.contiguous_format)  # a channel after the other: quicker
    for channel, mean, std in zip(images.unbind(-3), IMAGENET_MEAN, IMAGENET_STD, strict=True):
        channel.sub_(255 * mean).div_(255 * std)  # plain numbers: a tensor would have to be copied to the device first
    if masks.dtype == torch.uint8:
        masks = masks.float() if masks.ndim == 4 else masks.long()
    return images, masks


def use_bfloat16(model: DeepLabV3) -> DeepLabV3:
    """Let the forward pass of a DeepLab compute in bfloat16 where that is safe; weights and outputs stay float32.

    The model is changed in place. Its parameters and their names stay, so optimizers and checkpoints see no difference.

    Raises:
        TrainingError: another model, or a GPU that has no bfloat16 of its own and would be slower with it.
    """
    device = next(model.parameters()).device
    if not isinstance(model, DeepLabV3) or (
        device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0)
    ):
        raise TrainingError(
            f"bfloat16 for a {type(model).__name__} on {device.type}.",
            "a DeepLabV3, on a CPU or on a GPU with bfloat16 units: Ampere of 2020 or newer, so no T4 and no V100",
            "Stay with float32, or use float16 with a scaler, as notebook 07 shows.",
        )
    model.__class__ = _Bfloat16DeepLab
    return model


class _Bfloat16DeepLab(DeepLabV3):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        with torch.autocast(images.device.type, torch.bfloat16):
            outputs = super().forward(images)
        return {name: output.float() for name, output in outputs.items()}
