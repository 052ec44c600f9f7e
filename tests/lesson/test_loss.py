"""What 05 brings along: its short trainings, charts, knob and exercises, and what its two benchmarks sum up."""

import importlib.util
import io
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from seglib.lesson import show
from seglib.lesson.common import short_training
from seglib.lesson.loss import figures
from seglib.lesson.loss.exercises import check_dice_loss, check_known_pixels
from seglib.lesson.loss.loss_slider import loss_slider
from seglib.lesson.optimizer import figures
from seglib.lesson.optimizer.exercises import check_momentum
from seglib.losses import make_loss
from tests.support.helpers import TinyModel

ALT = "a figure of made up numbers, for a test"
CHECKS = [check_dice_loss, check_known_pixels, check_momentum]


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


# The knob


def test_each_knob_replaces_picture_and_words():
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


def test_plain_text_of_the_knob_is_one_short_line():
    widget = loss_slider()
    assert repr(widget) == widget._repr_mimebundle_()["text/plain"] == "LossSlider(4 losses)"


# Short trainings


@pytest.fixture(scope="module")
def pairs():
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(6, 3, 32, 48, generator=draw)
    masks = (torch.rand(6, 1, 32, 48, generator=draw) > 0.8).float()
    return list(zip(images, masks, strict=True))


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_a_training_measures_where_it_is_told_to(pairs, loss):
    recipe = short_training.Recipe(loss, lr=1e-4)
    marks, again = (short_training.tune(pairs[:4], pairs[4:], recipe, 3, marks=(1,)).marks for _ in range(2))
    assert [mark["epoch"] for mark in marks] == [1, 3]
    assert marks == again
    assert marks[0]["iou"] == marks[0]["iou_at"]["0.5" if loss == "mse" else "0.0"]
    for mark in marks:  # one step an epoch
        moved, steps = mark["moved"], mark["epoch"]
        assert moved["all"] == pytest.approx(math.hypot(moved["backbone"], moved["head"]), rel=1e-3)
        assert 0.9 * 1e-4 < moved["farthest"] < 1.5 * steps * 1e-4


def test_a_copy_goes_on_and_the_model_stays(pairs):
    tuned = short_training.Tuned(TinyModel(), make_loss("mse"))
    before = {name: value.clone() for name, value in tuned.model.state_dict().items()}
    model = short_training.go_on(tuned, pairs, short_training.MISTAKES["mse, broadcast"], epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in tuned.model.state_dict().items())
    assert not torch.equal(model.classifier.weight, before["classifier.weight"])


def test_distances_by_hand():
    model = TinyModel()
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        model.backbone[0].weight[0, 0, 0] += 3.0  # a row of three
        model.classifier.bias -= 4.0
    far = short_training.distances(model, start)
    count = sum(parameter.numel() for parameter in model.parameters())
    total = math.sqrt(27 + 16)
    assert far == pytest.approx(
        {"backbone": math.sqrt(27), "head": 4, "all": total, "share": total / math.sqrt(count), "farthest": 4}, rel=1e-3
    )


def test_the_mistakes_are_mistakes():
    masks = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 1.0]]]])
    assert short_training.MISTAKES["mse, broadcast"](masks.clone(), masks).item() == 0.5
    sure = torch.full((1, 1, 1, 1), 50.0)
    wanted = make_loss("bce")(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1)).item()
    assert short_training.MISTAKES["bce, sigmoid twice"](sure, torch.ones(1, 1, 1, 1)).item() == pytest.approx(wanted)


def test_two_classes_are_read_as_the_difference_of_their_logits():
    class TwoClasses(nn.Module):
        def forward(self, images):
            return {"out": torch.stack([images[:, 0], 3 * images[:, 0]], dim=1)}

    pairs = [(torch.full((3, 2, 2), value), torch.ones(1, 2, 2)) for value in (-1.0, 0.5)]
    outputs, masks = short_training.raw_outputs(TwoClasses(), pairs)
    assert outputs.tolist() == [[[-2.0, -2.0]] * 2, [[1.0, 1.0]] * 2]
    assert masks.dtype == torch.int64
    assert short_training.iou_at(outputs, masks, 0.0) == 0.5
    assert short_training.iou_at(outputs, masks, -3.0) == 1.0


