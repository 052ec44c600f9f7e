"""Owns the training loop, the evaluation, and a whole training made of both. Explained in 07_training_loop."""

import math
from collections.abc import Callable, Iterable
from operator import length_hint
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from seglib.data.normalization import to_model_inputs
from seglib.device import batch_to_device, explain_gpu_errors
from seglib.errors import TrainingError
from seglib.losses import Loss, labels_checked_once
from seglib.metrics import Evaluation, count_pairs
from seglib.progress import progress_bar
from seglib.training.divergence_guard import DivergenceGuard, OnStep, check_finite
from seglib.training.history import History
from seglib.training.precision import Step, prepare_step

if TYPE_CHECKING:
    from seglib.training.early_stopping import EarlyStopping

Batches = Iterable[tuple[Tensor, Tensor]]
OnEpoch = Callable[[History], object]


def train_one_epoch(
    model: nn.Module,
    train_dataloader: Batches,
    criterion: Loss,
    optimizer: Optimizer,
    device: torch.device,
    *,
    scheduler: LRScheduler | None = None,
    guard: DivergenceGuard | None = None,
    step: Step | None = None,
) -> float:
    """Show the model every training picture once, and change its weights after each batch.

    Args:
        model: maps images to {"out": (N, C, H, W)}.
        train_dataloader: batches of images (N, 3, H, W) and masks, in the shape that `criterion` asks for.
        criterion: the loss.
        optimizer: holds the parameters that change.
        device: where model and optimizer live; each batch is moved there.
        scheduler: stepped after each batch.
        guard: keeps the last good weights; one of its own by default.
        step: of `make_step`; does what else may happen in a step: float16, clipped gradients, a recorded step.

    Returns:
        The mean loss over all images, each counted once, whatever the size of its batch.

    Raises:
        TrainingError: there was no batch, or the loss is NaN or infinite; the model then has its last good weights.
    """
    model.train()
    guard = guard or DivergenceGuard(model, optimizer)
    guard.start_epoch()
    total_loss = torch.zeros((), device=device)
    count = 0
    for images, masks in labels_checked_once(train_dataloader, criterion, model, device):
        images, masks = batch_to_device(images, masks, device)
        images, masks = to_model_inputs(images, masks)  # bytes become floats here, on the device
        guard.keep_weights()
        if step:
            loss = step(images, masks)
        else:
            optimizer.zero_grad()

            # Forward pass
            outputs = model(images)["out"]

            # Calculate the loss
            loss = criterion(outputs, masks)

            # Backward pass and optimization
            loss.backward()
            optimizer.step()
        if scheduler:
            scheduler.step()
        count += len(images)
        total_loss += loss.detach() * len(images)
        guard.check_step(total_loss / count)
    return mean_over_images(total_loss, count, guard)


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    dataloader: Batches,
    criterion: Loss,
    device: torch.device,
    guard: DivergenceGuard | None = None,
) -> Evaluation:
    """Measure the model on pictures without changing it; `criterion` also says how to read its outputs.

    The model is in evaluation mode afterwards. Arguments and errors are those of `train_one_epoch`; `criterion` is the
    loss that the model was trained with, and `dataloader` gives every picture once.
    """
    model.eval()
    total_loss = torch.zeros((), device=device)
    count = 0
    matrix = torch.zeros((), dtype=torch.int64, device=device)
    for images, masks in labels_checked_once(dataloader, criterion, model, device):
        images, masks = batch_to_device(images, masks, device)
        images, masks = to_model_inputs(images, masks)
        outputs = model(images)["out"]
        total_loss += criterion(outputs, masks) * len(images)  # the loss also checks the labels
        count += len(images)
        predicted = criterion.predict(outputs)  # (N, H, W)
        num_classes = max(2, outputs.shape[1])
        matrix = matrix + count_pairs(predicted, masks.view_as(predicted), num_classes)
    loss = mean_over_images(total_loss, count, guard, ", measured on the validation pictures")
    return Evaluation(loss, matrix.cpu())


