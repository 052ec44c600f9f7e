"""Owns a split that leaks on purpose: near-twins of photographs, and what training makes of them. See 03_dataloader."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import nn

from seglib.dataset import CustomDataset
from seglib.device import pick_device, seed_everything
from seglib.engine import evaluate, train_one_epoch
from seglib.loaders import Split, make_loaders, random_split
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_schedule
from seglib.transforms import image_transform, mask_transform

SIZE = (120, 160)  # (height, width)
EPOCHS = 12


def near_twin(image: Image.Image, mask: Image.Image, seed: int) -> tuple[Image.Image, Image.Image]:
    """The same scene a second later: the camera has moved by up to 4 % of the frame, the light changed by up to 10 %.

    Args:
        image: PIL "RGB".
        mask: PIL "L" of the same size.
        seed: decides how far, and how bright.

    Returns:
        A pair of the same size, cropped and enlarged again; the mask by nearest.
    """
    rng = np.random.default_rng(seed)
    width, height = image.size
    left, top = int(rng.integers(0, width // 25 + 1)), int(rng.integers(0, height // 25 + 1))
    box = (left, top, left + width - width // 25, top + height - height // 25)
    brighter = ImageEnhance.Brightness(image.resize(image.size, Image.Resampling.BILINEAR, box))
    return brighter.enhance(rng.uniform(0.9, 1.1)), mask.resize(mask.size, Image.Resampling.NEAREST, box)


def halves(split: Split, seed: int) -> tuple[list[str], list[str]]:
    """The training scenes of a split in two halves, drawn by chance: the first is trained on, the second stays new."""
    half = random_split(split.train, 0.5, seed)
    return half.train, half.validation


def twins_of(stems: Sequence[str]) -> list[str]:
    """The stems of the near-twins of these pictures, as `write_small` names them."""
    return [f"{stem}_twin" for stem in stems]


def write_small(
    dataset: CustomDataset, folder: Path, twins: bool = False, size: tuple[int, int] = SIZE
) -> CustomDataset:
    """Write the pictures of a dataset without transforms into a folder, small; with `twins`, each one's twin too.

    Args:
        dataset: gives PIL pairs; a portrait is squeezed into `size` like the others.
        folder: gets `images` and `masks`; a twin is called like its picture, with `_twin` at the end.
        twins: whether each picture gets one.
        size: (height, width) in pixels.

    Returns:
        The dataset of what was written, with the notes' two transforms.
    """
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number, stem in enumerate(dataset.stems):
        pair = dataset[number]
        shots = {stem: pair} | ({f"{stem}_twin": near_twin(*pair, seed=number)} if twins else {})
        for name, (image, mask) in shots.items():
            # PNG for both: each pixel comes back as it was.
            image.resize(size[::-1], Image.Resampling.BILINEAR).save(folder / "images" / f"{name}.png")
            mask.resize(size[::-1], Image.Resampling.NEAREST).save(folder / "masks" / f"{name}.png")
    return CustomDataset(folder / "images", folder / "masks", image_transform(size), mask_transform(size))


def train_on(dataset: CustomDataset, stems: Sequence[str], seed: int, epochs: int = EPOCHS) -> nn.Module:
    """Train a model on these pictures, without augmentation; the same recipe for every split that is compared."""
    seed_everything(seed)
    others = [stem for stem in dataset.stems if stem not in stems]
    train_dataloader, _ = make_loaders(dataset.subset(stems), dataset.subset(others), seed=seed)
    model = build_deeplab(num_classes=1, verbose=False)
    optimizer = make_optimizer(model, "adamw", lr=1e-3, weight_decay=1e-4)
    schedule = make_schedule(optimizer, "poly", steps=epochs * len(train_dataloader), warmup=8)
    for _ in range(epochs):
        train_one_epoch(model, train_dataloader, make_loss("bce"), optimizer, pick_device("cpu"), schedule)
    return model


def score(model: nn.Module, dataset: CustomDataset, stems: Sequence[str]) -> float:
    """IoU of the model's masks for these pictures, from one confusion matrix over all their pixels."""
    part = torch.utils.data.DataLoader(dataset.subset(stems), batch_size=8)
    return evaluate(model, part, make_loss("bce"), pick_device("cpu")).iou
