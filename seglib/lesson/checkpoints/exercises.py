"""Owns the exercise checks of 10_checkpoints."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from seglib.lesson.common.exercise import Attempt, NotYet, exercise


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


def _writer(data: bytes, error: OSError | None) -> Callable:
    def write(file) -> None:  # type: ignore[no-untyped-def]
        file.write(data[: len(data) // 2])
        if error:
            raise error
        file.write(data[len(data) // 2 :])

    return write


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
