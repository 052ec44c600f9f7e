"""Owns what is reported over several seeds: the spread, which is the standard deviation of a sample."""

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float]) -> float:
    """The standard deviation over the seeds; 0 for a single one, which says nothing about it.

    >>> spread([0.5]), spread([0.5, 0.5, 0.5])
    (0.0, 0.0)
    """
    return statistics.stdev(values) if len(values) > 1 else 0.0
