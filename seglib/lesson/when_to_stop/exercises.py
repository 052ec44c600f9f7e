"""Owns the exercise checks of 09_when_to_stop: where to stop, the least patience, and which of two models is better."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from seglib.lesson.common.exercise import Attempt, NotYet, describe, exercise, number
from seglib.lesson.common.recorded import recorded
from seglib.lesson.when_to_stop.replay import replay_early_stopping
from seglib.lesson.when_to_stop.uncertainty import Counts, difference_interval, draw_pictures, ious_of_draws, middle

# Three epochs after the second are no better, one of them rises all the same; after the sixth nothing is better.
_WITH_A_REST = [0.1, 0.5, 0.4, 0.45, 0.3, 0.7, 0.6, 0.2, 0.1, 0.3, 0.2, 0.25, 0.1]
_SCORES = [0.10, 0.50, 0.40, 0.50, 0.505, 0.45, 0.60, 0.55, 0.58, 0.59]


@exercise
def check_patience(my_stop: Attempt) -> str:
    """Check `my_stop(scores, patience, min_delta)`: the epoch to stop after, and the best one; both from 1."""
    for scores, patience, min_delta in (
        (_SCORES, 2, 0.0),
        (_SCORES, 3, 0.01),
        (_SCORES, 5, 0.01),
        (_SCORES[:4], 9, 0.0),
        ([0.5, 0.4, 0.3, 0.2], 1, 0.0),
    ):
        given = f"scores {scores}, patience {patience}, least change {min_delta:g}"
        answer = my_stop(list(scores), patience, min_delta, given=given)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise NotYet(f"two epochs are wanted, the last and the best; this is {describe(answer)}.")
        if tuple(answer) != _stop(scores, patience, min_delta):
            raise NotYet(_patience_hint(tuple(answer), scores, patience, min_delta, given))
    return "It waits as long as it should, and knows which epoch to go back to."


def _stop(
    scores: list[float],
    patience: int,
    min_delta: float,
    *,
    late: int = 0,
    strict: bool = True,
    last: bool = False,
) -> tuple[int, int]:
    """The right answer; with `late`, `strict` or `last` changed, a typical wrong one."""
    best = float("-inf")
    best_epoch = 0
    for epoch, score in enumerate(scores, 1):
        if score > best + min_delta or (not strict and score >= best + min_delta):
            best = score
            best_epoch = epoch
        if epoch - best_epoch >= patience + late:
            return epoch, epoch if last else best_epoch
    return len(scores), len(scores) if last else best_epoch


def _patience_hint(answer: tuple, scores: list[float], patience: int, min_delta: float, given: str) -> str:
    falls = next((epoch for epoch in range(2, len(scores) + 1) if scores[epoch - 1] < scores[epoch - 2]), 0)
    right = _stop(scores, patience, min_delta)
    wrong: tuple[tuple[object, str], ...] = (
        (tuple(epoch - 1 for epoch in right), "epochs are counted from 1 here; enumerate(scores, 1) does it."),
        (right[::-1], "the two are exchanged: first the epoch to stop after, then the best."),
        (
            _stop(scores, patience, min_delta, late=1),
            "one epoch late: stop as soon as patience epochs are no better.",
        ),
        (_stop(scores, patience, 0.0), "every small rise counts as better here; it has to be more than min_delta."),
        (_stop(scores, patience, min_delta, strict=False), "as good as the best is not better: use >, not >=."),
        (_stop(scores, patience, min_delta, last=True), "the second number is the best epoch, not the last one."),
        (
            (falls, _stop(scores[:falls], 99, 0.0)[1]),
            "it stops at the first fall. Scores go up and down: wait for patience epochs in a row.",
        ),
    )
    for value, hint in wrong:
        if answer == value:
            return f"{given}: {answer} came out; {hint}"
    return f"{given}: it stops after epoch {right[0]}, and the best was {right[1]}; {answer} came out."


@exercise
def check_least_patience(my_least_patience: Attempt) -> str:
    """Check `my_least_patience(scores, lost)`: the least patience that loses at most so much of the best score.

    The right answer is found by trying: `EarlyStopping` goes through the scores with a patience of 1, 2, 3 and so on.
    """
    recorded_scores = [run["validation_iou"] for run in recorded("hundred_epochs")["runs"] if run["arm"] == "constant"]
    cases = [(_WITH_A_REST, 0.0), (_WITH_A_REST, 0.22), ([0.6, 0.5, 0.6, 0.4], 0.0)]
    cases += [(scores, lost) for scores in recorded_scores for lost in (0.01, 0.05)]
    for scores, lost in cases:
        which = f"the scores {scores}" if len(scores) < 20 else f"{len(scores)} recorded scores, the first {scores[0]},"
        given = f"{which} and lost={lost:g}"
        answer = my_least_patience(list(scores), lost, given=given)
        patience = number(answer)
        if patience is None or not patience.is_integer():
            raise NotYet(f"a patience is a whole number of epochs; this is {describe(answer)}.")
        if patience != _least_patience(scores, lost):
            raise NotYet(f"given {given}: {_least_patience_hint(int(patience), scores, lost)}")
    needed = ", ".join(str(_least_patience(scores, 0.01)) for scores in recorded_scores)
    return f"To lose at most 0.01, the three recorded trainings needed a patience of {needed}."


def _kept(scores: Sequence[float], patience: int) -> int:
    """The epoch, counted from 1, whose weights early stopping keeps."""
    run = {"train_loss": scores, "validation_loss": scores, "validation_iou": scores}
    return replay_early_stopping(run, patience, min_delta=0.0)[1]


def _least_patience(scores: Sequence[float], lost: float) -> int:
    patience = 1
    while scores[_kept(scores, patience) - 1] < max(scores) - lost:
        patience += 1
    return patience


def _least_patience_hint(answer: int, scores: Sequence[float], lost: float) -> str:
    if answer < 1:
        return f"{answer} came out, and the least patience that there is is 1."
    wanted = _least_patience(scores, lost)
    first_good = _kept(scores, wanted)
    better = [epoch for epoch in range(1, len(scores) + 1) if scores[epoch - 1] > max([-1.0, *scores[: epoch - 1]])]
    until_next_better = [later - earlier for earlier, later in pairwise([*better, len(scores) + 1])]
    falls = [later < earlier for earlier, later in pairwise(scores[: better[-1]])]
    wrong = (
        (
            wanted - 1,
            "one too few. Training ends as soon as so many epochs are no better, and the next one is not run.",
        ),
        (_least_patience(scores, 0.0), "with it nothing is lost. A little may be: less patience is enough."),
        (first_good, "this is the epoch itself. Patience counts from one better epoch to the next."),
        (max(until_next_better), "the epochs after the best of all cannot cost anything: leave them out."),
        (
            _longest_run(falls) + 1,
            "a score may rise and still be no better: compare it with the best so far, not with the one before.",
        ),
    )
    hint = next((hint for value, hint in wrong if answer == value), None)
    if hint is None and answer < wanted:
        kept = _kept(scores, answer)
        hint = (
            f"training ends with the weights of epoch {kept}, {scores[kept - 1]:g}, and the best has {max(scores):g}."
        )
    return f"{answer} came out; {hint or 'it is enough, and so is one less.'}"


def _longest_run(flags: Sequence[bool]) -> int:
    """The length of the longest row of True."""
    longest = 0
    length = 0
    for flag in flags:
        length = length + 1 if flag else 0
        longest = max(longest, length)
    return longest


# Sixteen pictures: intersection and union of each for a model and for a better one; what is hard is hard for both.
_UNIONS = np.array([900, 300, 2400, 700, 500, 3600, 800, 400, 1500, 600, 1200, 350, 2800, 450, 1000, 650])
_SHARES = np.array([80, 25, 90, 70, 30, 85, 60, 15, 75, 40, 65, 20, 95, 35, 55, 50]) / 100
_LEADS = np.array([8, 25, -1, 6, 30, 13, 12, 35, -10, 15, 20, 28, 3, 20, -15, 12]) / 100
_CLOSE = 0.006  # between the ends of two intervals; with 4000 draws chance moves an end by 0.003
_MANY = 20_000  # draws of the right answer


@exercise
def check_difference(my_difference: Attempt) -> str:
    """Check `my_difference(first, second, draws)`: the 95 % interval of the IoU of `first` minus that of `second`."""
    second = (np.round(_UNIONS * _SHARES).astype(int), _UNIONS)
    first = (np.round(_UNIONS * (_SHARES + _LEADS)).astype(int), _UNIONS)
    given = "the counts of two models on 16 pictures, and 4000 draws"
    answer = my_difference(first, second, 4000, given=given)
    low, high = _two_ends(answer)
    wanted = difference_interval(first, second, _MANY)
    if not _near((low, high), wanted):
        raise NotYet(_difference_hint((low, high), first, second))
    same = _two_ends(my_difference(first, first, 200, given="twice the same model"))
    if not _near(same, (0.0, 0.0)):
        raise NotYet(
            f"of a model with itself the difference is 0 in every draw; {same[0]:.3f} to {same[1]:.3f} came out."
        )
    return f"The first is better by {wanted[0]:.2f} to {wanted[1]:.2f}, though their own intervals overlap widely."


def _two_ends(answer: object) -> tuple[float, float]:
    """An answer as two numbers, the lower end and the upper."""
    if not isinstance(answer, tuple | list | np.ndarray) or len(answer) != 2:
        raise NotYet(f"two numbers are wanted, the lower end and the upper; this is {describe(answer)}.")
    low = number(answer[0])
    high = number(answer[1])
    if low is None or high is None:
        raise NotYet(f"two numbers are wanted; these are {describe(answer[0])} and {describe(answer[1])}.")
    return low, high


def _near(ends: tuple[float, float], wanted: tuple[float, float], close: float = _CLOSE) -> bool:
    return all(abs(end - other) <= close for end, other in zip(ends, wanted, strict=True))


def _difference_hint(ends: tuple[float, float], first: Counts, second: Counts) -> str:
    """What is wrong with two ends: each typical mistake has ends of its own."""
    drawn = draw_pictures(16, _MANY)
    differences = ious_of_draws(first, drawn) - ious_of_draws(second, drawn)
    apart = ious_of_draws(first, drawn) - ious_of_draws(second, draw_pictures(16, _MANY, seed=1))
    of_pictures = first[0] / first[1] - second[0] / second[1]
    whole = float(first[0].sum() / first[1].sum() - second[0].sum() / second[1].sum())
    mistakes = (
        (middle(-differences), "these are the ends of second minus first."),
        (middle(differences)[::-1], "the lower end comes first."),
        ((whole, whole), "every draw gave the same. Draw with replacement: rng.integers(16, size=16)."),
        (middle(apart), "much too wide. Take both models on the same drawn pictures: draw once for both."),
        (middle(of_pictures[drawn].mean(axis=1)), "these are means over pictures. Add up the pixels, then divide."),
        (middle(of_pictures), "these are the ends over pictures, without any draw."),
        (
            tuple(np.quantile(differences, [0.05, 0.95])),
            "the middle 90 %, it seems. 2.5 % are left out at each end.",
        ),
    )
    for value, hint in mistakes:
        width = abs(float(value[1]) - float(value[0]))  # of a wide interval chance moves the ends further
        if _near(ends, (float(value[0]), float(value[1])), close=max(_CLOSE, 0.08 * width)):
            return f"{ends[0]:.3f} to {ends[1]:.3f} came out; {hint}"
    low, high = middle(differences)
    return f"{ends[0]:.3f} to {ends[1]:.3f} came out; about {low:.2f} to {high:.2f} is right."