# Benchmarks: what a notebook reads from them


def script(name: str):
    path = Path(short_training.__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_losses_are_judged_at_their_best_choice_and_mistakes_come_last():
    losses, runs = script("losses"), []
    while cases := losses.todo(runs):
        for loss, schedule, lr, seed in cases:
            iou = 0.5 - abs(math.log10(lr / 3e-3)) / 10 + seed / 100 + 0.1 * ((loss == "dice") == (schedule == "poly"))
            row = {"loss": loss, "schedule": schedule, "lr": lr, "seed": seed}
            runs.append(row | {"iou": iou, "iou_at": {"0.0": iou, "0.5": iou / 2}})
    assert len(runs) == 96
    assert {run["loss"] for run in runs[-6:]} == set(short_training.MISTAKES)
    summary = losses.summary(runs)
    best = summary["best"]
    assert list(best) == ["mse", "bce", "cross_entropy", "dice", "bce_dice", *short_training.MISTAKES]
    mse = best["mse"]
    assert (mse["schedule"], mse["lr"], mse["iou"], mse["iou_spread"], mse["edge"]) == ("constant", 3e-3, 0.61, 0.01, 0)
    assert mse["iou_at_0.5"] == 0.305
    assert (best["dice"]["schedule"], summary["best_of"]["poly"]["mse"]["iou"]) == ("poly", 0.51)
    other = [
        dict(run, schedule="poly") for run in runs if run["loss"] in short_training.MISTAKES
    ]  # of a choice now left
    assert losses.summary([*runs, *other])["best"] == best
    scores = figures.best_scores({"best": best, "runs": runs})
    assert scores["mse"] == {figures.OWN: [0.6, 0.61, 0.62], figures.OTHER: [0.6, 0.61, 0.62]}
    assert scores["dice"][figures.OTHER] == [0.3, 0.305, 0.31]
    show(figures.loss_dots(scores), ALT)


def test_a_rate_that_diverged_is_counted_and_has_no_marks():
    rates = script("learning_rates")
    moved = dict.fromkeys(("all", "backbone", "head", "share", "farthest"), 0.5)
    runs = []
    for lr in (1e-3, 1.0):
        for seed in range(3):
            row = {"arm": "sgd", "optimizer": "sgd", "lr": lr, "head_lr": None, "schedule": "constant", "seed": seed}
            mark = {"epoch": 1, "iou": 0.1 * seed, "train_loss": 1.0, "moved": moved}
            runs.append(row | ({"marks": [], "diverged": "nan"} if lr == 1.0 and seed else {"marks": [mark]}))
    good, bad = rates.summary(runs)
    assert (good["lr"], good["diverged"], bad["lr"], bad["diverged"], bad["marks"]) == (1e-3, 0, 1.0, 2, [])
    assert good["marks"] == [{"epoch": 1, "iou": 0.1, "train_loss": 1.0, **moved, "iou_spread": 0.1}]
    assert not rates.summary(runs[:2])


# Charts


def test_the_charts_can_be_shown():
    marks = [{"epoch": epoch, "iou": 0.1 * epoch, "iou_spread": 0.01, "share": 0.01} for epoch in (1, 3)]
    rows = [{"lr": lr, "marks": marks} for lr in (1e-5, 1e-3)]
    show(figures.one_pixel_curves(), ALT)
    show(figures.one_pixel_curves(0.0, at=-1.5), ALT)
    show(figures.threshold_curves([0, 1], {"mse": [0.5, 0.6], "bce": [0.6, 0.5]}, {"mse": 0.5, "bce": 0}), ALT)
    show(figures.sweep_curves(rows), ALT)
    show(figures.budget_curves(rows, ceiling=0.9), ALT)
    show(figures.rate_curves({"one": rows, "two": rows}, epoch=3), ALT)
    show(figures.schedule_curves({"poly": figures.rates_of("poly", 9, 2, 1e-3)}), ALT)


def test_rates_of_a_schedule_are_those_that_the_steps_use():
    rates = figures.rates_of("cosine", steps=6, warmup=2, lr=1.0)
    assert rates[:3] == pytest.approx([0.01, 0.505, 1.0])
    assert rates[3:] == pytest.approx([(1 + math.cos(math.pi * step / 4)) / 2 for step in (1, 2, 3)])


# Exercises


def known_pixels(outputs, masks):
    known = masks != 255
    return ((outputs - masks) ** 2 * known).sum() / known.sum().clamp(min=1)


def soft_dice(probabilities, masks):
    shared = (probabilities * masks).sum()
    return 1 - (2 * shared + 1) / (probabilities.sum() + masks.sum() + 1)


def with_momentum(weight, gradients, lr, momentum):
    velocity = 0.0
    for gradient in gradients:
        velocity = momentum * velocity + gradient
        weight -= lr * velocity
    return weight


RIGHT = [(check_known_pixels, known_pixels), (check_dice_loss, soft_dice), (check_momentum, with_momentum)]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_is_right(check, answer, capsys):
    check(answer)
    assert capsys.readouterr().out.startswith("Right. ")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "answer",
    [
        3,
        lambda: 1,
        lambda *_: 1 / 0,
        lambda *_: "text",
        lambda *_: True,
        lambda *_: float("nan"),
        lambda *_: torch.empty(0),
        lambda *_: torch.ones(2, 2) * 1j,
        lambda *_: object(),
        lambda *arguments: arguments[0],
    ],
)
def test_nonsense_is_told_in_one_line(check, answer, capsys):
    check(answer)
    said = capsys.readouterr().out
    assert said.startswith("Not yet: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("stub", [None, ..., lambda *_: ..., lambda *_: None])
def test_a_stub_is_not_right(check, stub, capsys):
    check(stub)
    assert capsys.readouterr().out.startswith("Not yet: nothing to check so far.")


def hinted(check, answer, capsys) -> str:
    check(answer)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda o, m: ((o - m) ** 2).mean(), "taken for a number"),
        (lambda o, m: (((o - m) ** 2) * (m != 255)).mean(), "Divide by those that count"),
        (lambda o, m: ((o - m.where(m != 255, 0)) ** 2).mean(), "counts as background"),
        (lambda o, m: (((o - m) ** 2) * (m != 255)).sum(), "the number of pixels"),
        (lambda o, m: ((o - m)[m != 255] ** 2).mean(), "0 / 0 is NaN"),
        (lambda o, m: known_pixels(o, m).item(), "no gradient"),
        (lambda o, m: (o - m) ** 2, "one number"),
    ],
)
def test_hints_on_known_pixels(answer, hint, capsys):
    assert hint in hinted(check_known_pixels, answer, capsys)


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
    assert hint in hinted(check_dice_loss, answer, capsys)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda w, g, lr, momentum: w - lr * sum(g), "without momentum"),
        (lambda w, g, lr, momentum: 2 * w - with_momentum(w, g, lr, momentum), "uphill"),
        (lambda w, g, lr, momentum: w - lr * g[-1], "only the last"),
        (lambda w, g, lr, momentum: with_momentum(w, [0.0, *g[:-1]], lr, momentum), "a step late"),
        (lambda w, g, lr, momentum: w + 7, "the weight ends at"),
        (lambda w, g, lr, momentum: [w], "one number"),
    ],
)
def test_hints_on_momentum(answer, hint, capsys):
    assert hint in hinted(check_momentum, answer, capsys)
