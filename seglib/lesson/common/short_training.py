"""Owns the short trainings of 02_transforms, 05_loss, 06_optimizer and 13_your_own_data.

Any loss, optimizer and learning rate, from the same weights, measured on the way.
"""

import copy
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import image_transform, mask_transform
from seglib.device import pick_device, seed_everything
from seglib.losses import Loss, make_loss
from seglib.metrics import confusion_matrix, iou
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import train_one_epoch

# A list of (image (3, H, W), mask (1, H, W) of 0.0 and 1.0): a dataset to torch, though not to its type.
Pairs = Any

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
class RecipeRun:
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
    pictures = CustomDataset(samples / "images", samples / "masks", image_transform(size), mask_transform(size))
    split = read_split(samples / "split.json")
    return _decoded(pictures.subset(split.train)), _decoded(pictures.subset(split.validation))


def _decoded(pictures: CustomDataset) -> Pairs:
    return [pictures[idx] for idx in range(len(pictures))]


def train_recipe(
    train: Pairs,
    validation: Pairs,
    recipe: Recipe,
    epochs: int = EPOCHS,
    marks: Collection[int] = (),
    *,
    criterion: Loss | None = None,
    prepare: Callable[[nn.Module], None] | None = None,
) -> RecipeRun:
    """Train from the bundled weights, without augmentation, in batches of 4; measure after the epochs in `marks`.

    Args:
        train, validation: of `small_pairs`.
        recipe: everything that may differ. Weights, pictures and their order follow from its seed.
        epochs: how often each picture is shown.
        marks: after which epochs to measure, counted from 1; 0 is before the first step. Always after the last.
        criterion: a loss for one object, to train with instead of the recipe's.
        prepare: changes the model before its first step.

    Returns:
        The model, and for each mark its epoch, training loss (None before the first step), `iou` at the loss's own
        threshold, `iou_at` each of `THRESHOLDS`, and `moved`, as `distances` gives it. For one object, also the loss
        on the validation pictures, and `drawn`, the share of their pixels that is called object.
    """
    seed_everything(recipe.seed)
    device = pick_device()
    model = build_deeplab(num_classes=2 if recipe.loss == "cross_entropy" else 1, verbose=False).to(device)
    if prepare:
        prepare(model)
    criterion = criterion or MISTAKES.get(recipe.loss) or make_loss(recipe.loss)
    if recipe.loss == "cross_entropy":
        train = [(image, mask[0].long()) for image, mask in train]  # masks (H, W)
    train_dataloader, _ = make_loaders(train, validation, batch_size=4, seed=recipe.seed)
    optimizer = make_optimizer(model, recipe.optimizer, recipe.lr, recipe.head_lr, recipe.weight_decay)
    warmup = 0 if recipe.schedule == "constant" else WARMUP
    scheduler = make_scheduler(optimizer, recipe.schedule, epochs * len(train_dataloader), warmup)
    start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    run = RecipeRun(model, criterion)
    if 0 in marks:
        run.marks.append(_mark(run, validation, 0, None) | {"moved": distances(model, start)})
    for epoch in range(1, epochs + 1):
        begin = time.perf_counter()
        loss = train_one_epoch(model, train_dataloader, criterion, optimizer, device, scheduler=scheduler)
        run.seconds += time.perf_counter() - begin
        if epoch in marks or epoch == epochs:
            run.marks.append(_mark(run, validation, epoch, loss) | {"moved": distances(model, start)})
    return run


def _mark(run: RecipeRun, validation: Pairs, epoch: int, train_loss: float | None) -> dict[str, Any]:
    """What is measured on the validation pictures after an epoch."""
    criterion = run.criterion
    outputs, masks = raw_outputs(run.model, validation)  # (N, H, W) each
    mark: dict[str, Any] = {"epoch": epoch, "train_loss": None if train_loss is None else round(train_loss, 5)}
    mark["iou"] = round(iou_at(outputs, masks, criterion.threshold or 0.0), 4)
    mark["iou_at"] = {str(at): round(iou_at(outputs, masks, at), 4) for at in THRESHOLDS}
    if criterion.threshold is not None:
        mark["loss"] = round(criterion(outputs[:, None], masks[:, None].float()).item(), 5)
        mark["drawn"] = round((outputs > criterion.threshold).float().mean().item(), 4)
    return mark


def train_longer(run: RecipeRun, train: Pairs, criterion: Loss, epochs: int = 2, lr: float = 1e-3) -> nn.Module:
    """Train a copy of the model of `run` for some epochs more, with Adam at a constant rate and any loss."""
    model = copy.deepcopy(run.model)
    device = next(model.parameters()).device
    train_dataloader, _ = make_loaders(train, train, batch_size=4)  # the second one is not used
    optimizer = make_optimizer(model, "adam", lr)
    for _ in range(epochs):
        train_one_epoch(model, train_dataloader, criterion, optimizer, device)
    return model


@torch.inference_mode()
def raw_outputs(model: nn.Module, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """One number for each pixel, before any activation or threshold, and the true masks; both on the CPU.

    Returns:
        outputs (N, H, W) float32; of two classes, the difference of their logits. masks (N, H, W) int64.
    """
    model.eval()
    device = next(model.parameters()).device
    batches = [(model(images.to(device))["out"].cpu(), masks) for images, masks in DataLoader(pairs, batch_size=8)]
    outputs, masks = (torch.cat(parts) for parts in zip(*batches, strict=True))
    one = outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]  # (N, H, W)
    return one, masks[:, 0].long()


def iou_at(outputs: Tensor, masks: Tensor, threshold: float) -> float:
    """IoU of the object over all pixels, if an output above `threshold` means the object; both (N, H, W)."""
    return iou(confusion_matrix((outputs > threshold).long(), masks))[1].item()


def distances(model: nn.Module, start: dict[str, Tensor]) -> dict[str, float]:
    """How far the weights have moved from `start`: the norm of the difference, and its largest element.

    Args:
        model: after some training.
        start: name of the parameter -> its value w0 before.

    Returns:
        "all", "backbone" and "head": the norm of w - w0 over these weights; "share", that of all, divided by the norm
        of w0; and "farthest", the largest |w - w0| of any single weight. Four significant digits each.
    """
    squares = {"backbone": 0.0, "head": 0.0}
    square_of_start = 0.0
    farthest = 0.0
    for name, parameter in model.named_parameters():
        before = start[name].cpu().double()
        difference = parameter.detach().cpu().double() - before  # on the CPU: MPS has no float64
        squares["backbone" if name.startswith("backbone.") else "head"] += difference.square().sum().item()
        square_of_start += before.square().sum().item()
        farthest = max(farthest, difference.abs().max().item())
    squares["all"] = squares["backbone"] + squares["head"]
    lengths = {name: square**0.5 for name, square in squares.items()}
    lengths |= {"share": lengths["all"] / square_of_start**0.5, "farthest": farthest}
    return {name: float(f"{length:.4g}") for name, length in lengths.items()}
