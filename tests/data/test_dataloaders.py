import os
import random
import signal
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset

from seglib import CustomDataset
from seglib.data.dataloaders import (
    SeededBatchDataset,
    SeededSampler,
    collate,
    explain_worker_death,
    isolated_rng,
    make_loaders,
)
from seglib.data.transforms import joint_transform
from seglib.errors import TrainingError
from tests.support.helpers import check_message, make_folders


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
    with isolated_rng(7):
        inside = draw()
    assert (first, draw()) == wanted
    with isolated_rng(7):
        assert draw() == inside
    with isolated_rng(8):
        assert draw() != inside


def test_chance_goes_on_after_an_error():
    torch.manual_seed(1)
    wanted = torch.rand(2)
    torch.manual_seed(1)
    with pytest.raises(KeyError), isolated_rng(7):
        raise KeyError
    assert torch.equal(torch.rand(2), wanted)


def test_each_epoch_has_an_order_and_seeds_of_its_own():
    order = SeededSampler(6, shuffle=True, seed=3)
    epochs = [list(order) for _ in range(3)]
    assert all(sorted(idx for idx, _ in epoch) == list(range(6)) for epoch in epochs)
    assert len({seed for epoch in epochs for _, seed in epoch}) == 18
    again = SeededSampler(6, shuffle=True, seed=3)
    again.epoch = 2  # a training that is taken up again
    assert list(again) == epochs[2]


def test_validation_is_the_same_each_time():
    order = SeededSampler(4, shuffle=False, seed=3)
    assert list(order) == list(order)
    assert [idx for idx, _ in order] == [0, 1, 2, 3]


def test_a_seeded_dataset_still_gives_single_pictures():
    pairs = [("image", "mask"), ("other", "its mask")]
    assert SeededBatchDataset(pairs)[1] == ("other", "its mask")
    assert len(SeededBatchDataset(pairs)) == 2


def test_a_worker_that_dies_is_explained():
    _, validation = make_loaders(Dying(), Dying(), batch_size=1, num_workers=1)
    with pytest.raises(TrainingError) as caught:
        list(validation)
    check_message(caught.value, "worker", "num_workers=0")


def test_a_loader_whose_worker_died_starts_new_ones(tmp_path):
    class DyingOnce(Dying):
        def __getitem__(self, idx):
            if not (tmp_path / "dead").exists():
                (tmp_path / "dead").touch()
                os._exit(1)
            return torch.zeros(3, 2, 2), torch.zeros(1, 2, 2)

    if torch.multiprocessing.get_start_method() != "fork":
        pytest.skip("a worker that is not forked cannot import a class of a function")
    _, validation = make_loaders(DyingOnce(), DyingOnce(), batch_size=1, num_workers=1)
    with pytest.raises(TrainingError):
        list(validation)
    assert len(list(validation)) == 4


def test_bytes_whose_colours_lie_side_by_side_are_stacked_so_and_all_else_as_torch_does():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (2, 4, 5, 3), generator=generator, dtype=torch.uint8)  # (N, H, W, C), as decoded
    masks = torch.randint(2, (2, 1, 4, 5), generator=generator, dtype=torch.uint8)
    decoded = [(picture.movedim(-1, 0), mask) for picture, mask in zip(pictures, masks, strict=True)]
    plain = [(picture.contiguous(), mask) for picture, mask in decoded]
    floats = [(picture.float(), mask) for picture, mask in decoded]  # whoever calls .view() on these expects it to work
    mixed, torchs = [decoded[0], plain[1]], torch.contiguous_format
    for pairs, layout in ((decoded, torch.channels_last), (floats, torchs), (plain, torchs), (mixed, torchs)):
        images, stacked = collate(pairs)
        assert torch.equal(images, pictures.permute(0, 3, 1, 2))
        assert torch.equal(stacked, masks)
        assert images.is_contiguous(memory_format=layout)


def test_a_pinning_thread_that_ended_is_explained_and_another_error_is_not():
    with pytest.raises(TrainingError), explain_worker_death():
        raise RuntimeError("Pin memory thread exited unexpectedly")
    with pytest.raises(RuntimeError, match="something else"), explain_worker_death():
        raise RuntimeError("something else")


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="Windows tells nobody that a process has ended")
def test_a_worker_that_is_killed_during_a_training_step_is_explained_there():
    waited_to_the_end = []

    def train():
        loader, _ = make_loaders(Noise(6), Noise(1), batch_size=1, num_workers=2)
        for step, _ in enumerate(loader):
            if step == 1:
                os.kill(loader._iterator._workers[0].pid, signal.SIGKILL)
                time.sleep(30)  # the training step: the signal comes in the middle of it
                waited_to_the_end.append(step)

    with pytest.raises(TrainingError) as caught:
        train()
    assert not waited_to_the_end
    check_message(
        caught.value, "worker", "num_workers=0", "'Killed', memory", "'Bus error', shared memory", "--shm-size"
    )


