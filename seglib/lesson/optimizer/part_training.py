"""Owns the trainings of 06_optimizer in which a part of the model is frozen, or a part of its weights not decayed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from seglib.device import batch_to_device, pick_device, seed_everything
from seglib.lesson.common.short_training import Pairs, iou_at, raw_outputs
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_scheduler

PARTS = ("last layer", "head", "all")  # what is trained; the head is everything but the backbone
DECAYED = ("all", "without BatchNorm and biases")


@dataclass(frozen=True)
class Choice:
    """What may differ from one training to the next."""

    part: str = "all"  # one of PARTS; what does not belong to it is frozen
    loss: str = "bce"
    optimizer: str = "adam"  # or "adamw"
    lr: float = 3e-3
    head_lr: float | None = None  # of everything but the backbone; None gives it lr too
    weight_decay: float = 0.0
    decayed: str = "all"  # one of DECAYED
    schedule: str = "constant"
    warmup: int = 0  # steps
    seed: int = 0


def freeze_all_but(model: nn.Module, part: str) -> None:
    """Leave only the weights of one of PARTS trainable, in place."""
    names = {"all": "", "head": "classifier", "last layer": "classifier.4"}
    model.requires_grad_(False)
    model.get_submodule(names[part]).requires_grad_(True)


def set_training_mode(model: nn.Module, part: str) -> None:
    """Training mode for what is trained, evaluation mode for what is frozen: its BatchNorm averages stay."""
    model.train()
    if part != "all":
        model.get_submodule("backbone").eval()
    if part == "last layer":
        model.get_submodule("classifier").eval()


def make_groups(
    model: nn.Module, lr: float, head_lr: float | None = None, weight_decay: float = 0.0, decayed: str = "all"
) -> list[dict[str, Any]]:
    """Parameter groups for a torch optimizer: a rate for the backbone and one for the rest, decay for all or for some.

    Args:
        model: its frozen weights are left out.
        lr: the learning rate of the backbone.
        head_lr: that of everything else; None gives it `lr` too.
        weight_decay: of the weights that are decayed.
        decayed: one of DECAYED. Biases and the weights of BatchNorm are those of one dimension.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            rate = lr if head_lr is None or name.startswith("backbone.") else head_lr
            decay = weight_decay if decayed == "all" or weight.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(weight)
    return [{"params": weights, "lr": rate, "weight_decay": decay} for (rate, decay), weights in groups.items()]


def first_pairs(pairs: Pairs, count: int, seed: int) -> Pairs:
    """Some of the training pairs: the first `count` of an order that the seed decides, so 8 hold the 4 and 4 more."""
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed)).tolist()
    return [pairs[idx] for idx in order[:count]]


def lengths(model: nn.Module) -> dict[str, float]:
    """The norm of all weights of more than one dimension ("large"), and of all others ("small")."""
    squares = {"large": 0.0, "small": 0.0}
    for weight in model.parameters():
        squares["large" if weight.ndim > 1 else "small"] += weight.detach().cpu().double().square().sum().item()
    return {name: square**0.5 for name, square in squares.items()}


def train_choice(
    train_dataloader: DataLoader,
    train: Pairs,
    validation: Pairs,
    choice: Choice,
    *,
    epochs: int,
    prepare: Callable[[nn.Module], object] | None = None,
) -> dict[str, Any]:
    """Train from the bundled weights, and measure after the last epoch.

    Args:
        train_dataloader: the training batches.
        train, validation: pairs to measure on.
        choice: everything that may differ.
        epochs: how often each picture is shown.
        prepare: may change the model in place before the training, for speed.

    Returns:
        `iou` on the validation pairs, `train_iou` on the training pairs, the mean `train_loss` of the last epoch (None
        if it is no number), `longer`: the length of the weights after the training divided by that before, as in
        `lengths`; and `seconds` of processor time in training.
    """
    seed_everything(choice.seed)
    device = pick_device()
    model = build_deeplab(num_classes=1, verbose=False).to(device)
    if prepare:
        prepare(model)
    criterion = make_loss(choice.loss)
    freeze_all_but(model, choice.part)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[choice.optimizer]
    groups = make_groups(model, choice.lr, choice.head_lr, choice.weight_decay, choice.decayed)
    optimizer = kind(groups, lr=choice.lr, weight_decay=0.0)
    scheduler = make_scheduler(optimizer, choice.schedule, epochs * len(train_dataloader), choice.warmup)
    length_before = lengths(model)
    begin = time.process_time()
    losses: list[float] = []
    for _ in range(epochs):  # not `train_one_epoch`: it begins with `model.train()`, which wakes what is frozen
        set_training_mode(model, choice.part)
        losses = []
        for images, masks in train_dataloader:
            images, masks = batch_to_device(images, masks, device)
            optimizer.zero_grad()
            outputs = model(images)["out"]
            loss = criterion(outputs, masks)
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    seconds = time.process_time() - begin
    length_after = lengths(model)
    train_loss = sum(losses) / len(losses)
    threshold = criterion.threshold or 0.0
    return {
        "iou": round(iou_at(*raw_outputs(model, validation), threshold), 4),
        "train_iou": round(iou_at(*raw_outputs(model, train), threshold), 4),
        "train_loss": round(train_loss, 5) if math.isfinite(train_loss) else None,
        "longer": {name: round(length_after[name] / length_before[name], 4) for name in length_before},
        "seconds": round(seconds, 1),
    }
