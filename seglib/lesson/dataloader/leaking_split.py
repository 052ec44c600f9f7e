"""Owns the trainings of 03_dataloader on a clean split and on one that leaks, and their IoU."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split, random_split
from seglib.device import pick_device, seed_everything
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, train_one_epoch

EPOCHS = 12


def split_in_half(split: Split, seed: int) -> tuple[list[str], list[str]]:
    """The training scenes of a split, divided at random: one half to train on, the other half to stay new."""
    half = random_split(split.train, 0.5, seed)
    return half.train, half.validation


def twins_of(stems: Sequence[str]) -> list[str]:
    """The stems of the near-twins of these pictures, as `write_small` names them."""
    return [f"{stem}_twin" for stem in stems]


def train_on(dataset: CustomDataset, stems: Sequence[str], seed: int, epochs: int = EPOCHS) -> nn.Module:
    """Train a model on these pictures, without augmentation; the same recipe for every split that is compared."""
    seed_everything(seed)
    others = [stem for stem in dataset.stems if stem not in stems]
    train_dataloader, _ = make_loaders(dataset.subset(stems), dataset.subset(others), seed=seed)
    device = pick_device()
    model = build_deeplab(num_classes=1, verbose=False).to(device)
    optimizer = make_optimizer(model, "adamw", lr=1e-3, weight_decay=1e-4)
    scheduler = make_scheduler(optimizer, "poly", steps=epochs * len(train_dataloader), warmup=8)
    for _ in range(epochs):
        train_one_epoch(model, train_dataloader, make_loss("bce"), optimizer, device, scheduler=scheduler)
    return model


def score(model: nn.Module, dataset: CustomDataset, stems: Sequence[str]) -> float:
    """IoU of the model's masks for these pictures, from one confusion matrix over all their pixels."""
    batches = torch.utils.data.DataLoader(dataset.subset(stems), batch_size=8)
    device = next(model.parameters()).device
    return evaluate(model, batches, make_loss("bce"), device).iou


def scores_of(record: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """The IoUs of a record of benchmarks/leak.py as `leak_chart` takes them: arm -> {where measured: one a seed}."""
    scores: dict[str, dict[str, list[float]]] = {}
    for arm, row in record["summary"].items():
        scores[arm] = {where: [run[where] for run in record["runs"] if run["arm"] == arm] for where in row}
    return scores
