"""What 03_dataloader makes and draws: near-twins whose labels stay labels, halves of a split, charts."""

import copy
import warnings

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Subset, random_split

from seglib import CustomDataset
from seglib.data.splits import Split
from seglib.inference.palette import ORANGE, SKY_BLUE
from seglib.lesson import show
from seglib.lesson.common.small_dataset import near_twin, write_small
from seglib.lesson.dataloader.exercises import check_notes_number
from seglib.lesson.dataloader.figures import (
    LEFT_OUT,
    epoch_time_chart,
    leak_chart,
    order_chart,
    panels_of,
    workers_chart,
)
from seglib.lesson.dataloader.leaking_split import scores_of, split_in_half, twins_of
from seglib.lesson.dataloader.random_draws import OwnCrops, RandomDraws, give_own_generator
from tests.support.exercise_answers import NONSENSE, STUBS, printed
from tests.support.helpers import binary_mask, make_folders, photograph


@pytest.mark.parametrize("seed", range(5))
def test_a_twin_is_near_and_not_the_same(seed):
    image = photograph(0, 240, 320)
    mask = binary_mask(0, 240, 320)
    twin, twin_mask = near_twin(image, mask, seed)
    assert (twin.size, twin.mode, twin_mask.size, twin_mask.mode) == (image.size, "RGB", mask.size, "L")
    assert set(np.unique(np.array(twin_mask))) == {0, 255}
    apart = np.abs(np.array(image, float) - np.array(twin, float)).mean()
    assert 0.5 < apart < 40
    both = np.array(mask) & np.array(twin_mask)
    either = np.array(mask) | np.array(twin_mask)
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


def test_random_draws_are_between_1_and_100_and_each_is_another():
    dataset = RandomDraws(200)
    for draws in zip(*(dataset[idx] for idx in range(200)), strict=True):  # of its own generator, of torch's
        assert min(draws) >= 1
        assert max(draws) <= 100
        assert len(set(draws)) > 50


def test_a_copy_of_the_dataset_draws_the_same_numbers_from_its_own_generator():
    first = copy.deepcopy(RandomDraws(5))
    second = copy.deepcopy(RandomDraws(5))
    assert [first[idx][0] for idx in range(5)] == [second[idx][0] for idx in range(5)]


def test_the_charts_can_be_shown():
    parts = {"decode": 0.5, "forward": 1.0}
    show(epoch_time_chart({"large": parts, "small": parts}), "two bars of two parts each, the same")
    show(workers_chart({"loading": {"large": [1, 2, 3]}, "training": {"large": [3, 2, 1]}}), "three bars in each panel")
    show(
        leak_chart({"clean": {"new": [0.5, 0.6]}, "leak": {"old": [0.9], "new": [0.4]}}), "three groups of dots in all"
    )


def test_pictures_that_were_not_measured_have_no_dots():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (axes,) = leak_chart({"clean": {"new": []}, "leak": {"new": [0.4, 0.5]}}).axes
    (dots,) = [line for line in axes.lines if len(line.get_xdata())]
    assert dots.get_ydata().tolist() == [0.4, 0.5]
    assert [text.get_text() for text in axes.texts] == ["0.45"]


def own_draws(dataset=None, **arguments):
    """The draws of the dataset's own generator in two epochs of ten items, with two workers."""
    generator = torch.Generator().manual_seed(0)
    dataset = dataset or RandomDraws(10)
    loader = DataLoader(dataset, batch_size=5, num_workers=2, generator=generator, **arguments)
    return [[own.tolist() for own, _ in loader] for _ in range(2)]


def test_without_a_cure_the_workers_repeat_each_other_and_themselves():
    (first, second), (third, fourth) = own_draws()
    assert first == second == third == fourth


def test_with_generators_of_their_own_they_do_not_and_a_seed_repeats_all():
    epochs = own_draws(worker_init_fn=give_own_generator)
    batches = [tuple(batch) for epoch in epochs for batch in epoch]
    assert len(set(batches)) == 4
    assert own_draws(worker_init_fn=give_own_generator) == epochs


def split_at_random(count):
    return random_split(RandomDraws(12), [count, 12 - count], generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "wrapped",
    [
        Subset(RandomDraws(12), range(10)),
        split_at_random(10)[0],
        Subset(split_at_random(11)[0], range(10)),
        ConcatDataset([RandomDraws(5), RandomDraws(5)]),  # a part for each worker
        ConcatDataset([RandomDraws(3), RandomDraws(7)]),  # the first worker draws from both
        ConcatDataset([Subset(RandomDraws(9), range(4)), RandomDraws(6)]),
        Subset(ConcatDataset([RandomDraws(8), RandomDraws(8)]), range(3, 13)),
    ],
    ids=["Subset", "random_split", "Subset twice", "ConcatDataset", "mixed batch", "Subset inside", "Subset around"],
)
def test_the_cure_reaches_the_dataset_inside_a_wrapper(wrapped):
    first, second = own_draws(wrapped)[0]
    assert first[:2] == second[:2]  # without the cure the workers repeat each other here too
    assert own_draws(wrapped, worker_init_fn=give_own_generator) == own_draws(worker_init_fn=give_own_generator)


