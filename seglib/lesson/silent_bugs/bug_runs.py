"""Owns a training of the plain script with one fault, measured twice, and what the checks say. See 12_silent_bugs."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from seglib.data.splits import Split, read_split
from seglib.device import seed_everything
from seglib.lesson.silent_bugs.bugs import script_with
from seglib.lesson.silent_bugs.preflight import (
    clears_gradients,
    keeps_sides_apart,
    learns_two_by_heart,
    measures_alike_in_any_batches,
    moves_every_layer,
    prefers_its_own_masks,
    shows_the_same_pixels,
    switches_modes,
)
from seglib.model import bundled_weights_path

SIZE = (120, 160)  # (height, width)


@dataclass(frozen=True)
class BugRun:
    """A training of the script: its model, the mean loss of each epoch, the IoUs that it prints, and the true one."""

    model: nn.Module
    losses: list[float]
    printed: list[float]  # after every second epoch
    true: float | None  # at the end; None if it was trained on the pictures that it is measured on


def train_with_bug(bug: str | None, files: Path, seed: int = 0, epochs: int = 8, lr: float = 1e-3) -> BugRun:
    """Train with the script, and measure at the end twice: as the script does, and as it should.

    Args:
        bug: of `BUGS`, or None.
        files: a folder of `images` and `masks`, both PNG, with the stems of the samples.
        seed: decides the order, the flips, dropout and the new layer.
        epochs: each of 32 pictures in batches of 4; measured after every second one.
        lr: of Adam.
    """
    script, right = script_with(bug), script_with()
    seed_everything(seed)
    train_pairs, validation_pairs = pairs_of(script, files)
    epoch_of = DataLoader(train_pairs, 4, shuffle=True, generator=torch.Generator().manual_seed(seed))
    model, optimizer, schedule = script.start(lr, epochs * len(epoch_of))
    losses, printed = [], []
    for epoch in range(epochs):
        losses.append(script.train_one_epoch(model, epoch_of, optimizer, schedule))
        if epoch % 2:
            printed.append(script.evaluate(model, validation_pairs))
    exam = right.read_pairs(files, _split().validation, SIZE)
    return BugRun(model, losses, printed, right.evaluate(model, exam) if keeps_sides_apart(train_pairs, exam) else None)


def pairs_of(script: ModuleType, files: Path) -> tuple[Any, Any]:
    """The script's training pairs and validation pairs, of the samples' split."""
    stems = script.sides(vars(_split()))
    return tuple(script.read_pairs(files, side, SIZE) for side in stems)


def _split() -> Split:
    return read_split(bundled_weights_path().parents[1] / "split.json")


def preflight(bug: str | None, files: Path, played: BugRun) -> dict[str, bool]:
    """What each check says of the script with this bug: True for passed."""
    script = script_with(bug)
    train_pairs, validation_pairs = pairs_of(script, files)
    seed_everything(0)
    return {
        "gradients cleared": clears_gradients(script, train_pairs),
        "every layer moves": moves_every_layer(script, train_pairs),
        "modes switched": switches_modes(script, train_pairs),
        "the same pixels": shows_the_same_pixels(script, train_pairs),
        "sides apart": keeps_sides_apart(train_pairs, validation_pairs),
        "any batches": measures_alike_in_any_batches(script, played.model, validation_pairs),
        "own masks": prefers_its_own_masks(script, played.model, validation_pairs),
        "two by heart": learns_two_by_heart(script, train_pairs),
    }
