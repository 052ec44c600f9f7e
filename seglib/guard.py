"""Owns the guard before every loss: no silent broadcast, no strange label. Explained in 05_loss_and_optimizer."""

import torch
from torch import Tensor

from seglib.errors import ShapeError
from seglib.pictures import IGNORE_INDEX


def check_outputs_and_masks(outputs: Tensor, masks: Tensor, several_classes: bool = False) -> None:
    """The guard that every loss goes through first: a `ShapeError` unless outputs and masks fit each other exactly."""
    if several_classes:
        wanted, dtype = (outputs.shape[0], *outputs.shape[2:]), "int64"
        right = tuple(masks.shape) == wanted and masks.dtype == torch.int64
        fix = "Use class_mask_transform, or joint_transform with classes."
    else:
        wanted, dtype = tuple(outputs.shape), "float"
        right = tuple(masks.shape) == wanted and masks.is_floating_point()
        fix = "masks.unsqueeze(1) adds the channel, masks.float() changes the dtype. Give the model one output channel."
    if not right:
        raise ShapeError(
            f"outputs are {tuple(outputs.shape)} {_dtype(outputs)}, masks are {tuple(masks.shape)} {_dtype(masks)}.",
            f"masks of shape {wanted}, {dtype}",
            fix + " Without this check torch would spread one shape over the other and train on nonsense.",
        )
    if masks.device.type == "cpu":
        check_labels(masks, outputs.shape[1]) if several_classes else check_binary(masks)


def are_labels(masks: Tensor, num_classes: int = 2) -> Tensor:
    """Where a mask holds a whole number from 0 to num_classes - 1, or 255 (ignore): bool, in the shape of `masks`."""
    return ((masks >= 0) & (masks < num_classes) & (masks == masks.round())) | (masks == IGNORE_INDEX)


def check_binary(masks: Tensor) -> None:
    """A `ShapeError` unless a float mask holds 0.0, 1.0 and 255 (ignore) only, and nothing in between."""
    if not are_labels(masks).all():
        raise ShapeError(
            f"masks hold {len(masks.unique())} values from {masks.min().item():g} to {masks.max().item():g}.",
            f"0.0 and 1.0 only, and {IGNORE_INDEX} for ignore",
            "Resize masks by nearest, never bilinearly; scale 0 and 255 to 0 and 1 (mask_transform does both).",
        )


def check_labels(masks: Tensor, num_classes: int) -> None:
    """A `ShapeError` unless a mask of class labels holds 0 to num_classes - 1 and 255 (ignore) only."""
    strange = masks[~are_labels(masks, num_classes)]
    if strange.numel():
        raise ShapeError(
            f"masks hold labels that the model has no output for: {', '.join(map(str, strange.unique().tolist()))}.",
            f"0 to {num_classes - 1}, and {IGNORE_INDEX} for ignore",
            "Build the model with one output channel for each class, the background included.",
        )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
