"""Owns a dataset of random numbers, to see what workers do to them, and the cure. See 03_dataloader."""

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info


class RandomDraws(Dataset):
    """Each item is two numbers from 1 to 100: one of the dataset's own generator, one of torch's global generator.

    The class stands in a file because on most systems a worker imports the dataset's class, and a notebook cannot be
    imported.

    Args:
        count: how many items there are.

    Example:
        >>> RandomDraws(6)[0][0]
        86
    """

    def __init__(self, count: int):
        self.count = count
        self.rng = np.random.default_rng(0)  # each worker gets a copy, in the state of this moment

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, idx: int) -> tuple[int, int]:
        return int(self.rng.integers(1, 101)), int(torch.randint(1, 101, ()))


def give_own_generator(worker_id: int) -> None:
    """Give this worker's copy of the dataset a generator of its own in `dataset.rng`: a `worker_init_fn`.

    Args:
        worker_id: the worker's number, from 0. Its seed holds it already, and the number of the epoch's draw too.

    Example:
        >>> loader = torch.utils.data.DataLoader(RandomDraws(6), num_workers=2, worker_init_fn=give_own_generator)
        >>> loader.worker_init_fn.__name__
        'give_own_generator'
    """
    info = get_worker_info()
    info.dataset.rng = np.random.default_rng(info.seed)
