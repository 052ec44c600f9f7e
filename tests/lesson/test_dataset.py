"""The slider of 01_dataset, and its check of a prediction; the others are in tests/lesson/common/test_exercises.py."""

import io

import numpy as np
import pytest
from PIL import Image

from seglib.data.dataset import CustomDataset
from seglib.lesson.dataset.exercises import check_wrong_pairs
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
