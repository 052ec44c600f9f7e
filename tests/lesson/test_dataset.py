"""The slider of 01_dataset, and its check of a prediction; the others are in tests/lesson/common/test_exercises.py."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from seglib.data.dataset import CustomDataset
from seglib.lesson.dataset.exercises import check_mended_dataset, check_wrong_pairs
from seglib.lesson.dataset.sample_slider import describe_mask_values, sample_slider
from tests.support.exercise_answers import NONSENSE, STUBS, printed


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for number, size in enumerate([(640, 480), (480, 640), (64, 48)]):
        Image.new("RGB", size, (200, 30 * number, 0)).save(tmp_path / "images" / f"fruit_{number}.jpg")
        mask = Image.new("L", size)
        mask.paste(255, (0, 0, size[0] // 2, size[1] // 2))
        mask.save(tmp_path / "masks" / f"fruit_{number}.png")
    return CustomDataset(tmp_path / "images", tmp_path / "masks")


def picture(widget):
    return Image.open(io.BytesIO(widget.pictures.value))


def test_moving_the_slider_replaces_picture_and_words(dataset):
    widget = sample_slider(dataset)
    before = widget.pictures.value
    assert "fruit_0.jpg with fruit_0.png" in widget.caption.value
    assert "640 wide, 480 high; mask: 0 on 75.0 %, 255 on 25.0 %" in widget.caption.value
    widget.slider.value = 1
    assert "fruit_1.jpg" in widget.caption.value
    assert "480 wide, 640 high" in widget.caption.value
    assert widget.pictures.value != before


def test_pictures_are_small_and_show_image_and_overlay(dataset):
    widget = sample_slider(dataset)
    shown = np.asarray(picture(widget)).astype(int)
    assert shown.shape == (180, 480, 3)
    assert abs(shown[20, 20] - [200, 0, 0]).max() < 12
    assert shown[20, 260, 2] > 60  # blue over red
    widget.slider.value = 1
    assert picture(widget).size == (360, 240)


def test_slider_covers_the_samples_and_no_more(dataset):
    slider = sample_slider(dataset, start=2).slider
    assert (slider.min, slider.max, slider.value) == (0, 2, 2)
    slider.value = 99
    assert slider.value == 2


def test_transforms_of_the_dataset_are_not_applied_and_not_lost(dataset):
    dataset.transform = dataset.mask_transform = lambda picture: 1 / 0
    assert "fruit_0" in sample_slider(dataset).caption.value
    assert dataset.transform is not None


def test_a_class_mask_names_its_classes(dataset):
    for number in range(3):
        path = dataset.mask_folder / f"fruit_{number}.png"
        Image.open(path).point(lambda value: 2 if value else 0).save(path)
    classes = ["background", "apple", "lemon"]
    named = CustomDataset(dataset.image_folder, dataset.mask_folder, classes=classes)
    assert "0 (background) on 75.0 %, 2 (lemon) on 25.0 %" in sample_slider(named).caption.value


def test_a_broken_sample_is_described_and_the_slider_moves_on(dataset):
    (dataset.image_folder / "fruit_1.jpg").write_bytes(b"")
    widget = sample_slider(dataset)
    widget.slider.value = 1
    assert "fruit_1.jpg" in widget.caption.value
    assert "empty" in widget.caption.value
    widget.slider.value = 2
    assert "64 wide" in widget.caption.value


def test_plain_text_is_one_short_line_that_never_changes(dataset):
    widget = sample_slider(dataset)
    assert repr(widget) == "SampleSlider(3 samples)"
    assert widget._repr_mimebundle_()["text/plain"] == "SampleSlider(3 samples)"


def test_values_of_a_mask_are_described_by_name_where_they_have_one():
    labels = np.array([[0, 1, 255, 0]])
    assert (
        describe_mask_values(labels, ["background", "apple"])
        == "mask: 0 (background) on 50.0 %, 1 (apple) on 25.0 %, 255 on 25.0 %"
    )


def test_the_counted_number_of_wrong_pairs_is_right(capsys):
    text = printed(check_wrong_pairs, lambda: 3, capsys)
    assert text.startswith("Right.")
    assert "2 with 3, 3 with 4, 4 with 5" in text


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (0, "equally long"),
        (2, "between the two gaps is shifted"),
        (4, "no pair begins with 5"),
        (5, "behind the second gap"),
        (6, "beside image 6"),
        (7, "before any gap"),
        (8, "there are 7 pairs"),
        (2.5, "yours is 2.5"),
        (float("nan"), "yours is nan"),
        ([3], "one number"),
        ("3", "one number"),
    ],
)
def test_each_wrong_number_gets_its_hint(answer, hint, capsys):
    text = printed(check_wrong_pairs, lambda: answer, capsys)
    assert text.startswith("Not yet:")
    assert hint in text


@pytest.mark.parametrize("answer", STUBS + NONSENSE)
def test_no_stub_and_no_nonsense_is_accepted(answer, capsys):
    assert printed(check_wrong_pairs, answer, capsys).startswith("Not yet:")


class Mended:
    """The answer to `check_mended_dataset`. Tests below overwrite one part of it."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __len__(self):
        return len(self.pairs)

    def open(self, idx):
        image_path, mask_path = self.pairs[idx]
        return ImageOps.exif_transpose(Image.open(image_path)), Image.open(mask_path)

    def __getitem__(self, idx):
        image, mask = self.open(idx)
        if image.size != mask.size:
            raise ValueError(f"{self.pairs[idx][1]} has another size")
        return image, mask


