import io

import numpy as np
import pytest
import torch
from PIL import Image

from seglib.data.dataset import CustomDataset
from seglib.data.normalization import normalize
from seglib.lesson import recorded
from seglib.lesson.transforms.exercises import check_black_twice
from seglib.lesson.transforms.figures import transform_cost_chart
from seglib.lesson.transforms.transform_widget import (
    COLOR_TRANSFORMS,
    GEOMETRIC_TRANSFORMS,
    TRANSFORM_NAMES,
    overlay_ignored,
    transform_pair,
    transform_widget,
)
from tests.support.exercise_answers import NONSENSE, STUBS, printed


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.new("RGB", (640, 480), (200, 30, 0)).save(tmp_path / "images" / "fruit_0.jpg")
    mask = Image.new("L", (640, 480))
    mask.paste(255, (100, 60, 320, 240))
    mask.save(tmp_path / "masks" / "fruit_0.png")
    return CustomDataset(tmp_path / "images", tmp_path / "masks")


def square_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A white rectangle on black, in image and mask at once."""
    mask = torch.zeros(60, 80, dtype=torch.uint8)
    mask[18:36, 22:52] = 1
    return (mask * 255).expand(3, -1, -1).clone(), mask


@pytest.mark.parametrize("name", TRANSFORM_NAMES)
def test_strength_0_changes_nothing(name):
    image, mask = square_pair()
    new_image, new_mask = transform_pair(image, mask, name, 0.0)
    assert (new_image.int() - image.int()).abs().max() <= 1
    assert torch.equal(new_mask, mask)


@pytest.mark.parametrize("strength", [-1.0, -0.6, -0.15, 0.15, 0.6, 1.0])
@pytest.mark.parametrize("name", GEOMETRIC_TRANSFORMS)
def test_image_and_mask_move_together(name, strength):
    image, mask = transform_pair(*square_pair(), name, strength)
    assert image.shape == (3, 60, 80)
    assert mask.shape == (60, 80)
    assert set(mask.unique().tolist()) <= {0, 1, 255}
    seen = image[0] > 127
    inside = mask == 1
    assert (seen & inside).sum() / (seen | inside).sum() > 0.9
    assert not image[:, mask == 255].any()


@pytest.mark.parametrize("name", COLOR_TRANSFORMS)
def test_colours_leave_the_mask_alone(name):
    image, mask = square_pair()
    image[:] = torch.tensor([200, 120, 40], dtype=torch.uint8).view(3, 1, 1)
    image[:, :10] //= 2
    for strength in (-0.5, 0.5):
        new_image, new_mask = transform_pair(image, mask, name, strength)
        assert torch.equal(new_mask, mask)
        assert not torch.equal(new_image, image)


def test_the_mask_can_be_left_behind():
    image, mask = square_pair()
    moved, left = transform_pair(image, mask, "flip", 1.0, mask_too=False)
    assert torch.equal(left, mask)
    assert torch.equal(moved, image.flip(-1))


def test_what_is_ignored_has_a_colour_of_its_own():
    picture = overlay_ignored(torch.zeros(3, 4, 12), torch.tensor([[0] * 4 + [1] * 4 + [255] * 4] * 4)[None].float())
    assert picture.shape == (4, 12, 3)
    assert len({tuple(picture[2, column]) for column in (1, 6, 10)}) == 3


def test_each_control_replaces_the_picture(dataset):
    widget = transform_widget(dataset)
    seen = {widget.pictures.value}
    widget.strength.value = 0.6
    assert "rotate +0.60: moves pixels. The mask holds 0, 1, 255" in widget.caption.value
    seen.add(widget.pictures.value)
    widget.mask_too.value = False
    assert "The mask holds 0, 1." in widget.caption.value
    seen.add(widget.pictures.value)
    widget.change.value = "brightness"
    assert "the mask stays" in widget.caption.value
    seen.add(widget.pictures.value)
    assert len(seen) == 4
    assert np.asarray(Image.open(io.BytesIO(widget.pictures.value))).shape == (225, 600, 3)


def test_plain_text_is_one_short_line_that_never_changes(dataset):
    widget = transform_widget(dataset)
    assert repr(widget) == "TransformWidget(fruit_0.jpg, 8 changes)"
    assert widget._repr_mimebundle_()["text/plain"] == repr(widget)


def test_the_right_number_is_that_of_normalize(capsys):
    twice = normalize(normalize(torch.zeros(3, 1, 1)))[0].item()
    assert printed(check_black_twice, lambda: twice, capsys).startswith("Right.")


@pytest.mark.parametrize("answer", [-11.37, -11.36, -11.38, torch.tensor(-11.366), (-2.12 - 0.485) / 0.229])
def test_rounding_on_the_way_is_allowed(answer, capsys):
    assert "= -11.37" in printed(check_black_twice, lambda: answer, capsys)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (-2.12, "normalised once"),
        (-4.24, "twice the first result"),
        (-9.25, "also subtracts the mean"),
        (-2.6, "then also divides"),
        (-9.73, "the order is turned round"),
        (0, "as it was"),
        (11.37, "the sign is not"),
        (-11.12, "that is green"),
        (-9.82, "that is blue"),
        (-11.0, "-11.00 is not it"),
        (float("nan"), "nan is not it"),
        ([-11.37], "one number"),
        ("-11.37", "one number"),
    ],
)
def test_each_wrong_number_gets_its_hint(answer, hint, capsys):
    text = printed(check_black_twice, lambda: answer, capsys)
    assert text.startswith("Not yet:")
    assert hint in text


@pytest.mark.parametrize("answer", STUBS + NONSENSE)
def test_no_stub_and_no_nonsense_is_accepted(answer, capsys):
    assert printed(check_black_twice, answer, capsys).startswith("Not yet:")


def test_fruit_comes_out_blue_on_yellow_fruit_too():
    yellow = torch.tensor([240, 228, 66], dtype=torch.uint8).view(3, 1, 1).expand(3, 20, 20)
    red, _, blue = overlay_ignored(yellow, torch.ones(20, 20, dtype=torch.uint8))[10, 10].tolist()
    assert blue > red + 50


def test_each_job_has_a_chart_of_its_own():
    cost = recorded("transform_cost")
    steps, first, second = transform_cost_chart(cost).axes
    assert "opened picture" in first.get_title()
    assert "tensor" in second.get_title()
    names = [label.get_text().replace("\n", " ") for axes in (first, second) for label in axes.get_yticklabels()]
    assert names == [row["order"] for row in cost["orders"]]
    assert len(second.patches) == 2
    assert first.get_xlim() == second.get_xlim()  # a millisecond is as long in both
    assert len(steps.patches) == len(cost["steps"])


def test_no_number_of_the_chart_lies_on_another():
    figure = transform_cost_chart(recorded("transform_cost"))
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        overlapping = [(a, b) for n, a in enumerate(boxes) for b in boxes[:n] if a.overlaps(b)]
        assert not overlapping
