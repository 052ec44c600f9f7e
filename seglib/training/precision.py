"""Owns the precision of the forward pass: float32 or bfloat16. Explained in 08_cuda."""

import torch
from torch import Tensor
from torchvision.models.segmentation import DeepLabV3

from seglib.errors import TrainingError


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
            "Stay with float32, or use float16 with a scaler, as notebook 08 shows.",
        )
    model.__class__ = _Bfloat16DeepLab
    return model


class _Bfloat16DeepLab(DeepLabV3):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        with torch.autocast(images.device.type, torch.bfloat16):
            outputs = super().forward(images)
        return {name: output.float() for name, output in outputs.items()}
