"""Owns a training script of one page, in plain Pillow and torch; 12_silent_bugs breaks it, a line at a time."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader

from seglib.checkpoint_io import load_tensors
from seglib.device import pick_device
from seglib.metrics import confusion_matrix, iou
from seglib.model import build_deeplab, bundled_weights_path

Pairs = Any  # a list of (image (3, H, W), mask (1, H, W)): a dataset to torch, though not to its type
DEVICE = pick_device()
MEAN = torch.tensor([0.485, 0.456, 0.406], device=DEVICE).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], device=DEVICE).view(3, 1, 1)


def read_pair(image_file: Path, mask_file: Path, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """One picture, float32 (3, height, width) in [0, 1], and its mask of 0.0 and 1.0, (1, height, width)."""
    height, width = size
    image = ImageOps.exif_transpose(Image.open(image_file)).convert("RGB").resize((width, height))
    mask = Image.open(mask_file).resize((width, height), Image.Resampling.NEAREST)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    fruit = (torch.from_numpy(np.array(mask)) > 127).float()[None]
    return pixels.to(DEVICE), fruit.to(DEVICE)  # all pictures of this script together fit on any GPU


def read_pairs(folder: Path, stems: list[str], size: tuple[int, int]) -> Pairs:
    """The pictures of `folder/images` with their masks of `folder/masks`."""
    names = [(f"{stem}.png", f"{stem}.png") for stem in stems]
    return [read_pair(folder / "images" / image, folder / "masks" / mask, size) for image, mask in names]


def load_pairs(folder: Path, stems: dict[str, list[str]], size: tuple[int, int]) -> tuple[Pairs, Pairs]:
    """The pairs to train on, and those to measure on."""
    train_pairs = read_pairs(folder, stems["train"], size)
    validation_pairs = read_pairs(folder, stems["validation"], size)
    return train_pairs, validation_pairs


def normalize(images: Tensor) -> Tensor:
    """By mean and standard deviation of ImageNet, as the pictures of the pretraining were; (N, 3, H, W)."""
    return (images - MEAN) / STD


def build(lr: float, steps: int) -> tuple[nn.Module, optim.Optimizer, optim.lr_scheduler.LRScheduler]:
    """A pretrained model with a new last layer, its optimizer, and a learning rate that rises for 8 steps."""
    model: Any = build_deeplab(num_classes=30, weights=None, verbose=False)
    state = load_tensors(bundled_weights_path())
    model.load_state_dict(state)
    model.classifier[4] = nn.Conv2d(256, 1, kernel_size=1)
    model.to(DEVICE)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=min(8, steps))
    model.train()
    return model, optimizer, scheduler


def train_one_epoch(model: nn.Module, batches: Iterable, optimizer: optim.Optimizer, scheduler: Any) -> float:
    """The five steps of the notes for each batch; returns the mean of the batches' losses."""
    model.train()
    losses = []
    for images, masks in batches:
        if torch.rand(()) < 0.5:
            images, masks = images.flip(-1), masks.flip(-1)
        optimizer.zero_grad()
        outputs = model(normalize(images))["out"]
        loss = F.binary_cross_entropy_with_logits(outputs, masks)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def evaluate(model: nn.Module, pairs: Pairs, batch_size: int = 6) -> float:
    """IoU of the fruit, from one confusion matrix over all pixels of all pictures."""
    model.eval()
    matrices = []
    for images, masks in DataLoader(pairs, batch_size):
        outputs = model(normalize(images))["out"]
        matrices.append(confusion_matrix((outputs > 0).long(), masks.long()))
    return iou(torch.stack(matrices).sum(0))[1].item()


def fit(
    model: nn.Module, batches: Any, pairs: Pairs, optimizer: optim.Optimizer, scheduler: Any, *, epochs: int
) -> tuple[list[float], list[float], dict[str, Tensor]]:
    """Train, and measure after every second epoch; the losses, the IoUs, and the weights with the best IoU."""
    losses = []
    scores = []
    best_weights = {}
    for epoch in range(1, epochs + 1):
        losses.append(train_one_epoch(model, batches, optimizer, scheduler))
        if epoch % 2 == 0:
            scores.append(evaluate(model, pairs))
            if scores[-1] == max(scores):
                best_weights = copy.deepcopy(model.state_dict())
    return losses, scores, best_weights
