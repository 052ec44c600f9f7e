import json
import random
import time

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from torchvision.transforms import ToTensor

from seglib import CustomDataset
from seglib.data.dataloaders import collate, make_loaders
from seglib.data.splits import Split, k_folds, random_split, read_split, save_split, split_by_folder
from seglib.data.transforms import image_transform, mask_transform
from seglib.errors import ShapeError, SplitError
from tests.support.helpers import binary_mask, check_message, make_folders, photograph, refused

STEMS = [f"fruit_{number:03}" for number in range(20)]


class Numbers(Dataset):
    """Picture n is full of n, so that a batch says which pictures are in it; drawn at random too, if asked."""

    def __init__(self, count: int, chance: bool = False):
        self.count, self.chance = count, chance

    def __len__(self):
        return self.count

    def __getitem__(self, idx):
        noise = torch.tensor([random.random(), np.random.rand(), torch.rand(()).item()])
        image = noise if self.chance else torch.full((3,), float(idx))
        return image.view(3, 1, 1), torch.full((1, 1, 1), float(idx))


def order(loader) -> list[list[int]]:
    return [masks.flatten().int().tolist() for _, masks in loader]


def flat(batches) -> list[int]:
    return [number for batch in batches for number in batch]


# Splits


def test_a_split_is_read_as_it_stands(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": ["b", "a", "é"], "validation": ["c"]}), encoding="utf-8")
    split = read_split(path)
    assert split == read_split(str(path)) == Split(["b", "a", "é"], ["c"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"{}",
        b'{"train": ["a"]}',
        b'{"train": ["a"], "validation": 1}',
        b'{"train": ["a"], "validation": null}',
        b'{"train": "ab", "validation": "cd"}',  # a string is a sequence of letters to Python
        b'{"train": [1, 2], "validation": [3]}',
        b'{"train": [["a"]], "validation": ["b"]}',
    ],
)
def test_a_file_that_is_no_split_is_refused(tmp_path, content):
    (tmp_path / "split.json").write_bytes(content)
    with refused(SplitError, tmp_path, "split.json", '"train"', '"validation"'):
        read_split(tmp_path / "split.json")


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "validation"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_other_names_of_the_sides_a_bom_and_a_test_side_are_read(tmp_path, name, encoding):
    path = tmp_path / "split.json"
    sides = {"train": ["a.jpg", "sub/b.PNG"], name: ["c.d"], "test": ["e"], "note": "by hand"}
    path.write_text(json.dumps(sides), encoding=encoding)
    assert read_split(path) == Split(["a", "sub/b"], ["c.d"], ["e"])  # names of files are stems too


def test_a_list_under_an_unknown_name_is_not_left_out_in_silence(tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"train": ["a"], "validation": ["b"], "dev": ["c"]}))
    with refused(SplitError, tmp_path, "split.json"):
        read_split(tmp_path / "split.json")


def test_a_folder_of_lists_as_voc_has_them_is_read(tmp_path):
    (tmp_path / "train.txt").write_text("2007_01\n2007_02\n\n", encoding="utf-8-sig")
    (tmp_path / "val.txt").write_text("2007_03 \r\n", encoding="utf-8")
    (tmp_path / "trainval.txt").write_text("2007_01\n")  # no side
    assert read_split(tmp_path) == Split(["2007_01", "2007_02"], ["2007_03"])
    (tmp_path / "test.txt").write_text("2007_04")
    assert read_split(str(tmp_path)).test == ["2007_04"]
    (tmp_path / "valid.txt").write_text("2007_05")
    with refused(SplitError, tmp_path, "two lists", "valid.txt"):
        read_split(tmp_path)


def test_validation_pictures_are_drawn_of_the_training_pictures_where_none_are_named(tmp_path):
    (tmp_path / "train.txt").write_text("\n".join(STEMS[:16]))
    (tmp_path / "test.txt").write_text("\n".join(STEMS[16:]))
    with refused(SplitError, tmp_path, "validation", "val"):
        read_split(tmp_path)
    split = read_split(tmp_path, validation_share=0.25, seed=3)
    assert (len(split.train), len(split.validation), split.test) == (12, 4, STEMS[16:])
    assert split == read_split(tmp_path, validation_share=0.25, seed=3)


def test_pictures_in_folders_of_the_sides_are_split_by_them(tmp_path):
    stems = ["train/a", "train/x/b", "val/c", "test/d"]
    assert split_by_folder(stems) == Split(["train/a", "train/x/b"], ["val/c"], ["test/d"])
    with refused(SplitError, tmp_path, "other/e"):
        split_by_folder([*stems, "other/e"])


def test_a_picture_on_two_sides_is_refused_the_test_side_included(tmp_path):
    for sides in ((["a"], ["b", "a"]), (["a"], ["b"], ["a"]), (["a"], ["b"], ["b"])):
        with refused(SplitError, tmp_path, "a"):
            Split(*sides)


