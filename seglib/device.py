"""Owns the device, the seeds of random numbers, and the time that a piece of work takes. Explained in 08_cuda."""

import contextlib
import os
import random
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from seglib.errors import TrainingError

ENVIRONMENT_VARIABLE = "SEGLIB_DEVICE"


def pick_device(name: str | None = None) -> torch.device:
    """The device to train on: the one named, or else the best one that is here.

    Args:
        name: "cuda", "cuda:1", "mps" or "cpu". None takes the one that the environment variable SEGLIB_DEVICE names;
            if it names none, CUDA if there is one, then Apple's MPS, then the CPU.

    Raises:
        TrainingError: the device named is not on this machine.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    origin = "device"
    if name is None and os.environ.get(ENVIRONMENT_VARIABLE):
        name = os.environ[ENVIRONMENT_VARIABLE]
        origin = f"The environment variable {ENVIRONMENT_VARIABLE}"
    if name is None:
        name = _best_device()
    if not _is_here(name):
        fix = 'Use pick_device() without a name, or "cpu". In Colab: Runtime, Change runtime type, GPU.'
        if origin != "device":
            fix = f"Unset {ENVIRONMENT_VARIABLE}, or set it to cpu."
        raise TrainingError(
            f'{origin} = "{name}", but this machine has none of that name that torch can use.',
            "a device that is here; the CPU always is",
            fix,
        )
    return torch.device(name)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _is_here(name: str) -> bool:
    try:
        device = torch.device(name)
    except RuntimeError:  # no word for a device
        return False
    counts = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    return (device.index or 0) < counts.get(device.type, 1)


def batch_to_device(images: Tensor, masks: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Move a batch to the device of the model; images in channels-last order, which convolutions read faster.

    The copy to a GPU does not block Python, if the batch lies in pinned memory, as that of `make_loaders` does.

    Shape:
        images: (N, 3, H, W) of any dtype, in and out.
        masks: any shape and dtype, unchanged.
    """
    images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
    masks = masks.to(device, non_blocking=True)
    return images, masks


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python's, NumPy's and torch's random numbers, so that the same call draws the same numbers again.

    Args:
        seed: any whole number from 0 to 2**32 - 1.

    Returns:
        A torch generator with the same seed, for a `DataLoader`.

    Example:
        >>> first = seed_everything(7) and torch.rand(2)
        >>> bool((first == (seed_everything(7) and torch.rand(2))).all())
        True
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # the CPU's generator and every GPU's
    return torch.Generator().manual_seed(seed)


def deterministic(on: bool = True) -> None:
    """Let torch use only algorithms that give the same bits every time (slower on a GPU), or any algorithm again.

    An operation that has no such algorithm warns.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it once, at its first call
    torch.use_deterministic_algorithms(on, warn_only=True)
    if on:
        torch.backends.cudnn.benchmark = False  # it times several algorithms, and may choose another one each time


def gpu_memory(device: torch.device) -> dict[str, int]:
    """Bytes of GPU memory: in use now, at most so far, and on the card. All 0 for a device that is no GPU."""
    if device.type != "cuda":
        return {"now": 0, "peak": 0, "card": 0}
    return {
        "now": torch.cuda.memory_allocated(device),
        "peak": torch.cuda.max_memory_allocated(device),
        "card": torch.cuda.get_device_properties(device).total_memory,
    }


@contextlib.contextmanager
def explain_gpu_errors() -> Iterator[None]:
    """Give the two errors of a GPU that stop a training most often words that say what to do.

    Raises:
        TrainingError: in the block, the GPU's memory ran out, or one of its kernels met a number that it must not get.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "The memory of the GPU ran out.",
            "room for the activations of a whole batch",
            "In this order: a smaller batch (batch_size=2), precision=auto, smaller pictures (size=(240, 320)), a "
            "smaller model. Another program or kernel may hold memory too: nvidia-smi shows it. Notebook 08 has more.",
        ) from error
    except RuntimeError as error:
        if "device-side assert" not in str(error):
            raise
        raise TrainingError(
            "A kernel on the GPU met a number that it must not get (device-side assert).",
            "indices that are in range; in segmentation almost always labels from 0 to the number of classes - 1",
            "Restart Python: this process can no longer use the GPU. Train a step on the CPU (device=cpu), which names "
            "the number; or set CUDA_LAUNCH_BLOCKING=1 before Python starts, so that the error names the right line.",
        ) from error


class Timer:
    """Seconds of wall-clock time of a `with` block, on any device.

    A GPU works on while Python goes ahead, so a plain clock stops too early; this one waits for the GPU first.

    Example:
        >>> with Timer() as timer:
        ...     _ = torch.ones(3).sum()
        >>> timer.seconds > 0
        True
    """

    def __init__(self, device: torch.device | None = None):
        self.device = device or torch.device("cpu")
        self.seconds = 0.0

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def __enter__(self) -> "Timer":
        self._wait()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self._wait()
        self.seconds = time.perf_counter() - self._start
