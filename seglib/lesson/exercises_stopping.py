"""Owns the exercise checks of 08_when_to_stop: where to stop, and a file that is replaced in one go."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from seglib.lesson.checking import Attempt, NotYet, describe, exercise

_SCORES = [0.10, 0.50, 0.40, 0.50, 0.505, 0.45, 0.60, 0.55, 0.58, 0.59]


@exercise
def check_patience(my_stop: Attempt) -> str:
    """Check `my_stop(scores, patience, least_change)`: the epoch to stop after, and the best one; both from 1."""
    for scores, patience, least_change in (
        (_SCORES, 2, 0.0),
        (_SCORES, 3, 0.01),
        (_SCORES, 5, 0.01),
        (_SCORES[:4], 9, 0.0),
        ([0.5, 0.4, 0.3, 0.2], 1, 0.0),
    ):
        given = f"scores {scores}, patience {patience}, least change {least_change:g}"
        answer = my_stop(list(scores), patience, least_change, given=given)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise NotYet(f"two epochs are wanted, the last and the best; this is {describe(answer)}.")
        if tuple(answer) != _stop(scores, patience, least_change):
            raise NotYet(_patience_hint(tuple(answer), scores, patience, least_change, given))
    return "It waits as long as it should, and knows which epoch to go back to."


def _stop(
    scores: list[float], patience: int, least_change: float, late: int = 0, strict: bool = True, last: bool = False
) -> tuple[int, int]:
    """The right answer; with `late`, `strict` or `last` changed, a typical wrong one."""
    best, best_epoch = float("-inf"), 0
    for epoch, score in enumerate(scores, 1):
        if score > best + least_change or (not strict and score >= best + least_change):
            best, best_epoch = score, epoch
        if epoch - best_epoch >= patience + late:
            return epoch, epoch if last else best_epoch
    return len(scores), len(scores) if last else best_epoch


def _patience_hint(answer: tuple, scores: list[float], patience: int, least_change: float, given: str) -> str:
    falls = next((epoch for epoch in range(2, len(scores) + 1) if scores[epoch - 1] < scores[epoch - 2]), 0)
    right = _stop(scores, patience, least_change)
    wrong: tuple[tuple[object, str], ...] = (
        (tuple(epoch - 1 for epoch in right), "epochs are counted from 1 here; enumerate(scores, 1) does it."),
        (right[::-1], "the two are exchanged: first the epoch to stop after, then the best."),
        (
            _stop(scores, patience, least_change, late=1),
            "one epoch late: stop as soon as patience epochs are no better.",
        ),
        (_stop(scores, patience, 0.0), "every small rise counts as better here; it has to be more than least_change."),
        (_stop(scores, patience, least_change, strict=False), "as good as the best is not better: use >, not >=."),
        (_stop(scores, patience, least_change, last=True), "the second number is the best epoch, not the last one."),
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
def check_safe_save(my_save: Attempt) -> str:
    """Check `my_save(path, write)`: `write(file)` fills a binary file, and may fail in the middle of it."""
    with tempfile.TemporaryDirectory() as folder:
        path, others = Path(folder) / "fruit.pt", {"fruit.pt"}
        _call(my_save, path, _writer(b"first", None), "an empty folder")
        _compare(path, b"first", "after a first save the file is not what write(file) wrote.")
        _call(my_save, path, _writer(b"second, and longer", None), "a file that is there already")
        _compare(path, b"second, and longer", "after a second save the file is not the new one.")
        broken = _writer(b"third", OSError("the disk is full"))
        try:
            _call(my_save, path, broken, "a disk that gets full")
        except OSError:
            pass
        else:
            raise NotYet("write(file) failed, and nobody is told. Let the error out, once the old file is safe.")
        now = path.read_bytes() if path.exists() else b""
        if now != b"second, and longer":
            what = "gone" if not path.exists() else "half of the new one"
            raise NotYet(
                f"write(file) failed in the middle, and the good file is {what}. Open another file in the same folder, "
                "and os.replace it onto path only when all is written."
            )
        _call(my_save, path, _writer(b"fourth", None), "a save after one that failed")
        _compare(path, b"fourth", "after a save that failed, the next one did not come through.")
        elsewhere = {each.name for each in Path(folder).iterdir()} - others
        if elsewhere:
            raise NotYet(f"{len(elsewhere)} other file is left in the folder after a good save: rename, do not copy.")
    return "Old or new, and never half: the name changes hands in one go."


def _call(my_save: Attempt, path: Path, write: Callable, given: str) -> None:
    try:
        my_save.raw(path, write)
    except NotImplementedError:
        raise NotYet("nothing to check so far. Replace the ... by your own lines.") from None
    except OSError as error:
        if "the disk is full" in str(error):
            raise
        raise NotYet(f"my_save stopped with {type(error).__name__}, given {given}.") from None
    except Exception as error:
        raise NotYet(f"my_save stopped with {type(error).__name__}, given {given}.") from None


def _compare(path: Path, wanted: bytes, hint: str) -> None:
    if not path.exists():
        raise NotYet("no file is at path after a save. Replace the ... by your own lines, then run the cell again.")
    if path.read_bytes() != wanted:
        raise NotYet(hint)


def _writer(data: bytes, error: OSError | None) -> Callable:
    def write(file) -> None:  # type: ignore[no-untyped-def]
        file.write(data[: len(data) // 2])
        if error:
            raise error
        file.write(data[len(data) // 2 :])

    return write
