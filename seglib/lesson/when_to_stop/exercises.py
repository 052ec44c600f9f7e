"""Owns the exercise checks of 09_when_to_stop: where to stop."""

from seglib.lesson.common.exercise import Attempt, NotYet, describe, exercise

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
    scores: list[float], patience: int, min_delta: float, late: int = 0, strict: bool = True, last: bool = False
) -> tuple[int, int]:
    """The right answer; with `late`, `strict` or `last` changed, a typical wrong one."""
    best, best_epoch = float("-inf"), 0
    for epoch, score in enumerate(scores, 1):
        if score > best + min_delta or (not strict and score >= best + min_delta):
            best, best_epoch = score, epoch
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
