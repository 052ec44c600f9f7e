"""Owns checks that a training script passes before anybody believes its figures. See 12_silent_bugs.

Each takes a script: anything with `build`, `train_one_epoch` and `evaluate` as in `plain_script`.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

Pairs = Any  # a list of (image (3, H, W) in [0, 1], mask (1, H, W) of 0.0 and 1.0)


def zeroes_gradients(script: Any, pairs: Pairs) -> bool:
    """Set every gradient to NaN and take a step. A script that zeroes them first never uses the NaN."""
    model, optimizer, scheduler = script.build(1e-3, 1)
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, torch.nan)
    script.train_one_epoch(model, [default_collate(pairs[:2])], optimizer, scheduler)
    return all(bool(weight.isfinite().all()) for weight in model.parameters())


def updates_every_parameter(script: Any, pairs: Pairs) -> bool:
    """Take a step. Every parameter tensor of the model should have changed in at least one number."""
    model, optimizer, scheduler = script.build(1e-3, 1)
    before = [weight.detach().clone() for weight in model.parameters()]
    script.train_one_epoch(model, [default_collate(pairs[:2])], optimizer, scheduler)
    return not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def switches_train_and_eval(script: Any, pairs: Pairs) -> bool:
    """Evaluate, train, and both once more. The model should be in the right mode at each forward pass."""
    model, optimizer, scheduler = script.build(1e-3, 1)
    in_evaluation: list[bool] = []
    in_training: list[bool] = []
    batch = default_collate(pairs[:2])
    for _ in range(2):
        with _on_forward(model, lambda images: in_evaluation.append(model.training)):
            script.evaluate(model, pairs[:2], batch_size=2)
        with _on_forward(model, lambda images: in_training.append(model.training)):
            script.train_one_epoch(model, [batch], optimizer, scheduler)
    return all(in_training) and not any(in_evaluation)


def same_normalization(script: Any, pairs: Pairs) -> bool:
    """Training and evaluation should give the model the same pixels: compared by mean and std of each channel."""
    model, optimizer, scheduler = script.build(1e-3, 1)
    statistics: list[Tensor] = []  # one (6,) for each forward pass

    def add_statistics(images: Tensor) -> None:
        statistics.append(torch.cat([images.mean((0, 2, 3)), images.std((0, 2, 3))]))

    with _on_forward(model, add_statistics):
        script.train_one_epoch(model, [default_collate(pairs[:2])], optimizer, scheduler)
        script.evaluate(model, pairs[:2], batch_size=2)
    return torch.allclose(statistics[0], statistics[-1], atol=1e-3)


def same_score_in_any_batch_size(script: Any, model: nn.Module, pairs: Pairs) -> bool:
    """Evaluate one model in batches of six, four and two: its score should not depend on the batch size."""
    model.train()  # the mode in which training leaves it
    scores = [script.evaluate(model, pairs, batch_size=size) for size in (6, 4, 2)]
    return max(scores) - min(scores) < 1e-3


def own_masks_fit_best(script: Any, model: nn.Module, pairs: Pairs) -> bool:
    """Evaluate against each picture's own mask, then against its neighbours': its own should fit best, by far."""
    images, masks = zip(*pairs, strict=True)
    own, following, previous = (
        script.evaluate(model, list(zip(images, masks[shift:] + masks[:shift], strict=True))) for shift in (0, 1, -1)
    )
    return own > 1.5 * max(following, previous)


def overfits_two_images(script: Any, pairs: Pairs, *, steps: int = 40, goal: float = 0.8) -> bool:
    """Train on two pictures alone. A script that cannot overfit two pictures cannot learn from 32 either."""
    model, optimizer, scheduler = script.build(1e-3, steps)
    script.train_one_epoch(model, [default_collate(pairs[:2])] * steps, optimizer, scheduler)
    return script.evaluate(model, pairs[:2], batch_size=2) > goal


def split_has_no_overlap(train_pairs: Pairs, validation_pairs: Pairs) -> bool:
    """No validation picture should be in the training set too, compared pixel for pixel."""
    trained_on = {image.cpu().numpy().tobytes() for image, _ in train_pairs}
    return not any(image.cpu().numpy().tobytes() in trained_on for image, _ in validation_pairs)


@contextlib.contextmanager
def _on_forward(model: nn.Module, callback: Callable[[Tensor], object]) -> Iterator[None]:
    """Within the `with` block, call `callback` with every batch of images that the model is given."""

    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        callback(inputs[0])

    handle = model.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()
