import os
import random

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from helpers import check_message
from seglib.batches import Seeded, SeededOrder, chance
from seglib.errors import TrainingError
from seglib.loaders import make_loaders


def draw():
    return random.random(), np.random.rand(), torch.rand(2).tolist()


class Dying(Dataset):
    """Ends the process that asks for its last picture, as the system does when memory runs out."""

    def __len__(self):
        return 4

    def __getitem__(self, idx):
        if torch.utils.data.get_worker_info() and idx == 3:
            os._exit(1)
        return torch.zeros(3, 2, 2), torch.zeros(1, 2, 2)


def test_chance_is_seeded_within_and_untouched_after():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    wanted = draw(), draw()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    first = draw()
    with chance(7):
        inside = draw()
    assert (first, draw()) == wanted
    with chance(7):
        assert draw() == inside
    with chance(8):
        assert draw() != inside


def test_chance_goes_on_after_an_error():
    torch.manual_seed(1)
    wanted = torch.rand(2)
    torch.manual_seed(1)
    with pytest.raises(KeyError), chance(7):
        raise KeyError
    assert torch.equal(torch.rand(2), wanted)


def test_each_epoch_has_an_order_and_seeds_of_its_own():
    order = SeededOrder(6, shuffle=True, seed=3)
    epochs = [list(order) for _ in range(3)]
    assert all(sorted(idx for idx, _ in epoch) == list(range(6)) for epoch in epochs)
    assert len({seed for epoch in epochs for _, seed in epoch}) == 18
    again = SeededOrder(6, shuffle=True, seed=3)
    again.epoch = 2  # a training that is taken up again
    assert list(again) == epochs[2]


def test_validation_is_the_same_each_time():
    order = SeededOrder(4, shuffle=False, seed=3)
    assert list(order) == list(order)
    assert [idx for idx, _ in order] == [0, 1, 2, 3]


def test_a_seeded_dataset_still_gives_single_pictures():
    pairs = [("image", "mask"), ("other", "its mask")]
    assert Seeded(pairs)[1] == ("other", "its mask")
    assert len(Seeded(pairs)) == 2


def test_a_worker_that_dies_is_explained():
    _, validation = make_loaders(Dying(), Dying(), batch_size=1, num_workers=1)
    with pytest.raises(TrainingError) as caught:
        list(validation)
    check_message(caught.value, "worker", "num_workers=0")
