"""What 09_when_to_stop brings along: early stopping on recorded trainings, charts, exercise checks."""

import pytest

from seglib.lesson import recorded, show
from seglib.lesson.common.plots import over_fitting_chart
from seglib.lesson.when_to_stop.exercises import check_least_patience, check_patience
from seglib.lesson.when_to_stop.figures import long_curves, minutes_curves, stopping_chart
from seglib.lesson.when_to_stop.replay import recorded_history, replay_early_stopping
from tests.support.exercise_answers import NONSENSE, STUBS, printed

CURVES = [0.1, 0.5, 0.4, 0.5, 0.3, 0.9]
RUN = {"train_loss": CURVES, "validation_loss": CURVES, "validation_iou": CURVES, "seconds": [1, 2, 3, 4, 5, 6]}
CHECKS = [check_least_patience, check_patience]


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
    ):
        show(figure, words)


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


@pytest.mark.parametrize(("check", "answer"), [(check_patience, stop), (check_least_patience, least_patience)])
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
