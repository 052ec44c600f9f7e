"""Owns a training that several processes share, so that it stays the same training. Explained in 14_many_gpus.

Under torchrun, one process works on each device. Without it, all functions here act as for a single process.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Sampler

from seglib.data.dataloaders import SeededDataLoader
from seglib.data.image_io import IGNORE_INDEX
from seglib.device import ENVIRONMENT_VARIABLE, pick_device
from seglib.errors import TrainingError
from seglib.losses import Loss
from seglib.metrics import Evaluation
from seglib.training.loop import evaluate, train_one_epoch

# Processes that find each other, and exchange values.


def rank() -> int:
    """The number of this process, from 0. Number 0 prints and saves.

    Example:
        >>> rank(), world_size()  # without torchrun
        (0, 1)
    """
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def all_gather(value: Any) -> list[Any]:
    """The values of all processes, in the order of their ranks; each process waits here for all others.

    Example:
        >>> all_gather("here")
        ['here']
    """
    values = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return values


@contextlib.contextmanager
def process_group(device: str | None = None, timeout: timedelta = timedelta(minutes=10)) -> Iterator[torch.device]:
    """Join the process group if torchrun has started this process, and yield the device of this process.

    Args:
        device: as in `pick_device`; under torchrun "cuda", one GPU a process, or "cpu".
        timeout: how long a process waits for an answer of the others.

    Raises:
        TrainingError: more processes than GPUs; another process has ended, or has not answered.
    """
    if "LOCAL_RANK" not in os.environ:  # torchrun sets it
        yield pick_device(device)
        return
    own = _device_of_rank(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    try:
        nccl = own.type == "cuda" and dist.is_nccl_available()  # Windows has no NCCL
        dist.init_process_group("nccl" if nccl else "gloo", timeout=timeout)
        yield own
        dist.destroy_process_group()  # not after an error: it would wait for the other processes
    except RuntimeError as error:
        if not isinstance(error, dist.DistBackendError) and "gloo" not in str(error):
            raise
        raise TrainingError(
            "Another process of this training has ended, or has not answered.",
            "all processes, to the end",
            "Look for what it said: above, or on the screen of another machine. If it said nothing it was killed: most "
            "often, memory ran out.",
        ) from error


def _device_of_rank(name: str | None) -> torch.device:
    name = name or os.environ.get(ENVIRONMENT_VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cuda", "cpu"):
        raise TrainingError(f'device = "{name}" under torchrun.', '"cuda", a GPU for each, or "cpu"', "Leave it out.")
    return pick_device(f"cuda:{os.environ['LOCAL_RANK']}" if name == "cuda" else name)


def first_to_report() -> bool:
    """Whether no other process of this machine has called this before: an error that all meet is told once a screen."""
    if "LOCAL_RANK" not in os.environ:
        return True
    start, machine = os.environ.get("TORCHELASTIC_RESTART_COUNT", 0), os.environ.get("GROUP_RANK", 0)
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = dist.TCPStore(*address, is_master=False, timeout=timedelta(seconds=10))
        return store.add(f"failed in start {start} on machine {machine}", 1) == 1
    except RuntimeError:  # the first machine has ended already, and the store with it
        return True


def tell_torchrun(words: str) -> bool:
    """Leave the words of an error to torchrun, so that they are the last on the screen.

    When a process has failed, torchrun prints a page, whatever the process itself has printed. The page ends with what
    the process that failed first has left in a file.

    Returns:
        Whether there is such a file. There is none without torchrun.
    """
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return False
    first = first_to_report()
    message = f"\n{words}" if first else "the error at the end of this page, or one that followed from it"
    # torchrun compares times in whole seconds. Other processes may fail in the same second, because this one did.
    report = {"message": message, "timestamp": int(time.time()) - first}
    Path(path).write_text(json.dumps(report), encoding="utf-8")
    return True


# Each process loads a part of the pictures.


class ShardedBatchSampler(Sampler):
    """The part of the batches that this process loads; each picture is loaded by exactly one process.

    `images` counts the pictures that this process has loaded in the last epoch.

    Args:
        batches: the batches of all processes together, as lists of keys.
        whole_batches: True gives each process whole batches, in turns; False a part of each batch.
    """

    def __init__(self, batches: Any, whole_batches: bool):
        self.batches = batches
        self.whole_batches = whole_batches
        self.images = 0

    def __len__(self) -> int:
        return len(range(rank(), len(self.batches), world_size())) if self.whole_batches else len(self.batches)

    def __iter__(self) -> Iterator[list[Any]]:
        self.images = 0
        for number, batch in enumerate(self.batches):
            shard = self._shard(number, batch)
            self.images += len(shard)
            if shard:
                yield shard

    def _shard(self, number: int, batch: list[Any]) -> list[Any]:
        if not self.whole_batches:
            return batch[rank() :: world_size()]
        return batch if number % world_size() == rank() else []


def min_pictures_per_rank(device: torch.device) -> int:
    """The smallest number of pictures of a batch that a process may get, for a model with BatchNorm.

    BatchNorm needs two numbers of each channel, and in DeepLab's pooling a picture gives one. On several GPUs
    SyncBatchNorm takes the numbers of all processes, so one picture each is enough.
    """
    return 1 if device.type == "cuda" and world_size() > 1 else 2


def shard_loader(loader: DataLoader, *, whole_batches: bool = False, min_per_rank: int = 1) -> SeededDataLoader:
    """The loader of this process, for a loader of `make_loaders` whose batches are those of all processes together.

    Args:
        loader: decides order, seeds and epochs.
        whole_batches: True for the validation: each process takes whole batches, since there are no steps in common.
        min_per_rank: the smallest number of pictures of a batch that a process may get; see
            `min_pictures_per_rank`.

    Raises:
        TrainingError: a process would get fewer.
    """
    count = len(loader.dataset)  # type: ignore[arg-type]
    batch_size = loader.batch_size or 1
    smallest = batch_size if loader.drop_last else count % batch_size or batch_size
    smallest = min(smallest, batch_size, count)
    least = min_per_rank * world_size()
    if not whole_batches and smallest // world_size() < min_per_rank:
        raise TrainingError(
            f"{count} pictures in batches of {batch_size}: the smallest holds {smallest}, to be shared by "
            f"{world_size()}.",
            f"{min_per_rank} or more of each batch for each process",
            f"batch_size={least}, or a multiple of it."
            if least <= count
            else "Start fewer processes, or add pictures.",
        )
    names = ("dataset", "collate_fn", "num_workers", "persistent_workers", "pin_memory", "generator")
    options = {name: getattr(loader, name) for name in names}
    return SeededDataLoader(batch_sampler=ShardedBatchSampler(loader.batch_sampler, whole_batches), **options)


# Each process computes the gradients of its pictures, and all take the same step.


def to_ddp(model: nn.Module, device: torch.device) -> nn.Module:
    """The model as `DistributedDataParallel`: after `backward`, each process holds the mean of all gradients.

    All processes begin with the weights of rank 0. On GPUs, BatchNorm computes its statistics over the pictures of all
    processes (SyncBatchNorm; torch has it for GPUs only). With one process, the model itself.
    """
    if world_size() == 1:
        return model
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    replica = DistributedDataParallel(model)
    # Running means are averaged after the epoch instead. As an argument this has different names in different versions.
    replica.broadcast_buffers = False
    return replica


def global_batch_loss(criterion: Loss, max_per_rank: int) -> Loss:
    """The same loss over the batch of all processes: each gets its value, and the gradient of its own pictures.

    Args:
        criterion: need not be a mean over images: Dice looks at all pictures of the batch together.
        max_per_rank: the largest number of pictures of a batch that one process may have; shorter parts are filled up
            with pixels to ignore, because all_gather needs equal shapes.
    """
    if world_size() == 1:
        return criterion

    def function(outputs: Tensor, masks: Tensor) -> Tensor:
        all_outputs = _gather_batch(outputs, max_per_rank, fill=0)
        all_masks = _gather_batch(masks, max_per_rank, fill=IGNORE_INDEX)
        loss = criterion.function(all_outputs, all_masks)
        # DDP averages the gradients of all processes. Here they are parts of one sum, so scale them by the world size.
        loss.register_hook(lambda gradient: gradient * world_size())
        return loss

    return replace(criterion, function=function)


def _gather_batch(own: Tensor, max_per_rank: int, fill: int) -> Tensor:
    """(N, ...) of this process to (world_size * max_per_rank, ...) of all; only the own part has a gradient."""
    filled = torch.cat([own, own.new_full((max_per_rank - len(own), *own.shape[1:]), fill)]).contiguous()
    parts = [torch.empty_like(filled) for _ in range(world_size())]
    dist.all_gather(parts, filled.detach())
    parts[rank()] = filled
    return torch.cat(parts)


def average_batchnorm_statistics(model: nn.Module) -> None:
    """Give each process the mean of all processes' running means and variances of BatchNorm."""
    for buffer in model.buffers():
        if world_size() > 1 and buffer.is_floating_point():
            dist.all_reduce(buffer)
            buffer /= world_size()


