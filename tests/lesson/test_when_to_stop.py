"""What 09_when_to_stop brings along: recorded trainings, how sure a score is, charts, exercise checks."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import uncertainty as benchmark
from seglib.data.splits import read_split
from seglib.lesson import recorded, show
from seglib.lesson.common.plots import over_fitting_chart
from seglib.lesson.when_to_stop.exercises import check_difference, check_least_patience, check_patience
from seglib.lesson.when_to_stop.figures import (
    averaging_chart,
    bootstrap_chart,
    choice_chart,
    intervals_chart,
    long_curves,
    minutes_curves,
    over_fitting_curves,
    stopping_chart,
)
from seglib.lesson.when_to_stop.replay import recorded_history, replay_early_stopping
from seglib.lesson.when_to_stop.uncertainty import (
    counts_by_picture,
    difference_interval,
    draw_pictures,
    interval,
    iou_of,
    ious_of_draws,
)
from seglib.lesson.when_to_stop.uncertainty_record import (
    averaging_table,
    counts_of,
    folds_table,
    gains,
    ious_by_epoch,
    leads_of_the_best,
    runs_of,
    together,
)
from seglib.losses import make_loss
from seglib.metrics import confusion_matrix, iou
from tests.support.exercise_answers import NONSENSE, STUBS, printed

CURVES = [0.1, 0.5, 0.4, 0.5, 0.3, 0.9]
RUN = {"train_loss": CURVES, "validation_loss": CURVES, "validation_iou": CURVES, "seconds": [1, 2, 3, 4, 5, 6]}
CHECKS = [check_difference, check_least_patience, check_patience]


def test_a_recorded_training_is_a_history():
    assert recorded_history(RUN).validation_iou == CURVES
    assert recorded_history(RUN, 2).train_loss == CURVES[:2]


@pytest.mark.parametrize(("patience", "wanted"), [(1, (3, 2)), (3, (5, 2)), (9, (6, 6))])
def test_early_stopping_on_a_recorded_training(patience: int, wanted: tuple[int, int]):
    assert replay_early_stopping(RUN, patience, min_delta=0.01) == wanted


def test_the_charts_can_be_shown():
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
        over_fitting_curves(recorded("over_fitting")["runs"]),
        bootstrap_chart(np.array([0.5, 0.2, 0.9]), np.linspace(0.3, 0.7, 50)),
        intervals_chart(a_record()),
        averaging_chart(a_record()),
        choice_chart([[0.01, 0.0], [0.02, 0.01], [0.0, -0.01]]),
    ):
        show(figure, words)


# How sure a score is


def a_run(arm: str, seed: int, fold: int = 0, *, gain: int = 20) -> dict:
    """A made-up run of two epochs on four pictures; with averaged weights each picture has `gain` more pixels right."""
    unions = [100, 200, 300, 400]
    last = [50 + seed, 100, 210 + fold, 200]
    more = {"intersections": [value + gain for value in last], "unions": unions}
    return {
        "arm": arm,
        "seed": seed,
        "fold": fold,
        "epochs": {"intersections": [[10, 20, 30, 40], last], "unions": [unions, unions]},
        "ways": {"mean": more, "mean, BatchNorm of the last epoch": more},
    }


def a_record() -> dict:
    """A made-up record in the form of benchmarks/uncertainty.py."""
    runs = [a_run(arm, seed) for arm in list(benchmark.ARMS)[:2] for seed in (0, 1)]
    runs += [a_run("constant, folds", seed, fold) for seed in (0, 1) for fold in (0, 1, 2)]
    return {"settings": {"averaged_epochs": 1}, "summary": benchmark.summary(runs), "runs": runs}


class Echo(nn.Module):
    """Answers with the red of its images."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": images[:, :1]}


