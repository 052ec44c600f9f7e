"""Owns the trainings of 04_model with and without the auxiliary head, all else equal, and their chart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seglib.data.dataloaders import make_loaders
from seglib.device import batch_to_device, pick_device, seed_everything
from seglib.inference.palette import BLUE, ORANGE
from seglib.lesson.common.figures import new_figure, styled
from seglib.losses import Loss, make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate

SIZE = (120, 160)  # (height, width)
EPOCHS = 10
AUX_WEIGHT = 0.5  # the loss of `aux` is multiplied by it and added; torchvision's reference script has the same

Pairs = Sequence[tuple[Tensor, Tensor]]


def build_for(seed: int, with_aux: bool, momentum: float | None = 0.1) -> nn.Module:
    """A model with or without the auxiliary head; for one seed, every other weight is the same in both.

    `momentum` is BatchNorm's, None for torchvision's own: see `build_deeplab`.
    """
    seed_everything(seed)
    model = build_deeplab(aux=True, verbose=False, batchnorm_momentum=momentum)
    if not with_aux:
        model.aux_classifier = None  # type: ignore[assignment]
    return model


def loss_of(outputs: dict[str, Tensor], masks: Tensor, criterion: Loss) -> Tensor:
    """The loss of `out`, and, where there is an `aux`, its loss times `AUX_WEIGHT` added."""
    loss = criterion(outputs["out"], masks)
    if "aux" in outputs:
        loss = loss + AUX_WEIGHT * criterion(outputs["aux"], masks)
    return loss


def train_with_aux(
    train_pairs: Pairs,
    validation_pairs: Pairs,
    seed: int,
    with_aux: bool,
    *,
    epochs: int = EPOCHS,
    momentum: float | None = 0.1,
) -> nn.Module:
    """Train a model of `build_for` on pairs (3, H, W) and (1, H, W), without augmentation; the same recipe for all."""
    device = pick_device()
    model = build_for(seed, with_aux, momentum).to(device).train()
    criterion = make_loss("bce")
    train_dataloader, _ = make_loaders(train_pairs, validation_pairs, seed=seed)  # type: ignore[arg-type]
    optimizer = make_optimizer(model, "adamw", lr=1e-3, weight_decay=1e-4)
    scheduler = make_scheduler(optimizer, "poly", steps=epochs * len(train_dataloader), warmup=8)
    for _ in range(epochs):
        for images, masks in train_dataloader:
            images, masks = batch_to_device(images, masks, device)
            optimizer.zero_grad()
            loss_of(model(images), masks, criterion).backward()
            optimizer.step()
            scheduler.step()
    return model


class Aux(nn.Module):
    """Wraps a model and gives its `aux` as `out`, so that `evaluate` measures the auxiliary head."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) to {"out": (N, 1, H, W)}."""
        return {"out": self.model(images)["aux"]}


def score(model: nn.Module, pairs: Pairs) -> float:
    """IoU of the model's masks for these pairs, from one confusion matrix over all their pixels."""
    batches: DataLoader = DataLoader(pairs, batch_size=8)  # type: ignore[arg-type]
    device = next(model.parameters()).device
    return evaluate(model, batches, make_loss("bce"), device).iou


@styled
def aux_chart(record: Mapping[str, Any]) -> Figure:
    """Draw in three panels what differs with the auxiliary head: parameters, time of a step, IoU.

    Args:
        record: of `benchmarks/aux_head.py`; "arms" {name: {"parameters", "milliseconds_a_step", "iou" [one a seed]}}.
    """
    figure, ((parameters, times, ious),) = new_figure(1, 3, 8.0, 3.0)
    arms = record["arms"]
    for x, (arm, colour) in enumerate(zip(arms.values(), (BLUE, ORANGE), strict=True)):
        millions = arm["parameters"] / 1e6
        milliseconds = arm["milliseconds_a_step"]
        parameters.bar_label(parameters.bar(x, millions, 0.6, color=colour), [f"{millions:.3f}"], padding=2)
        times.bar_label(times.bar(x, milliseconds, 0.6, color=colour), [f"{milliseconds:.0f}"], padding=2)
        ious.plot(x + np.linspace(-0.12, 0.12, len(arm["iou"])), arm["iou"], "o", color=colour)
        ious.hlines(np.mean(arm["iou"]), x - 0.3, x + 0.3, color=colour)
    labels = {parameters: "parameters (millions)", times: "milliseconds a step", ious: "IoU (0 to 1), three seeds"}
    for axes, label in labels.items():
        axes.set_xticks(range(len(arms)), list(arms))
        axes.set(ylabel=label, xlabel="auxiliary head", xlim=(-0.6, len(arms) - 0.4))
        axes.margins(y=0.15)
    ious.set_ylim(0, 1)
    return figure