# An epoch, as `run_epochs` calls it.


def train_one_epoch_sharded(model: nn.Module, train_dataloader: DataLoader, *others: Any, **options: Any) -> float:
    """`train_one_epoch` over the pictures of all processes; afterwards all have the same BatchNorm statistics.

    Args:
        model: of `to_ddp`.
        train_dataloader: of `shard_loader`.
        others: as in `train_one_epoch`; the loss is one of `global_batch_loss`.
        options: as in `train_one_epoch`.

    Returns:
        The mean loss over the images of all processes.
    """
    loss = train_one_epoch(model, train_dataloader, *others, **options)
    average_batchnorm_statistics(model)
    return global_mean_loss(loss, train_dataloader)


def evaluate_sharded(model: nn.Module, dataloader: SeededDataLoader, *others: Any) -> Evaluation:
    """`evaluate` over the pictures of all processes: each measures its own, and the confusion matrices are added up.

    Arguments and errors are those of `evaluate`; `dataloader` is one of `shard_loader(..., whole_batches=True)`.
    """
    own = evaluate(model, dataloader, *others) if len(dataloader) else Evaluation(0.0, torch.zeros(()))
    matrices = [matrix for matrix in all_gather(own.matrix) if matrix.ndim]  # a process without pictures has none
    return Evaluation(global_mean_loss(own.loss, dataloader), torch.stack(matrices).sum(dim=0))


def global_mean_loss(loss: float, dataloader: DataLoader) -> float:
    """The mean loss over the images of all processes; a mean of means would be wrong, since their counts differ.

    Args:
        loss: the mean over the images of this process.
        dataloader: of `shard_loader`; its sampler has counted them.
    """
    parts = all_gather((loss, getattr(dataloader.batch_sampler, "images", 0)))
    return sum(loss * count for loss, count in parts) / sum(count for _, count in parts)