def crops_of_two_workers(**arguments):
    """Eight crops of a photograph whose pixels all differ, in the batches of two workers."""
    photograph = torch.arange(3 * 50 * 60.0).reshape(3, 50, 60)
    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(OwnCrops(photograph, 8, (20, 30)), 4, num_workers=2, generator=generator, **arguments)
    return torch.stack(list(loader))  # (2, 4, 3, 20, 30)


def test_crops_lie_inside_the_photograph_and_are_copies_of_it():
    photograph = torch.arange(3 * 21 * 32.0).reshape(3, 21, 32)
    crops = OwnCrops(photograph, 100, (20, 30))
    assert len(crops) == 100
    corners = set()
    for idx in range(100):
        crop = crops[idx]
        row, column = divmod(int(crop[0, 0, 0]), 32)
        assert torch.equal(crop, photograph[:, row : row + 20, column : column + 30])
        corners.add((row, column))
    assert corners == {(row, column) for row in range(2) for column in range(3)}


def test_two_workers_cut_the_same_crops_unless_cured():
    first, second = crops_of_two_workers()
    assert torch.equal(first, second)
    assert len(first.unique(dim=0)) == 4
    cured = crops_of_two_workers(worker_init_fn=give_own_generator)
    assert len(cured.flatten(0, 1).unique(dim=0)) == 8


def test_the_panels_of_a_record_are_those_of_small_pictures():
    rows = [{"loading_seconds": 0.1, "training_seconds": 4.0}, {"loading_seconds": 0.2, "training_seconds": 5.0}]
    record = {
        "workers": [
            {"case": "files 1280 wide, pictures 320 wide", "rows": rows},
            {"case": "files 320 wide, pictures 320 wide", "rows": rows[:1]},
            {"case": "files 1280 wide, pictures 1280 wide", "rows": [{"loading_seconds": 9.0}]},
        ]
    }
    assert panels_of(record) == {
        "loading an epoch": {"files 1280 wide": [0.1, 0.2], "files 320 wide": [0.1]},
        "training an epoch": {"files 1280 wide": [4.0, 5.0], "files 320 wide": [4.0]},
    }


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [(10, ["batch 1", "batch 2"]), (13, ["batch 1, 3", "batch 2"]), (4, ["batch 1"]), (3, [])],
)
def test_the_legend_of_the_order_names_full_batches_only(pictures, labels):
    (legend,) = order_chart({"in order": [range(pictures)]}, 4).legends
    assert [text.get_text() for text in legend.get_texts()] == [*labels, "left out by drop_last=True"]


def test_the_order_of_pictures_is_drawn_batch_by_batch():
    figure = order_chart({"in order": [[0, 1, 2, 3, 4]] * 2, "shuffled": [[4, 2, 0, 1, 3], [1, 0, 3, 4, 2]]}, 2)
    in_order, shuffled = figure.axes
    assert [text.get_text() for text in in_order.texts] == list("0123401234")
    assert [text.get_text() for text in shuffled.texts] == list("4201310342")
    colours = [to_hex(patch.get_facecolor(), keep_alpha=False).upper() for patch in in_order.patches]
    assert colours == [SKY_BLUE, SKY_BLUE, ORANGE, ORANGE, LEFT_OUT] * 2
    show(order_chart({"one": [[0, 1]]}, 4), "one epoch of two pictures, which fill no batch of four")


@pytest.mark.parametrize("answer", [(3 + 22 / 6) / 16, 0.417, 5 / 12])
def test_the_number_of_the_notes_is_right_when_rounded_too(answer, capsys):
    assert printed(check_notes_number, lambda: answer, capsys).startswith("Right. The loop gives 0.417")


@pytest.mark.parametrize("answer", [*STUBS, *NONSENSE, lambda: 0.4])
def test_no_other_number_is(answer, capsys):
    assert printed(check_notes_number, answer, capsys).startswith("Not yet")


def test_the_scores_of_a_record_are_sorted_by_arm():
    record = {
        "summary": {"clean": {"validation": {}}, "leak": {"validation": {}, "new scenes": {}}},
        "runs": [
            {"arm": "leak", "seed": 0, "validation": 0.8, "new scenes": 0.5},
            {"arm": "clean", "seed": 0, "validation": 0.6},
            {"arm": "leak", "seed": 1, "validation": 0.7, "new scenes": 0.4},
        ],
    }
    assert scores_of(record) == {
        "clean": {"validation": [0.6]},
        "leak": {"validation": [0.8, 0.7], "new scenes": [0.5, 0.4]},
    }
