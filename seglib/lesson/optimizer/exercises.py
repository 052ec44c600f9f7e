"""Owns the exercise checks of 06_optimizer: a rate and its IoU, how far a schedule lets Adam go, momentum by hand."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from seglib.lesson.common.exercise import Attempt, NotYet, close, describe, exercise, number
from seglib.lesson.common.recorded import recorded
from seglib.optim import make_scheduler

EPOCHS = 8  # after which benchmarks/learning_rates.py measured last
NEAR = 0.05  # of IoU, for a prediction


@exercise
def check_rate_and_iou(my_choice: Attempt) -> str:
    """Check `my_choice()`: a learning rate for 64 steps of the notes' Adam, and the IoU that it reaches.

    Both are compared with the record of benchmarks/learning_rates.py. Between two rates the IoU is taken from the
    straight line over the logarithm of the rate. A rate is good if it comes within one spread of the best.
    """
    rate, predicted = _rate_and_iou(my_choice(given="nothing"))
    rows = [row for row in recorded("learning_rates")["summary"] if row["arm"] == "adam"]
    rates = [row["lr"] for row in rows]
    marks = {mark["epoch"]: [row["marks"][place]["iou"] for row in rows] for place, mark in enumerate(rows[0]["marks"])}
    if not rates[0] <= rate <= rates[-1]:
        raise NotYet(f"a rate of {rate:g} was not measured. Choose one from {rates[0]:g} to {rates[-1]:g}.")
    best = max(rows, key=lambda row: row["marks"][-1]["iou"])
    reached = _between(rate, rates, marks[EPOCHS])
    spread = best["marks"][-1]["iou_spread"]
    if reached < best["marks"][-1]["iou"] - spread:
        raise NotYet(f"{_rate_hint(rate, reached, best['lr'])} It may lie at most {spread:.2f} below the best IoU.")
    if not abs(predicted - reached) <= NEAR:
        early = _between(rate, rates, marks[3])
        raise NotYet(f"{_iou_hint(predicted, reached, early)} A prediction may be at most {NEAR:g} off.")
    return (
        f"At {rate:g} the record has an IoU of {reached:.2f} after {EPOCHS} epochs. You predicted {predicted:g}, "
        f"which is at most {NEAR:g} off."
    )


def _rate_and_iou(result: object) -> tuple[float, float]:
    both = tuple(result) if isinstance(result, tuple | list) else ()
    numbers = [number(value) for value in both]
    if len(numbers) != 2 or None in numbers:
        raise NotYet(f"give back two numbers, the rate and the IoU: return rate, iou. This is {describe(result)}.")
    rate, predicted = float(numbers[0] or 0), float(numbers[1] or 0)
    if 0 < predicted < rate:
        raise NotYet("the first number is the rate, the second the IoU. These two look as if they were swapped.")
    if not 0 <= predicted <= 1:
        raise NotYet(f"an IoU lies between 0 and 1; yours is {predicted:g}.")
    return rate, predicted


def _between(rate: float, rates: Sequence[float], ious: Sequence[float]) -> float:
    """The IoU at a rate, on the straight line between the two measured ones beside it."""
    return float(np.interp(math.log10(rate), np.log10(rates), ious))


def _rate_hint(rate: float, reached: float, best: float) -> str:
    if rate < 1e-4:
        return (
            f"at {rate:g} the IoU is {reached:.2f}. In 64 steps no weight goes much farther than "
            f"{64 * rate:g}: take a much higher rate."
        )
    way = "higher" if rate < best else "lower"
    return f"at {rate:g} the IoU is {reached:.2f}. A {way} rate gets farther."


def _iou_hint(predicted: float, reached: float, early: float) -> str:
    if abs(predicted - early) < 0.02:
        return "the rate is good. The IoU is about that after 3 epochs; in the five that follow it rises a little."
    if predicted > reached:
        return "the rate is good, but 64 steps do not get so far: the rise from epoch 3 to 8 is smaller."
    return "the rate is good, and it gets farther than you think: look at what it has after 3 epochs."


@exercise
def check_momentum(my_momentum: Attempt) -> str:
    """Check `my_momentum(weight, gradients, lr, momentum)`: where SGD with momentum takes a weight."""
    for gradients, momentum in (([1.0, 1.0, 1.0], 0.0), ([1.0, 2.0, -1.0], 0.9), ([0.5, 0.0, 0.0, 0.0], 0.5)):
        given = f"a weight of 1.0, the gradients {gradients}, lr=0.1, momentum={momentum}"
        value = number(my_momentum(1.0, list(gradients), 0.1, momentum, given=given))
        if value is None:
            raise NotYet(f"the weight after the last step is one number, given {given}.")
        plain = 1.0 - 0.1 * sum(gradients)
        wanted = _sgd_with_momentum(gradients, momentum)
        typical = (
            (2 - wanted, "the weight goes uphill. A step goes against the gradient: minus."),
            (plain, "this is SGD without momentum. The velocity keeps `momentum` of what it was before."),
            (
                _sgd_with_momentum(gradients, momentum, 1 - momentum),
                "the new gradient is made smaller. Torch adds it whole.",
            ),
            (
                _step_before_velocity(gradients, momentum),
                "you step before you add the gradient, so each one comes a step late.",
            ),
            (_sgd_with_momentum(gradients[-1:], momentum), "only the last gradient has moved the weight."),
        )
        if not close(value, wanted):
            hint = next((hint for wrong, hint in typical if close(value, wrong)), None)
            raise NotYet(hint or f"given {given} the weight ends at {wanted:.4g}, yours at {value:.4g}.")
    return "Each velocity is the new gradient, and a part of the velocity before."


def _sgd_with_momentum(gradients: Sequence[float], momentum: float, share: float = 1.0) -> float:
    """Where a weight of 1.0 ends at a learning rate of 0.1; `share` of each gradient is added to the velocity."""
    weight = 1.0
    velocity = 0.0
    for gradient in gradients:
        velocity = momentum * velocity + share * gradient
        weight -= 0.1 * velocity
    return weight


def _step_before_velocity(gradients: Sequence[float], momentum: float) -> float:
    """A typical mistake: the weight moves before the velocity has taken the new gradient in."""
    weight = 1.0
    velocity = 0.0
    for gradient in gradients:
        weight -= 0.1 * velocity
        velocity = momentum * velocity + gradient
    return weight


@exercise
def check_schedule_distance(my_distance: Attempt) -> str:
    """Check `my_distance(lr, steps, warmup)`: how far Adam moves a weight whose gradient is 1 at each step.

    The schedule is the poly one of `make_scheduler`, with a warm-up.
    """
    for lr, steps, warmup in ((3e-3, 64, 8), (0.1, 10, 0), (0.02, 12, 5)):
        given = f"lr={lr:g}, steps={steps}, warmup={warmup}"
        hints: dict[type[Exception], str] = {
            ZeroDivisionError: f"given {given} something is divided by 0. Without a warm-up no step is one that rises."
        }
        result = my_distance(lr, steps, warmup, given=given, hints=hints)
        value = number(result)
        if value is None:
            raise NotYet(f"the distance is one number; this is {describe(result)}. Sum up the rates of all steps.")
        wanted = _distance_of_adam(lr, steps, warmup)
        if not math.isclose(value, wanted, rel_tol=1e-4):
            raise NotYet(_distance_hint(value, wanted, (lr, steps, warmup), given))
    constant = 64 * 3e-3
    scheduled = _distance_of_adam(3e-3, 64, 8)
    return f"64 steps at a constant 0.003 move the weight by {constant:.3f}, under the schedule by {scheduled:.3f}."


def _distance_of_adam(lr: float, steps: int, warmup: int) -> float:
    """Measured: torch's Adam, `make_scheduler`, one weight in float64 that begins at 0."""
    weight = nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = torch.optim.Adam([weight], lr=lr)
    scheduler = make_scheduler(optimizer, "poly", steps, warmup)
    for _ in range(steps):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        scheduler.step()
    return -weight.item()