class Failing(Dataset):
    """Raises an error of its own, as a dataset does that reads over a network."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 2

    def __getitem__(self, idx):
        raise self.error("the server hung up")


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("error", [ConnectionResetError, EOFError, RuntimeError, KeyError])
def test_an_error_of_the_dataset_is_no_dead_worker(error, num_workers):
    train, _ = make_loaders(Failing(error), Failing(error), num_workers=num_workers)
    with pytest.raises(error, match="the server hung up"):
        list(train)


# Properties


class Noise(Dataset):
    """Picture n is drawn at random, from all three sources of chance; its mask is n."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, idx):
        return torch.tensor(list(np.ravel([*draw()[:2], *torch.rand(2)]))), torch.tensor(idx)


def epochs_of(count: int, batch_size: int, seed: int, num_workers: int, *, drop_last: bool = False, epochs: int = 2):
    train, validation = make_loaders(Noise(count), Noise(count + 1), batch_size, num_workers, seed, drop_last=drop_last)
    return [list(loader) for _ in range(epochs) for loader in (train, validation)]


sizes = st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**32 - 1))


@given(sizes, st.booleans())
def test_every_picture_is_seen_once_an_epoch_unless_training_drops_the_rest(size, drop_last):
    count, batch_size, seed = size
    for number, batches in enumerate(epochs_of(count, batch_size, seed, 0, drop_last=drop_last)):
        seen = [idx for _, masks in batches for idx in masks.tolist()]
        training = number % 2 == 0
        wanted = count if training else count + 1
        dropped = wanted % batch_size if training and drop_last else 0
        assert len(set(seen)) == len(seen) == wanted - dropped
        assert all(len(masks) == batch_size for _, masks in batches[:-1])
        assert training or seen == sorted(seen)


@given(sizes)
def test_no_two_pictures_and_no_two_epochs_share_their_chance(size):
    first, _, second, _ = epochs_of(*size, num_workers=0)
    drawn = torch.cat([images for images, _ in [*first, *second]])
    assert len(drawn.unique(dim=0)) == len(drawn)


@pytest.mark.parametrize(("seed", "count", "batch_size"), [(0, 7, 2), (2**32 - 1, 3, 4)])
def test_same_seed_same_batches_with_0_1_and_2_workers(seed, count, batch_size):
    alone, one, two = (epochs_of(count, batch_size, seed, workers) for workers in (0, 1, 2))
    for other in (one, two):
        assert len(other) == len(alone)
        for ours, theirs in zip(alone, other, strict=True):
            assert all(torch.equal(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))


def test_random_crops_and_colours_are_the_same_with_0_1_and_2_workers(tmp_path):
    dataset = CustomDataset(*make_folders(tmp_path, "abcde"), joint_transform=joint_transform((24, 32), train=True))

    def epochs(workers):
        train, _ = make_loaders(dataset.subset("abcd"), dataset.subset("e"), 3, workers, seed=5)
        return [torch.cat([images for images, _ in train]) for _ in range(3)]

    alone = epochs(0)
    assert not torch.equal(alone[0].sum(0), alone[1].sum(0))  # other crops in another epoch
    assert all(torch.equal(a, b) for workers in (1, 2) for a, b in zip(alone, epochs(workers), strict=True))


def test_an_epoch_that_was_broken_off_changes_nothing_in_the_next():
    def second_epoch(workers):
        train, _ = make_loaders(Noise(8), Noise(1), 2, workers, seed=1)
        for _ in train:
            break
        return torch.cat([images for images, _ in train])

    assert torch.equal(second_epoch(0), second_epoch(2))


def test_loading_leaves_torchs_chance_alone_with_and_without_workers():
    def after(workers):
        torch.manual_seed(3)
        epochs_of(4, 2, 0, workers)
        return torch.rand(3)  # a dropout of the model, say

    torch.manual_seed(3)
    untouched = torch.rand(3)
    assert torch.equal(after(0), untouched)
    assert torch.equal(after(1), untouched)
