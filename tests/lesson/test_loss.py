"""What 05_loss brings along: charts, slider, cures, exercise checks, and what its two benchmarks sum up."""

import io
import math

import pytest
import torch
from PIL import Image

from benchmarks import imbalance, losses
from seglib.lesson import show
from seglib.lesson.common.short_training import MISTAKES
from seglib.lesson.loss import figures
from seglib.lesson.loss.cures import CURES, focal, fruit_share, start_at_share, weighted_bce
from seglib.lesson.loss.exercises import check_best_guess, check_dice_loss, check_known_pixels
from seglib.lesson.loss.loss_slider import loss_slider
from seglib.losses import make_loss
from tests.support.exercise_answers import NONSENSE, STUBS, printed
from tests.support.helpers import TinyModel

ALT = "a figure of made up numbers, for a test"
CHECKS = [check_best_guess, check_dice_loss, check_known_pixels]


# One pixel


@pytest.mark.parametrize(
    ("name", "output", "target", "value", "gradient"),
    [
        ("mse", 0.5, 1.0, 0.25, -1.0),
        ("mse", 3.0, 0.0, 9.0, 6.0),
        ("bce", 0.0, 1.0, math.log(2), -0.5),
        ("bce", 0.0, 0.0, math.log(2), 0.5),
        ("dice", 0.0, 1.0, 1 - 2 / 2.5, -3 / 2.5**2 / 4),
        ("dice", 0.0, 0.0, 1 - 1 / 1.5, 1 / 1.5**2 / 4),
    ],
)
def test_one_pixel_by_hand(name, output, target, value, gradient):
    assert figures.pixel_loss(name, output, target) == pytest.approx((value, gradient))


@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("output", [-5.0, -0.3, 0.0, 2.0])
def test_cross_entropy_of_one_pixel_is_bce(output, target):
    bce, cross_entropy = (figures.pixel_loss(name, output, target) for name in ("bce", "cross_entropy"))
    assert cross_entropy == pytest.approx(bce)


# The slider


def test_each_control_replaces_picture_and_words():
    widget = loss_slider(2.0)
    seen = [(widget.picture.value, widget.caption.value)]
    assert "An output of 2: after mse fruit, after bce fruit." in widget.caption.value
    assert "<td>mse</td><td>1.000</td><td>+2.000</td><td>down</td>" in widget.caption.value
    widget.output.value = 0.25
    assert "An output of 0.25: after mse background, after bce fruit." in widget.caption.value
    seen.append((widget.picture.value, widget.caption.value))
    widget.truth.value = 0.0
    seen.append((widget.picture.value, widget.caption.value))
    assert len({picture for picture, _ in seen}) == len({words for _, words in seen}) == 3
    assert Image.open(io.BytesIO(widget.picture.value)).width > 500


def test_plain_text_of_the_slider_is_one_short_line():
    widget = loss_slider()
    assert repr(widget) == widget._repr_mimebundle_()["text/plain"] == "LossSlider(4 losses)"


# The benchmark: what the notebook reads from it


def test_the_losses_are_judged_at_their_best_choice_and_mistakes_come_last():
    runs = []
    while cases := losses.left_to_run(runs):
        for loss, schedule, lr, seed in cases:
            iou = 0.5 - abs(math.log10(lr / 3e-3)) / 10 + seed / 100 + 0.1 * ((loss == "dice") == (schedule == "poly"))
            row = {"loss": loss, "schedule": schedule, "lr": lr, "seed": seed}
            runs.append(row | {"iou": iou, "iou_at": {"0.0": iou, "0.5": iou / 2}})
    assert len(runs) == 96
    assert {run["loss"] for run in runs[-6:]} == set(MISTAKES)
    summary = losses.summary(runs)
    best = summary["best"]
    assert list(best) == ["mse", "bce", "cross_entropy", "dice", "bce_dice", *MISTAKES]
    mse = best["mse"]
    assert (mse["schedule"], mse["lr"], mse["iou"], mse["iou_spread"], mse["edge"]) == ("constant", 3e-3, 0.61, 0.01, 0)
    assert mse["iou_at_0.5"] == 0.305
    assert (best["dice"]["schedule"], summary["best_of"]["poly"]["mse"]["iou"]) == ("poly", 0.51)
    other = [dict(run, schedule="poly") for run in runs if run["loss"] in MISTAKES]  # of a choice now left
    assert losses.summary([*runs, *other])["best"] == best
    scores = figures.best_scores({"best": best, "runs": runs})
    assert scores["mse"] == {figures.OWN_THRESHOLD: [0.6, 0.61, 0.62], figures.OTHER_THRESHOLD: [0.6, 0.61, 0.62]}
    assert scores["dice"][figures.OTHER_THRESHOLD] == [0.3, 0.305, 0.31]
    show(figures.loss_dots(scores), ALT)


