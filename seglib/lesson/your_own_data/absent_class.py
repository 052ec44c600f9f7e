"""Owns a short training on class masks in which a class is missing. See 13_your_own_data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.transforms import joint_transform
from seglib.device import pick_device, seed_everything
from seglib.losses import make_loss
from seglib.metrics import Evaluation
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, train_one_epoch

SIZE = (120, 160)  # (height, width)


def small_classes(samples: Path, classes: Sequence[str]) -> CustomDataset:
    """The samples with their class masks, 160 wide and 120 high."""
    transform = joint_transform(SIZE, train=False, classes=classes)
    return CustomDataset(samples / "images", samples / "class_masks", joint_transform=transform, classes=classes)


def pictures_without(dataset: CustomDataset, stems: Sequence[str], label: int, most: int = 12) -> list[str]:
    """The first `most` of these pictures whose mask has no pixel of this label."""
    chosen: list[str] = []
    for stem in stems:
        if len(chosen) < most and not (dataset.subset([stem])[0][1] == label).any():
            chosen.append(stem)
    return chosen


def train_classes(train: CustomDataset, validation: CustomDataset, epochs: int) -> Evaluation:
    """Train on class masks with cross-entropy, from the bundled weights and seed 0; measured on `validation`."""
    seed_everything(0)
    device = pick_device()
    train_pairs: Any = [train[idx] for idx in range(len(train))]  # decoded once
    validation_pairs: Any = [validation[idx] for idx in range(len(validation))]
    train_dataloader, validation_dataloader = make_loaders(train_pairs, validation_pairs, batch_size=4)
    model = build_deeplab(num_classes=len(train.classes or ()), verbose=False).to(device)
    criterion = make_loss("cross_entropy")
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3)
    steps = epochs * len(train_dataloader)
    scheduler = make_scheduler(optimizer, "poly", steps, warmup=min(8, steps - 1))
    for _ in range(epochs):
        train_one_epoch(model, train_dataloader, criterion, optimizer, device, scheduler=scheduler)
    return evaluate(model, validation_dataloader, criterion, device)
