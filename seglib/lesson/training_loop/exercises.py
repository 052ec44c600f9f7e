"""Owns the exercise checks of 07_training_loop: a clipped weight, a gradient by differences, an epoch."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seglib.lesson.common.exercise import Attempt, NotYet, close, describe, exercise, number


@exercise
def check_clipped(my_weight: Attempt) -> str:
    """Check `my_weight()`: where the one weight is after three steps whose gradients are clipped to a length of 0.5."""
    value = number(my_weight(given="nothing"))
    if value is None:
        raise NotYet("one weight is one number, such as 0.25.")
    for wrong, hint in (
        (0.4375, "that is without clipping. The first gradient is -1; how long may it be?"),
        (0.125, "that is after one step. There are three."),
        (0.25, "that is after two steps. There are three."),
        (0.2890625, "that halves each gradient. Clipping leaves alone what is short enough: how long is the third?"),
        (-0.375, "the steps have the right length. They go against the gradient, which is negative here."),
        (0.5, "that is where it ends up, after many steps. How far does one step go at most?"),
        (1.5, "three gradients of 0.5 each. A step is the rate of 0.25 times the gradient."),
    ):
        if close(value, wrong):
            raise NotYet(hint)
    if not close(value, 0.375):
        raise NotYet(f"it is not {value:.4g}. At weight w the gradient is 2 * w - 1. Write down the three, and clip.")
    return "Each step moves the weight by 0.125: the third gradient is just 0.5 long, and stays as it is."


@exercise
def check_gradient(my_gradient: Attempt) -> str:
    """Check `my_gradient(loss_of, weight, h)`: how fast `loss_of(weight)` rises, by differences to both sides."""
    cases: tuple[tuple[str, Callable[[float], float], float, float], ...] = (
        ("weight ** 2", lambda w: w**2, 3.0, 6.0),
        ("(2 * weight - 1) ** 2 / 4", lambda w: (2 * w - 1) ** 2 / 4, 0.0, -1.0),
        ("sin(weight)", math.sin, 0.0, 1.0),
    )
    for name, loss_of, weight, wanted in cases:
        h = 0.001
        given = f"loss_of = {name} at weight = {weight:g}, with h = 0.001"
        result = my_gradient(loss_of, weight, h, given=given)
        value = number(result)
        if value is None:
            raise NotYet(f"a gradient of one weight is one number; this is {describe(result)}.")
        if abs(value - wanted) < 1e-5:
            continue
        above = loss_of(weight + h)
        here = loss_of(weight)
        below = loss_of(weight - h)
        for wrong, hint in (
            ((above - here) / h, "a difference to one side leans by about h. Go h up and h down."),
            ((here - below) / h, "a difference to one side leans by about h. Go h up and h down."),
            ((above - below) / h, "from h below to h above is a way of 2 * h: divide by that."),
            ((below - above) / (2 * h), "the sign is turned round: the loss above, minus the loss below."),
            ((above - below), "that is how far the loss rises. Divide by the way, 2 * h."),
            ((above - below) / 2 * h, "/ 2 * h multiplies by h: put brackets around 2 * h."),
        ):
            if math.isclose(value, wrong, rel_tol=1e-6, abs_tol=1e-12):
                raise NotYet(f"{given}: {value:.5g}; {hint}")
        raise NotYet(f"{given}: the gradient is {wanted:g}, and {value:.5g} came out.")
    return "Two losses, their difference, divided by the way between them."


class _RecordingModel(nn.Module):
    """One weight times the first channel; adds each forward and backward pass to `events`."""

    def __init__(self, events: list[str]):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.0))
        self.events = events
        self.weight.register_hook(lambda _: events.append("backward"))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        self.events.append("forward" if self.training else "forward, evaluating")
        return {"out": self.weight * images[:, :1]}


class _RecordingOptimizer(torch.optim.SGD):
    """Plain gradient descent; adds each of its calls to the model's `events`."""

    def __init__(self, model: _RecordingModel):
        super().__init__(model.parameters(), lr=0.25)
        self.model = model

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.model.events.append("zero_grad")
        super().zero_grad(set_to_none)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.model.events.append("step" if self.model.weight.grad is not None else "step without gradients")
        super().step()


@exercise
def check_epoch(my_epoch: Attempt) -> str:  # noqa: C901 - a flat list of typical mistakes, each with its hint
    """Check `my_epoch(model, batches, criterion, optimizer)`: train on each batch once, give back the mean loss."""
    events: list[str] = []
    model = _RecordingModel(events).eval()
    batches = [
        (torch.ones(n, 3, 2, 2), torch.full((n, 1, 2, 2), target)) for n, target in ((4, 1.0), (4, 1.0), (2, 0.0))
    ]
    given = "a model of one weight, batches of 4, 4 and 2 images, nn.MSELoss() and SGD"
    out = "the model gives a dict: its answer is model(images)['out']."
    optimizer = _RecordingOptimizer(model)
    result = my_epoch(model, batches, nn.MSELoss(), optimizer, given=given, hints={AttributeError: out, KeyError: out})
    weight = model.weight.item()
    if "forward, evaluating" in events:
        raise NotYet("the model answered in evaluation mode: model.train() comes first, or dropout and BatchNorm rest.")
    if "backward" not in events:
        raise NotYet("no gradient was computed, so no step can move a weight: loss.backward().")
    if not {"step", "step without gradients"} & set(events):
        raise NotYet("there are gradients, and nobody used them: optimizer.step().")
    if "step without gradients" in events:
        raise NotYet(
            f"a step found no gradients to follow. This is what happened first: {', '.join(events[:5])}. "
            "The order is zero_grad, forward, loss, backward, step."
        )
    if close(weight, 1.375):
        raise NotYet("the gradients of the batches before were still there, and were added: optimizer.zero_grad().")
    if not close(weight, 0.375):
        raise NotYet(f"after three steps the weight is {weight:.4g}, not 0.375. Take one step for each batch.")
    if isinstance(result, Tensor) and result.requires_grad:
        raise NotYet("the sum holds on to the graph of every batch. Add loss.item(), a plain number.")
    value = number(result)
    if value is None:
        raise NotYet(f"the mean loss is one number; this is {describe(result)}.")
    losses = (1.0, 0.25, 0.5625)
    for wrong, hint in (
        (sum(losses) / 12, "the weights are right; this is the notes' number, which divides by four once too often."),
        (sum(losses) / 3, "the weights are right; this is a mean of means. The last batch has 2 images, not 4."),
        (sum(losses) / 10, "the weights are right; each loss is a mean already: multiply it by len(images) first."),
        (losses[-1], "the weights are right; this is the loss of the last batch alone."),
        (6.125, "the weights are right; divide the sum by the number of images."),
    ):
        if close(value, wrong):
            raise NotYet(hint)
    if not close(value, 0.6125):
        raise NotYet(f"the weights are right; the mean loss over 10 images is 0.6125, and {value:.4g} came out.")
    return "Zeroed, forward, loss, backward, step; and each image counts once."
