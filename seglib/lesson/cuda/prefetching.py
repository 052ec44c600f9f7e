"""Owns who loads while the GPU computes: a timeline of three ways. See 08_cuda."""

from matplotlib.figure import Figure

from seglib.inference.palette import BLUE, GREEN
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.cuda.gpu_queue import FORWARD, Span, draw_spans


def loading_timeline(
    batches: int, load: float, step: float, *, num_workers: int, prefetch_factor: int = 2, item: bool = False
) -> tuple[list[list[Span]], list[Span]]:
    """When batches are loaded and when the GPU computes, in milliseconds from the start.

    Without workers Python loads by itself, and launches the step in no time. With `item` it then waits for the loss,
    which stands behind the forward pass: a third of the step. The rest runs while Python loads the next batch. With
    workers, batch b is loaded by worker b modulo `num_workers`, as torch does it. A worker begins a batch only while
    fewer than `num_workers * prefetch_factor` batches are being loaded or wait to be used.

    Args:
        batches: how many.
        load: milliseconds to load one.
        step: milliseconds of the GPU for one.
        num_workers: processes that load; with 0 Python's own process loads.
        prefetch_factor: batches that each worker loads ahead.
        item: Python reads the loss of each step before the backward pass, as the notes do.

    Returns:
        The spans of each process that loads, Python or the workers; and those of the GPU.

    Example:
        >>> loading_timeline(2, 4.0, 3.0, num_workers=0, item=True)
        ([[(0.0, 4.0), (5.0, 9.0)]], [(4.0, 7.0), (9.0, 12.0)])
        >>> loading_timeline(2, 3.0, 2.0, num_workers=2)
        ([[(0.0, 3.0)], [(0.0, 3.0)]], [(3.0, 5.0), (5.0, 7.0)])
    """
    loaded: list[list[Span]] = [[] for _ in range(max(num_workers, 1))]
    computed: list[Span] = []
    for number in range(batches):
        worker = loaded[number % len(loaded)]
        worker_free = worker[-1][1] if worker else 0.0
        gpu_free = computed[-1][1] if computed else 0.0
        requested = 0.0
        used_before = number - num_workers * prefetch_factor  # its use makes room for this batch
        if num_workers and used_before >= 0:
            requested = computed[used_before][0]
        if item and not num_workers and computed:
            requested = computed[-1][0] + FORWARD * step
        begin = max(worker_free, requested)
        worker.append((begin, begin + load))
        step_begin = max(begin + load, gpu_free)
        computed.append((step_begin, step_begin + step))
    return loaded, computed


@styled
def loading_figure(batches: int, load: float, step: float, num_workers: int) -> Figure:
    """Draw three ways, one above the other: Python loads and waits, Python loads and does not wait, workers load.

    Args:
        batches, load, step, num_workers: as in `loading_timeline`.
    """
    alone = ["CPU (Python)"]
    workers = [f"CPU, worker {number}" for number in range(1, num_workers + 1)]
    ways = [
        (
            "the notes: Python loads, and waits for each loss",
            alone,
            loading_timeline(batches, load, step, num_workers=0, item=True),
        ),
        ("Python loads, and does not wait", alone, loading_timeline(batches, load, step, num_workers=0)),
        (f"{num_workers} workers load", workers, loading_timeline(batches, load, step, num_workers=num_workers)),
    ]
    figure, places = new_figure(len(ways), 1, 8.0, 5.0)
    longest = max(computed[-1][1] for _, _, (_, computed) in ways)
    for axes, (title, loaders, (loaded, computed)) in zip(places[:, 0], ways, strict=True):
        draw_spans(axes, computed, 0, BLUE)
        for height, spans in enumerate(loaded, 1):
            # Batch b is loaded by worker b modulo their number.
            draw_spans(axes, spans, height, GREEN, numbers=range(height, batches + 1, len(loaded)))
        axes.set(title=f"{title}: {computed[-1][1]:.0f} ms", ylabel="processor", xlabel="milliseconds")
        axes.set(yticks=range(len(loaders) + 1), xlim=(0, 1.02 * longest), ylim=(-0.6, len(loaders) + 0.6))
        axes.set_yticklabels(["GPU", *loaders])
    return figure
