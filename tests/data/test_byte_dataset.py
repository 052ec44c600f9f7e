import os
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image
from torchvision import tv_tensors

from seglib.data.byte_dataset import ByteDataset
from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.image_io import load_image, load_image_tensor
from seglib.data.normalization import to_model_inputs
from seglib.data.transforms import image_transform, joint_transform, mask_transform
from seglib.errors import ImageError, MaskError, ShapeError, TrainingError
from seglib.losses import make_loss
from seglib.training.loop import evaluate, train_one_epoch
from tests.support.helpers import HEIGHT, WIDTH, TinyModel, binary_mask, make_folders, photograph, quick, refused

SIZE = (24, 32)
CLASSES = ["background", "apple", "lemon"]
CPU = torch.device("cpu")
ORIENTATION = 0x0112


@pytest.fixture
def folders(tmp_path):
    return make_folders(tmp_path)


def as_array(path) -> np.ndarray:
    return np.array(load_image(path)).astype(int)


def largest_difference(path) -> int:
    fast = load_image_tensor(path)
    assert fast.dtype == torch.uint8
    slow = as_array(path)
    assert tuple(fast.shape) == (3, *slow.shape[:2])
    return int(np.abs(fast.permute(1, 2, 0).numpy().astype(int) - slow).max())


# One file