# Cures


def test_the_cures_by_hand():
    logits = torch.tensor([[[[1.0, -2.0, 0.5]]]])
    masks = torch.tensor([[[[1.0, 1.0, 0.0]]]])
    p = logits.sigmoid()
    bce = -(masks * p.log() + (1 - masks) * (1 - p).log())
    assert weighted_bce(3.0)(logits, masks).item() == pytest.approx((bce * (1 + 2 * masks)).mean().item())
    missing = torch.where(masks == 1, 1 - p, p)
    assert focal()(logits, masks).item() == pytest.approx((bce * missing**2).mean().item())
    quarter = torch.where(masks == 1, 0.25, 0.75)
    assert focal(0.25)(logits, masks).item() == pytest.approx((bce * missing**2 * quarter).mean().item())
    assert all(cure.threshold == 0.0 for cure in CURES.values())


def test_a_model_begins_at_the_share_of_fruit():
    masks = torch.zeros(2, 1, 4, 5)
    masks[0, 0, 0] = 1.0
    share = fruit_share([(None, mask) for mask in masks])
    assert share == 5 / 40
    model = TinyModel()
    model.classifier = torch.nn.ModuleList([torch.nn.Identity()] * 4 + [torch.nn.Conv2d(2, 1, 1)])
    start_at_share(model, share)
    assert model.classifier[4].bias.sigmoid().item() == pytest.approx(share)


def test_the_cures_are_judged_at_their_best_choice():
    runs = []
    for loss in CURES:
        for schedule in imbalance.SCHEDULES:
            for lr in imbalance.LEARNING_RATES:
                for seed in imbalance.SEEDS:
                    iou = 0.5 + 0.1 * (lr == 3e-3) + 0.1 * (schedule == "poly") + seed / 100 + 0.05 * (loss == "focal")
                    row = {"loss": loss, "schedule": schedule, "lr": lr, "seed": seed}
                    marks = [{"epoch": epoch, "iou": iou, "loss": 0.3, "drawn": 0.2} for epoch in (0, 12)]
                    runs.append(row | {"iou": iou, "precision": 0.5, "recall": 0.7, "marks": marks})
    summary = imbalance.summary(runs)
    assert list(summary["best"]) == list(CURES)
    assert len(summary["table"]) == len(CURES) * 6
    best = summary["best"]["focal"]
    assert (best["schedule"], best["lr"], best["edge"]) == ("poly", 3e-3, False)
    assert (best["iou"], best["iou_spread"]) == (0.76, 0.01)
    assert [mark["epoch"] for mark in best["marks"]] == [0, 12]
    assert imbalance.summary(runs[:-1])["best"].keys() == CURES.keys() - {"dice"}
    record = {"runs": runs, "settings": {"fruit_share": 0.2}, **summary}
    assert figures.row_of_choice(record, "bce", "constant", 1e-3)["iou"] == 0.51
    assert len(figures.runs_of_choice(record, "bce", "constant", 1e-3)) == 3
    show(figures.cure_dots(record), ALT)
    curves = figures.start_curves(record, ["bce", "bce, bias set"], "poly", 3e-3)
    assert [axes.get_title() for axes in curves.axes] == ["loss", "called fruit", "IoU"]
    for axes, level in zip(curves.axes, (0.3, 0.2, 0.71), strict=True):
        for bars in axes.containers:
            steps, values = bars.lines[0].get_data()
            assert list(steps) == [0, 96]  # at their true distance
            assert list(values) == pytest.approx([level, level])
    show(curves, ALT)


# Charts


