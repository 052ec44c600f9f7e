"""Owns what a lesson expects of its own results, which hidden cells check. Used in all notebooks, see 00_start_here."""

import os


def check(condition: bool, words: str) -> None:
    """Say so if a lesson's result is not what the text around it claims; say nothing if it is.

    A reader who changed a number gets one line, and the next cell runs. `make test` sets the environment variable
    SEGLIB_STRICT, and there the same result stops the notebook.

    Args:
        condition: whether the result is as expected. A bool, or a tensor of one element.
        words: what is expected, to be read after "This lesson expects": "an IoU above 0.5 after 12 epochs".

    Raises:
        AssertionError: the condition is false, and SEGLIB_STRICT is set to anything but "" or "0".

    Example:
        >>> check(2 + 2 == 4, "two and two to be four")
    """
    if condition:
        return
    if os.environ.get("SEGLIB_STRICT", "") not in ("", "0"):
        raise AssertionError(f"This lesson expects {words}.")
    print(f"This lesson expects {words}. You changed something, or your machine rounds differently: go on.")