def test_a_side_by_its_name(tmp_path):
    split = Split(["a"], ["b"])
    assert (split.side("train"), split.side("validation")) == (["a"], ["b"])
    with refused(SplitError, tmp_path, 'no side "dev"', "train, validation or test"):
        split.side("dev")
    with refused(SplitError, tmp_path, "no test pictures", '"validation"', "test=[...]"):  # arguments, no options
        split.side("test")
    assert Split(["a"], ["b"], ["c"]).side("test") == ["c"]


def test_a_split_that_is_saved_is_read_back(tmp_path):
    split = Split(["ä", "x/b"], ["c"], ["d"])
    save_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == split


def test_groups_stay_on_one_side_and_all_pictures_are_there():
    stems = [f"cam{group}_{number}" for group in range(7) for number in range(group + 1)]
    for seed in range(5):
        split = random_split(stems, 0.3, seed, group_of=lambda stem: stem.split("_")[0])
        groups = [{stem.split("_")[0] for stem in side} for side in (split.train, split.validation)]
        assert not groups[0] & groups[1]
        assert sorted([*split.train, *split.validation]) == sorted(stems)
        assert 0.1 <= len(split.validation) / len(stems) <= 0.5


def test_each_picture_is_validated_in_exactly_one_fold():
    folds = k_folds(STEMS, 3, seed=1)
    assert sorted(stem for split in folds for stem in split.validation) == STEMS
    assert [len(split.validation) for split in folds] == [7, 7, 6]
    assert all(sorted([*split.train, *split.validation]) == STEMS for split in folds)
    assert folds == k_folds(STEMS, 3, seed=1) != k_folds(STEMS, 3, seed=2)
    by_tens = k_folds(STEMS, 2, group_of=lambda stem: stem[:-1])
    assert {stem[:-1] for stem in by_tens[0].validation} != {stem[:-1] for stem in by_tens[1].validation}


@pytest.mark.parametrize("folds", [0, 1, 21])
def test_folds_that_cannot_be_are_refused(tmp_path, folds):
    with refused(SplitError, tmp_path, f"folds = {folds}", "folds=5"):
        k_folds(STEMS, folds)


def test_a_split_that_is_not_there_is_refused(tmp_path):
    with refused(SplitError, tmp_path, "gone.json", "not there"):
        read_split(tmp_path / "gone.json")
    with refused(SplitError, tmp_path):
        read_split(tmp_path)


@pytest.mark.parametrize(
    ("train", "validation", "mention"),
    [
        ([], ["a"], '"train" of the split is empty'),
        (["a"], [], '"validation" of the split is empty'),
        ([], [], '"train"'),
        (["a", "b", "c"], ["c", "d", "a"], "more than once: a, c"),
        (["a", "a"], ["b"], "more than once: a"),
        (["a"], ["b", "b"], "more than once: b"),
    ],
)
def test_a_split_with_an_empty_side_or_a_stem_twice_is_refused(tmp_path, train, validation, mention):
    (tmp_path / "split.json").write_text(json.dumps({"train": train, "validation": validation}))
    with refused(SplitError, tmp_path, mention):
        read_split(tmp_path / "split.json")
    with pytest.raises(SplitError):
        Split(train, validation)


def test_a_large_split_keeps_every_stem():
    stems = [str(number) for number in range(40_000)]
    split = random_split(stems)
    assert {*split.train, *split.validation} == set(stems)
    assert len(split.validation) == 10_000


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.9])
def test_a_random_split_keeps_every_stem_on_one_side(share):
    split = random_split(STEMS, share, seed=3)
    assert sorted([*split.train, *split.validation]) == STEMS
    assert not set(split.train) & set(split.validation)
    assert len(split.validation) == round(share * 20)


def test_a_random_split_depends_on_the_seed_alone():
    assert random_split(STEMS, seed=1) == random_split(STEMS[::-1], seed=1)
    assert random_split(STEMS, seed=1) != random_split(STEMS, seed=2)
    random.seed(0)
    before = random.getstate()
    random_split(STEMS)
    assert random.getstate() == before


def test_a_random_split_leaves_the_list_as_it_is():
    stems = STEMS[::-1]
    random_split(stems)
    assert stems == STEMS[::-1]


@pytest.mark.parametrize(("stems", "share"), [(STEMS, 0.0), (STEMS, 1.0), (STEMS[:1], 0.5), ([], 0.5), (STEMS, 0.01)])
def test_a_random_split_with_an_empty_side_is_refused(stems, share):
    with pytest.raises(SplitError) as caught:
        random_split(stems, share)
    check_message(caught.value, "is empty", "at least one picture")


@pytest.mark.parametrize("share", [-0.5, 1.5, 25])
def test_a_share_that_is_no_share_is_refused(share):
    with pytest.raises(SplitError) as caught:
        random_split(STEMS, share)
    check_message(caught.value, str(share), "between 0 and 1")


# Loaders


def test_training_is_shuffled_and_complete_in_every_epoch():
    train, _ = make_loaders(Numbers(10), Numbers(2), batch_size=4)
    first, second = order(train), order(train)
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(10))
    assert flat(first) != list(range(10))
    assert first != second


