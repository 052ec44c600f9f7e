"""Owns datasets of random numbers and crops, to see what workers do to them, and the cure. See 03_dataloader."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, Subset, get_worker_info


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


class OwnCrops(Dataset):
    """Each item is a random crop of one photograph; where it lies is drawn from the dataset's own generator.

    Args:
        photograph: (3, H, W), of any dtype, at least as large as a crop.
        count: how many items there are.
        size: (height, width) of a crop, in pixels.

    Example:
        >>> OwnCrops(torch.zeros(3, 240, 320), 8)[0].shape
        torch.Size([3, 90, 120])
    """

    def __init__(self, photograph: Tensor, count: int, size: tuple[int, int] = (90, 120)):
        self.photograph = photograph
        self.count = count
        self.size = size
        self.rng = np.random.default_rng(0)  # each worker gets a copy, in the state of this moment

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, idx: int) -> Tensor:
        height, width = self.size
        top = int(self.rng.integers(self.photograph.shape[1] - height + 1))
        left = int(self.rng.integers(self.photograph.shape[2] - width + 1))
        return self.photograph[:, top : top + height, left : left + width]


def give_own_generator(worker_id: int) -> None:
    """Give this worker's copy of the dataset a generator of its own in `dataset.rng`: a `worker_init_fn`.

    The dataset may be inside a `Subset`, as `random_split` makes it, or a `ConcatDataset`, several deep. Those joined
    in one loader share the worker's generator: with one seed each, they would draw the same numbers.

    Args:
        worker_id: the worker's number, from 0. Its seed holds it already, and the number of the epoch's draw too.

    Example:
        >>> loader = torch.utils.data.DataLoader(RandomDraws(6), num_workers=2, worker_init_fn=give_own_generator)
        >>> loader.worker_init_fn.__name__
        'give_own_generator'
    """
    info = get_worker_info()
    rng = np.random.default_rng(info.seed)
    datasets = [info.dataset]
    while datasets:
        dataset = datasets.pop()
        dataset.rng = rng
        if isinstance(dataset, Subset):
            datasets.append(dataset.dataset)
        elif isinstance(dataset, ConcatDataset):
            datasets.extend(dataset.datasets)
