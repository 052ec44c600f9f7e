"""Owns where tensors live, what chance does, and how long a piece of work takes. Explained in 07_cuda."""

import os
import random
import time

import numpy as np
import torch

from seglib.errors import TrainingError


def pick_device(name: str | None = None) -> torch.device:
    """The device to train on: the one named, or else the best one that is here.

    Args:
        name: "cuda", "cuda:1", "mps", "cpu"; None takes CUDA if there is one, then Apple's MPS, then the CPU.

    Raises:
        TrainingError: the device named is not on this machine.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None  # no such word
    cards = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if device is None or (device.index or 0) >= cards.get(device.type, 1):
        raise TrainingError(
            f'device = "{name}", but this machine has none of that name that torch can use.',
            "a device that is here; the CPU always is",
            'Use pick_device() without a name, or "cpu". In Colab: Runtime, Change runtime type, GPU.',
        )
    return device


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

    An operation that has no such algorithm then warns instead of passing in silence.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it once, before its first call
    torch.use_deterministic_algorithms(on, warn_only=True)
    if on:
        torch.backends.cudnn.benchmark = False  # it tries algorithms, and takes the one that was quickest this time


def memory(device: torch.device) -> dict[str, int]:
    """Bytes of GPU memory: in use now, at most so far, and on the card. All 0 for a device that is no GPU."""
    if device.type != "cuda":
        return {"now": 0, "peak": 0, "card": 0}
    return {
        "now": torch.cuda.memory_allocated(device),
        "peak": torch.cuda.max_memory_allocated(device),
        "card": torch.cuda.get_device_properties(device).total_memory,
    }


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