def test_the_counts_of_each_picture_add_up_to_the_iou_of_all():
    torch.manual_seed(0)
    images = torch.randn(5, 3, 6, 8)
    masks = (torch.rand(5, 1, 6, 8) > 0.5).float()
    batches = [(images[:3], masks[:3]), (images[3:], masks[3:])]
    counts = counts_by_picture(Echo().train(), batches, make_loss("bce"), torch.device("cpu"))
    assert counts[0].shape == counts[1].shape == (5,)
    matrix = confusion_matrix((images[:, 0] > 0).long(), masks[:, 0].long())
    assert iou_of(counts) == pytest.approx(iou(matrix)[1].item())
    assert counts[0][4] == ((images[4, 0] > 0) & (masks[4, 0] == 1)).sum()


def test_equal_pictures_leave_no_doubt_and_more_pictures_leave_less():
    assert interval((np.full(16, 3), np.full(16, 4))) == (0.75, 0.75)
    rng = np.random.default_rng(0)
    unions = np.full(256, 100)
    hits = rng.integers(20, 100, 256)
    few = interval((hits[:16], unions[:16]))
    many = interval((hits, unions))
    assert (few[1] - few[0]) / (many[1] - many[0]) == pytest.approx(4, rel=0.3)  # the root of 256 / 16


def test_an_interval_holds_what_it_promises():
    rng = np.random.default_rng(1)
    unions = np.full(16, 100)
    held = 0
    for seed in range(200):
        hits = rng.binomial(100, rng.beta(6, 4, 16))  # pictures of a kind whose IoU is 0.6
        low, high = interval((hits, unions), draws=400, seed=seed)
        held += low <= 0.6 <= high
    assert 0.85 < held / 200 <= 1


