"""Owns how functions are timed against each other: in turns, because other programs change the speed of a machine."""

import time
from collections.abc import Callable, Mapping

Works = Mapping[str, Callable[[], object]]


def milliseconds(work: Callable[[], object]) -> float:
    """Milliseconds of wall-clock time of one call, on the CPU."""
    begin = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begin)


def in_rounds(works: Works, rounds: int) -> list[dict[str, float]]:
    """The milliseconds of each work, round by round: a round runs all of them once, one after the other."""
    return [{name: milliseconds(work) for name, work in works.items()} for _ in range(rounds)]
