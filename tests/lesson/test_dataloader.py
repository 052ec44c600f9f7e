"""The near-twins of 03_dataloader: the same scenes, and labels that stay labels."""

import numpy as np
import pytest
from PIL import Image

from seglib import CustomDataset
from seglib.data.splits import Split
from seglib.lesson import show
from seglib.lesson.common.small_dataset import near_twin, write_small
from seglib.lesson.dataloader.figures import epoch_parts, leak_dots, worker_bars
from seglib.lesson.dataloader.leaking_split import split_in_half, twins_of
from seglib.lesson.dataloader.random_draws import RandomDraws
from tests.support.helpers import binary_mask, make_folders, photograph


@pytest.mark.parametrize("seed", range(5))
def test_a_twin_is_near_and_not_the_same(seed):
    image, mask = photograph(0, 240, 320), binary_mask(0, 240, 320)
    twin, twin_mask = near_twin(image, mask, seed)
    assert (twin.size, twin.mode, twin_mask.size, twin_mask.mode) == (image.size, "RGB", mask.size, "L")
    assert set(np.unique(np.array(twin_mask))) == {0, 255}
    apart = np.abs(np.array(image, float) - np.array(twin, float)).mean()
    assert 0.5 < apart < 40
    both, either = np.array(mask) & np.array(twin_mask), np.array(mask) | np.array(twin_mask)
    assert (both > 0).sum() / (either > 0).sum() > 0.8
    assert near_twin(image, mask, seed)[0].tobytes() == twin.tobytes()


def test_image_and_mask_of_a_twin_move_together():
    corner = np.zeros((100, 100), np.uint8)
    corner[40:60, 30:50] = 255
    mask = Image.fromarray(corner)
    twin, twin_mask = near_twin(mask.convert("RGB"), mask, 3)
    bright = np.array(twin.convert("L")) > 110
    assert np.mean(bright != (np.array(twin_mask) > 0)) < 0.01


def test_small_pictures_are_written_with_their_twins(tmp_path):
    files = CustomDataset(*make_folders(tmp_path / "large", "ab"))
    small = write_small(files, tmp_path / "small", twins=True, size=(12, 16))
    assert small.stems == ["a", "a_twin", "b", "b_twin"] == sorted([*"ab", *twins_of("ab")])
    image, mask = small[1]
    assert (tuple(image.shape), tuple(mask.shape)) == ((3, 12, 16), (1, 12, 16))
    assert set(mask.unique().tolist()) == {0.0, 1.0}


def test_halves_are_halves_and_differ_from_seed_to_seed():
    split = Split([f"s{n}" for n in range(32)], ["v"])
    first, second = split_in_half(split, 0)
    assert len(first) == len(second) == 16
    assert sorted([*first, *second]) == sorted(split.train)
    assert split_in_half(split, 0) == (first, second)
    assert split_in_half(split, 1)[0] != first


def test_dice_are_between_1_and_100():
    throws = [number for throw in (RandomDraws(200)[idx] for idx in range(200)) for number in throw]
    assert min(throws) >= 1
    assert max(throws) <= 100


def test_the_charts_can_be_shown():
    parts = {"decode": 0.5, "forward": 1.0}
    show(epoch_parts({"large": parts, "small": parts}), "two bars of two parts each, the same")
    show(worker_bars({"loading": {"large": [1, 2, 3]}, "training": {"large": [3, 2, 1]}}), "three bars in each panel")
    show(leak_dots({"clean": {"new": [0.5, 0.6]}, "leak": {"old": [0.9], "new": [0.4]}}), "three groups of dots in all")