def test_the_mended_class_is_right(capsys):
    assert printed(check_mended_dataset, Mended, capsys).startswith("Right.")


@pytest.mark.parametrize(
    ("name", "method", "hint"),
    [
        ("__len__", lambda self: 4, "self.pairs holds 1"),
        ("__len__", lambda self: len(self.pairs) - 1, "self.pairs holds 4"),
        ("__len__", lambda self: ..., "nothing to check so far"),
        ("__getitem__", lambda self, idx: ..., "nothing to check so far"),
        ("__getitem__", lambda self, idx: None, "is there a return?"),
        ("__getitem__", lambda self, idx: list(self.open(idx)), "the tuple (image, mask)"),
        ("__getitem__", lambda self, idx: self.pairs[idx], "to be a PIL image"),
        ("__getitem__", lambda self, idx: self.open(idx)[::-1], "the image comes first"),
        ("__getitem__", lambda self, idx: self.open(idx), "sizes have to agree"),
        ("__getitem__", lambda self, idx: tuple(map(Image.open, self.pairs[idx])), "lying on its side"),
        ("__getitem__", lambda self, idx: tuple(p.resize((32, 16)) for p in self.open(idx)), "lying on its side"),
        ("__getitem__", lambda self, idx: tuple(p.resize((8, 8)) for p in self.open(idx)), "(8, 8)"),
        ("__getitem__", lambda self, idx: (self.open(idx)[0], self.open(idx)[1].point(lambda v: v // 255)), "numbers"),
        ("__getitem__", lambda self, idx: (self.open(idx)[0], self.open(idx)[1].convert("RGB")), "numbers"),
        ("__getitem__", lambda self, idx: (self.open(idx)[0], self.open(idx + 2)[1]), "as (width, height)"),
        ("__getitem__", lambda self, idx: self.open(idx) if idx < 2 else 1 / 0, "a ValueError is wanted"),
        ("__getitem__", lambda self, idx: self.open(idx) if idx < 2 else int("x"), "does not name the mask"),
    ],
)
def test_a_mistake_in_the_mended_class_gets_its_hint(name, method, hint, capsys):
    text = printed(check_mended_dataset, type("MendedDataset", (Mended,), {name: method}), capsys)
    assert text.startswith("Not yet:")
    assert hint in text


def test_a_portrait_on_its_head_is_seen(capsys):
    class Headlong(Mended):
        def open(self, idx):
            image, mask = super().open(idx)
            return (image.rotate(180) if image.height > image.width else image), mask

    assert "stands on its head" in printed(check_mended_dataset, Headlong, capsys)


def test_sizes_compared_before_turning_refuse_a_good_pair(capsys):
    class Early(Mended):
        def __getitem__(self, idx):
            image_path, mask_path = self.pairs[idx]
            if Image.open(image_path).size != Image.open(mask_path).size:
                raise ValueError(str(mask_path))
            return self.open(idx)

    assert "Turn the image first" in printed(check_mended_dataset, Early, capsys)


@pytest.mark.parametrize("answer", STUBS + NONSENSE)
def test_no_nonsense_is_a_mended_class(answer, capsys):
    assert printed(check_mended_dataset, answer, capsys).startswith("Not yet:")
