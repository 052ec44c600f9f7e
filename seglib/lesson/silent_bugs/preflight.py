"""Owns checks that a training script passes before anybody believes its figures. See 12_silent_bugs.

Each takes a script: anything with `start`, `train_one_epoch` and `evaluate` as in `plain_script`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

Pairs = Any  # a list of (image (3, H, W) in [0, 1], mask (1, H, W) of 0.0 and 1.0)


def clears_gradients(script: Any, pairs: Pairs) -> bool:
    """Poison every gradient with NaN and take a step. Whoever clears them first never notices."""
    model, optimizer, schedule = script.start(1e-3, 1)
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, torch.nan)
    script.train_one_epoch(model, [default_collate(pairs[:2])], optimizer, schedule)
    return all(bool(weight.isfinite().all()) for weight in model.parameters())


def moves_every_layer(script: Any, pairs: Pairs) -> bool:
    """Take a step, and look for tensors of weights in which not one number has changed."""
    model, optimizer, schedule = script.start(1e-3, 1)
    before = [weight.detach().clone() for weight in model.parameters()]
    script.train_one_epoch(model, [default_collate(pairs[:2])], optimizer, schedule)
    return not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def switches_modes(script: Any, pairs: Pairs) -> bool:
    """Measure, train, measure: which mode is the model in, each time that it is asked?"""
    model, optimizer, schedule = script.start(1e-3, 1)
    seen: dict[str, list] = {"train": [], "measure": []}
    batch = [default_collate(pairs[:2])]
    for _ in range(2):
        with _listening(model, lambda images: seen["measure"].append(model.training)):
            script.evaluate(model, pairs[:2], batch_size=2)
        with _listening(model, lambda images: seen["train"].append(model.training)):
            script.train_one_epoch(model, batch, optimizer, schedule)
    return all(seen["train"]) and not any(seen["measure"])


def shows_the_same_pixels(script: Any, pairs: Pairs) -> bool:
    """Do training and measuring hand the model the same numbers? Compared by mean and spread of each channel."""
    model, optimizer, schedule = script.start(1e-3, 1)
    seen: list[Tensor] = []
    with _listening(model, lambda images: seen.append(torch.cat([images.mean((0, 2, 3)), images.std((0, 2, 3))]))):
        script.train_one_epoch(model, [default_collate(pairs[:2])], optimizer, schedule)
        script.evaluate(model, pairs[:2], batch_size=2)
    return torch.allclose(seen[0], seen[-1], atol=1e-3)


def measures_alike_in_any_batches(script: Any, model: nn.Module, pairs: Pairs) -> bool:
    """Measure one model three times, in batches of six, four and two: it is one model, so it is one figure."""
    model.train()  # as it comes from training
    scores = [script.evaluate(model, pairs, batch_size=size) for size in (6, 4, 2)]
    return max(scores) - min(scores) < 1e-3


def prefers_its_own_masks(script: Any, model: nn.Module, pairs: Pairs) -> bool:
    """Measure against each picture's own mask, and against its neighbours': the own one should fit best, by far."""
    images, masks = zip(*pairs, strict=True)
    own, *others = (
        script.evaluate(model, list(zip(images, masks[shift:] + masks[:shift], strict=True))) for shift in (0, 1, -1)
    )
    return own > 1.5 * max(others)


def learns_two_by_heart(script: Any, pairs: Pairs, steps: int = 40, goal: float = 0.8) -> bool:
    """Train on two pictures until nothing else matters. Whoever cannot do that cannot learn 32."""
    model, optimizer, schedule = script.start(1e-3, steps)
    script.train_one_epoch(model, [default_collate(pairs[:2])] * steps, optimizer, schedule)
    return script.evaluate(model, pairs[:2], batch_size=2) > goal


def keeps_sides_apart(train_pairs: Pairs, validation_pairs: Pairs) -> bool:
    """No picture, pixel for pixel, is on both sides."""
    known = {image.numpy().tobytes() for image, _ in train_pairs}
    return not any(image.numpy().tobytes() in known for image, _ in validation_pairs)


class _listening:  # noqa: N801
    """A `with` block in which `ear` hears every batch of images that the model is given."""

    def __init__(self, model: nn.Module, ear: Callable[[Tensor], object]):
        self.hook = model.register_forward_pre_hook(lambda module, inputs: (ear(inputs[0]), None)[1])

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        self.hook.remove()
