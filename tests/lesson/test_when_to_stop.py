"""What only 08 and 09 need: scores, charts, the threshold knob."""

import pytest
import torch

from seglib.lesson.common.figures import show
from seglib.lesson.common.plots import over_fitting_chart
from seglib.lesson.predict.figures import (
    calibration_chart,
    confusion_figure,
    mistakes_figure,
    mistakes_picture,
    threshold_chart,
)
from seglib.lesson.predict.scores import at_thresholds, calibration, kinds_of_mistakes
from seglib.lesson.predict.threshold_slider import threshold_slider
from seglib.lesson.when_to_stop.figures import long_curves, minutes_curves, stopping_chart
from seglib.lesson.when_to_stop.replay import history_of, would_stop

CURVES = [0.1, 0.5, 0.4, 0.5, 0.3, 0.9]
RUN = {"train_loss": CURVES, "validation_loss": CURVES, "validation_iou": CURVES, "seconds": [1, 2, 3, 4, 5, 6]}


def test_a_recorded_training_is_a_history():
    assert history_of(RUN).validation_iou == CURVES
    assert history_of(RUN, 2).train_loss == CURVES[:2]


@pytest.mark.parametrize(("patience", "wanted"), [(1, (3, 2)), (3, (5, 2)), (9, (6, 6))])
def test_early_stopping_on_a_recorded_training(patience: int, wanted: tuple[int, int]):
    assert would_stop(RUN, patience, min_delta=0.01) == wanted


def test_scores_at_thresholds_are_those_of_a_count():
    torch.manual_seed(0)
    chances, masks = torch.rand(500), torch.randint(0, 2, (500,))
    masks[:50] = 255
    known = masks != 255
    thresholds = [0.0, 0.2, 0.5, 0.99, 1.0]
    scores = at_thresholds(chances, masks, thresholds)
    for number, threshold in enumerate(thresholds):
        called, true = chances[known] > threshold, masks[known] == 1
        hit, either = (called & true).sum().item(), (called | true).sum().item()
        assert scores["iou"][number] == pytest.approx(hit / either)
        assert scores["recall"][number] == pytest.approx(hit / true.sum().item())
        if called.any():
            assert scores["precision"][number] == pytest.approx(hit / called.sum().item())
        else:
            assert scores["precision"][number] != scores["precision"][number]  # NaN


def test_calibration_counts_each_known_pixel_once():
    chances, masks = torch.tensor([0.05, 0.95, 1.0, 0.5, 0.5]), torch.tensor([0, 1, 1, 255, 1])
    rows = calibration(chances, masks)
    assert [row["pixels"] for row in rows] == [1, 1, 2]
    assert [round(row["said"], 3) for row in rows] == [0.05, 0.5, 0.975]
    assert [row["true"] for row in rows] == [0.0, 1.0, 1.0]


def test_kinds_of_mistakes_share_the_wrong_pixels_out():
    target, predicted = torch.zeros(20, 20, dtype=torch.long), torch.zeros(20, 20, dtype=torch.long)
    target[5:15, 5:15] = 1
    predicted[4:15, 5:15] = 1  # a row too many: boundary
    predicted[9:11, 9:11] = 0  # a hole in the middle: missed
    predicted[0, 0] = 1  # far away: invented
    kinds = kinds_of_mistakes(predicted, target)
    assert {kind: int(where.sum()) for kind, where in kinds.items()} == {"missed": 4, "invented": 1, "boundary": 10}
    assert sum(where.sum() for where in kinds.values()) == (predicted != target).sum()


def test_the_charts_can_be_shown(capsys: pytest.CaptureFixture):
    words = "a figure that shows what it shows, in words"
    for figure in (
        long_curves({"notes": [RUN, RUN], "other": [RUN]}, 0.9),
        minutes_curves({"notes": [RUN, RUN], "other": [RUN]}, 0.9),
        stopping_chart(CURVES, 2, 5),
        over_fitting_chart(
            [
                {"way": way, "pictures": count, "train_iou": 0.9, "validation_iou": 0.5}
                | {"train_iou_spread": 0.1, "validation_iou_spread": 0.1}
                for way in ("augmented", "as they are")
                for count in (4, 8)
            ]
        ),
        threshold_chart([0.2, 0.8], {"precision": [0.5, 0.9], "recall": [0.9, 0.5], "iou": [0.4, 0.4]}, 0.5),
        calibration_chart([{"said": 0.1, "true": 0.2, "pixels": 9}]),
        confusion_figure(torch.tensor([[5, 1], [0, 0]]), ["background", "fruit"]),
        mistakes_figure([(torch.ones(6, 8), torch.zeros(6, 8), torch.zeros(3, 6, 8))] * 2, ["a", "b"]),
    ):
        show(figure, words)


def test_a_mistake_has_its_colour():
    picture = mistakes_picture(torch.ones(20, 20), torch.zeros(20, 20), torch.zeros(3, 20, 20))
    assert picture.shape == (20, 20, 3)
    assert picture[0, 0].tolist() == [204, 121, 167]  # invented: purple


def test_the_threshold_slider_changes_picture_and_words():
    chances = torch.linspace(0, 1, 48).view(6, 8)
    slider = threshold_slider(torch.zeros(3, 6, 8), chances, (chances > 0.5).long())
    before = slider.picture.value, slider.caption.value
    assert "iou 1.00" in slider.caption.value
    slider.slider.value = 0.9
    assert slider.picture.value != before[0]
    assert slider.caption.value != before[1]
    assert repr(slider) == "ThresholdSlider(threshold from 0 to 1)"
