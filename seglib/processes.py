"""Owns how the processes of one training find each other, and how one of them speaks for all. See 12_many_gpus.

Under torchrun, one process works on each device of a machine. Without it, all of this is as for a single process.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from seglib.device import pick_device
from seglib.errors import TrainingError


def rank() -> int:
    """The number of this process, from 0. Number 0 prints and saves.

    Example:
        >>> rank(), processes()  # without torchrun
        (0, 1)
    """
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """How many processes train together; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def everyone(value: Any) -> list[Any]:
    """The values that all processes give, in the order of their numbers; each waits here for all others.

    Example:
        >>> everyone("here")
        ['here']
    """
    values = [value] * processes()
    if processes() > 1:
        dist.all_gather_object(values, value)
    return values


@contextlib.contextmanager
def group(device: str | None = None, patience: timedelta = timedelta(minutes=10)) -> Iterator[torch.device]:
    """Meet the other processes that torchrun has started, if it has, and give this one its device.

    Args:
        device: as in `pick_device`; under torchrun "cuda", one GPU a process, or "cpu".
        patience: how long a process waits for an answer of the others.

    Raises:
        TrainingError: more processes than GPUs; another process has ended, or has not answered.
    """
    if "LOCAL_RANK" not in os.environ:  # torchrun sets it
        yield pick_device(device)
        return
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cuda", "cpu"):
        raise TrainingError(f'device = "{name}" under torchrun.', '"cuda", a GPU for each, or "cpu"', "Leave it out.")
    own = pick_device(f"cuda:{os.environ['LOCAL_RANK']}" if name == "cuda" else name)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    try:
        dist.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=patience)
        yield own
        dist.destroy_process_group()  # not after an error: it would wait for the others
    except RuntimeError as error:
        if not isinstance(error, dist.DistBackendError) and "gloo" not in str(error):
            raise
        found = "Another process of this training has ended, or has not answered."
        fix = "Look above for what it said. If it said nothing it was killed: most often, memory ran out."
        raise TrainingError(found, "all processes, to the end", fix) from error


def first_to_fail() -> bool:
    """Whether this process is the first one that asks: what went wrong for all is told once."""
    if "LOCAL_RANK" not in os.environ:
        return True
    store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    return store.add(f"failed in start {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", 1) == 1
