"""Owns the memory that keeps decoded pictures for the next epochs, shared by all workers. Explained in 08_cuda."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from seglib.errors import TrainingError

GIB = 2**30
SHARED_MEMORY = Path("/dev/shm")  # Linux bounds shared memory by the size of this file system; others do not


class SharedCache:
    """Pictures of one size with their masks, as bytes, in shared memory that is allocated once.

    Each worker is a process. In an ordinary dictionary a worker would find only the pictures that it loaded itself, and
    each worker would need memory for all of them. Shared memory holds each picture once, and every worker finds it.

    Args:
        names: of the pictures, each once. Those that do not fit are the last ones; a printed line says how many.
        size: (height, width) of all pictures.
        gib: the limit in GiB (2**30 bytes).

    Raises:
        TrainingError: not one picture fits.

    Example:
        >>> cache = SharedCache(["a.jpg", "b.jpg"], (2, 2), gib=1)
        >>> cache.put("a.jpg", (1, 1), torch.ones(4, 2, 2, dtype=torch.uint8))
        >>> cache.get("a.jpg", (1, 1)).sum().item(), cache.get("b.jpg", (1, 1)), cache.get("a.jpg", (2, 1))
        (16, None, None)
    """

    def __init__(self, names: Sequence[str], size: tuple[int, int], gib: float):
        each = 4 * size[0] * size[1]  # bytes of a picture: three colours and a mask
        shared = free_shared_memory()
        room = int(min(gib * GIB, shared))
        count = min(len(names), max(0, room) // each)
        limit = f"the limit is {gib:g} GiB" if gib * GIB <= shared else f"{_gib(shared)} of shared memory are free"
        if names and not count:
            raise TrainingError(
                f"The cache holds no picture {size[1]} wide and {size[0]} high: {limit}, and one takes {_gib(each)}.",
                "room for one picture at least",
                f"All {len(names)} take {_gib(len(names) * each)}: raise cache_gib, in Docker --shm-size too, or leave "
                "cache_gib at 0.",
            )
        if count < len(names):
            print(
                f"The cache has room for {count} of {len(names)} pictures ({limit}). The others are read anew in "
                f"each epoch; all of them take {_gib(len(names) * each)}."
            )
        self.slot_of = {name: slot for slot, name in enumerate(names[:count])}
        self.pictures = torch.zeros((count, 4, *size), dtype=torch.uint8).share_memory_()  # (count, 4, H, W)
        # When image and mask were last changed, in nanoseconds; 0 while the slot is empty.
        self.modified = torch.zeros((count, 2), dtype=torch.int64).share_memory_()

    def get(self, name: str, modified: tuple[int, int]) -> Tensor | None:
        """A copy of the picture, uint8 (4, H, W); None if it is not there, or was made of older files.

        Args:
            name: of the picture.
            modified: when its image and its mask were last changed, in nanoseconds.
        """
        slot = self.slot_of.get(name)
        if slot is None or tuple(self.modified[slot].tolist()) != modified:
            return None
        return self.pictures[slot].clone()

    def put(self, name: str, modified: tuple[int, int], picture: Tensor) -> None:
        """Keep a picture, uint8 (4, H, W), if it has a slot; `modified` is as in `get`."""
        slot = self.slot_of.get(name)
        if slot is not None:
            self.pictures[slot] = picture
            self.modified[slot] = torch.tensor(modified)  # last: until then other workers see no picture here


def free_shared_memory() -> float:
    """Bytes of shared memory that may still be used, less a tenth for other programs; infinite without a bound."""
    return 0.9 * shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else float("inf")


def _gib(count: float) -> str:
    return f"{count / GIB:.2f} GiB" if count >= GIB / 100 else f"{count / 2**20:.1f} MiB"
