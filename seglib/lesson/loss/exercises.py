"""Owns the exercise checks of 05_loss: a loss that ignores 255, Dice, and what pos_weight makes of a guess."""

from collections.abc import Iterable

import torch
from torch import Tensor

from seglib.lesson.common.exercise import Attempt, NotYet, close, describe, exercise, number, one_number

_OUTPUTS = torch.tensor([0.2, 0.9, 0.4, -0.5, 1.2, 0.7, 3.0, -2.0]).view(2, 1, 2, 2)
_MASKS = torch.tensor([0.0, 1.0, 1.0, 0.0, 255.0, 1.0, 255.0, 0.0]).view(2, 1, 2, 2)
_PROBABILITIES = torch.tensor([0.9, 0.2, 0.6, 0.1, 0.3, 0.8]).view(2, 1, 1, 3)
_FRUIT = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 1.0]).view(2, 1, 1, 3)


@exercise
def check_known_pixels(my_loss: Attempt) -> str:
    """Check `my_loss(outputs, masks)`: the mean squared error of the pixels that are not 255; 0 if there is none."""
    none = torch.full_like(_MASKS, 255.0)
    for masks in (_MASKS.clamp(max=1), _MASKS, none):
        known = masks != 255
        given = f"8 pixels, {int((~known).sum())} of them 255"
        moving = _OUTPUTS.clone().requires_grad_()
        result = my_loss(moving, masks.clone(), given=given)
        squares = (_OUTPUTS - masks) ** 2
        count = max(int(known.sum()), 1)
        sum_of_known = squares[known].sum().item()
        sum_as_background = _OUTPUTS[~known].square().sum().item()
        typical = [
            (
                squares.mean().item(),
                "255 is taken for a number, and its squared error is huge. Leave these pixels out.",
            ),
            (sum_of_known / 8, "you leave out the pixels of 255 and divide by all pixels. Divide by those that count."),
            (
                (sum_of_known + sum_as_background) / 8,
                "255 counts as background here. It means that nobody can say: leave it out.",
            ),
            (sum_of_known, "this is the sum. Divide it by the number of pixels that count."),
        ]
        if not known.any():
            typical.append((float("nan"), "no pixel counts, and 0 / 0 is NaN. One NaN ends a training: give back 0."))
        _check_loss(result, moving, sum_of_known / count, typical, given=given)
    return "The pixels that count, divided by their number, and 0 where there is none."


@exercise
def check_dice_loss(my_dice_loss: Attempt) -> str:
    """Check `my_dice_loss(probabilities, masks)`: 1 - (2 I + 1) / (P + T + 1), sums over the whole batch."""
    for masks in (_FRUIT, torch.zeros_like(_FRUIT)):
        given = f"6 probabilities and a mask with {int(masks.sum())} pixels of fruit"
        moving = _PROBABILITIES.clone().requires_grad_()
        result = my_dice_loss(moving, masks.clone(), given=given)
        shared = (_PROBABILITIES * masks).sum().item()
        predicted = _PROBABILITIES.sum().item()
        true = masks.sum().item()
        dice = (2 * shared + 1) / (predicted + true + 1)
        hard = (_PROBABILITIES > 0.5).float()
        hard_dice = (2 * (hard * masks).sum().item() + 1) / (hard.sum().item() + true + 1)
        of_each_picture = [
            1 - (2 * (p * m).sum().item() + 1) / ((p + m).sum().item() + 1)
            for p, m in zip(_PROBABILITIES, masks, strict=True)
        ]
        typical = (
            (dice, "this is Dice itself, which is 1 when all is right. A loss gets smaller: 1 - Dice."),
            (
                1 - hard_dice,
                "you cut the probabilities at a threshold. A step has no slope, so nothing could be learned.",
            ),
            (
                1 - 2 * shared / (predicted + true),
                "the two 1s are missing. With them an empty mask costs little, not 1.",
            ),
            (1 - (shared + 1) / (predicted + true + 1), "the shared part counts twice in Dice: 2 * I."),
            (
                1 - (shared + 1) / (predicted + true - shared + 1),
                "this is IoU as a loss. Dice divides by the sum of the areas.",
            ),
            (
                sum(of_each_picture) / 2,
                "this is the mean over the pictures. Sum over the whole batch first, then divide once.",
            ),
        )
        _check_loss(result, moving, 1 - dice, typical, given=given)
    return "Twice the shared part, divided by the sum of both, taken from 1."


@exercise
def check_best_guess(my_guess: Attempt) -> str:
    """Check `my_guess()`: the best single probability for all pixels, one tenth of them fruit, with pos_weight 3."""
    result = my_guess(given="nothing")
    value = one_number(result)
    if value > 1 or value < 0:
        raise NotYet(f"a probability lies between 0 and 1, and yours is {value:g}.")
    typical = (
        (0.1, "this is the share of fruit, the best guess without pos_weight. Three times the weight moves it."),
        (0.3, "the weight of fruit is 3 times 10. But it is a share of all weights: the background has its 90 still."),
        (0.5, "this is the best guess with pos_weight 9, where both sides weigh the same."),
        (1 / 3, "you compare fruit with background, 30 to 90. The share is fruit among both: 30 of how many?"),
        (3 / 13, "with 3 for each fruit the weights are 30 and 90, not 30 and 100."),
        (0.75, "this is the share of the background. How sure of fruit should the guess be?"),
    )
    if not abs(value - 0.25) < 0.005:
        hint = next((words for wrong, words in typical if abs(value - wrong) < 0.005), None)
        raise NotYet(hint or f"{value:g} is not it. How much do all pixels of fruit weigh, and how much all others?")
    return "30 of 120: fruit's share of all weights. So pos_weight changes what a probability means."


def _check_loss(
    result: object,
    outputs: Tensor,
    wanted: float,
    typical: Iterable[tuple[float, str]],
    *,
    given: str,
) -> None:
    """Raise the hint for a value that is wrong, or right and without a gradient to `outputs`, or with NaN in it."""
    value = number(result.detach() if isinstance(result, Tensor) else result)
    if value is None:
        raise NotYet(f"a loss is one number; this is {describe(result)}. Sum or average over all dimensions.")
    if not close(value, wanted):
        hint = next((hint for wrong, hint in typical if close(value, wrong)), None)
        raise NotYet(hint or f"given {given} the loss is {wanted:.4f}, and yours is {value:.4f}.")
    if not (isinstance(result, Tensor) and result.requires_grad):
        raise NotYet(
            f"given {given} the value is right and no gradient leads back to the outputs: leave out .item() and "
            ".detach(), and give back a tensor, not a plain number."
        )
    (gradient,) = torch.autograd.grad(result, outputs, allow_unused=True)
    if gradient is not None and not gradient.isfinite().all():
        raise NotYet(f"given {given} the value is right, but its gradient is NaN: divide by something that is never 0.")
