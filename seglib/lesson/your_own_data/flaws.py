"""Owns label noise: flaws put into good masks on purpose, and trainings on such masks. See 13_your_own_data."""

import dataclasses
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from seglib.lesson.common.short_training import Pairs, Recipe, iou_at, raw_outputs, train_recipe

EPOCHS = 8  # 64 steps with 32 pictures
RECIPE = Recipe("bce_dice", "adamw", lr=1e-3, head_lr=5e-3, weight_decay=1e-4, schedule="poly")
# How far a mask is shifted, as a share of its width: 64 and 16 pixels of 1280.
SHIFTS = {"shifted": 0.05, "shifted a little": 0.0125}
DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))  # (down, right)
KINDS = ("exchanged", "mirrored", "shifted", "shifted a little")
LEFT_OUT = "left out"  # the pictures whose masks would be wrong are not trained on


def spoil(masks: Sequence[Tensor], kind: str, share: float, seed: int) -> tuple[list[Tensor], list[int]]:
    """Put one kind of flaw into a share of the masks, chosen at random.

    Args:
        masks: (..., H, W) each; of one size, if they are to be exchanged.
        kind: "exchanged" (each of them gets the mask of another), "mirrored" (left for right), "shifted" by a
            twentieth of its width to one of four sides, "shifted a little", by an eightieth; or `LEFT_OUT`, which
            changes no mask.
        share: of the masks, between 0 and 1; of those to be exchanged at least two.
        seed: decides which, and to which side.

    Returns:
        All masks in their order, and which of them were changed.

    Example:
        >>> spoil([torch.tensor([[0, 1]]), torch.tensor([[1, 1]])], "mirrored", 0.5, seed=1)
        ([tensor([[1, 0]]), tensor([[1, 1]])], [0])
    """
    rng = random.Random(seed)
    chosen = sorted(rng.sample(range(len(masks)), round(share * len(masks))))
    spoiled = list(masks)
    others = chosen[1:] + chosen[:1]  # the one after it; the first for the last
    for place, other in zip(chosen, others, strict=True):
        if kind == "exchanged":
            spoiled[place] = masks[other]
        elif kind == "mirrored":
            spoiled[place] = masks[place].flip(-1)
        elif kind != LEFT_OUT:
            spoiled[place] = shift(masks[place], rng.choice(DIRECTIONS), kind)
    return spoiled, chosen


def shift(mask: Tensor, direction: tuple[int, int], kind: str = "shifted") -> Tensor:
    """Move a mask (..., H, W) to one side, one of `DIRECTIONS`; what comes in at the edge is background."""
    pixels = max(1, round(SHIFTS[kind] * mask.shape[-1]))
    rows_to, rows_from = _overlap(pixels * direction[0], mask.shape[-2])
    columns_to, columns_from = _overlap(pixels * direction[1], mask.shape[-1])
    moved = torch.zeros_like(mask)
    moved[..., rows_to, columns_to] = mask[..., rows_from, columns_from]
    return moved


def _overlap(distance: int, length: int) -> tuple[slice, slice]:
    """The part of a side that is filled when something as long moves by `distance`, and the part that it comes from."""
    begin = max(0, distance)
    end = length + min(0, distance)
    return slice(begin, end), slice(begin - distance, end - distance)


def with_flaws(pairs: Pairs, kind: str, share: float, seed: int) -> tuple[Pairs, list[int]]:
    """The pairs of `small_pairs` with flaws in a share of their masks, and the places of those.

    Args:
        pairs: (image (3, H, W), mask (1, H, W)) each.
        kind, share, seed: as in `spoil`.
    """
    images, masks = zip(*pairs, strict=True)
    spoiled, chosen = spoil(masks, kind, share, seed)
    return list(zip(images, spoiled, strict=True)), chosen


def cost_of(train: Pairs, validation: Pairs, kind: str, share: float, seed: int, *, epochs: int = EPOCHS) -> Tensor:
    """Train on masks with flaws, or on clean ones if `share` is 0; raw outputs (N, H, W) on the validation pictures.

    With `LEFT_OUT` there are fewer training pictures. The number of epochs then grows, so that the number of steps
    stays.

    Args:
        train, validation: of `small_pairs`.
        kind, share: as in `spoil`.
        seed: decides which masks are spoiled, and the training.
        epochs: how often each training picture is shown, if none is left out.
    """
    flawed, chosen = with_flaws(train, kind, share, seed)
    if kind == LEFT_OUT:
        flawed = [pair for place, pair in enumerate(train) if place not in chosen]
        epochs = round(epochs * len(train) / len(flawed))
    run = train_recipe(flawed, validation, dataclasses.replace(RECIPE, seed=seed), epochs)
    outputs, _ = raw_outputs(run.model, validation)
    return outputs


def judged_by(outputs: Tensor, validation: Pairs) -> float:
    """The IoU of raw outputs (N, H, W), logits, against the masks of these pairs, whatever is wrong with the masks."""
    masks = torch.stack([mask[0] for _, mask in validation]).long()  # (N, H, W)
    return iou_at(outputs, masks, threshold=0.0)
