"""Owns what 05 measures on a model: its raw outputs, IoU at any threshold, how far its weights have moved."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seglib.metrics import confusion_matrix, iou

# A list of (image (3, H, W), mask (1, H, W) of 0.0 and 1.0): a dataset to torch, though not to its type.
Pairs = Any


@torch.inference_mode()
def raw_outputs(model: nn.Module, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """One number for each pixel, before any activation or threshold, and the true masks.

    Returns:
        outputs (N, H, W) float32; of two classes, the difference of their logits. masks (N, H, W) int64.
    """
    model.eval()
    batches = [(model(images)["out"], masks) for images, masks in DataLoader(pairs, batch_size=8)]
    outputs, masks = (torch.cat(parts) for parts in zip(*batches, strict=True))
    one = outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]  # (N, H, W)
    return one, masks[:, 0].long()


def iou_at(outputs: Tensor, masks: Tensor, threshold: float) -> float:
    """IoU of the object over all pixels, if an output above `threshold` means the object; both (N, H, W)."""
    return iou(confusion_matrix((outputs > threshold).long(), masks))[1].item()


def distances(model: nn.Module, start: dict[str, Tensor]) -> dict[str, float]:
    """How far the weights have moved from `start`: the length of the way, and the way of the one that went farthest.

    Returns:
        "all", "backbone" and "head": the norm of w - w0 over these weights; "share", that of all, divided by the norm
        of w0; and "farthest", the largest |w - w0| of any single weight.
    """
    squares, before, farthest = {"backbone": 0.0, "head": 0.0}, 0.0, 0.0
    for name, parameter in model.named_parameters():
        way = parameter.detach().double() - start[name]
        squares["backbone" if name.startswith("backbone.") else "head"] += way.square().sum().item()
        before += start[name].double().square().sum().item()
        farthest = max(farthest, way.abs().max().item())
    squares["all"] = squares["backbone"] + squares["head"]
    lengths = {name: square**0.5 for name, square in squares.items()}
    lengths |= {"share": lengths["all"] / before**0.5, "farthest": farthest}
    return {name: float(f"{length:.4g}") for name, length in lengths.items()}
