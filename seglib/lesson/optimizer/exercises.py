"""Owns the exercise checks of 06_optimizer."""

from collections.abc import Sequence

from seglib.lesson.common.exercise import Attempt, NotYet, close, exercise, number


@exercise
def check_momentum(my_momentum: Attempt) -> str:
    """Check `my_momentum(weight, gradients, lr, momentum)`: where SGD with momentum takes a weight."""
    for gradients, momentum in (([1.0, 1.0, 1.0], 0.0), ([1.0, 2.0, -1.0], 0.9), ([0.5, 0.0, 0.0, 0.0], 0.5)):
        given = f"a weight of 1.0, the gradients {gradients}, lr=0.1, momentum={momentum}"
        value = number(my_momentum(1.0, list(gradients), 0.1, momentum, given=given))
        if value is None:
            raise NotYet(f"the weight after the last step is one number, given {given}.")
        plain = 1.0 - 0.1 * sum(gradients)
        wanted = _walk(gradients, momentum, 1.0)
        typical = (
            (2 - wanted, "the weight goes uphill. A step goes against the gradient: minus."),
            (plain, "this is SGD without momentum. The velocity keeps `momentum` of what it was before."),
            (_walk(gradients, momentum, 1 - momentum), "the new gradient is made smaller. Torch adds it whole."),
            (_late(gradients, momentum), "you step before you add the gradient, so each one comes a step late."),
            (_walk(gradients[-1:], momentum, 1.0), "only the last gradient has moved the weight."),
        )
        if not close(value, wanted):
            hint = next((hint for wrong, hint in typical if close(value, wrong)), None)
            raise NotYet(hint or f"given {given} the weight ends at {wanted:.4g}, yours at {value:.4g}.")
    return "Each velocity is the new gradient, and a part of the velocity before."


def _walk(gradients: Sequence[float], momentum: float, share: float) -> float:
    weight, velocity = 1.0, 0.0
    for gradient in gradients:
        velocity = momentum * velocity + share * gradient
        weight -= 0.1 * velocity
    return weight


def _late(gradients: Sequence[float], momentum: float) -> float:
    weight, velocity = 1.0, 0.0
    for gradient in gradients:
        weight -= 0.1 * velocity
        velocity = momentum * velocity + gradient
    return weight
