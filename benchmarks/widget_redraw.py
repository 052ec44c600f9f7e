"""How many milliseconds of CPU does a lesson's widget need to redraw after one move of a knob?

Each knob of each widget is moved through its positions, and what the kernel's main thread spends between the move and
the new picture is counted: time of the CPU, not of the clock, so that a busy machine measures the same. What the
browser does comes on top. The record is stored; no test compares with it.

    python -m benchmarks.widget_redraw
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import torch

from benchmarks.common.results import option_parser, write_record
from seglib.data.dataset import CustomDataset
from seglib.data.image_io import load_image, load_mask
from seglib.lesson.common.ceiling import best_masks
from seglib.lesson.cuda.gpu_queue import queue_widget
from seglib.lesson.dataset.sample_slider import sample_slider
from seglib.lesson.loss.loss_slider import loss_slider
from seglib.lesson.model.stride_slider import stride_slider
from seglib.lesson.predict.threshold_slider import threshold_slider
from seglib.lesson.transforms.transform_widget import transform_widget
from seglib.lesson.your_own_data.figures import place_slider

SAMPLES = Path(__file__).resolve().parents[1] / "data_samples"
SIZE = (240, 320)  # (height, width) of the lessons
MOVES = 12  # of each knob, spread over its positions
TRIED = 3  # so often each move is made; the fastest counts, for a redraw can be held up and never hurried


def lesson_widgets() -> Iterator[tuple[str, Callable[[], Any]]]:
    """The widget of each notebook that has one, as a function that makes it: about what the lesson gives it."""
    dataset = CustomDataset(SAMPLES / "images", SAMPLES / "masks")
    image, mask = dataset[2]
    small = (SIZE[1], SIZE[0])
    photograph = image.resize(small)
    labels = torch.tensor(list(mask.resize(small, 0).tobytes())).view(SIZE).div(255)  # (H, W), 0.0 and 1.0
    blurred = torch.nn.functional.avg_pool2d(labels[None, None], 31, 1, 15)[0, 0]  # stands for probabilities
    yield "01_dataset", lambda: sample_slider(dataset)
    yield "02_transforms", lambda: transform_widget(dataset, 2)
    yield "04_model", lambda: stride_slider(photograph, labels[None], best_masks)
    yield "05_loss", loss_slider
    yield "08_cuda", queue_widget
    yield "11_predict", lambda: threshold_slider(photograph, blurred, labels.long())
    whole = load_image(SAMPLES / "images" / "fruit_000.jpg").resize((640, 480))
    its_mask = load_mask(SAMPLES / "masks" / "fruit_000.png").resize((640, 480), 0)
    yield "13_your_own_data", lambda: place_slider(whole, its_mask)


def knobs(widget: ipywidgets.Widget) -> Iterator[tuple[str, ipywidgets.Widget]]:
    """What a reader can move in a widget: (the name of the attribute, the control)."""
    for name, part in vars(widget).items():
        if isinstance(part, ipywidgets.ValueWidget) and not isinstance(part, ipywidgets.HTML | ipywidgets.Image):
            yield name, part


def positions(knob: Any) -> list[Any]:
    """Values to move a knob through, without the one that it has."""
    if isinstance(knob, ipywidgets.Checkbox):
        values = [not knob.value, knob.value]
    elif hasattr(knob, "options"):
        values = [option[1] if isinstance(option, tuple) else option for option in knob.options]
    else:
        steps = round((knob.max - knob.min) / knob.step)
        places = sorted({round(steps * move / (MOVES - 1)) for move in range(MOVES)})
        values = [type(knob.value)(knob.min + knob.step * place) for place in places]
    return values[1:] + values[:1] if values[0] == knob.value else values


def milliseconds(make: Callable[[], Any], name: str) -> list[float]:
    """CPU time of each move of one knob, of a widget made anew each time, so that nothing is remembered."""
    rows = []
    for _ in range(TRIED):
        knob = getattr(make(), name)
        row = []
        for value in positions(knob):
            begin = time.process_time()
            knob.value = value
            row.append(1000 * (time.process_time() - begin))
        rows.append(row)
    return [min(column) for column in zip(*rows, strict=True)]


def main() -> None:
    arguments = option_parser(__doc__, "widget_redraw").parse_args()
    torch.set_num_threads(1)  # CPU time of several threads adds up
    table = []
    for notebook, make in lesson_widgets():
        for name, _ in knobs(make()):
            moves = milliseconds(make, name)
            row = {"notebook": notebook, "knob": name, "moves": len(moves)}
            row |= {"median_ms": round(statistics.median(moves), 1), "slowest_ms": round(max(moves), 1)}
            table.append(row)
            print(row, flush=True)
    write_record(arguments.out, "milliseconds of CPU for each redraw of a lesson's widget", {"knobs": table})


if __name__ == "__main__":
    main()
