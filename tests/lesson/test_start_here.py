"""What 00_start_here adds: its drawings, the four columns of before and after, the check of its prediction."""

import numpy as np
import pytest
import torch
from PIL import Image

from seglib.lesson import show
from seglib.lesson.start_here.exercises import check_larger_squares
from seglib.lesson.start_here.figures import (
    before_after,
    objects,
    outputs_figure,
    semantic_and_instance_figure,
    training_step_figure,
)
from tests.support.exercise_answers import NONSENSE, STUBS, printed
from tools.notebooks.environment import ROOT

SAMPLES = ROOT / "data_samples"


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: bundles.append((data, options)))
    return bundles


def squares_apart(side):
    """The IoU of two squares, shifted by one column, counted."""
    first = torch.zeros(side, side + 1, dtype=torch.bool)
    second = first.clone()
    first[:, :side] = True
    second[:, 1:] = True
    return ((first & second).sum() / (first | second).sum()).item()


@pytest.mark.parametrize("answer", [56 / 72, 0.78, 0.778, torch.tensor(56 / 72), squares_apart(8)])
def test_the_iou_of_larger_squares_is_right(answer, capsys):
    assert printed(check_larger_squares, lambda: answer, capsys).startswith("Right.")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (squares_apart(2), "that of the small squares"),
        (0.33, "Count columns"),
        (56 / 64, "you divide by one square"),
        (56 / 128, "counts the shared cells twice"),
        (49 / 79, "both directions"),
        (0.7, "at least one square"),
        (0.6, "a shift of two cells"),
        (56, "this is the intersection"),
        (72, "this is the union"),
        (72 / 56, "the other way round"),
        (77.8, "a percentage"),
        (0.5, "Count columns"),
        (float("nan"), "yours is nan"),
        ([0.78], "one number"),
        ("0.78", "one number"),
    ],
)
def test_each_wrong_number_gets_its_hint(answer, hint, capsys):
    text = printed(check_larger_squares, lambda: answer, capsys)
    assert text.startswith("Not yet:")
    assert hint in text


@pytest.mark.parametrize("answer", STUBS + NONSENSE)
def test_no_stub_and_no_nonsense_is_accepted(answer, capsys):
    assert printed(check_larger_squares, answer, capsys).startswith("Not yet:")


def test_before_after_has_a_row_for_each_image(noise):
    mask = np.zeros((240, 320), bool)
    figure = before_after([noise] * 2, [mask] * 2, [mask] * 2, [mask] * 2, [(0.3, 0.9), (0.2, 0.8)])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == ["photograph", "true mask", "before: IoU 0.30", "after: IoU 0.90"]
    assert titles[4:] == ["", "", "before: IoU 0.20", "after: IoU 0.80"]
    with pytest.raises(ValueError, match="argument 2"):
        before_after([noise] * 2, [mask], [mask] * 2, [mask] * 2)


@pytest.mark.parametrize(("batches", "batch_size"), [(8, 4), (16, 2), (1, 3)])
def test_a_step_has_five_boxes_in_order_and_an_epoch_its_batches(noise, shown, batches, batch_size):
    figure = training_step_figure(noise, noise[..., 0] > 127, batches, batch_size)
    words = [text.get_text() for text in figure.axes[0].texts]
    names = [word for word in words if word[:2] in {"1.", "2.", "3.", "4.", "5."}]
    assert names == ["1. picture", "2. outputs", "3. loss", "4. gradients", "5. step"]
    assert "weights of the model" in words
    assert "optimizer.zero_grad()" in words
    assert f"an epoch: {batches} batches of {batch_size} photographs, {batches} steps" in words
    assert len(figure.axes[0].patches) == 5 + batches * (1 + batch_size)  # arrows are annotations
    show(figure, "Five boxes with arrows, and a row of batches below them.")


def test_outputs_are_drawn_around_their_threshold(noise, shown):
    outputs = torch.linspace(-2, 3, 240 * 320).reshape(240, 320)
    figure = outputs_figure(noise, outputs, outputs > 1, 0.5)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["photograph", "outputs", "above 0.5: a mask"]
    drawn = figure.axes[1].images[0]
    np.testing.assert_allclose(drawn.to_rgba(np.array([[0.5]]))[0, 0, :3], 1, atol=0.02)
    show(figure, "A photograph, its outputs in colours, and a mask.")


def test_two_lemons_of_one_class_are_told_apart(shown):
    labels = np.zeros((960, 1280), np.uint8)
    labels[300:760, 620:1050] = 2  # over the disc, and beside it
    labels[210:300, 420:600] = 3
    labels[0, 0] = 255
    numbers = objects(labels)
    assert numbers[532, 776] == 1
    assert numbers[532, 776 + 143] == 2
    assert np.array_equal(numbers[labels != 2], labels[labels != 2])
    assert labels[532, 776] == 2  # the mask is left as it was
    picture = np.full((960, 1280, 3), 200, np.uint8)
    figure = semantic_and_instance_figure(picture, labels)
    assert [axes.get_title() for axes in figure.axes] == ["photograph", "semantic", "instances"]
    bare, semantic, instances = (np.asarray(axes.images[0].get_array()) for axes in figure.axes)
    assert bare.shape == (520, 700, 3)
    in_front, behind = (532 - 200, 776 - 380), (532 - 200, 1000 - 380)
    assert np.array_equal(semantic[in_front], semantic[behind])
    assert not np.array_equal(instances[in_front], instances[behind])
    show(figure, "A part of a photograph: bare, by class, and by object.")


def test_the_disc_lies_over_a_lemon_of_the_sample():
    labels = np.asarray(Image.open(SAMPLES / "class_masks" / "fruit_007.png"))
    numbers = objects(labels)
    front, behind = (numbers == 1).sum(), (numbers == 2).sum()
    assert front + behind == (labels == 2).sum()
    assert 0.9 < front / (np.pi * 142**2) <= 1  # it fills the disc
    assert behind > 0.3 * front
