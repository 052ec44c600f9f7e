"""Owns flaws put into good masks on purpose, and what training makes of them. See 13_your_own_data."""

import dataclasses
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from seglib.lesson.common.short_training import Pairs, Recipe, iou_at, raw_outputs, train_recipe

EPOCHS = 8  # 64 steps with 32 pictures
RECIPE = Recipe("bce_dice", "adamw", lr=1e-3, head_lr=5e-3, weight_decay=1e-4, schedule="poly")
FAR, NEAR = 0.05, 0.0125  # how far a mask is shifted, as a share of its width: 64 and 16 pixels of 1280
KINDS = ("exchanged", "mirrored", "shifted", "shifted a little")
LEFT_OUT = "left out"  # the pictures whose masks would be wrong are not trained on


def spoil(masks: Sequence[Tensor], kind: str, share: float, seed: int) -> tuple[list[Tensor], list[int]]:
    """Put one kind of flaw into a share of the masks, drawn by chance.

    Args:
        masks: (..., H, W) each; of one size, if they are to be exchanged.
        kind: "exchanged" (each of them gets the mask of another), "mirrored" (left for right), "shifted" by a
            twentieth of its width to one of four sides, or "shifted a little", by an eightieth.
        share: of the masks, between 0 and 1; of those to be exchanged at least two.
        seed: decides which, and to which side.

    Returns:
        All masks in their order, and which of them were changed.

    Example:
        >>> spoil([torch.tensor([[0, 1]]), torch.tensor([[1, 1]])], "mirrored", 0.5, seed=1)
        ([tensor([[1, 0]]), tensor([[1, 1]])], [0])
    """
    chance = random.Random(seed)
    chosen = sorted(chance.sample(range(len(masks)), round(share * len(masks))))
    spoiled = list(masks)
    turned = chosen[1:] + chosen[:1]  # each one's is another's
    for place, other in zip(chosen, turned, strict=True):
        if kind == "exchanged":
            spoiled[place] = masks[other]
        elif kind == LEFT_OUT:
            continue
        elif kind == "mirrored":
            spoiled[place] = masks[place].flip(-1)
        else:
            spoiled[place] = shift(masks[place], chance.choice(((0, 1), (0, -1), (1, 0), (-1, 0))), kind)
    return spoiled, chosen


def shift(mask: Tensor, side: tuple[int, int], kind: str = "shifted") -> Tensor:
    """Move a mask (..., H, W) to a side, (down, right); what comes in at the edge is background."""
    pixels = max(1, round((FAR if kind == "shifted" else NEAR) * mask.shape[-1]))
    down, right = (pixels * direction for direction in side)
    height, width = mask.shape[-2:]
    moved = torch.zeros_like(mask)
    moved[..., max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = mask[
        ..., max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
    ]
    return moved


def with_flaws(pairs: Pairs, kind: str, share: float, seed: int) -> tuple[Pairs, list[int]]:
    """The pairs of `small_pairs` with flaws in a share of their masks, and which."""
    images, masks = zip(*pairs, strict=True)
    spoiled, chosen = spoil(masks, kind, share, seed)
    return list(zip(images, spoiled, strict=True)), chosen


def cost_of(train: Pairs, validation: Pairs, kind: str, share: float, seed: int, epochs: int = EPOCHS) -> Tensor:
    """Train on masks with flaws, or on clean ones if `share` is 0; raw outputs (N, H, W) on the validation pictures.

    With `LEFT_OUT` on fewer pictures, and so for more epochs: the number of steps stays.
    """
    flawed, chosen = with_flaws(train, kind, share, seed)
    if kind == LEFT_OUT:
        flawed = [pair for place, pair in enumerate(train) if place not in chosen]
        epochs = round(epochs * len(train) / len(flawed))
    tuned = train_recipe(flawed, validation, dataclasses.replace(RECIPE, seed=seed), epochs)
    return raw_outputs(tuned.model, validation)[0]


def judged_by(outputs: Tensor, validation: Pairs) -> float:
    """The IoU of raw outputs against the masks of these pairs, whatever is wrong with them."""
    masks = torch.stack([mask[0] for _, mask in validation]).long()  # (N, H, W)
    return iou_at(outputs, masks, 0.0)
