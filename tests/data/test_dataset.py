import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import Compose, InterpolationMode, PILToTensor, Resize, ToTensor

from seglib import CustomDataset
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import check_transformed_mask
from seglib.data.transforms import class_mask_transform, image_transform, joint_transform, mask_transform
from seglib.errors import ImageError, MaskError, PairError, SegError
from tests.support.helpers import HEIGHT, WIDTH, binary_mask, check_message, make_folders, photograph, refused, snapshot

CLASSES = ["background", "apple", "lemon"]
SIZE = (24, 32)


@pytest.fixture
def folders(tmp_path):
    return make_folders(tmp_path)


@pytest.fixture
def tensors(folders):
    """A dataset whose pictures are tensors, ready for batches."""
    return CustomDataset(*folders, image_transform(SIZE), mask_transform(SIZE))


def test_without_transforms_it_gives_pil_pictures(folders):
    image, mask = CustomDataset(*folders)[1]
    assert (image.mode, image.size) == ("RGB", (WIDTH, HEIGHT))
    assert (mask.mode, mask.size) == ("L", (WIDTH, HEIGHT))
    assert np.array_equal(np.array(mask), np.array(binary_mask(1)))


def test_attributes_are_those_of_the_notes(folders):
    images, masks = folders
    dataset = CustomDataset(str(images), str(masks))
    assert (dataset.image_folder, dataset.mask_folder) == (images, masks)
    assert dataset.transform is dataset.mask_transform is dataset.joint_transform is dataset.classes is None
    assert dataset.image_filenames == ["a.jpg", "b.jpg", "c.jpg"]
    assert dataset.mask_filenames == ["a.png", "b.png", "c.png"]
    assert dataset.stems == ["a", "b", "c"]
    assert len(dataset) == 3


def test_each_image_comes_with_its_own_mask(tmp_path):
    stems = ["10", "9", "b", "a", "a-1", "B2"]
    images, masks = make_folders(tmp_path, stems=())
    for value, stem in enumerate(stems):  # value: what ties an image to its mask
        Image.new("RGB", (8, 8), (value, 0, 0)).save(images / f"{stem}.png")
    for value, stem in reversed(list(enumerate(stems))):
        Image.new("L", (8, 8), value).save(masks / f"{stem}.png")
    dataset = CustomDataset(images, masks, classes=list("abcdef"))
    assert dataset.stems == sorted(stems)
    assert [image.getpixel((0, 0))[0] for image, _ in dataset] == [mask.getpixel((0, 0)) for _, mask in dataset]


def test_a_missing_file_shifts_no_pair(tmp_path):
    images, masks = make_folders(tmp_path, stems=("a", "b", "c", "d"))
    (masks / "b.png").unlink()
    with refused(PairError, tmp_path, "images/b.jpg"):
        CustomDataset(images, masks)
    (images / "b.jpg").unlink()
    assert CustomDataset(images, masks).mask_filenames == ["a.png", "c.png", "d.png"]


def test_the_two_transforms_get_their_own_picture(folders):
    dataset = CustomDataset(*folders, transform=lambda image: image.mode, mask_transform=lambda mask: mask.mode)
    assert dataset[0] == ("RGB", "L")
    image, mask = CustomDataset(*folders, mask_transform=np.array)[0]
    assert isinstance(image, Image.Image)
    assert set(np.unique(mask)) == {0, 255}


def test_the_transforms_of_the_notes_make_tensors(tensors):
    image, mask = tensors[0]
    assert (image.shape, image.dtype) == ((3, *SIZE), torch.float32)
    assert (mask.shape, mask.dtype) == ((1, *SIZE), torch.float32)
    assert mask.unique().tolist() == [0.0, 1.0]


