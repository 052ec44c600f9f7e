"""Owns a dataset of chance alone, to see what workers do to random numbers. See 03_dataloader."""

import numpy as np
import torch
from torch.utils.data import Dataset


class RandomDraws(Dataset):
    """Each "picture" is a throw of two dice with a hundred sides: (one of its own, one of torch's).

    It stands in a file because on most systems a worker imports the dataset's class, and a notebook cannot be imported.

    Args:
        count: how many throws there are.

    Example:
        >>> RandomDraws(6)[0][0]
        86
    """

    def __init__(self, count: int):
        self.count = count
        self.rng = np.random.default_rng(0)  # copied, as it stands, into each worker

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, idx: int) -> tuple[int, int]:
        return int(self.rng.integers(1, 101)), int(torch.randint(1, 101, ()))
