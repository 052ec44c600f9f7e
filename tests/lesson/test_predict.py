"""What only 11_predict needs: scores at thresholds, calibration, kinds of mistakes, charts, the threshold slider."""

import math

import pytest
import torch

from seglib.lesson.common.figures import encode
from seglib.lesson.predict.figures import (
    calibration_chart,
    confusion_figure,
    mistakes_figure,
    mistakes_picture,
    threshold_chart,
)
from seglib.lesson.predict.scores import at_thresholds, calibration, kinds_of_mistakes
from seglib.lesson.predict.threshold_slider import threshold_slider


def test_scores_at_thresholds_are_those_of_a_count():
    torch.manual_seed(0)
    probabilities = torch.rand(500)
    masks = torch.randint(0, 2, (500,))
    masks[:50] = 255
    known = masks != 255
    thresholds = [0.0, 0.2, 0.5, 0.99, 1.0]
    scores = at_thresholds(probabilities, masks, thresholds)
    is_object = masks[known] == 1
    for number, threshold in enumerate(thresholds):
        predicted = probabilities[known] > threshold
        true_positives = (predicted & is_object).sum().item()
        assert scores["iou"][number] == pytest.approx(true_positives / (predicted | is_object).sum().item())
        assert scores["recall"][number] == pytest.approx(true_positives / is_object.sum().item())
        if predicted.any():
            assert scores["precision"][number] == pytest.approx(true_positives / predicted.sum().item())
        else:
            assert math.isnan(scores["precision"][number])


def test_a_probability_equal_to_the_threshold_is_background():
    scores = at_thresholds(torch.tensor([0.5, 0.9]), torch.tensor([1, 1]), [0.5])
    assert scores["recall"] == [0.5]


def test_without_any_object_recall_is_not_defined():
    scores = at_thresholds(torch.tensor([0.2, 0.9]), torch.tensor([0, 255]), [0.5])
    assert all(math.isnan(values[0]) for values in scores.values())


def test_calibration_counts_each_known_pixel_once():
    probabilities = torch.tensor([0.05, 0.95, 1.0, 0.5, 0.5])
    masks = torch.tensor([0, 1, 1, 255, 1])
    rows = calibration(probabilities, masks)
    assert [row["pixels"] for row in rows] == [1, 1, 2]
    assert [round(row["predicted"], 3) for row in rows] == [0.05, 0.5, 0.975]
    assert [row["observed"] for row in rows] == [0.0, 1.0, 1.0]


def test_each_wrong_pixel_is_of_one_kind():
    target = torch.zeros(20, 20, dtype=torch.long)
    target[5:15, 5:15] = 1
    predicted = torch.zeros(20, 20, dtype=torch.long)
    predicted[4:15, 5:15] = 1  # a row too many: boundary
    predicted[9:11, 9:11] = 0  # a hole in the middle: missed
    predicted[0, 0] = 1  # far away: invented
    kinds = kinds_of_mistakes(predicted, target)
    assert {kind: int(where.sum()) for kind, where in kinds.items()} == {"missed": 4, "invented": 1, "boundary": 10}
    assert sum(where.sum() for where in kinds.values()) == (predicted != target).sum()


def test_each_kind_of_mistake_has_its_colour():
    target = torch.zeros(20, 20)
    target[:10] = 1
    predicted = torch.zeros(20, 20)
    predicted[:3] = 1
    predicted[19, 19] = 1
    picture = mistakes_picture(predicted, target, torch.zeros(3, 20, 20))
    assert picture.shape == (20, 20, 3)
    assert picture[1, 1].tolist() == [118, 156, 177]  # found: the photograph in light blue
    assert picture[19, 19].tolist() == [204, 121, 167]  # invented: purple
    assert picture[5, 5].tolist() == [230, 159, 0]  # missed: orange
    assert picture[9, 9].tolist() == [0, 0, 0]  # boundary: black
    assert picture[15, 5].tolist() == [140, 140, 140]  # rightly left alone: the photograph in grey


def test_the_confusion_figure_says_per_cent_of_each_row():
    figure = confusion_figure(torch.tensor([[5, 1], [0, 0]]), ["background", "fruit"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["83 %", "17 %", "0 %", "0 %"]


def test_the_charts_can_be_drawn():
    scores = {"precision": [0.5, 0.9], "recall": [0.9, 0.5], "iou": [0.4, 0.4]}
    triple = (torch.ones(6, 8), torch.zeros(6, 8), torch.zeros(3, 6, 8))
    figures = (
        threshold_chart([0.2, 0.8], scores, own=0.5),
        calibration_chart([{"predicted": 0.1, "observed": 0.2, "pixels": 9}]),
        mistakes_figure([triple, triple], ["a", "b"]),
    )
    assert [encode(figure)[0] for figure in figures] == ["image/png"] * 3


def test_the_threshold_slider_changes_picture_and_words():
    probabilities = torch.linspace(0, 1, 48).view(6, 8)
    widget = threshold_slider(torch.zeros(3, 6, 8), probabilities, (probabilities > 0.5).long())
    before = widget.picture.value
    assert "iou 1.00" in widget.caption.value
    widget.slider.value = 0.9
    assert widget.picture.value != before
    assert "iou 1.00" not in widget.caption.value
    assert repr(widget) == "ThresholdSlider(threshold from 0 to 1)"
