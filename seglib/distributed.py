"""Owns how a training is shared by several processes, so that it stays the same training. See 12_many_gpus."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Sampler

from seglib.batches import Loader
from seglib.engine import evaluate
from seglib.errors import TrainingError
from seglib.losses import Loss
from seglib.metrics import Evaluation
from seglib.pictures import IGNORE_INDEX
from seglib.processes import everyone, processes, rank


class Shares(Sampler):
    """What this process loads of the batches of all: a part of each batch, or `whole` ones, taken in turns.

    Each picture is loaded by one process, and by no other. `pictures` counts those of the last epoch in this process.
    """

    def __init__(self, batches: Any, whole: bool):
        self.batches, self.whole, self.pictures = batches, whole, 0

    def __len__(self) -> int:
        return len(range(rank(), len(self.batches), processes())) if self.whole else len(self.batches)

    def __iter__(self) -> Iterator[list[Any]]:
        self.pictures = 0
        for number, batch in enumerate(self.batches):
            whole = batch if number % processes() == rank() else []
            mine = whole if self.whole else batch[rank() :: processes()]
            self.pictures += len(mine)
            if mine:
                yield mine


def share(loader: DataLoader, whole: bool = False, least: int = 1) -> Loader:
    """The loader of this process, made of a loader of `make_loaders`, whose batches are those of all together.

    Args:
        loader: its order, seeds and epochs stay in charge.
        whole: for the validation, which has no steps in common: each process takes whole batches.
        least: so many pictures of each batch, or more, has each process to get. 2 for a model with BatchNorm.

    Raises:
        TrainingError: a process would get less.
    """
    count, size = len(loader.dataset), loader.batch_size or 1  # type: ignore[arg-type]
    last = min(size, count) if loader.drop_last else count % size or size
    if not whole and min(size, last) // processes() < least:
        found = f"{count} pictures in batches of {size}: the smallest holds {last}, to be shared by {processes()}."
        raise TrainingError(found, f"{least} or more of each batch for each process", "Choose another batch size.")
    names = ("dataset", "collate_fn", "num_workers", "persistent_workers", "pin_memory", "generator")
    return Loader(batch_sampler=Shares(loader.batch_sampler, whole), **{name: getattr(loader, name) for name in names})


def replicate(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with the all-reduce: its `backward` ends when all processes hold the mean of their gradients.

    All begin with the weights of process 0. On GPUs BatchNorm sees the pictures of all; torch has that for GPUs only.
    """
    if processes() == 1:
        return model
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model) if device.type == "cuda" else model
    replica = DistributedDataParallel(model)
    replica.broadcast_buffers = False  # running means are averaged after the epoch; the argument's name changes
    return replica


def together(criterion: Loss, most: int) -> Loss:
    """The same loss, of the batch of all: every process gets its value, and the gradient of its own pictures.

    Args:
        criterion: may be no mean over images, as Dice, which looks at all pictures of the batch at once.
        most: pictures of a batch that one process may have; parts with fewer are filled up with pixels to ignore.
    """
    if processes() == 1:
        return criterion

    def of_all(outputs: Tensor, masks: Tensor) -> Tensor:
        loss = criterion.function(_of_all(outputs, most, 0), _of_all(masks, most, IGNORE_INDEX))
        # The all-reduce divides by the processes, but what they hold are parts of a sum.
        loss.register_hook(lambda gradient: gradient * processes())
        return loss

    return replace(criterion, function=of_all)


def _of_all(own: Tensor, most: int, fill: int) -> Tensor:
    """(N, ...) of this process into (processes * most, ...) of all; only the own part has a gradient."""
    filled = torch.cat([own, own.new_full((most - len(own), *own.shape[1:]), fill)]).contiguous()
    parts = [torch.empty_like(filled) for _ in range(processes())]
    dist.all_gather(parts, filled.detach())
    parts[rank()] = filled
    return torch.cat(parts)


def average_statistics(model: nn.Module) -> None:
    """After an epoch, give each process the mean of all running means and variances of BatchNorm."""
    for buffer in model.buffers():
        if processes() > 1 and buffer.is_floating_point():
            dist.all_reduce(buffer)
            buffer /= processes()


def mean_of_all(loss: float, dataloader: DataLoader) -> float:
    """The mean loss over the pictures of all, from that over the pictures of this process; those counts differ.

    Args:
        loss: the mean over the pictures of this process.
        dataloader: of `share`; knows how many those were.
    """
    parts = everyone((loss, getattr(dataloader.batch_sampler, "pictures", 0)))
    return sum(loss * count for loss, count in parts) / sum(count for _, count in parts)


def evaluate_all(model: nn.Module, dataloader: Loader, *others: Any) -> Evaluation:
    """`evaluate`, over the pictures of all: each process measures its own, and the confusion matrices are added up.

    Arguments and errors are those of `evaluate`; `dataloader` is one of `share(..., whole=True)`.
    """
    own = evaluate(model, dataloader, *others) if len(dataloader) else Evaluation(0.0, torch.zeros(()))
    matrices = [matrix for matrix in everyone(own.matrix) if matrix.ndim]  # a process without pictures has none
    return Evaluation(mean_of_all(own.loss, dataloader), torch.stack(matrices).sum(dim=0))
