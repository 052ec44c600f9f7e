"""Owns the memory in which pictures wait for the next epoch, shared by all workers. Explained in 07_cuda."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from seglib.errors import TrainingError

GIB = 2**30
SHARED = Path("/dev/shm")  # where Linux keeps the memory that processes share; other systems have no such bound


class Cache:
    """Pictures of one size with their masks, as bytes; the memory is taken once, when the cache is made.

    Workers are processes of their own: with an ordinary dictionary each would fill one of its own, and with several
    workers most pictures would be missed most of the time. This memory belongs to all of them.

    Args:
        names: of the pictures, each once. Those that do not fit are the last ones; a printed line says how many.
        size: (height, width) of all pictures.
        gib: the limit in GiB (2**30 bytes).

    Raises:
        TrainingError: not one picture fits.

    Example:
        >>> cache = Cache(["a.jpg", "b.jpg"], (2, 2), gib=1)
        >>> cache.put("a.jpg", (1, 1), torch.ones(4, 2, 2, dtype=torch.uint8))
        >>> cache.get("a.jpg", (1, 1)).sum().item(), cache.get("b.jpg", (1, 1)), cache.get("a.jpg", (2, 1))
        (16, None, None)
    """

    def __init__(self, names: Sequence[str], size: tuple[int, int], gib: float):
        each = 4 * size[0] * size[1]  # three colours and a mask, a byte each
        shared = free_shared_memory()
        room = int(min(gib * GIB, shared))
        count = min(len(names), max(0, room) // each)
        whose = f"the limit is {gib:g} GiB" if gib * GIB <= shared else f"{_gib(shared)} of shared memory are free"
        if names and not count:
            raise TrainingError(
                f"The cache holds no picture {size[1]} wide and {size[0]} high: {whose}, and one takes {_gib(each)}.",
                "room for one picture at least",
                f"All {len(names)} take {_gib(len(names) * each)}: raise cache_gib, in Docker --shm-size too, or leave "
                "cache_gib at 0.",
            )
        if count < len(names):
            print(
                f"The cache has room for {count} of {len(names)} pictures ({whose}). The others are read anew in "
                f"each epoch; all of them take {_gib(len(names) * each)}."
            )
        self.place = {name: place for place, name in enumerate(names[:count])}
        self.pictures = torch.zeros((count, 4, *size), dtype=torch.uint8).share_memory_()  # (count, 4, H, W)
        self.stamps = torch.zeros((count, 2), dtype=torch.int64).share_memory_()  # 0: nothing is there yet

    def get(self, name: str, stamp: tuple[int, int]) -> Tensor | None:
        """A copy of what was put there under this name and this stamp, uint8 (4, H, W); None if there is nothing."""
        place = self.place.get(name)
        if place is None or tuple(self.stamps[place].tolist()) != stamp:
            return None
        return self.pictures[place].clone()

    def put(self, name: str, stamp: tuple[int, int], picture: Tensor) -> None:
        """Keep uint8 (4, H, W), if there is a place for it; `stamp` says of which state of the files it was made."""
        place = self.place.get(name)
        if place is not None:
            self.pictures[place] = picture
            self.stamps[place] = torch.tensor(stamp)  # last, so that nobody takes half a picture for a whole one


def free_shared_memory() -> float:
    """Bytes that processes may still share, 0.1 of them left to others; infinite where nothing says how many."""
    return 0.9 * shutil.disk_usage(SHARED).free if SHARED.is_dir() else float("inf")


def _gib(count: float) -> str:
    return f"{count / GIB:.2f} GiB" if count >= GIB / 100 else f"{count / 2**20:.1f} MiB"
