"""Owns how a batch comes about: its order and chance from one seed, one size, workers. Explained in 03_dataloader."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from seglib.errors import SegError, ShapeError, TrainingError


class SeededOrder(Sampler):
    """(idx, seed of its random transforms), picture by picture. `seed` and `epoch` alone decide, not the workers."""

    def __init__(self, count: int, shuffle: bool, seed: int):
        self.count, self.shuffle, self.seed, self.epoch = count, shuffle, seed, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        mixed = np.random.SeedSequence((self.seed, self.epoch)).generate_state(1)
        generator = torch.Generator().manual_seed(int(mixed[0]))
        order = torch.randperm(self.count, generator=generator) if self.shuffle else torch.arange(self.count)
        seeds = torch.randint(2**32, (self.count,), generator=generator)
        self.epoch += self.shuffle  # another order next time
        return iter(list(zip(order.tolist(), seeds.tolist(), strict=True)))


@contextlib.contextmanager
def chance(seed: int) -> Iterator[None]:
    """Random numbers as `seed` decides within the block; after it they go on as if nothing had been drawn."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # the CPU's alone: a GPU's numbers belong to the model
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


class Seeded(Dataset):
    """A dataset that is asked for whole batches of (idx, seed), and gives them stacked. `[idx]` is as before."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[idx]

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> Any:
        """The batch; a `SegError` is given back in its place: raised, it would come home as a page of traceback."""
        pairs, names = [], getattr(self.dataset, "image_filenames", None)
        try:
            for idx, seed in keys:
                with chance(seed):
                    pairs.append(self.dataset[idx])
            return collate(pairs, [names[idx] if names else f"number {idx}" for idx, _ in keys])
        except SegError as error:
            return [error]


def collate(pairs: Sequence[tuple[Tensor, Tensor]], names: Sequence[str] = ()) -> list[Tensor]:
    """Stack (image, mask) pairs into [(N, 3, H, W), (N, ...)]; a `ShapeError` tells pictures of other sizes by name."""
    names = names or [f"number {idx}" for idx in range(len(pairs))]
    for what, tensors in zip(("images", "masks"), zip(*pairs, strict=True), strict=False):
        if any(not isinstance(tensor, Tensor) for tensor in tensors):
            raise ShapeError(
                f"The {what} of this batch are {type(tensors[0]).__name__}s, not tensors.",
                "tensors of one size",
                "Give CustomDataset a transform and a mask_transform, or a joint_transform.",
            )
        of_shape: dict[tuple, list[str]] = {}
        for tensor, name in zip(tensors, names, strict=True):
            of_shape.setdefault(tuple(tensor.shape), []).append(name)
        if len(of_shape) > 1:
            each = "; ".join(f"{shape}: {', '.join(of_shape[shape])}" for shape in sorted(of_shape))
            raise ShapeError(
                f"The {what} of this batch have different shapes. {each}.",
                "one shape for all pictures of a batch",
                "Resize to (height, width): a single number keeps each picture's own shape.",
            )
    if any(image.dtype != torch.uint8 or image.stride(0) != 1 for image, *_ in pairs):
        return default_collate(list(pairs))
    # The bytes of a `FastDataset` come channels-last from the JPEG. Stacked so, nobody has to reorder them.
    images, *masks = default_collate([(image.movedim(0, -1), *masks) for image, *masks in pairs])
    return [images.movedim(-1, 1), *masks]


class Loader(DataLoader):
    """A `DataLoader` whose batches come from `Seeded`, and which says what it means when a worker dies."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        try:
            with explained() if self.num_workers else contextlib.nullcontext():
                batches = super().__iter__()
                _explain_signal()
                for batch in batches:
                    if isinstance(batch[0], SegError):
                        raise batch[0]
                    yield batch
        except Exception:
            if self._iterator is not None:  # these workers go home, at once; the next epoch starts new ones
                self._iterator._shutdown_workers()  # type: ignore[attr-defined]
                self._iterator = None
            raise


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Torch's report of a dead worker becomes a `TrainingError` that says what to do."""
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        # An error of the dataset, caught in a worker, is no death; a line that breaks off is one, before torch knows.
        alive = type(error) is RuntimeError and not str(error).startswith(("DataLoader worker", "Pin memory thread"))
        if alive or str(error).startswith("Caught"):
            raise
        time.sleep(0.2)  # for the system's signal, which would else interrupt whatever comes next
        raise TrainingError(
            "A worker, one of the processes that load pictures, has died.",
            "workers that live as long as their loader",
            "num_workers=0 loads in this process, and shows the error if it is one. Else memory ran out: fewer "
            "workers, or in Docker --shm-size=2g. A dataset defined in a notebook has to move into a file.",
        ) from error


def _explain_signal() -> None:
    """Torch's report may also come as a signal, in whatever line runs just then: let it use the same words there."""
    # Windows has no such signal, and only the main thread may listen. The loader then notices by itself, seconds later.
    if hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread():
        report = signal.getsignal(signal.SIGCHLD)
        if callable(report) and not hasattr(report, "__wrapped__"):
            signal.signal(signal.SIGCHLD, explained()(report))  # whatever it raises is explained
