"""When does Python start the kernels of a training step on a GPU, and when does the GPU compute them?

torch's profiler watches some steps of the notes' loop, with `.item()` and without: of ResNet-50 at 1280 wide and 960
high in batches of 8, where the GPU always has work; of the small model at 320 wide and 240 high in batches of 4, where
it waits for Python; and of that step recorded as a CUDA graph. Stored are the parts of each step on the side of Python
(forward, loss, item, backward, update), and the spans in which the GPU computes, in milliseconds. The models are those
of `build_deeplab`, whose weights lie in memory channels-last.

    python -m benchmarks.gpu_trace                     writes benchmarks/results/gpu_trace.json; needs a CUDA GPU
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.common.machine import machine_with_gpu
from benchmarks.common.results import option_parser, write_record
from seglib.device import Timer, pick_device
from seglib.losses import make_loss
from seglib.model import BUNDLED_MODEL, build_deeplab
from seglib.training.precision import make_step

LARGE = ("deeplabv3_resnet50", (960, 1280), 8)  # model, (height, width), pictures in a batch
SMALL = (BUNDLED_MODEL, (240, 320), 4)
PARTS = ("forward", "loss", "item", "backward", "update", "replay")  # of a step, on the side of Python
WARM_UP = 6  # steps before the profiler watches
WATCHED = 3  # steps
GAP = 3.0  # microseconds between two kernels up to which they are stored as one span
ON_GPU = ("kernel", "gpu_memcpy", "gpu_memset")  # categories of the profiler

Span = tuple[float, float]


def notes_step(model: nn.Module, optimizer: optim.Optimizer, images: Tensor, masks: Tensor, item: bool) -> None:
    """A step of the notes, its parts named for the profiler."""
    with record_function("forward"):
        optimizer.zero_grad()
        outputs = model(images)["out"]
    with record_function("loss"):
        loss = nn.functional.mse_loss(outputs, masks)
    if item:
        with record_function("item"):
            loss.item()
    with record_function("backward"):
        loss.backward()
    with record_function("update"):
        optimizer.step()


def step_of(case: tuple[str, tuple[int, int], int], way: str, device: torch.device) -> Callable[[], object]:
    """A function that does one step, on a batch that is on the device already."""
    name, size, batch = case
    model = build_deeplab(name, weights=None, verbose=False).to(device).train()
    optimizer = optim.Adam(model.parameters(), lr=1e-5)
    images = torch.randn(batch, 3, *size, device=device)
    masks = torch.zeros(batch, 1, *size, device=device)
    if way != "recorded":
        return lambda: notes_step(model, optimizer, images, masks, item=way == "with .item()")
    step = make_step(model, make_loss("mse"), optimizer, cuda_graph=True)

    def replay() -> None:
        with record_function("replay"):
            step(images, masks)

    return replay


def watch(step: Callable[[], object], device: torch.device) -> dict[str, Any]:
    """The spans of some steps, and how long a step takes when nobody watches."""
    for _ in range(WARM_UP):
        step()
    with Timer(device) as timer:
        for _ in range(10):
            step()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True) as watched:
        for _ in range(WATCHED):
            step()
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        watched.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    return {"step_ms": round(timer.seconds * 100, 3), **spans_of(events)}


def spans_of(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Parts of Python and spans of the GPU, in milliseconds from the first part on; and the number of kernels a step.

    Args:
        events: of a trace in Chrome's format, times in microseconds.
    """
    spans = [event for event in events if event.get("ph") == "X"]
    parts = [event for event in spans if event.get("cat") == "user_annotation" and event["name"] in PARTS]
    parts.sort(key=lambda event: event["ts"])
    begin = parts[0]["ts"]
    kernels = sorted((event["ts"], event["ts"] + event["dur"]) for event in spans if event.get("cat") in ON_GPU)
    kernels = [span for span in kernels if span[0] >= begin]
    return {
        "host": [[event["name"], *_milliseconds((event["ts"], event["ts"] + event["dur"]), begin)] for event in parts],
        "gpu": [_milliseconds(span, begin) for span in merged(kernels)],
        "kernels_a_step": round(len(kernels) / WATCHED),
        "gpu_busy_ms_a_step": round(sum(end - start for start, end in kernels) / 1000 / WATCHED, 3),
    }


def _milliseconds(span: Span, begin: float) -> list[float]:
    return [round((time - begin) / 1000, 4) for time in span]


def merged(spans: Sequence[Span], gap: float = GAP) -> list[Span]:
    """Spans in order, those with less than `gap` between them as one.

    Example:
        >>> merged([(0.0, 1.0), (2.0, 3.0), (10.0, 11.0)])
        [(0.0, 3.0), (10.0, 11.0)]
    """
    joined: list[Span] = []
    for start, end in spans:
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def main() -> None:
    arguments = option_parser(__doc__, "gpu_trace", gpu=True).parse_args()
    device = pick_device("cuda")
    traces = {}
    for name, case, way in (
        ("large", LARGE, "with .item()"),
        ("large, without .item()", LARGE, "without"),
        ("small", SMALL, "with .item()"),
        ("small, without .item()", SMALL, "without"),
        ("small, recorded", SMALL, "recorded"),
    ):
        model, (height, width), batch = case
        described = {"model": model, "height": height, "width": width, "batch_size": batch, "way": way}
        traces[name] = described | watch(step_of(case, way, device), device)
        torch.cuda.empty_cache()
        print(name, {key: value for key, value in traces[name].items() if key not in ("host", "gpu")}, flush=True)
        what = "when Python starts the kernels of a training step, and when the GPU computes them"
        write_record(arguments.out, what, {"traces": traces}, hardware=machine_with_gpu(device), indent=None)


if __name__ == "__main__":
    main()
