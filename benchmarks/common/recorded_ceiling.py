"""Owns the look-up of the ceiling, which `benchmarks/ceiling.py` measured: goals of IoU are shares of it."""

from benchmarks.common.results import read_record, results_path


def ceiling_at(size: tuple[int, int]) -> float:
    """The recorded ceiling at (height, width); at a size that was never measured, that of the largest."""
    rows = read_record(results_path("ceiling"))["sizes"]
    return next((row["iou"] for row in rows if (row["height"], row["width"]) == tuple(size)), rows[-1]["iou"])
