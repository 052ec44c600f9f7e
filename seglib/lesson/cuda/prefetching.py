"""Owns who loads while the GPU computes: a picture of three ways, and a count of the batches that wait. See 08_cuda."""

import time

import torch
from matplotlib.figure import Figure
from torch.utils.data import DataLoader, Dataset

from seglib.inference.palette import BLUE, ORANGE
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.cuda.gpu_queue import Span, draw_lane


def loading_timeline(
    batches: int, load: float, step: float, workers: int, ahead: int = 2, item: bool = False
) -> tuple[list[list[Span]], list[Span]]:
    """When batches are loaded and when the GPU computes, if each takes so many milliseconds of one and of the other.

    Without workers Python loads by itself, and asks for the step in no time. With workers, batch b is loaded by worker
    b modulo `workers`, as torch does it, and a new batch is begun only when one has been taken, so that no more than
    `workers * ahead` are loaded or being loaded.

    Args:
        batches: how many.
        load: milliseconds to load one.
        step: milliseconds of the GPU for one.
        workers: processes that load; 0 loads in Python's own.
        ahead: torch's `prefetch_factor`.
        item: Python waits for the GPU at the end of each step, as the notes do.

    Returns:
        The spans of each who loads, Python or the workers; and those of the GPU.

    Example:
        >>> loading_timeline(2, 3.0, 2.0, workers=0, item=True)
        ([[(0.0, 3.0), (5.0, 8.0)]], [(3.0, 5.0), (8.0, 10.0)])
        >>> loading_timeline(2, 3.0, 2.0, workers=2)
        ([[(0.0, 3.0)], [(0.0, 3.0)]], [(3.0, 5.0), (5.0, 7.0)])
    """
    loaded: list[list[Span]] = [[] for _ in range(max(workers, 1))]
    done: list[Span] = []
    for number in range(batches):
        lane = loaded[number % len(loaded)]
        free = lane[-1][1] if lane else 0.0
        waiting = number - workers * ahead  # whose place in the row of waiting batches this one takes
        asked = done[waiting][0] if workers and waiting >= 0 else 0.0
        if not workers and item and done:
            asked = done[-1][1]
        lane.append((max(free, asked), max(free, asked) + load))
        begin = max(lane[-1][1], done[-1][1] if done else 0.0)
        done.append((begin, begin + step))
    return loaded, done


@styled
def loading_figure(batches: int, load: float, step: float, workers: int) -> Figure:
    """Draw three ways, one above the other: Python loads and waits, Python loads and does not wait, workers load.

    Args:
        batches, load, step, workers: as in `loading_timeline`.
    """
    ways = {
        "the notes: Python loads, and waits for each step": {"workers": 0, "item": True},
        "Python loads, and does not wait": {"workers": 0},
        f"{workers} workers load": {"workers": workers},
    }
    figure, places = new_figure(len(ways), 1, 8.0, 5.0)
    longest = loading_timeline(batches, load, step, 0, item=True)[1][-1][1]
    for axes, (words, way) in zip(places[:, 0], ways.items(), strict=True):
        loaded, done = loading_timeline(batches, load, step, **way)  # type: ignore[arg-type]
        names = ["GPU", *(f"worker {n}" for n in range(1, len(loaded) + 1))] if way["workers"] else ["GPU", "Python"]
        draw_lane(axes, done, 0, BLUE)
        for height, spans in enumerate(loaded, 1):
            # Batch b is in the lane of worker b modulo their number.
            draw_lane(axes, spans, height, ORANGE, range(height, batches + 1, len(loaded)))
        axes.set(title=f"{words}: {done[-1][1]:g} ms", yticks=range(len(names)), ylim=(-0.6, len(names) - 0.4))
        axes.set(ylabel="who", xlim=(0, 1.02 * longest))
        axes.set_yticklabels(names)
    for axes in places[:, 0]:
        axes.set_xlabel("milliseconds")
    return figure


class Counted(Dataset):
    """Numbers that note, in memory which all processes share, whether somebody has loaded them."""

    def __init__(self, count: int):
        self.loaded = torch.zeros(count, dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.loaded)

    def __getitem__(self, idx: int) -> int:
        self.loaded[idx] = True
        return idx


def loaded_ahead(workers: int, prefetch_factor: int = 2, batches: int = 12, patience: float = 60.0) -> int:
    """Really load: how many batches have been loaded when we use the first of them, and the workers rest.

    Args:
        workers: of a torch `DataLoader`.
        prefetch_factor: batches that each worker begins ahead.
        batches: in an epoch, of two each.
        patience: seconds after which we count what is there.
    """
    numbers = Counted(2 * batches)
    ahead = {"num_workers": workers, "prefetch_factor": prefetch_factor} if workers else {}
    taken = iter(DataLoader(numbers, batch_size=2, **ahead))  # type: ignore[arg-type]
    next(taken)
    expected, end = min(workers * prefetch_factor + 1, batches), time.monotonic() + patience
    while numbers.loaded.sum() < 2 * expected and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3 if workers else 0.0)  # would they go on?
    return int(numbers.loaded.sum()) // 2