@pytest.mark.parametrize("orientation", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_every_orientation_as_pillow_sees_it(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photograph().save(tmp_path / f"a.{suffix}", exif=exif)
    assert largest_difference(tmp_path / f"a.{suffix}") <= 1


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "YCbCr"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
def test_every_kind_of_jpeg_gives_the_pixels_of_load_image(tmp_path, mode, options):
    photograph(height=37, width=51).convert(mode).save(tmp_path / "a.jpg", **options)
    assert largest_difference(tmp_path / "a.jpg") <= 1


def test_a_jpeg_under_another_name_and_another_picture_called_jpg(tmp_path):
    photograph().save(tmp_path / "a.png", format="JPEG")
    photograph().save(tmp_path / "b.jpg", format="PNG")
    assert largest_difference(tmp_path / "a.png") <= 1
    assert largest_difference(tmp_path / "b.jpg") == 0


@pytest.mark.parametrize("content", [b"", b"this is a text", b"\x00" * 500, b"\xff\xd8\xff"])
def test_no_picture_is_refused_in_the_same_words(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / "a.jpg")
    with refused(ImageError, tmp_path, "/a.jpg") as same:
        load_image_tensor(tmp_path / "a.jpg")
    assert same is None
    with pytest.raises(ImageError) as fast:
        load_image_tensor(tmp_path / "a.jpg")
    assert str(fast.value) == str(caught.value)


def test_a_file_that_went_away_is_named(tmp_path):
    with refused(ImageError, tmp_path, "gone.jpg", "no longer there"):
        load_image_tensor(tmp_path / "gone.jpg")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_cut_anywhere_is_refused_or_gives_exactly_the_whole_picture(tmp_path, options):
    path = tmp_path / "a.jpg"
    photograph(height=24, width=32).save(path, **options)
    whole, pixels = path.read_bytes(), load_image_tensor(path)
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        try:
            seen = load_image_tensor(path)
        except ImageError:
            continue
        assert torch.equal(seen, pixels)
        assert length > 0.9 * len(whole)


@quick
@given(some.data())
def test_a_damaged_jpeg_is_refused_or_read_as_pillow_reads_it(tmp_path, data):
    path = tmp_path / "damaged.jpg"
    photograph(height=24, width=32).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(some.integers(1, 4))):
        content[data.draw(some.integers(0, len(content) - 1))] = data.draw(some.integers(0, 255))
    path.write_bytes(content)
    try:
        slow = as_array(path)
    except ImageError:
        with pytest.raises(ImageError):
            load_image_tensor(path)
        return
    fast = load_image_tensor(path)
    assert tuple(fast.shape) == (3, *slow.shape[:2])


def test_without_torchvisions_decoder_pillow_does_the_work(tmp_path, monkeypatch):
    photograph().save(tmp_path / "a.jpg")
    monkeypatch.delattr("torchvision.io.decode_jpeg")
    assert largest_difference(tmp_path / "a.jpg") == 0


def test_16_bits_and_transparency_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "deep.tif")
    clear = photograph().convert("RGBA")
    clear.putpixel((3, 3), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    with refused(ImageError, tmp_path, "deep.tif", "8 bits"):
        load_image_tensor(tmp_path / "deep.tif")
    with refused(ImageError, tmp_path, "clear.png", "partly transparent"):
        load_image_tensor(tmp_path / "clear.png")


# The dataset


def slow_and_fast(folders, size=SIZE, portrait=False, **options):
    slow = CustomDataset(*folders, image_transform(size, portrait), mask_transform(size, portrait))
    return slow, ByteDataset(*folders, size, portrait=portrait, **options)


@pytest.mark.parametrize("size", [(24, 32), (31, 45), (HEIGHT, WIDTH), (70, 90), (20, 90)])
def test_images_equal_the_notes_within_2_of_255_and_masks_exactly(folders, size):
    for (wanted, wanted_mask), pair in zip(*slow_and_fast(folders, size), strict=True):
        image, mask = to_model_inputs(*(tensor[None] for tensor in pair))
        assert image.dtype == torch.float32
        steps = (image[0] - wanted).abs() * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255
        assert steps.max() <= 2.001
        assert torch.equal(mask[0], wanted_mask)


def test_portraits_come_upright(tmp_path):
    images, masks = make_folders(tmp_path, stems=("a",))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    photograph().save(images / "a.jpg", exif=exif)
    binary_mask().transpose(Image.Transpose.ROTATE_270).save(masks / "a.png")
    slow, fast = slow_and_fast((images, masks), (40, 30), portrait=True)
    image, mask = to_model_inputs(*(tensor[None] for tensor in fast[0]))
    assert (image[0] - slow[0][0]).abs().max() < 0.05
    assert torch.equal(mask[0], slow[0][1])


def test_class_masks_stay_labels_and_255_stays_255(tmp_path):
    images, masks = make_folders(tmp_path, stems=("a",))
    labels = np.resize(np.array([0, 1, 2, 255], np.uint8), (HEIGHT, WIDTH))
    Image.fromarray(labels).save(masks / "a.png")
    image, mask = ByteDataset(images, masks, (HEIGHT, WIDTH), classes=CLASSES)[0]
    assert (mask.dtype, tuple(mask.shape)) == (torch.uint8, (HEIGHT, WIDTH))
    images, masks = to_model_inputs(image[None], mask[None])
    assert masks.dtype == torch.int64
    assert torch.equal(masks[0], torch.from_numpy(labels).long())


@pytest.mark.parametrize("cache_gib", [0, 1])
def test_every_check_of_custom_dataset_is_there(tmp_path, cache_gib):
    images, masks = make_folders(tmp_path)
    binary_mask(height=HEIGHT, width=WIDTH + 1).save(masks / "a.png")
    Image.fromarray(np.full((HEIGHT, WIDTH), 7, np.uint8)).save(masks / "b.png")
    (images / "c.jpg").write_bytes((images / "c.jpg").read_bytes()[:300])
    slow, fast = CustomDataset(images, masks), ByteDataset(images, masks, SIZE, cache_gib=cache_gib)
    for idx, kind in enumerate((MaskError, MaskError, ImageError)):
        with pytest.raises(kind) as wanted:
            slow[idx]
        for _ in range(2):  # nothing wrong is cached
            with refused(kind, tmp_path):
                fast[idx]
        with pytest.raises(kind) as caught:
            fast[idx]
        assert str(caught.value) == str(wanted.value)
    with pytest.raises(IndexError, match="picture 3 of 3"):
        fast[3]
    assert torch.equal(
        ByteDataset(*make_folders(tmp_path / "good"), SIZE)[-1][0],
        ByteDataset(tmp_path / "good/images", tmp_path / "good/masks", SIZE)[2][0],
    )


def test_a_size_that_is_none_or_portrait_by_mistake_is_refused(folders):
    with pytest.raises(ShapeError):
        ByteDataset(*folders, 24)
    with pytest.raises(ShapeError):
        ByteDataset(*folders, (32, 24))
    with pytest.raises(TrainingError):
        ByteDataset(*folders, SIZE, cache_gib=1e-9)


def test_a_joint_transform_gets_tv_tensors_with_1_for_the_object(folders):
    seen = []

    def look(image, mask):
        seen.append((type(image), type(mask), image.dtype, mask.unique().tolist()))
        return image, mask

    ByteDataset(*folders, SIZE, joint_transform=look)[0]
    assert seen == [(tv_tensors.Image, tv_tensors.Mask, torch.uint8, [0, 1])]
    fast = ByteDataset(*folders, SIZE, joint_transform=joint_transform(SIZE, train=False))
    slow = CustomDataset(*folders, joint_transform=joint_transform(SIZE, train=False))
    assert (fast[1][0] - slow[1][0]).abs().max() < 0.05
    assert torch.equal(fast[1][1], slow[1][1])


@pytest.mark.parametrize("classes", [None, ["background", "fruit"]])
def test_a_changed_picture_may_travel_as_bytes_and_is_the_same_on_the_device(folders, classes):
    if classes:
        for path in folders[1].iterdir():
            Image.open(path).point(lambda value: value // 255).save(path)
    pairs = []
    for as_bytes in (True, False):
        joint = joint_transform(SIZE, train=True, classes=classes, as_bytes=as_bytes)
        torch.manual_seed(3)
        pairs.append(ByteDataset(*folders, SIZE, joint_transform=joint, classes=classes)[0])
    (image, mask), (floats, labels) = pairs
    assert image.dtype == mask.dtype == torch.uint8
    assert {*mask.unique().tolist()} <= {0, 1, 255}
    finished, finished_mask = to_model_inputs(image[None], mask[None])
    assert torch.allclose(finished[0], floats, atol=1e-5)
    assert torch.equal(finished_mask[0], labels)
    assert finished_mask.dtype == labels.dtype


# The cache


def test_the_second_epoch_reads_no_file(folders, monkeypatch):
    dataset = ByteDataset(*folders, SIZE, cache_gib=1)
    first = [dataset[idx] for idx in range(3)]
    monkeypatch.setattr("seglib.data.byte_dataset.load_image_tensor", None)
    monkeypatch.setattr("seglib.data.dataset.load_mask", None)
    for (image, mask), idx in zip(first, range(3), strict=True):
        again = dataset[idx]
        assert torch.equal(again[0], image)
        assert torch.equal(again[1], mask)
        again[0].zero_()  # whatever a transform does to it, the cache keeps its own
    assert torch.equal(dataset[0][0], first[0][0])
    part = dataset.subset(["c", "a"])
    assert torch.equal(part[0][0], first[2][0])
    assert torch.equal(part[1][1], first[0][1])


@pytest.mark.parametrize("which", ["image", "mask"])
def test_a_file_that_has_changed_is_read_anew(folders, which):
    dataset = ByteDataset(*folders, SIZE, cache_gib=1)
    before = dataset[0]
    path = folders[0] / "a.jpg" if which == "image" else folders[1] / "a.png"
    (photograph(5) if which == "image" else binary_mask(2)).save(path)
    os.utime(path, ns=(1, 10**18 + 7))
    after = dataset[0]
    place = 0 if which == "image" else 1
    assert not torch.equal(before[place], after[place])
    path.unlink()
    with pytest.raises(ImageError, match="no longer there"):
        dataset[0]


def test_beyond_the_limit_pictures_are_read_anew_and_are_right(folders, capsys):
    plain = ByteDataset(*folders, SIZE)
    dataset = ByteDataset(*folders, SIZE, cache_gib=2 * 4 * 24 * 32 / 2**30)
    assert "2 of 3 pictures" in capsys.readouterr().out
    for _ in range(2):
        assert all(torch.equal(dataset[idx][0], plain[idx][0]) for idx in range(3))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_batches_with_workers_and_one_cache_for_all(tmp_path, workers):
    folders = make_folders(tmp_path, stems="abcdefgh")
    dataset = ByteDataset(*folders, SIZE, cache_gib=1)
    plain = ByteDataset(*folders, SIZE)
    epochs = {}
    for name, one in (("cached", dataset), ("plain", plain)):
        split = one.subset("abcdef"), one.subset("gh")
        loader, _ = make_loaders(*split, batch_size=2, num_workers=workers)
        epochs[name] = [torch.cat([images for images, _ in loader]) for _ in range(3)]
        del loader
    for cached, wanted in zip(epochs["cached"], epochs["plain"], strict=True):
        assert torch.equal(cached, wanted)
    filled = [dataset.cache.modified[dataset.cache.slot_of[f"{stem}.jpg"], 0] > 0 for stem in "abcdefgh"]
    assert filled == [True] * 6 + [False] * 2  # put there by workers, seen here


def test_it_can_be_sent_to_a_worker_that_starts_from_nothing(folders):
    dataset = ByteDataset(*folders, SIZE, joint_transform=joint_transform(SIZE, train=True), cache_gib=1)
    assert len(pickle.loads(pickle.dumps(dataset))) == 3


# In training


def test_the_engine_trains_and_evaluates_the_same_from_bytes_and_from_floats(folders):
    slow, fast = slow_and_fast(folders, (HEIGHT, WIDTH))
    results = []
    for dataset in (slow, fast):
        torch.manual_seed(0)
        model = TinyModel()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader, validation = make_loaders(dataset.subset("ab"), dataset.subset("c"), batch_size=2)
        loss = train_one_epoch(model, loader, make_loss("bce"), optimizer, CPU)
        results.append((loss, evaluate(model, validation, make_loss("bce"), CPU).loss))
    assert results[0] == pytest.approx(results[1], abs=2e-3)
