"""Owns the training loop, the evaluation, and the record of how a training went. Explained in 06_training_loop."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from seglib.errors import TrainingError
from seglib.losses import Loss
from seglib.metrics import confusion_matrix, iou, mean_iou

Batches = Iterable[tuple[Tensor, Tensor]]


def train_one_epoch(
    model: nn.Module,
    train_dataloader: Batches,
    criterion: Loss,
    optimizer: Optimizer,
    device: torch.device,
    schedule: LRScheduler | None = None,
) -> float:
    """Show the model every training picture once, and move its weights after each batch.

    Args:
        model: maps images to {"out": (N, C, H, W)}.
        train_dataloader: batches of images (N, 3, H, W) and masks, in the shape that `criterion` asks for.
        criterion: the loss.
        optimizer: holds the parameters that move.
        device: where model and optimizer live; each batch is brought there.
        schedule: stepped after each batch.

    Returns:
        The mean loss over all images, each counted once, whatever the size of its batch.

    Raises:
        TrainingError: there was no batch, or the loss is no longer a number.
    """
    model.train()
    total_loss, count = torch.zeros((), device=device), 0
    for images, masks in train_dataloader:
        images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        masks = masks.to(device, non_blocking=True)
        optimizer.zero_grad()

        # Forward pass
        outputs = model(images)["out"]

        # Calculate the loss
        loss = criterion(outputs, masks)
        count += len(images)
        total_loss += loss.detach() * len(images)

        # Backward pass and optimization
        loss.backward()
        optimizer.step()
        if schedule:
            schedule.step()
    return _mean_or_error(total_loss, count)


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: the mean loss over all images, and one confusion matrix over all their pixels."""

    loss: float
    matrix: Tensor  # (C, C) int64, rows are the truth

    @property
    def iou(self) -> float:
        """IoU of the object in [0, 1]; with several classes, the mean over those that are present."""
        return iou(self.matrix)[1].item() if len(self.matrix) == 2 else mean_iou(self.matrix)


@torch.inference_mode()
def evaluate(model: nn.Module, dataloader: Batches, criterion: Loss, device: torch.device) -> Evaluation:
    """Measure the model on pictures without changing it; `criterion` also says how to read its outputs.

    The model is in evaluation mode afterwards. Arguments and errors are those of `train_one_epoch`; `criterion` is the
    loss that the model was trained with, and `dataloader` gives every picture once.
    """
    model.eval()
    total_loss, count, matrix = torch.zeros((), device=device), 0, torch.zeros((), dtype=torch.int64)
    for images, masks in dataloader:
        images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        masks = masks.to(device, non_blocking=True)
        outputs = model(images)["out"]
        total_loss += criterion(outputs, masks) * len(images)
        count += len(images)
        predicted = criterion.predict(outputs)  # (N, H, W)
        num_classes = max(2, outputs.shape[1])
        matrix = matrix + confusion_matrix(predicted, masks.view_as(predicted), num_classes)
    return Evaluation(_mean_or_error(total_loss, count), matrix)


def _mean_or_error(total_loss: Tensor, count: int) -> float:
    if not count:
        raise TrainingError(
            "The dataloader gave no batch.",
            "at least one picture",
            "Check the dataset's length, and drop_last: it drops the only batch of a small dataset.",
        )
    mean = (total_loss / count).item()
    if not torch.isfinite(torch.tensor(mean)):
        raise TrainingError(
            f"The loss became {mean}.",
            "a finite number",
            "Lower the learning rate, and look for pictures or masks that hold NaN. Start again from good weights.",
        )
    return mean


@dataclass
class History:
    """How a training went, one entry an epoch."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_iou: list[float] = field(default_factory=list)


def fit(
    model: nn.Module,
    train_dataloader: Batches,
    validation_dataloader: Batches,
    criterion: Loss,
    optimizer: Optimizer,
    epochs: int,
    device: torch.device,
    schedule: LRScheduler | None = None,
    on_epoch: Callable[[History], None] | None = None,
) -> History:
    """Train for some epochs, measure on the validation pictures after each, and show a bar.

    Arguments are those of `train_one_epoch` and `evaluate`; `on_epoch` gets the history so far after each epoch.
    """
    history = History()
    for _ in (bar := tqdm(range(epochs), unit="epoch")):
        history.train_loss.append(train_one_epoch(model, train_dataloader, criterion, optimizer, device, schedule))
        evaluation = evaluate(model, validation_dataloader, criterion, device)
        history.validation_loss.append(evaluation.loss)
        history.validation_iou.append(evaluation.iou)
        bar.set_postfix(loss=f"{history.train_loss[-1]:.3f}", iou=f"{evaluation.iou:.3f}")
        if on_epoch:
            on_epoch(history)
    return history