def test_a_difference_is_taken_on_the_same_draws():
    counts = (np.array([50, 90, 10, 300]), np.array([100, 100, 100, 400]))
    better = (counts[0] + counts[1] // 20, counts[1])
    assert difference_interval(counts, counts) == (0.0, 0.0)
    assert difference_interval(better, counts) == pytest.approx((0.05, 0.05))
    drawn = draw_pictures(4, draws=7)
    assert drawn.shape == (7, 4)
    assert ious_of_draws(counts, drawn).shape == (7,)


def test_the_record_is_read_as_it_is_written():
    record = a_record()
    run = runs_of(record, "poly, split.json")[1]
    assert counts_of(run)[0].tolist() == [51, 100, 210, 200]
    assert counts_of(run, "mean")[0].tolist() == [71, 120, 230, 220]
    assert ious_by_epoch(run) == [0.1, pytest.approx(0.561)]
    assert gains(record, "poly, split.json", "mean") == pytest.approx([0.08, 0.08])
    assert len(together([counts_of(run), counts_of(run)])[0]) == 8
    row = record["summary"]["poly, split.json"]
    assert row["mean"] == {"iou": 0.6405, "iou_spread": 0.0007, "gain": 0.08, "gain_spread": 0.0, "higher": 2}
    assert "+0.080 (higher in 2 of 2)" in averaging_table(record)
    beside = averaging_table(record).splitlines()[-2]  # of poly; one epoch is averaged here, the last and the best
    assert " ".join(beside.split()) == "poly, split.json 0.641 0.560 (lower in 2 of 2) 0.560 (lower in 2 of 2)"
    assert folds_table(record).splitlines()[0].startswith("division 0: folds 0.56, 0.56, 0.56; all 12 pictures 0.56,")


def test_the_best_epoch_flatters_where_scores_tremble():
    rng = np.random.default_rng(0)
    hits = rng.integers(50, 70, (30, 16)).tolist()
    run = {"epochs": {"intersections": hits, "unions": [[100] * 16] * 30}}
    chose, judged = leads_of_the_best(run, 100).T
    assert chose.min() >= 0
    assert chose.mean() > judged.mean() + 0.01
    assert np.abs(leads_of_the_best({"epochs": {"intersections": hits[:1], "unions": [[100] * 16]}}, 9)).max() == 0


def test_a_lead_of_nothing_has_a_bar_with_0_in_its_middle():
    bars = choice_chart([[0.0, 0.0]] * 3 + [[0.024, -0.031]]).axes[0].patches
    highest = max(bars, key=lambda bar: bar.get_height())
    assert highest.get_height() == 3
    assert highest.get_x() + highest.get_width() / 2 == pytest.approx(0)
    assert sum(bar.get_height() for bar in bars) == 4


def test_the_benchmark_lets_each_picture_judge_once_and_no_test_picture():
    fixed = read_split(benchmark.SAMPLES / "split.json")
    for division in benchmark.DIVISIONS:
        splits = [benchmark.split_of("constant, folds", division, fold) for fold in range(benchmark.FOLDS)]
        judges = [stem for split in splits for stem in split.validation]
        assert sorted(judges) == sorted([*fixed.train, *fixed.validation])
        for split in splits:
            assert (len(split.train), len(split.validation)) == (32, 16)
            assert not {*split.train, *split.validation} & set(fixed.test)
    assert benchmark.split_of("poly, split.json", 0, 0) == fixed
    keys = [benchmark.key_of(case) for case in benchmark.cases(benchmark.SEEDS, benchmark.DIVISIONS)]
    assert len(set(keys)) == len(keys) == 17


# Exercises


def stop(scores, patience, min_delta, *, late=0, or_equal=False, last=False):
    best = float("-inf")
    best_epoch = 0
    for epoch, score in enumerate(scores, 1):
        if score > best + min_delta or (or_equal and score >= best + min_delta):
            best = score
            best_epoch = epoch
        if epoch - best_epoch >= patience + late:
            return epoch, epoch if last else best_epoch
    return len(scores), len(scores) if last else best_epoch


def first_fall(scores, patience, min_delta):
    for epoch in range(2, len(scores) + 1):
        if scores[epoch - 1] < scores[epoch - 2]:
            return epoch, scores.index(max(scores[:epoch])) + 1
    return len(scores), len(scores)


def least_patience(scores, lost):
    best = float("-inf")
    best_epoch = 0
    patience = 1
    for epoch, score in enumerate(scores, 1):
        if score > best:
            patience = max(patience, epoch - best_epoch)
            best = score
            best_epoch = epoch
        if best >= max(scores) - lost:
            return patience


def longest_rest(scores, lost):
    best = float("-inf")
    rest = 0
    longest = 0
    for score in scores:
        rest = 0 if score > best else rest + 1
        best = max(best, score)
        longest = max(longest, rest)
    return longest + 1


def longest_fall(scores, lost):
    fall = 0
    longest = 0
    for before, score in zip(scores, scores[1 : scores.index(max(scores)) + 1], strict=False):
        fall = fall + 1 if score < before else 0
        longest = max(longest, fall)
    return longest + 1


def difference(first, second, draws, *, seed=0, part=(0.025, 0.975), replace=True, paired=True, means=False):
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(draws):
        drawn = rng.choice(16, 16, replace=replace)
        other = drawn if paired else rng.choice(16, 16)
        if means:
            differences.append((first[0] / first[1])[drawn].mean() - (second[0] / second[1])[drawn].mean())
        else:
            differences.append(
                first[0][drawn].sum() / first[1][drawn].sum() - second[0][other].sum() / second[1][other].sum()
            )
    low, high = np.quantile(differences, part)
    return low, high


@pytest.mark.parametrize(
    ("check", "answer"),
    [(check_patience, stop), (check_least_patience, least_patience), (check_difference, difference)],
)
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
        (lambda *given: stop(*given, late=1), "one epoch late"),
        (lambda scores, patience, min_delta: stop(scores, patience, 0.0), "every small rise"),
        (lambda *given: stop(*given, or_equal=True), "use >, not >="),
        (lambda *given: stop(*given, last=True), "not the last one"),
        (lambda *given: stop(*given)[::-1], "exchanged"),
        (lambda *given: tuple(epoch - 1 for epoch in stop(*given)), "counted from 1"),
        (first_fall, "the first fall"),
        (lambda *given: (99, 98), "it stops after epoch 4"),
        (lambda *given: stop(*given)[0], "two epochs are wanted"),
    ],
)
def test_hints_on_patience(answer, hint, capsys):
    assert hint in printed(check_patience, answer, capsys)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda scores, lost: least_patience(scores, lost) - 1, "one too few"),
        (lambda scores, lost: least_patience(scores, 0.0), "A little may be"),
        (lambda scores, lost: scores.index(max(scores)) + 1, "the epoch itself"),
        (longest_rest, "leave them out"),
        (longest_fall, "the best so far"),
        (lambda scores, lost: 1, "with the weights of epoch 2, 0.5, and the best has 0.7"),
        (lambda scores, lost: 20, "so is one less"),
        (lambda scores, lost: 0, "is 1"),
        (lambda scores, lost: 2.5, "a whole number"),
    ],
)
def test_hints_on_the_least_patience(answer, hint, capsys):
    assert hint in printed(check_least_patience, answer, capsys)


