"""What 06_optimizer brings along: charts, exercise checks, and what benchmarks/learning_rates.py sums up."""

import math

import pytest

from benchmarks import learning_rates
from seglib.lesson import show
from seglib.lesson.optimizer import figures
from seglib.lesson.optimizer.exercises import check_momentum, check_schedule_distance
from tests.support.exercise_answers import NONSENSE, STUBS, printed

ALT = "a figure of made up numbers, for a test"
CHECKS = [check_momentum, check_schedule_distance]


# The benchmark: what the notebook reads from it


def test_a_rate_that_diverged_is_counted_and_has_no_marks():
    moved = dict.fromkeys(("all", "backbone", "head", "share", "farthest"), 0.5)
    runs = []
    for lr in (1e-3, 1.0):
        for seed in range(3):
            row = {"arm": "sgd", "optimizer": "sgd", "lr": lr, "head_lr": None, "schedule": "constant", "seed": seed}
            mark = {"epoch": 1, "iou": 0.1 * seed, "train_loss": 1.0, "moved": moved}
            runs.append(row | ({"marks": [], "diverged": "nan"} if lr == 1.0 and seed else {"marks": [mark]}))
    good, bad = learning_rates.summary(runs)
    assert (good["lr"], good["diverged"], bad["lr"], bad["diverged"], bad["marks"]) == (1e-3, 0, 1.0, 2, [])
    assert good["marks"] == [{"epoch": 1, "iou": 0.1, "train_loss": 1.0, **moved, "iou_spread": 0.1}]
    assert not learning_rates.summary(runs[:2])


# Charts


def test_the_charts_can_be_shown():
    marks = [{"epoch": epoch, "iou": 0.1 * epoch, "iou_spread": 0.01, "share": 0.01} for epoch in (1, 3)]
    rows = [{"lr": lr, "marks": marks} for lr in (1e-5, 1e-3)]
    show(figures.sweep_curves(rows), ALT)
    show(figures.budget_curves(rows, ceiling=0.9), ALT)
    show(figures.rate_curves({"one": rows, "two": rows}, epoch=3), ALT)
    show(figures.schedule_curves({"poly": figures.learning_rates("poly", 9, 2, 1e-3)}), ALT)


def test_rates_of_a_schedule_are_those_that_the_steps_use():
    rates = figures.learning_rates("cosine", steps=6, warmup=2, lr=1.0)
    assert rates[:3] == pytest.approx([0.01, 0.505, 1.0])
    assert rates[3:] == pytest.approx([(1 + math.cos(math.pi * step / 4)) / 2 for step in (1, 2, 3)])


# Exercises


def with_momentum(weight, gradients, lr, momentum):
    velocity = 0.0
    for gradient in gradients:
        velocity = momentum * velocity + gradient
        weight -= lr * velocity
    return weight


def distance(lr, steps, warmup, *, power=0.9, lowest=0.01, rise_offset=0, fall_offset=0, fall_over=None):
    fall_over = fall_over or steps - warmup
    rise = sum(lowest + (1 - lowest) * (step + rise_offset) / warmup for step in range(warmup))
    fall = sum((1 - (step + fall_offset) / fall_over) ** power for step in range(steps - warmup))
    return lr * (rise + fall)


RIGHT = [(check_momentum, with_momentum), (check_schedule_distance, distance)]


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
        (lambda w, g, lr, momentum: w - lr * sum(g), "without momentum"),
        (lambda w, g, lr, momentum: 2 * w - with_momentum(w, g, lr, momentum), "uphill"),
        (lambda w, g, lr, momentum: w - lr * g[-1], "only the last"),
        (lambda w, g, lr, momentum: with_momentum(w, [0.0, *g[:-1]], lr, momentum), "a step late"),
        (lambda w, g, lr, momentum: w + 7, "the weight ends at"),
        (lambda w, g, lr, momentum: [w], "one number"),
    ],
)
def test_hints_on_momentum(answer, hint, capsys):
    assert hint in printed(check_momentum, answer, capsys)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda lr, steps, warmup: lr * steps, "a constant rate"),
        (lambda lr, steps, warmup: distance(1, steps, warmup), "Multiply by lr"),
        (lambda lr, steps, warmup: -distance(lr, steps, warmup), "no sign"),
        (lambda *given: distance(*given, power=1), "a straight line"),
        (lambda *given: distance(*given, lowest=0), "the rise begins at 0"),
        (lambda *given: distance(*given, rise_offset=1), "the rise is a step early"),
        (lambda *given: distance(*given, fall_offset=1), "the fall is a step early"),
        (lambda lr, steps, warmup: distance(lr, steps, warmup, fall_over=steps), "one of all steps"),
        (lambda lr, steps, warmup: distance(lr, steps, 0), "no rise in it"),
        (lambda *given: distance(*given, power=0), "no fall in it"),
        (lambda lr, steps, warmup: distance(lr, steps - warmup, 0), "the steps of the warm-up are missing"),
        (lambda lr, steps, warmup: distance(lr, steps, warmup) + 0 * steps / warmup, "divided by 0"),
        (lambda lr, steps, warmup: [lr] * steps, "Sum up the rates"),
        (lambda *given: distance(*given, power=3), "the weight goes 0.1006"),
    ],
)
def test_hints_on_the_distance(answer, hint, capsys):
    assert hint in printed(check_schedule_distance, answer, capsys)