def test_the_charts_can_be_shown():
    show(figures.one_pixel_curves(), ALT)
    show(figures.one_pixel_curves(0.0, at=-1.5), ALT)
    show(figures.threshold_curves([0, 1], {"mse": [0.5, 0.6], "bce": [0.6, 0.5]}, {"mse": 0.5, "bce": 0}), ALT)


# Exercises


def known_pixels(outputs, masks):
    known = masks != 255
    return ((outputs - masks) ** 2 * known).sum() / known.sum().clamp(min=1)


def soft_dice(probabilities, masks):
    shared = (probabilities * masks).sum()
    return 1 - (2 * shared + 1) / (probabilities.sum() + masks.sum() + 1)


RIGHT = [(check_known_pixels, known_pixels), (check_dice_loss, soft_dice), (check_best_guess, lambda: 0.25)]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_is_right(check, answer, capsys):
    assert printed(check, answer, capsys).startswith("Right. ")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("answer", NONSENSE)
def test_nonsense_is_told_in_one_line(check, answer, capsys):
    assert printed(check, answer, capsys).startswith("Not yet: ")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_right(check, stub, capsys):
    assert printed(check, stub, capsys).startswith("Not yet: nothing to check so far.")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda o, m: ((o - m) ** 2).mean(), "taken for a number"),
        (lambda o, m: (((o - m) ** 2) * (m != 255)).mean(), "Divide by those that count"),
        (lambda o, m: ((o - m.where(m != 255, 0)) ** 2).mean(), "counts as background"),
        (lambda o, m: (((o - m) ** 2) * (m != 255)).sum(), "the number of pixels"),
        (lambda o, m: ((o - m)[m != 255] ** 2).mean(), "0 / 0 is NaN"),
        (lambda o, m: known_pixels(o, m).item(), "no gradient"),
        (lambda o, m: known_pixels(o, m).detach(), "no gradient"),
        (lambda o, m: known_pixels(o, m) if (m != 255).any() else 0, "no gradient"),
        (lambda o, m: (((o - m) ** 2 * (m != 255)).sum() / (m != 255).sum()).nan_to_num(), "its gradient is NaN"),
        (lambda o, m: (o - m) ** 2, "one number"),
    ],
)
def test_hints_on_known_pixels(answer, hint, capsys):
    assert hint in printed(check_known_pixels, answer, capsys)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda p, m: 1 - soft_dice(p, m), "Dice itself"),
        (lambda p, m: soft_dice((p > 0.5).float(), m), "no slope"),
        (lambda p, m: 1 - 2 * (p * m).sum() / (p.sum() + m.sum()), "two 1s"),
        (lambda p, m: 1 - ((p * m).sum() + 1) / (p.sum() + m.sum() + 1), "counts twice"),
        (lambda p, m: 1 - ((p * m).sum() + 1) / (p.sum() + m.sum() - (p * m).sum() + 1), "IoU as a loss"),
        (lambda p, m: (soft_dice(p[:1], m[:1]) + soft_dice(p[1:], m[1:])) / 2, "mean over the pictures"),
        (lambda p, m: soft_dice(p, m).detach(), "no gradient"),
        (lambda p, m: torch.tensor(0.123), "the loss is"),
    ],
)
def test_hints_on_dice(answer, hint, capsys):
    assert hint in printed(check_dice_loss, answer, capsys)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (0.1, "without pos_weight"),
        (0.3, "a share of all weights"),
        (0.5, "pos_weight 9"),
        (1 / 3, "30 of how many"),
        (30 / 130, "not 30 and 100"),
        (0.75, "the share of the background"),
        (25, "between 0 and 1"),
        ([0.25, 0.75], "one number is wanted"),
        (0.42, "is not it"),
    ],
)
def test_hints_on_the_best_guess(answer, hint, capsys):
    assert hint in printed(check_best_guess, lambda: answer, capsys)


def test_the_best_guess_is_where_weighted_bce_is_smallest():
    masks = (torch.arange(100) < 10).float().view(1, 1, 10, 10)
    levels = torch.linspace(0.01, 0.99, 99)
    for criterion, wanted in ((make_loss("bce"), 0.1), (weighted_bce(9.0), 0.5), (weighted_bce(3.0), 0.25)):
        costs = [criterion(torch.full_like(masks, torch.logit(level).item()), masks).item() for level in levels]
        assert levels[costs.index(min(costs))].item() == pytest.approx(wanted)