def _distance_hint(value: float, wanted: float, arguments: tuple[float, int, int], given: str) -> str:
    lr, steps, warmup = arguments
    typical = (
        (lr * steps, "this is a constant rate. Under the schedule most steps are smaller than lr."),
        (wanted / lr, "the steps are counted in units of lr. Multiply by lr."),
        (-wanted, "a distance has no sign."),
        (_summed(lr, steps, warmup, power=1.0), "the fall is a straight line. Take the share to the power 0.9."),
        (_summed(lr, steps, warmup, lowest=0.0), "the rise begins at 0. It begins at a hundredth of lr."),
        (_summed(lr, steps, warmup, rise_offset=1), "the rise is a step early: its first step has lr / 100."),
        (
            _summed(lr, steps, warmup, fall_offset=1),
            "the fall is a step early: the first step after the warm-up has the whole lr.",
        ),
        (
            _summed(lr, steps, warmup, fall_over=steps),
            "the share is one of all steps. The fall reaches 0 over those that come after the warm-up.",
        ),
        (_summed(lr, steps, 0), "there is no rise in it: the first `warmup` steps are smaller."),
        (_summed(lr, steps, warmup, power=0.0), "there is no fall in it: after the warm-up the rate goes down to 0."),
        (
            wanted - _summed(lr, steps, warmup, fall_over=0),
            "the steps of the warm-up are missing. The weight moves in them too.",
        ),
    )
    hint = next((hint for wrong, hint in typical if math.isclose(value, wrong, rel_tol=1e-4)), None)
    return hint or f"given {given} the weight goes {wanted:.4g}, yours {value:.4g}."


def _summed(
    lr: float,
    steps: int,
    warmup: int,
    *,
    power: float = 0.9,
    lowest: float = 0.01,
    rise_offset: int = 0,
    fall_offset: int = 0,
    fall_over: int | None = None,
) -> float:
    """The sum of the rates of all steps; with one of the keywords changed, that of a typical mistake."""
    rise = [lowest + (1 - lowest) * (step + rise_offset) / warmup for step in range(warmup)]
    over = steps - warmup if fall_over is None else fall_over
    fall = [(1 - (step + fall_offset) / over) ** power for step in range(steps - warmup)] if over else []
    return lr * sum(rise + fall)
