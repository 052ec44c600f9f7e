"""Owns the training loop, the evaluation, and a whole training made of both. Explained in 06_training_loop."""

from collections.abc import Callable, Iterable
from operator import length_hint

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from seglib.losses import Loss
from seglib.metrics import Evaluation, count_pairs
from seglib.precision import finish
from seglib.stopping import EarlyStopping
from seglib.watch import History, Watch, mean_over_images, on_bar

Batches = Iterable[tuple[Tensor, Tensor]]


def train_one_epoch(
    model: nn.Module,
    train_dataloader: Batches,
    criterion: Loss,
    optimizer: Optimizer,
    device: torch.device,
    schedule: LRScheduler | None = None,
    watch: Watch | None = None,
) -> float:
    """Show the model every training picture once, and move its weights after each batch.

    Args:
        model: maps images to {"out": (N, C, H, W)}.
        train_dataloader: batches of images (N, 3, H, W) and masks, in the shape that `criterion` asks for.
        criterion: the loss.
        optimizer: holds the parameters that move.
        device: where model and optimizer live; each batch is brought there.
        schedule: stepped after each batch.
        watch: keeps the last good weights; one of its own by default.

    Returns:
        The mean loss over all images, each counted once, whatever the size of its batch.

    Raises:
        TrainingError: there was no batch, or the loss is no longer a number; the model then has its last good weights.
    """
    model.train()
    watch = watch or Watch(model, optimizer)
    watch.begin()
    total_loss, count = torch.zeros((), device=device), 0
    for images, masks in train_dataloader:
        images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        masks = masks.to(device, non_blocking=True)
        images, masks = finish(images, masks)  # bytes become floats here, on the device
        optimizer.zero_grad()

        # Forward pass
        outputs = model(images)["out"]

        # Calculate the loss
        loss = criterion(outputs, masks)
        count += len(images)
        total_loss += loss.detach() * len(images)
        watch.step(total_loss / count)

        # Backward pass and optimization
        loss.backward()
        optimizer.step()
        if schedule:
            schedule.step()
    return mean_over_images(total_loss, count, watch)


@torch.inference_mode()
def evaluate(
    model: nn.Module, dataloader: Batches, criterion: Loss, device: torch.device, watch: Watch | None = None
) -> Evaluation:
    """Measure the model on pictures without changing it; `criterion` also says how to read its outputs.

    The model is in evaluation mode afterwards. Arguments and errors are those of `train_one_epoch`; `criterion` is the
    loss that the model was trained with, and `dataloader` gives every picture once.
    """
    model.eval()
    total_loss, count, matrix = torch.zeros((), device=device), 0, torch.zeros((), dtype=torch.int64, device=device)
    for images, masks in dataloader:
        images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        masks = masks.to(device, non_blocking=True)
        images, masks = finish(images, masks)  # bytes become floats here, on the device
        outputs = model(images)["out"]
        total_loss += criterion(outputs, masks) * len(images)  # which has also looked at the labels
        count += len(images)
        predicted = criterion.predict(outputs)  # (N, H, W)
        num_classes = max(2, outputs.shape[1])
        matrix = matrix + count_pairs(predicted, masks.view_as(predicted), num_classes)
    loss = mean_over_images(total_loss, count, watch, ", measured on the validation pictures")
    return Evaluation(loss, matrix.cpu())


def fit(
    model: nn.Module,
    train_dataloader: Batches,
    validation_dataloader: Batches,
    criterion: Loss,
    optimizer: Optimizer,
    epochs: int,
    device: torch.device,
    schedule: LRScheduler | None = None,
    on_epoch: Callable[[History], object] | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
    stopping: EarlyStopping | None = None,
    history: History | None = None,
) -> History:
    """Train for some epochs, measure on the validation pictures after each, and show a bar with the running loss.

    Arguments and errors are those of `train_one_epoch` and `evaluate`, and these:

    Args:
        on_epoch: gets the history so far after each epoch; may raise KeyboardInterrupt, as `on_step` may.
        on_step: as in `Watch`.
        stopping: may end the training too; however it ends, the model then has the best weights.
        history: of a training to go on with; `epochs` counts those of both.

    Returns:
        The history of the whole epochs. Interrupting the kernel ends the training; weights and history are kept.
    """
    history = history or History()
    done = len(history.train_loss)
    with tqdm(total=max(0, epochs - done) * length_hint(train_dataloader) or None, unit="step") as bar:
        watch = Watch(model, optimizer, on_bar(bar, on_step), epoch=done)
        try:
            while watch.epoch < epochs and not (stopping and stopping.finished):
                watch.epoch += 1
                train_loss = train_one_epoch(model, train_dataloader, criterion, optimizer, device, schedule, watch)
                evaluation = evaluate(model, validation_dataloader, criterion, device, watch)
                history.add(train_loss, evaluation.loss, evaluation.iou)
                bar.set_description(f"IoU {evaluation.iou:.3f}")
                if stopping:
                    stopping.look(history)
                if on_epoch:
                    on_epoch(history)
        except KeyboardInterrupt:
            model.eval()  # as after a whole training
            history.stopped = f"epoch {watch.epoch}, step {len(watch.rates)}"
            bar.set_postfix_str(f"stopped in {history.stopped}")
    if stopping:
        stopping.restore()
    return history