def test_what_the_text_says_of_the_recorded_trainings(capsys):
    runs = [run for run in recorded("hundred_epochs")["runs"] if run["arm"] == "constant"]
    assert least_patience(runs[0]["validation_iou"], 0.01) == 10
    ended, kept = replay_early_stopping(runs[0], patience=9, min_delta=0.0)
    assert runs[0]["validation_iou"][kept - 1] < max(runs[0]["validation_iou"]) - 0.01
    assert ended < 100


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chance_does_not_decide_whether_a_difference_is_right(seed, capsys):
    assert printed(check_difference, lambda *given: difference(*given, seed=seed), capsys).startswith("Right. ")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda *given: difference(*given, replace=False), "with replacement"),
        (lambda *given: difference(*given, paired=False), "draw once for both"),
        (lambda *given: difference(*given, means=True), "Add up the pixels"),
        (lambda *given: difference(*given, part=(0.05, 0.95)), "the middle 90 %"),
        (lambda *given: difference(*given)[::-1], "the lower end comes first"),
        (lambda first, second, draws: difference(second, first, draws), "second minus first"),
        (
            lambda first, second, draws: np.quantile(first[0] / first[1] - second[0] / second[1], [0.025, 0.975]),
            "any draw",
        ),
        (lambda *given: (0.5, 0.9), "is right"),
        (lambda *given: 0.5, "two numbers are wanted"),
        (lambda *given: ("a", "b"), "two numbers are wanted"),
    ],
)
def test_hints_on_the_difference(answer, hint, capsys):
    assert hint in printed(check_difference, answer, capsys)


def test_what_the_text_says_of_the_hundred_epochs():
    century = recorded("hundred_epochs")
    scores = {}
    for arm in ("notes", "notes at 1e-3", "constant", "poly"):
        scores[arm] = np.mean([run["validation_iou"] for run in century["runs"] if run["arm"] == arm], axis=0)
    assert int((scores["notes"] >= 0.9 * scores["notes"][-1]).argmax()) + 1 == 95
    assert int((scores["constant"] >= 0.9 * scores["constant"][-1]).argmax()) + 1 == 6
    assert scores["notes at 1e-3"][-1] - scores["notes at 1e-3"][29] < 0.02
    assert abs(scores["poly"][-1] - scores["constant"][-1]) < 0.005


def test_what_the_text_says_of_over_fitting():
    for run in recorded("over_fitting")["runs"]:
        losses = [mark["validation_loss"] for mark in run["marks"]]
        if (run["pictures"], run["way"]) == (4, "as they are"):
            assert losses.index(min(losses)) == 0
            assert 1.3 < losses[-1] / losses[0] < 1.43
