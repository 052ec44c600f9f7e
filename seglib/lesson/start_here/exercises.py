"""Owns the exercise checks of 00_start_here: IoU by hand and predicted, and the threshold that goes with a loss."""

import numpy as np
import torch

from seglib.lesson.common.exercise import Attempt, NotYet, close, describe, exercise, number, one_number

_PREDICTED = torch.tensor([[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)  # 6 cells
_TARGET = torch.tensor([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1]], dtype=torch.bool)  # 5 cells, 3 shared


@exercise
def check_iou(my_iou: Attempt) -> str:
    """Check `my_iou(predicted, target)`: two boolean tensors of one shape in, a float out; NaN where both are empty."""
    wide = torch.zeros(3, 5, dtype=torch.bool)
    wide[:, 1:3] = True
    wide_target = torch.zeros(3, 5, dtype=torch.bool)
    wide_target[1:, 2:] = True
    for predicted, target in ((_PREDICTED, _TARGET), (wide, wide_target), (_TARGET, _TARGET), (wide, ~wide)):
        both = int((predicted & target).sum())
        either = int((predicted | target).sum())
        given = f"{int(predicted.sum())} predicted and {int(target.sum())} target cells, {both} of them shared"
        value = _one_number(my_iou(predicted.clone(), target.clone(), given=given))
        if not close(value, both / either):
            raise NotYet(_iou_hint(value, predicted, target, given))
    empty = torch.zeros(4, 4, dtype=torch.bool)
    zero = "with two empty masks the union is 0, and we divide by it. Nothing is there to find: give back float('nan')."
    value = _one_number(my_iou(empty, empty.clone(), given="two empty masks", hints={ZeroDivisionError: zero}))
    if not np.isnan(value):
        raise NotYet(
            f"two empty masks give {value:g}. Nothing is there to be scored: give back float('nan'), "
            "and an average can leave this picture out."
        )
    return "The cells in both masks, divided by the cells in either; NaN where there is nothing to find."


def _one_number(result: object) -> float:
    value = number(result)
    if value is None:
        raise NotYet(f"an IoU is one number between 0 and 1; this is {describe(result)}. Count cells with .sum().")
    return value


def _iou_hint(value: float, predicted: torch.Tensor, target: torch.Tensor, given: str) -> str:
    both = int((predicted & target).sum())
    either = int((predicted | target).sum())
    ours = int(predicted.sum())
    theirs = int(target.sum())
    typical = (
        (
            both / (ours + theirs),
            "you divide by the sum of the two areas, which counts the shared cells twice: that is "
            "half of Dice. Divide by the cells in either mask, predicted | target.",
        ),
        (
            2 * both / (ours + theirs),
            "this is Dice, 2 * intersection / sum of the areas. IoU divides the intersection by the union.",
        ),
        (
            float((predicted == target).float().mean()),
            "this is pixel accuracy: the background that both leave empty "
            "counts as a success. IoU counts no cell outside the union.",
        ),
        (
            both / theirs,
            "you divide by the target alone: that is recall, and a prediction of fruit everywhere would "
            "score 1. Divide by the union.",
        ),
        (
            both / ours,
            "you divide by the prediction alone: that is precision, and one correct cell would score 1. "
            "Divide by the union.",
        ),
        (100 * both / either, "this is a percentage. An IoU runs from 0 to 1."),
        (both // either, "a whole number: // drops what is behind the point. Divide with /."),
        (both, "this is the intersection. Divide it by the union."),
        (either, "this is the union. Divide the intersection by it."),
        (either / both if both else -1.0, "this is the union divided by the intersection: the other way round."),
    )
    for wrong, hint in typical:
        if close(value, wrong):
            return f"{given}: {value:.3g} is not the IoU. {hint[0].upper()}{hint[1:]}"
    return f"{given}: the IoU is {both} / {either} = {both / either:.3f}, and my_iou gives {value:.3f}."


@exercise
def check_larger_squares(my_larger_squares: Attempt) -> str:
    """Check `my_larger_squares()`: the IoU of two squares of 8 by 8 cells, shifted by one cell to the side."""
    answer = my_larger_squares(given="nothing")
    value = one_number(answer)
    if abs(value - 56 / 72) < 0.006:  # two decimals are enough for a prediction
        return "56 cells are shared and 72 are covered: 56 / 72 = 0.78. The larger the square, the less a cell costs."
    if close(value, 1 / 3):
        raise NotYet("0.333 is that of the small squares. The shift is the same, but it is a smaller part of these.")
    hints = (
        (56 / 64, "you divide by one square. The union has the cells of both, the shared ones once."),
        (56 / 128, "64 + 64 counts the shared cells twice. The union counts them once."),
        (49 / 79, "this is for a shift in both directions. Here it is to the side only."),
        (56 / 80, "look at the union again: 8 rows, and how many columns in at least one square?"),
        (48 / 80, "this is for a shift of two cells."),
        (56.0, "this is the intersection. Divide it by the union."),
        (72.0, "this is the union. Divide the intersection by it."),
        (72 / 56, "this is the union divided by the intersection: the other way round."),
        (100 * 56 / 72, "this is a percentage. An IoU runs from 0 to 1."),
    )
    for wrong, hint in hints:
        if abs(value - wrong) < 0.006 * max(1.0, wrong):
            raise NotYet(hint)
    raise NotYet(f"yours is {value:g}. Count columns: how many are in both squares, and how many in at least one?")


@exercise
def check_predict_threshold(my_predict: Attempt) -> str:
    """Check `my_predict(outputs)`: logits (N, 1, H, W) after BCE in, a mask (N, H, W) of bool or int out."""
    logits = torch.tensor([[[0.3, 2.0, -0.2], [-3.0, 0.8, -1.0]], [[-0.4, 0.1, 4.0], [1.5, -2.0, 0.45]]])  # (2, 2, 3)
    outputs = logits.unsqueeze(1)
    mask = _mask_of_right_shape(my_predict(outputs.clone(), given="outputs of shape (2, 1, 2, 3)"))
    _check_mask_values(mask, logits)
    _check_mask_pixels(mask, logits)
    if mask.is_floating_point():
        raise NotYet("the values are right, but as floats. A mask holds labels: make it bool or int, with .long().")
    single = torch.as_tensor(my_predict(outputs[:1].clone(), given="a batch of one"))
    if tuple(single.shape) != (1, 2, 3):
        raise NotYet(
            f"a batch of one loses its batch dimension: {tuple(single.shape)} instead of (1, 2, 3). squeeze() takes "
            "away every dimension of size 1; squeeze(1) takes away the channel alone."
        )
    return "Probability 0.5 is logit 0, and the channel is gone."


def _mask_of_right_shape(result: object) -> torch.Tensor:
    """The answer as a tensor (2, 2, 3); a NotYet if it has another shape or is none."""
    if not isinstance(result, torch.Tensor | np.ndarray):
        raise NotYet(f"a mask is a tensor; this is {describe(result)}.")
    mask = torch.as_tensor(result)
    shape = tuple(mask.shape)
    if shape == (2, 1, 2, 3):
        raise NotYet(
            "the channel is still there: (2, 1, 2, 3). A mask has no channel: take outputs[:, 0], or squeeze(1)."
        )
    if shape != (2, 2, 3):
        raise NotYet(f"outputs of shape (2, 1, 2, 3) are to give a mask of shape (2, 2, 3); this is {shape}.")
    return mask


def _check_mask_values(mask: torch.Tensor, logits: torch.Tensor) -> None:
    """A NotYet unless the mask holds nothing but 0 and 1."""
    if torch.allclose(mask.double(), torch.sigmoid(logits).double(), atol=1e-4):
        raise NotYet("these are probabilities. Compare them with 0.5 to get a mask of yes and no.")
    if torch.equal(mask.double(), logits.double()):
        raise NotYet("these are the outputs themselves. Compare them with a threshold to get a mask of yes and no.")
    values = mask.double().unique().tolist()
    if set(values) - {0.0, 1.0}:
        raise NotYet(f"a mask holds 0 and 1 (or False and True); this one holds {values[:4]}.")


def _check_mask_pixels(mask: torch.Tensor, logits: torch.Tensor) -> None:
    """A NotYet unless the mask is 1 where the logit is above 0; typical mistakes get hints of their own."""
    target = logits > 0
    typical = (
        (
            logits > 0.5,
            "logit 0.3 is left out. After BCE an output is a logit: its probability, sigmoid(0.3) = 0.57, is "
            "above 0.5. Compare the logit with 0, or its sigmoid with 0.5.",
        ),
        (
            torch.ones_like(target),
            "everything is fruit. A sigmoid of a sigmoid lies between 0.5 and 0.73, so 0.5 cuts "
            "nothing off: apply it once.",
        ),
        (
            torch.zeros_like(target),
            "nothing is fruit. Along a channel of one, argmax is always 0: compare with a threshold.",
        ),
        (~target, "fruit and background are exchanged: fruit is where the probability is above 0.5."),
    )
    fruit = mask.bool()
    for wrong, hint in typical:
        if torch.equal(fruit, wrong):
            raise NotYet(hint)
    if not torch.equal(fruit, target):
        raise NotYet(f"{int((fruit != target).sum())} of 12 pixels differ. Fruit is where sigmoid(logit) is above 0.5.")