def fit(
    model: nn.Module,
    train_dataloader: Batches,
    validation_dataloader: Batches,
    criterion: Loss,
    optimizer: Optimizer,
    *,
    epochs: int,
    device: torch.device,
    scheduler: LRScheduler | None = None,
    stopping: "EarlyStopping | None" = None,
    history: History | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    precision: str | None = None,
    clip_norm: float | None = None,
    compile: bool = False,
    cuda_graph: bool = False,
) -> History:
    """Train for some epochs, measure on the validation pictures after each, and show a bar with the running loss.

    Arguments and errors are those of `train_one_epoch` and `evaluate`, and these:

    Args:
        epochs: how often each training picture is shown, those of `history` included.
        stopping: may end the training too; however it ends, the model then has the best weights.
        history: of a training to go on with.
        on_epoch: gets the history so far after each epoch; may raise KeyboardInterrupt, as `on_step` may.
        on_step: as in `DivergenceGuard`.
        precision: as in `set_precision`; None leaves the model as it is.
        clip_norm, cuda_graph: as in `make_step`.
        compile: let torch.compile translate the model first; its first step takes a minute or so.

    Returns:
        The history of the whole epochs. Interrupting the kernel ends the training; weights and history are kept.
    """
    history = history or History()
    done = len(history.train_loss)
    step = prepare_step(
        model, criterion, optimizer, precision=precision, clip_norm=clip_norm, compile=compile, cuda_graph=cuda_graph
    )
    total_steps = max(0, epochs - done) * length_hint(train_dataloader) or None
    with progress_bar(total=total_steps, unit="step") as bar:
        guard = DivergenceGuard(model, optimizer, _show_step(bar, on_step), epoch=done)
        try:
            run_epochs(
                model,
                train_dataloader,
                validation_dataloader,
                criterion,
                optimizer,
                epochs=epochs,
                device=device,
                scheduler=scheduler,
                stopping=stopping,
                history=history,
                guard=guard,
                step=step,
                on_epoch=_show_epoch(bar, on_epoch),
            )
        except KeyboardInterrupt:
            model.eval()  # as after a whole training
            history.stopped = f"epoch {guard.epoch}, step {len(guard.learning_rates)}"
            bar.set_postfix_str(f"stopped in {history.stopped}")
    if stopping:
        stopping.restore()
    return history


def run_epochs(
    model: nn.Module,
    train_dataloader: Batches,
    validation_dataloader: Batches,
    criterion: Loss,
    optimizer: Optimizer,
    *,
    epochs: int,
    device: torch.device,
    history: History,
    guard: DivergenceGuard,
    step: Step | None = None,
    scheduler: LRScheduler | None = None,
    stopping: "EarlyStopping | None" = None,
    on_epoch: OnEpoch | None = None,
    validate_every: int = 1,
    train_epoch: Callable[..., float] = train_one_epoch,
    evaluate_epoch: Callable[..., Evaluation] = evaluate,
) -> None:
    """The loop over epochs that `fit`, the command line and trainings of several processes share.

    Arguments and errors are those of `fit`, and these:

    Args:
        history: gets one entry for each epoch.
        guard: as in `train_one_epoch`; its `epoch` is the number of the epoch under way.
        step: as in `train_one_epoch`.
        validate_every: measure after every so many epochs, and after the last; the others have NaN in the history.
        train_epoch: called as `train_one_epoch` is.
        evaluate_epoch: called as `evaluate` is.
    """
    while len(history.train_loss) < epochs and not (stopping and stopping.finished):
        guard.epoch = len(history.train_loss) + 1
        with explain_gpu_errors():
            train_loss = train_epoch(
                model, train_dataloader, criterion, optimizer, device, scheduler=scheduler, guard=guard, step=step
            )
            if guard.epoch % validate_every and guard.epoch < epochs:
                history.add(train_loss, math.nan, math.nan)
            else:
                evaluation = evaluate_epoch(model, validation_dataloader, criterion, device, guard)
                history.add(train_loss, evaluation.loss, evaluation.iou, evaluation.class_iou)
        if stopping:
            stopping.update(history)
        if on_epoch:
            on_epoch(history)


def mean_over_images(total_loss: Tensor, count: int, guard: DivergenceGuard | None = None, where: str = "") -> float:
    """The sum of the losses of all images divided by their number.

    Args:
        total_loss: a scalar on any device.
        count: how many images.
        guard: restores the last good weights before the error.
        where: as in `DivergenceGuard.check`.

    Raises:
        TrainingError: there was no image, or the mean is NaN or infinite.
    """
    if not count:
        raise TrainingError(
            "The dataloader gave no batch.",
            "at least one picture",
            "Check the dataset's length, and drop_last: it drops the only batch of a small dataset.",
        )
    mean = (total_loss / count).item()
    return guard.check(mean, where) if guard else check_finite(mean, where)


def _show_step(bar: Any, on_step: OnStep | None) -> OnStep:
    """An `on_step` that shows epoch and running loss on the bar, and then calls the one that was given."""

    def callback(epoch: int, step: int, loss: float) -> None:
        bar.set_postfix(epoch=epoch, loss=f"{loss:.3f}", refresh=False)
        bar.update()
        if on_step:
            on_step(epoch, step, loss)

    return callback


def _show_epoch(bar: Any, on_epoch: OnEpoch | None) -> OnEpoch:
    """An `on_epoch` that shows the IoU on the bar, and then calls the one that was given."""

    def callback(history: History) -> None:
        bar.set_description(f"IoU {history.validation_iou[-1]:.3f}")
        if on_epoch:
            on_epoch(history)

    return callback
