"""Owns how an exercise is checked: it says what is wrong with an answer and raises nothing. See 00_start_here."""

import functools
import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

NOTHING = "nothing to check so far. Replace the ... by your own lines, then run the cell again."


class NotYet(Exception):  # noqa: N818 - a hint, not an error
    """Raised inside a check: what is wrong with the answer, in the words that the reader gets to see."""


class Attempt:
    """The reader's function. Calling it gives its result, or a NotYet that says why there is none."""

    def __init__(self, function: Any):
        self.function = function
        self.name = _plain(str(getattr(function, "__name__", "") or "your function"))

    def __call__(self, *arguments: Any, given: str, hints: dict[type[Exception], str] | None = None) -> Any:
        """Call the function. `given` names the arguments in words; `hints` explains errors to be expected."""
        try:
            result = self.raw(*arguments)
        except NotImplementedError:
            raise NotYet(NOTHING) from None
        except Exception as error:
            for kind, hint in (hints or {}).items():
                if isinstance(error, kind):
                    raise NotYet(hint) from None
            raise NotYet(f"{self.name} stopped with {describe_error(error)}, given {given}.") from None
        if result is None or result is ...:
            raise NotYet(NOTHING if result is ... else f"{NOTHING} (It gave back None: is there a return?)")
        return result

    def raw(self, *arguments: Any) -> Any:
        """Call the function and let its errors out."""
        try:
            return self.function(*arguments)
        except SystemExit:
            raise RuntimeError("a call to exit()") from None


def exercise(check: Callable[[Attempt], str]) -> Callable[[Any], None]:
    """Make a check out of a function that takes an `Attempt`, raises `NotYet(hint)`, or returns praise.

    The check prints one line, "Right. ..." or "Not yet: ...", and raises nothing, whatever the reader passes.
    """

    @functools.wraps(check)
    def run(answer: Any = None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the answer: a warning on the page would hold a path
            try:
                print(f"Right. {check(_attempt(answer))}")
            except NotYet as hint:
                print(f"Not yet: {hint}")
            except Exception as error:  # an answer so odd that even looking at it fails
                print(f"Not yet: the answer could not be looked at ({type(error).__name__}). Give back a plain value.")

    return run


def _attempt(answer: Any) -> Attempt:
    if answer is None or answer is ...:
        raise NotYet(NOTHING)
    if not callable(answer):
        raise NotYet(f"pass the function itself, not its result; this is {describe(answer)}.")
    return Attempt(answer)


def describe(value: Any) -> str:
    """A value in a few words that are the same on every run: no address, no long array."""
    if isinstance(value, bool | int | float | str | bytes):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(value, torch.Tensor | np.ndarray):
        kind = "a tensor" if isinstance(value, torch.Tensor) else "an array"
        return f"{kind} of shape {tuple(value.shape)} and dtype {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, list | tuple | dict | set):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a value of type {type(value).__name__}"


def describe_error(error: BaseException) -> str:
    """The name and the first line of an error, without what differs from machine to machine."""
    try:
        words = str(error).strip().split("\n")[0]
    except Exception:
        words = ""
    return f"{type(error).__name__}: {_plain(words)}" if words else type(error).__name__


def number(value: Any) -> float | None:
    """The value as a float if it is one number (Python's, NumPy's, or a tensor of one), else None."""
    if isinstance(value, bool | np.bool_ | str | bytes):
        return None
    try:
        value = value.item() if isinstance(value, torch.Tensor | np.ndarray) else value
        return None if isinstance(value, bool) else float(value)
    except Exception:  # several numbers, a complex one, or no number
        return None


def one_number(answer: Any, unit: str = "") -> float:
    """An answer as a float, where one number is wanted; `unit` says of what, as in ", in GiB".

    Raises:
        NotYet: it is not one number.
    """
    value = number(answer)
    if value is None:
        raise NotYet(f"one number is wanted{unit}; this is {describe(answer)}.")
    return value


def close(value: float, wanted: float) -> bool:
    """True within 0.0001; NaN is close to NaN."""
    return math.isclose(value, wanted, abs_tol=1e-4) or (math.isnan(value) and math.isnan(wanted))


def _plain(text: str) -> str:
    """Drop the addresses and the folders of a path: both differ from run to run."""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return re.sub(r"(?<![\w.])(?:[A-Za-z]:)?(?:[\\/]+[^\\/'\"\s]+)*[\\/]+([^\\/'\"\s]+)", r"\1", text)[:200]
