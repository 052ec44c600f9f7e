"""What 06_optimizer brings along: charts, exercise checks, trainings of a part, and what its benchmarks sum up."""

import math

import pytest
import torch
from torch import nn

from benchmarks import freezing, learning_rates, schedules, weight_decay
from benchmarks.common import choices
from seglib.lesson import show
from seglib.lesson.optimizer import figures
from seglib.lesson.optimizer.exercises import check_momentum, check_rate_and_iou, check_schedule_distance
from seglib.lesson.optimizer.part_training import (
    Choice,
    first_pairs,
    freeze_all_but,
    lengths,
    make_groups,
    set_training_mode,
    train_choice,
)
from seglib.model import build_deeplab
from tests.support.exercise_answers import NONSENSE, STUBS, printed

ALT = "a figure of made up numbers, for a test"
CHECKS = [check_momentum, check_rate_and_iou, check_schedule_distance]


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


def run_of(case: dict, iou: float) -> dict:
    choice = case["choice"]
    row = {"arm": case["arm"], "pictures": case["count"], "epochs": case["epochs"], "height": case["size"][0], **choice}
    return row | {"iou": iou, "train_iou": 1.0, "seconds": 1.0, "longer": {"large": 1.0, "small": 0.5}}


def test_the_best_rate_of_a_choice_is_that_of_the_best_mean_and_says_if_it_lies_at_the_edge():
    cases = [choices.case_of("a", Choice(lr=lr, seed=seed)) for lr in (1e-3, 3e-3, 1e-2) for seed in range(3)]
    ious = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9, 0.1, 0.1]
    runs = [run_of(case, iou) for case, iou in zip(cases, ious, strict=True)]
    table = choices.table_of(runs, 3)
    assert [(row["lr"], row["iou"], row["iou_spread"]) for row in table[:2]] == [(1e-3, 0.2, 0.1), (3e-3, 0.5, 0.1)]
    (best,) = choices.best_of(table)
    assert (best["lr"], best["edge"], best["small_longer"]) == (3e-3, False, 0.5)
    assert choices.best_of(table[:2])[0]["edge"]
    assert not choices.table_of(runs[:2], 3)


@pytest.mark.parametrize("benchmark", [freezing, schedules, weight_decay])
def test_each_training_of_a_benchmark_has_a_key_of_its_own(benchmark):
    cases = benchmark.cases()
    keys = [choices.key_of_case(case) for case in cases]
    assert len(set(keys)) == len(keys)
    assert keys == [choices.key_of(run_of(case, 0.5)) for case in cases]
    assert {case["choice"]["seed"] for case in choices.tiny(cases)} == {0}


# Trainings of a part


def test_a_frozen_part_keeps_its_weights_and_its_averages():
    pairs = [(torch.rand(3, 48, 64), torch.ones(1, 48, 64)) for _ in range(2)]
    kept = {}

    def keep(model: nn.Module) -> None:
        kept["model"] = model
        kept["before"] = {name: value.clone() for name, value in model.state_dict().items()}

    measured = train_choice(
        [(torch.stack([image for image, _ in pairs]), torch.ones(2, 1, 48, 64))],
        pairs,
        pairs,
        Choice(part="head"),
        epochs=1,
        prepare=keep,
    )
    changed = {name for name, value in kept["model"].state_dict().items() if not value.equal(kept["before"][name])}
    assert changed
    assert all(name.startswith("classifier.") for name in changed)
    assert set(measured) == {"iou", "train_iou", "train_loss", "longer", "seconds"}


def test_the_parts_are_nested_and_modes_follow():
    model = build_deeplab(weights=None, verbose=False)
    counts = []
    for part in ("last layer", "head", "all"):
        freeze_all_but(model, part)
        counts.append(sum(weight.numel() for weight in model.parameters() if weight.requires_grad))
        set_training_mode(model, part)
        assert model.get_submodule("backbone").training == (part == "all")
        assert model.get_submodule("classifier").training == (part != "last layer")
    assert counts[0] == 257
    assert counts == sorted(counts)


def test_groups_leave_out_what_is_frozen_and_the_small_weights_from_decay():
    model = nn.ModuleDict({"backbone": nn.Conv2d(1, 2, 1), "head": nn.BatchNorm2d(2)})
    model["backbone"].bias.requires_grad_(False)
    groups = make_groups(model, 1e-3, 5e-3, weight_decay=0.1, decayed="without BatchNorm and biases")
    assert [(group["lr"], group["weight_decay"], len(group["params"])) for group in groups] == [
        (1e-3, 0.1, 1),
        (5e-3, 0.0, 2),
    ]
    assert len(make_groups(model, 1e-3, weight_decay=0.1)) == 1
    assert lengths(nn.Linear(1, 1))["small"] >= 0


def test_eight_pictures_hold_the_four_of_the_same_seed():
    pairs = list(range(32))
    assert first_pairs(pairs, 8, seed=1)[:4] == first_pairs(pairs, 4, seed=1)
    assert first_pairs(pairs, 4, seed=1) != first_pairs(pairs, 4, seed=2)


# Charts


def test_the_charts_can_be_shown():
    marks = [{"epoch": epoch, "iou": 0.1 * epoch, "iou_spread": 0.01, "share": 0.01} for epoch in (1, 3)]
    rows = [{"lr": lr, "marks": marks} for lr in (1e-5, 1e-3)]
    show(figures.sweep_curves(rows), ALT)
    show(figures.budget_curves(rows, ceiling=0.9), ALT)
    show(figures.rate_curves({"one": rows, "two": rows}, epoch=3), ALT)
    show(figures.descent_paths({0.1: [4.0, 3.2], 1.1: [4.0, -4.8]}), ALT)
    show(figures.range_curve([1e-5, 1e-3, 1.0], [1.0, 0.5, float("nan")]), ALT)
    parts = [{"pictures": count, "iou": 0.5, "iou_spread": 0.01} for count in (4, 8)]
    show(figures.part_curves({"head": parts, "all": parts}), ALT)
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


RIGHT = [
    (check_momentum, with_momentum),
    (check_schedule_distance, distance),
    (check_rate_and_iou, lambda: (3e-3, 0.55)),
    (check_rate_and_iou, lambda: [2e-3, 0.5]),
]


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


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda: (1e-5, 0.01), "take a much higher rate"),
        (lambda: (1e-3, 0.47), "A higher rate"),
        (lambda: (1e-2, 0.47), "A lower rate"),
        (lambda: (0.1, 0.5), "was not measured"),
        (lambda: (3e-3, 0.85), "do not get so far"),
        (lambda: (2e-3, 0.459), "about that after 3 epochs"),
        (lambda: (3e-3, 0.3), "farther than you think"),
        (lambda: (0.55, 3e-3), "swapped"),
        (lambda: (3e-3, 55), "between 0 and 1"),
        (lambda: (1e-3, 0.47), "at most 0.04 below the best IoU"),
        (lambda: (3e-3, 0.3), "at most 0.05 off"),
        (lambda: 3e-3, "two numbers"),
        (lambda: (3e-3, float("nan")), "between 0 and 1"),
    ],
)
def test_hints_on_the_rate(answer, hint, capsys):
    assert hint in printed(check_rate_and_iou, answer, capsys)