def test_validation_is_in_order_and_its_last_batch_is_kept():
    _, validation = make_loaders(Numbers(2), Numbers(7), batch_size=3)
    assert order(validation) == order(validation) == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_order_follows_the_seed_and_nothing_else():
    def epochs(seed):
        torch.manual_seed(time.time_ns() % 1000)
        train, _ = make_loaders(Numbers(12), Numbers(1), seed=seed)
        return [order(train) for _ in range(3)]

    assert epochs(5) == epochs(5)
    assert epochs(5) != epochs(6)


def test_the_order_is_the_same_for_any_number_of_workers_in_every_epoch():
    def epochs(workers):
        train, _ = make_loaders(Numbers(12), Numbers(1), batch_size=5, num_workers=workers, seed=1)
        return [order(train) for _ in range(3)]

    alone = epochs(0)
    assert epochs(1) == alone
    assert epochs(2) == alone


def test_random_transforms_in_workers_follow_the_seed_and_differ_from_picture_to_picture():
    def noises():
        train, _ = make_loaders(Numbers(6, chance=True), Numbers(1), batch_size=1, num_workers=2, seed=1)
        return torch.stack([torch.cat([images.flatten() for images, _ in train]) for _ in range(2)])

    first = noises()
    assert torch.equal(noises(), first)
    assert len(first.unique()) == first.numel()  # Python's, NumPy's and torch's chance, no number of it drawn twice


def test_reading_validation_pictures_leaves_chance_alone():
    _, validation = make_loaders(Numbers(2), Numbers(4))
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    order(validation)
    assert torch.equal(torch.rand(3), wanted)  # otherwise measuring would change the training after it


def test_reading_validation_pictures_does_not_change_the_order_of_training():
    def epochs(measure):
        train, validation = make_loaders(Numbers(12), Numbers(3), seed=1)
        return [(order(train), measure and order(validation))[0] for _ in range(3)]

    assert epochs(True) == epochs(False)


def test_pictures_of_a_dataset_become_batches(tmp_path):
    dataset = CustomDataset(*make_folders(tmp_path), image_transform((12, 16)), mask_transform((12, 16)))
    train, validation = make_loaders(dataset.subset(["a", "b"]), dataset.subset(["c"]), batch_size=2)
    images, masks = next(iter(train))
    assert images.shape == (2, 3, 12, 16)
    assert masks.shape == (2, 1, 12, 16)
    assert torch.equal(next(iter(validation))[0][0], dataset[2][0])


def test_pictures_without_a_transform_are_refused(tmp_path):
    dataset = CustomDataset(*make_folders(tmp_path))
    train, _ = make_loaders(*two_sides(dataset))
    with pytest.raises(ShapeError) as caught:
        next(iter(train))
    check_message(caught.value, "images", "Image", "not tensors", "mask_transform")


def test_masks_without_a_transform_are_refused(tmp_path):
    dataset = CustomDataset(*make_folders(tmp_path), image_transform((12, 16)))
    train, _ = make_loaders(*two_sides(dataset))
    with pytest.raises(ShapeError) as caught:
        next(iter(train))
    check_message(caught.value, "masks", "not tensors")


def two_sides(dataset):
    return dataset.subset(["a", "b"]), dataset.subset(["c"])


def test_a_picture_on_both_sides_is_refused(tmp_path):
    dataset = CustomDataset(*make_folders(tmp_path))
    with refused(SplitError, tmp_path, "a, b", "both"):
        make_loaders(dataset.subset(["b", "a"]), dataset)


def test_drop_last_drops_of_training_alone_and_not_always_the_same():
    train, validation = make_loaders(Numbers(7), Numbers(7), batch_size=3, drop_last=True)
    epochs = [order(train) for _ in range(8)]
    assert {len(batch) for epoch in epochs for batch in epoch} == {3}
    assert {number for epoch in epochs for number in flat(epoch)} == set(range(7))
    assert len(flat(order(validation))) == 7


def test_a_batch_of_two_sizes_is_refused_with_both_and_with_names():
    same = torch.zeros(1, 4, 5)
    with pytest.raises(ShapeError) as caught:
        collate([(torch.zeros(3, 4, 5), same), (torch.zeros(3, 5, 4), same)], ["a.jpg", "b.jpg"])
    check_message(caught.value, "images", "(3, 4, 5): a.jpg", "(3, 5, 4): b.jpg", "(height, width)")
    with pytest.raises(ShapeError) as caught:
        collate([(torch.zeros(3, 4, 5), same), (torch.zeros(3, 4, 5), torch.zeros(4, 5))])
    check_message(caught.value, "masks", "(1, 4, 5)", "(4, 5)")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_such_a_batch_is_refused_in_a_worker_too(tmp_path, num_workers):
    images, masks = make_folders(tmp_path)
    photograph(height=64, width=48).save(images / "b.jpg")
    binary_mask(height=64, width=48).save(masks / "b.png")
    dataset = CustomDataset(images, masks, ToTensor(), ToTensor())
    train, _ = make_loaders(*two_sides(dataset), num_workers=num_workers)
    with pytest.raises(ShapeError) as caught:
        next(iter(train))
    check_message(caught.value, "(3, 48, 64): a.jpg", "(3, 64, 48): b.jpg")
