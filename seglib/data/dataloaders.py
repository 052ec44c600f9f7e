"""Owns how batches are made: their order and random transforms from one seed, one size, workers. See 03_dataloader."""

import contextlib
import functools
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

from seglib.errors import SegError, ShapeError, SplitError, TrainingError


def make_loaders(
    train_dataset: Dataset,
    validation_dataset: Dataset,
    batch_size: int = 4,
    num_workers: int = 0,
    seed: int = 0,
    *,
    drop_last: bool = False,
) -> tuple[DataLoader, DataLoader]:
    """The two loaders of a training: shuffled training batches, validation pictures in order and all of them.

    Args:
        train_dataset: shuffled anew in each epoch, in an order that the seed decides.
        validation_dataset: never shuffled, and no batch of it is ever dropped.
        batch_size: pictures in a batch.
        num_workers: processes that load ahead; 0 loads in this one. The batches are the same for any number.
        seed: a whole number from 0; decides the order and the random transforms of each epoch.
        drop_last: leave out the last training batch if it is not full; other pictures are left out in each epoch.

    Shape:
        Each batch is (images, masks): what the dataset returns, stacked along a new first dimension N.

    Raises:
        SplitError: a picture is in both datasets.
        ShapeError: while loading, for pictures of different sizes in one batch; names them.
        TrainingError: while loading, when a worker has died.
    """
    _check_apart(train_dataset, validation_dataset)
    loader = functools.partial(
        SeededDataLoader,
        batch_size=batch_size,
        collate_fn=list,  # a SeededBatchDataset returns whole batches
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # of its own: a loader draws a number in each epoch, which would move torch's
    )
    train = SeededBatchDataset(train_dataset)
    validation = SeededBatchDataset(validation_dataset)
    return (
        loader(train, sampler=SeededSampler(len(train), shuffle=True, seed=seed), drop_last=drop_last),
        loader(validation, sampler=SeededSampler(len(validation), shuffle=False, seed=seed), drop_last=False),
    )


def _check_apart(train_dataset: Dataset, validation_dataset: Dataset) -> None:
    """A `SplitError` if the two are of the same folder and share pictures."""
    folders = [getattr(dataset, "image_folder", None) for dataset in (train_dataset, validation_dataset)]
    stems = [set(getattr(dataset, "stems", ())) for dataset in (train_dataset, validation_dataset)]
    both = sorted(stems[0] & stems[1])
    if folders[0] == folders[1] and both:
        raise SplitError(
            f"{len(both)} pictures are in both datasets: {', '.join(both[:5])}{' ...' if len(both) > 5 else ''}.",
            "no picture to be both trained on and validated on",
            "Give train_dataset.subset(split.train) and validation_dataset.subset(split.validation).",
        )


class SeededSampler(Sampler):
    """Yields (idx, seed of its random transforms) for each picture; only `seed` and `epoch` decide both.

    `epoch` counts the epochs that were begun, if `shuffle`: the next one has another order.
    """

    def __init__(self, count: int, shuffle: bool, seed: int):
        self.count = count
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        mixed = np.random.SeedSequence((self.seed, self.epoch)).generate_state(1)
        generator = torch.Generator().manual_seed(int(mixed[0]))
        order = torch.randperm(self.count, generator=generator) if self.shuffle else torch.arange(self.count)
        seeds = torch.randint(2**32, (self.count,), generator=generator)
        if self.shuffle:
            self.epoch += 1
        return iter(list(zip(order.tolist(), seeds.tolist(), strict=True)))


@contextlib.contextmanager
def isolated_rng(seed: int) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's random numbers for the block; afterwards they go on where they were before.

    The generators of GPUs are left alone: dropout and weights draw from them, not the transforms of a picture.
    """
    python_state = random.getstate()
    numpy_state = np.random.get_state()
    torch_state = torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)


class SeededBatchDataset(Dataset):
    """A dataset that returns whole stacked batches for lists of (idx, seed). `[idx]` is that of the dataset inside."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[idx]

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> Any:
        """The batch. A `SegError` is returned, not raised: from a worker it would arrive as a page of traceback."""
        pairs = []
        names = getattr(self.dataset, "image_filenames", None)
        try:
            for idx, seed in keys:
                with isolated_rng(seed):
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
    # A JPEG decoder writes bytes channels-last. Stacked in that order, they need not be copied into another one.
    images, *masks = default_collate([(image.movedim(0, -1), *masks) for image, *masks in pairs])
    return [images.movedim(-1, 1), *masks]


class SeededDataLoader(DataLoader):
    """A `DataLoader` over a `SeededBatchDataset`; when a worker dies, its error says what to do."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        try:
            with explain_worker_death() if self.num_workers else contextlib.nullcontext():
                batches = super().__iter__()
                _explain_signal()
                for batch in batches:
                    if isinstance(batch[0], SegError):
                        raise batch[0]
                    yield batch
        except Exception:
            if self._iterator is not None:  # stop the workers of this epoch now; the next epoch starts new ones
                self._iterator._shutdown_workers()  # type: ignore[attr-defined]
                self._iterator = None
            raise


@contextlib.contextmanager
def explain_worker_death() -> Iterator[None]:
    """Turn torch's report of a dead worker into a `TrainingError` that says what to do."""
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        # "Caught ..." is an error that the dataset raised inside a living worker. A connection that breaks off means a
        # dead worker, even before torch has noticed.
        of_torch = str(error).startswith(("DataLoader worker", "Pin memory thread"))
        alive = type(error) is RuntimeError and not of_torch
        if alive or str(error).startswith("Caught"):
            raise
        time.sleep(0.2)  # wait for the system's signal about the dead process: later it would interrupt other code
        raise TrainingError(
            "A worker, one of the processes that load pictures, has died.",
            "workers that live as long as their loader",
            "num_workers=0 loads in this process, and shows the error if it is one. After 'Killed', memory ran out: "
            "fewer workers, or smaller batches. After 'Bus error', shared memory did: in Docker, --shm-size=2g. A "
            "dataset defined in a notebook has to move into a file.",
        ) from error


def _explain_signal() -> None:
    """Use the same words where torch reports a dead worker by a signal, which may interrupt any line of code."""
    # Windows has no such signal, and only the main thread may handle it. There the loader notices, seconds later.
    if hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread():
        report = signal.getsignal(signal.SIGCHLD)
        if callable(report) and not hasattr(report, "__wrapped__"):
            signal.signal(signal.SIGCHLD, explain_worker_death()(report))