def test_a_joint_transform_gets_both_as_tv_tensors_with_1_for_the_object(folders):
    image, mask = CustomDataset(*folders, joint_transform=lambda image, mask: (image, mask))[0]
    assert type(image) is tv_tensors.Image
    assert (image.dtype, image.shape) == (torch.uint8, (3, HEIGHT, WIDTH))
    assert type(mask) is tv_tensors.Mask
    assert (mask.dtype, mask.shape) == (torch.uint8, (HEIGHT, WIDTH))
    assert torch.equal(mask, torch.from_numpy(np.array(binary_mask(0)) // 255))


def test_a_joint_transform_gets_class_labels_as_they_are(folders):
    images, masks = folders
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:9], labels[9:20], labels[20:22] = 1, 2, 255
    for stem in "abc":
        Image.fromarray(labels).save(masks / f"{stem}.png")
    dataset = CustomDataset(images, masks, joint_transform=lambda image, mask: (image, mask), classes=CLASSES)
    assert np.array_equal(dataset[2][1].numpy(), labels)
    tensor = CustomDataset(images, masks, mask_transform=class_mask_transform((HEIGHT, WIDTH)), classes=CLASSES)[0][1]
    assert np.array_equal(tensor.numpy(), labels)


@pytest.mark.parametrize("other", ["transform", "mask_transform"])
def test_a_joint_transform_beside_another_is_refused(folders, tmp_path, other):
    with refused(PairError, tmp_path, "joint_transform", "transform"):
        CustomDataset(*folders, joint_transform=lambda image, mask: (image, mask), **{other: np.array})


@pytest.mark.parametrize(
    ("classes", "transform"),
    [
        (None, Compose([Resize(SIZE), ToTensor()])),  # bilinear: greys at every edge
        (CLASSES, Compose([Resize(SIZE, InterpolationMode.NEAREST), ToTensor()])),  # divides the labels by 255
    ],
    ids=["bilinear", "divided by 255"],
)
def test_a_mask_transform_that_invents_labels_is_refused_with_the_file(tmp_path, classes, transform):
    images, masks = make_folders(tmp_path)
    if classes:
        for stem in "abc":
            binary_mask().point(lambda value: 2 * (value > 0)).save(masks / f"{stem}.png")
    with refused(MaskError, tmp_path, '"masks/b.png"', "nearest"):
        CustomDataset(images, masks, ToTensor(), transform, classes=classes)[1]


def test_an_object_left_at_255_is_refused_for_255_means_ignore_from_here_on(folders, tmp_path):
    dataset = CustomDataset(*folders, mask_transform=Compose([PILToTensor(), torch.Tensor.float]))
    with refused(MaskError, tmp_path, '"masks/a.png"', "still 255", "ToTensor"):
        dataset[0]


# Indices


def test_negative_indices_count_from_the_end(folders):
    dataset = CustomDataset(*folders)
    assert np.array_equal(np.array(dataset[-1][0]), np.array(dataset[2][0]))
    assert np.array_equal(np.array(dataset[-3][0]), np.array(dataset[0][0]))


@pytest.mark.parametrize("idx", [3, -4, 1000])
def test_an_index_out_of_range_is_an_index_error(folders, idx):
    with pytest.raises(IndexError, match=str(idx)) as caught:
        CustomDataset(*folders)[idx]
    assert not isinstance(caught.value, SegError)


def test_a_for_loop_ends_and_a_numpy_index_works(folders):
    dataset = CustomDataset(*folders)
    assert len(list(dataset)) == 3
    assert dataset[np.int64(1)][0].size == (WIDTH, HEIGHT)


# Subsets


def test_a_subset_holds_these_stems_in_this_order(folders):
    dataset = CustomDataset(*folders, mask_transform=np.array)
    part = dataset.subset(["c", "a"])
    assert part.stems == ["c", "a"]
    assert part.mask_filenames == ["c.png", "a.png"]
    assert np.array_equal(part[0][1], np.array(binary_mask(2)))
    assert len(part) == 2
    with pytest.raises(IndexError):
        part[2]
    assert dataset.stems == ["a", "b", "c"]  # the whole is what it was
    assert part.subset(["a"]).stems == ["a"]


def test_unknown_stems_are_all_named(folders, tmp_path):
    with refused(PairError, tmp_path, "images", "b.jpg, z, 7", "such as a"):
        CustomDataset(*folders).subset(["a", "b.jpg", "z", 7])


def test_a_subset_of_an_empty_subset_is_refused_as_clearly(folders, tmp_path):
    with refused(PairError, tmp_path, "called a."):
        CustomDataset(*folders).subset([]).subset(["a"])


def test_a_relative_folder_is_named_as_it_is(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(PairError, tmp_path, 'No picture of "images" is called z'):
        CustomDataset("images", "masks").subset(["z"])


# Bad pictures are found when they are asked for; the good ones beside them still come


def test_sizes_that_differ_are_both_said(folders, tmp_path):
    images, masks = folders
    binary_mask(height=WIDTH, width=HEIGHT).save(masks / "b.png")
    dataset = CustomDataset(images, masks)
    with refused(
        MaskError,
        tmp_path,
        f'"images/b.jpg" is {WIDTH} wide and {HEIGHT} high',
        f'"masks/b.png" is {HEIGHT} wide and {WIDTH} high',
        "upright",
    ):
        dataset[1]
    assert len(dataset[0]) == len(dataset[2]) == 2


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_the_size_that_counts_is_that_of_the_upright_image(folders, tmp_path, orientation):
    images, masks = folders
    tags = Image.Exif()
    tags[0x0112] = orientation
    photograph().save(images / "a.jpg", exif=tags)  # stored lying, seen standing
    with refused(MaskError, tmp_path, f'"images/a.jpg" is {HEIGHT} wide and {WIDTH} high'):
        CustomDataset(images, masks)[0]
    binary_mask(height=WIDTH, width=HEIGHT).save(masks / "a.png")
    image, mask = CustomDataset(images, masks)[0]
    assert image.size == mask.size == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("kind", "damage", "mention"),
    [
        (ImageError, lambda images, masks: (images / "b.jpg").write_bytes(b""), '"images/b.jpg" is empty'),
        (ImageError, lambda images, masks: (images / "b.jpg").write_text("text"), "images/b.jpg"),
        (ImageError, lambda images, masks: cut(images / "b.jpg"), "images/b.jpg"),
        (ImageError, lambda images, masks: cut(masks / "b.png"), "masks/b.png"),
        (ImageError, lambda images, masks: (masks / "b.png").unlink(), '"masks/b.png" is no longer there'),
        (MaskError, lambda images, masks: photograph().save(masks / "b.png"), '"masks/b.png" is in colour'),
        (MaskError, lambda images, masks: shutil.copy(images / "a.jpg", masks / "b.png"), '"masks/b.png" is in colour'),
    ],
)
@pytest.mark.parametrize("joint", [False, True])
def test_a_damaged_pair_is_named_when_it_is_asked_for(folders, tmp_path, kind, damage, *, mention, joint):
    dataset = CustomDataset(*folders, joint_transform=joint_transform(SIZE, train=True) if joint else None)
    damage(*folders)
    with refused(kind, tmp_path, mention):
        dataset[1]
    assert len(dataset) == 3  # nothing is dropped in silence
    assert len(dataset[0]) == len(dataset[2]) == 2


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_reading_everything_changes_nothing_on_disk(folders, tmp_path):
    before = snapshot(tmp_path)
    list(CustomDataset(*folders, joint_transform=joint_transform(SIZE, train=True)))
    assert snapshot(tmp_path) == before


# Workers


def test_a_dataset_can_be_pickled(tensors, folders):
    for dataset in (tensors, CustomDataset(*folders, joint_transform=joint_transform(SIZE, train=True))):
        again = pickle.loads(pickle.dumps(dataset))
        assert again.stems == dataset.stems
    assert torch.equal(pickle.loads(pickle.dumps(tensors))[1][0], tensors[1][0])


def test_two_workers_give_what_none_gives(tensors):
    alone, shared = (DataLoader(tensors, batch_size=2, num_workers=number) for number in (0, 2))
    for (image, mask), (same_image, same_mask) in zip(alone, shared, strict=True):
        assert torch.equal(image, same_image)
        assert torch.equal(mask, same_mask)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_an_error_in_a_worker_arrives_whole(folders, tensors, context):
    if context not in torch.multiprocessing.get_all_start_methods():
        pytest.skip(f"no {context} on this system")
    cut(folders[0] / "c.jpg")
    with pytest.raises(ImageError) as here:
        tensors[2]
    batches = iter(DataLoader(tensors, batch_size=2, num_workers=1, multiprocessing_context=context))
    assert next(batches)[0].shape == (2, 3, *SIZE)
    with pytest.raises(ImageError) as caught:
        next(batches)
    assert str(here.value) in str(caught.value)
    check_message(here.value, "images/c.jpg")


def test_an_error_arrives_through_make_loaders_too(folders, tensors):
    cut(folders[1] / "c.png")
    train, _ = make_loaders(tensors.subset(["b", "c"]), tensors.subset(["a"]), batch_size=1, num_workers=2)
    with pytest.raises(ImageError) as here:
        tensors[2]
    with pytest.raises(ImageError) as caught:
        list(train)
    assert str(caught.value) == str(here.value)  # the three lines, and no page of traceback


MASK_PATH = Path("/home/me/masks/a.png")


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
@pytest.mark.parametrize(("mask", "binary"), [([0, 1, 255], True), ([0, 2, 3, 255], False), ([0], True)])
def test_labels_that_the_file_holds_pass(mask, binary, dtype):
    check_transformed_mask(torch.tensor(mask, dtype=dtype), {0, 2, 3}, binary=binary, path=MASK_PATH)


@pytest.mark.parametrize(
    ("mask", "binary", "mention"),
    [
        ([0, 1, 0.5], True, "0.5"),
        ([0, 2.0], True, "2"),
        ([0, 1], False, "1"),  # between background and class 2 there is no apple
        ([0, 2 / 255], False, "0.00784"),
    ],
)
def test_values_that_a_transform_invents_are_refused(mask, binary, mention):
    with pytest.raises(MaskError) as caught:
        check_transformed_mask(torch.tensor(mask), {0, 2, 3}, binary=binary, path=MASK_PATH)
    check_message(caught.value, f": {mention}.", '"masks/a.png"', "nearest", never=MASK_PATH.parent)
