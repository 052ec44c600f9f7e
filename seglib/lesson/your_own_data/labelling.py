"""Owns trainings on more and more labelled pictures, for the question what an hour of labelling buys.

See 13_your_own_data.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split, k_folds
from seglib.data.transforms import Size, joint_transform
from seglib.device import pick_device, seed_everything
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import evaluate, train_one_epoch

FOLDS = 6  # 48 pictures: 40 to train on, 8 to measure on
COUNTS = (10, 20, 40)  # labelled pictures
STEPS = 100
WARMUP = 8
SIZE = (120, 160)  # (height, width)


def labelled_first(stems: Sequence[str], draw: int, folds: int = FOLDS) -> list[Split]:
    """For each fold the pictures to measure on, and the others in the order in which they are labelled.

    Ten labelled pictures are the first ten of `train`, and they are among the first twenty.

    Args:
        stems: all pictures.
        draw: another one gives other folds and another order.
        folds: how many.

    Example:
        >>> [len(split.train) for split in labelled_first([f"p{number}" for number in range(12)], draw=0)]
        [10, 10, 10, 10, 10, 10]
    """
    splits = []
    for number, split in enumerate(k_folds(stems, folds, seed=draw)):
        order = list(split.train)
        random.Random(100 * draw + number).shuffle(order)
        splits.append(Split(order, split.validation))
    return splits


def train_on_labelled(
    folder: Path, train: Sequence[str], validation: Sequence[str], *, seed: int, steps: int = STEPS, size: Size = SIZE
) -> Tensor:
    """Train with the recipe of 00_start_here on a few pictures; the confusion matrix (2, 2) of the validation pictures.

    Args:
        folder: holds `images` and `masks`, binary ones.
        train, validation: stems. Of the training pictures an epoch leaves out those that fill no batch of 4.
        seed: decides the new last layer, the order and the random changes of the pictures.
        steps: of the training, whatever the number of pictures; rounded down to whole epochs.
        size: (height, width) in pixels.
    """
    seed_everything(seed)
    device = pick_device()
    folders = folder / "images", folder / "masks"
    varied = CustomDataset(*folders, joint_transform=joint_transform(size, train=True)).subset(train)
    measured = CustomDataset(*folders, joint_transform=joint_transform(size, train=False)).subset(validation)
    train_dataloader, validation_dataloader = make_loaders(varied, measured, batch_size=4, seed=seed, drop_last=True)
    model = build_deeplab(verbose=False).to(device)
    criterion = make_loss("bce_dice")
    optimizer = make_optimizer(model, "adamw", lr=1e-3, head_lr=5e-3, weight_decay=1e-4)
    epochs = max(1, steps // len(train_dataloader))
    scheduler = make_scheduler(
        optimizer, "poly", steps=epochs * len(train_dataloader), warmup=min(WARMUP, epochs * len(train_dataloader) - 1)
    )
    for _ in range(epochs):
        train_one_epoch(model, train_dataloader, criterion, optimizer, device, scheduler=scheduler)
    return evaluate(model, validation_dataloader, criterion, device).matrix
