"""Owns the short trainings of 05: any loss, optimizer and rate, from the same weights, measured on the way."""

import copy
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from seglib.dataset import CustomDataset
from seglib.device import pick_device, seed_everything
from seglib.engine import train_one_epoch
from seglib.lesson.measuring import Pairs, distances, iou_at, raw_outputs
from seglib.loaders import make_loaders, read_split
from seglib.losses import Loss, make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_schedule
from seglib.transforms import image_transform, mask_transform

SIZE = (120, 160)  # (height, width)
EPOCHS = 12  # 96 steps
WARMUP = 8  # steps, if there is a schedule
THRESHOLDS = (0.0, 0.5)  # on the raw output: that of a logit, and that of an intensity

# Two mistakes that train without an error. The guard lets them through because they happen behind it.
MISTAKES = {
    "mse, broadcast": Loss(  # (N, 1, H, W) - (N, H, W) is (N, N, H, W)
        "mse, broadcast", lambda outputs, masks: ((outputs - masks[:, 0]) ** 2).mean(), make_loss("mse").activation, 0.5
    ),
    "bce, sigmoid twice": Loss(
        "bce, sigmoid twice",
        lambda outputs, masks: make_loss("bce")(outputs.sigmoid(), masks),
        make_loss("bce").activation,
        0.0,
    ),
}


@dataclass(frozen=True)
class Recipe:
    """What may differ from one short training to the next; without arguments, the choice of the notes."""

    loss: str = "mse"  # of make_loss, or of MISTAKES
    optimizer: str = "adam"
    lr: float = 1e-5
    head_lr: float | None = None
    weight_decay: float = 0.0
    schedule: str = "constant"  # another one begins with WARMUP steps
    seed: int = 0


@dataclass
class Tuned:
    """A trained model, and what was measured after some of its epochs."""

    model: nn.Module
    criterion: Loss
    marks: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0  # of training alone


def small_pairs(samples: Path, size: tuple[int, int] = SIZE) -> tuple[Pairs, Pairs]:
    """The training and the validation pairs of the fixed split, decoded and resized once, as the notes transform them.

    Args:
        samples: the folder `data_samples`.
        size: (height, width) in pixels.

    Shape:
        Each pair: image (3, height, width) float32, normalised; mask (1, height, width) of 0.0 and 1.0.
    """
    folders = samples / "images", samples / "masks"
    pictures = CustomDataset(*folders, image_transform(size), mask_transform(size))
    split = read_split(samples / "split.json")
    train, validation = pictures.subset(split.train), pictures.subset(split.validation)
    return [train[idx] for idx in range(len(train))], [validation[idx] for idx in range(len(validation))]


def tune(train: Pairs, validation: Pairs, recipe: Recipe, epochs: int = EPOCHS, marks: Collection[int] = ()) -> Tuned:
    """Train from the bundled weights, without augmentation, in batches of 4; measure after the epochs in `marks`.

    Args:
        train, validation: of `small_pairs`.
        recipe: everything that may differ. Weights, pictures and their order follow from its seed.
        epochs: how often each picture is shown.
        marks: after which epochs to measure, counted from 1; always after the last.

    Returns:
        The model, and for each mark its epoch, training loss, `iou` at the loss's own threshold, `iou_at` each of
        `THRESHOLDS`, and `moved`, as `distances` gives it.
    """
    seed_everything(recipe.seed)
    model = build_deeplab(num_classes=2 if recipe.loss == "cross_entropy" else 1, verbose=False)
    criterion = MISTAKES.get(recipe.loss) or make_loss(recipe.loss)
    if recipe.loss == "cross_entropy":
        train = [(image, mask[0].long()) for image, mask in train]  # masks (H, W)
    train_dataloader, _ = make_loaders(train, validation, batch_size=4, seed=recipe.seed)
    optimizer = make_optimizer(model, recipe.optimizer, recipe.lr, recipe.head_lr, recipe.weight_decay)
    warmup = 0 if recipe.schedule == "constant" else WARMUP
    schedule = make_schedule(optimizer, recipe.schedule, epochs * len(train_dataloader), warmup)
    start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    tuned = Tuned(model, criterion)
    for epoch in range(1, epochs + 1):
        begin = time.perf_counter()
        loss = train_one_epoch(model, train_dataloader, criterion, optimizer, pick_device("cpu"), schedule)
        tuned.seconds += time.perf_counter() - begin
        if epoch in marks or epoch == epochs:
            outputs, masks = raw_outputs(model, validation)
            mark: dict[str, Any] = {"epoch": epoch, "train_loss": round(loss, 5)}
            mark["iou"] = round(iou_at(outputs, masks, criterion.threshold or 0.0), 4)
            mark["iou_at"] = {str(at): round(iou_at(outputs, masks, at), 4) for at in THRESHOLDS}
            tuned.marks.append(mark | {"moved": distances(model, start)})
    return tuned


def go_on(tuned: Tuned, train: Pairs, criterion: Loss, epochs: int = 2, lr: float = 1e-3) -> nn.Module:
    """Train a copy of a tuned model for some epochs more, with Adam at a constant rate, perhaps with another loss."""
    model = copy.deepcopy(tuned.model)
    train_dataloader, _ = make_loaders(train, train, batch_size=4)  # the second one is not used
    optimizer = make_optimizer(model, "adam", lr)
    for _ in range(epochs):
        train_one_epoch(model, train_dataloader, criterion, optimizer, pick_device("cpu"))
    return model
