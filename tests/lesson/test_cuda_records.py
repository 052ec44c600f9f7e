"""Tests of the new and changed modules of seglib/lesson/cuda; they replace those of the same names in test_cuda.py."""

import itertools
import time

import pytest

from seglib.lesson.common.figures import _check_labels, encode
from seglib.lesson.common.recorded import recorded
from seglib.lesson.cuda import gpu_queue
from seglib.lesson.cuda.exercises import check_activations
from seglib.lesson.cuda.figures import input_bars, rounds, rounds_figure, speed_bars
from seglib.lesson.cuda.gpu_queue import (
    joined,
    queue_widget,
    read_trace,
    simulate,
    timelines_figure,
    timelines_of_both_models,
    timelines_svg,
    trace_figure,
)
from seglib.lesson.cuda.gpu_records import rate, rows_of_case
from seglib.lesson.cuda.prefetching import loading_figure, loading_timeline
from seglib.lesson.cuda.step_memory import GIB, StepMemory, memory_bars, step_memory


def labels_are_there(figure):
    for axes in figure.axes:
        _check_labels(axes)
        assert axes.get_ylabel() not in ("who", "way")
    return encode(figure)[0] == "image/png"


# The queue, kernel by kernel


@pytest.mark.parametrize("item", [True, False])
@pytest.mark.parametrize(("python", "gpu"), list(itertools.product((1.0, 5.0, 20.0), repeat=2)))
def test_kernels_start_as_soon_as_they_are_queued(python, gpu, item):
    kernels = 300
    timeline = simulate(6, python, gpu, item=item, kernels=kernels)
    # The slower of both decides. What is added: the first launch, the last kernel, and after each .item() one launch.
    least = 6 * max(python, gpu)
    assert least <= timeline.end <= least + (8 if item else 2) * max(python, gpu) / kernels + 1e-9
    assert sum(end - begin for begin, end in timeline.gpu) == pytest.approx(6 * gpu)
    assert timeline.step_ms == pytest.approx(timeline.end / 6)


def test_item_costs_next_to_nothing_where_python_is_ahead_and_less_where_it_is_late():
    ahead = [simulate(4, 10, 20, item=item, kernels=300).end for item in (True, False)]
    assert ahead == pytest.approx([80.2, 80.03], abs=0.05)
    late = [simulate(4, 30, 10, item=item, kernels=300) for item in (True, False)]
    assert late[0].end == pytest.approx(late[1].end, abs=0.2)
    assert late[1].busy == pytest.approx(1 / 3, abs=0.01)


def test_loading_by_python_stands_in_the_gpus_way_only_where_it_outlasts_the_work_that_is_queued():
    short, long = (simulate(4, 10, 20, load=load, item=False) for load in (5, 40))
    assert short.end == pytest.approx(5 + 80, abs=1)
    assert long.end == pytest.approx(4 * 50 + 10, abs=1)
    # With .item() Python begins to load when two thirds of the step are still to be computed.
    assert simulate(4, 10, 20, load=5, item=True).end == pytest.approx(85, abs=1)
    assert simulate(4, 10, 20, load=12, item=True).end > simulate(4, 10, 20, load=10, item=False).end + 5


def test_python_waits_in_item_until_the_forward_pass_is_computed():
    timeline = simulate(1, 3, 30, kernels=10)
    (name, begin, end) = timeline.host[1]
    assert name == "item"
    assert begin == pytest.approx(0.9)
    assert end == pytest.approx(0.3 + 9)  # three kernels of 3 ms each
    assert timeline.waited == pytest.approx((end - begin) / timeline.end)
    assert [name for name, *_ in simulate(1, 3, 30, item=False, load=1).host] == [
        "load",
        "forward",
        "backward",
        "update",
    ]


def test_spans_that_touch_are_joined_and_sorted():
    assert joined([(3, 4), (0, 1), (1, 2), (0.5, 0.7)]) == [(0, 2), (3, 4)]
    assert joined([(0, 1), (1.5, 2)], gap=0.5) == [(0, 2)]
    assert joined([]) == []


# A recorded trace


def a_trace(kernels=3000, period=0.02, length=0.008, start=1000.0):
    gpu = [[start + 0.5 + number * period, start + 0.5 + number * period + length] for number in range(kernels)]
    last = gpu[-1][1]
    host = [["forward", start, start + 20], ["loss", start + 20, start + 20.1], ["item", start + 20.1, start + 21]]
    host += [["backward", start + 21, start + 40], ["update", start + 40, last], ["zero_grad", start - 0.1, start]]
    trace = {"host": host, "gpu": gpu, "step_ms": 30.0, "model": "deeplabv3_resnet50", "height": 960, "width": 1280}
    return trace | {"batch_size": 8}


def test_a_trace_begins_at_0_and_its_busy_share_is_that_of_its_kernels():
    timeline = read_trace(a_trace(), "words")
    assert timeline.host[0] == ("zero_grad", pytest.approx(0), pytest.approx(0.1))
    assert timeline.gpu[0] == (pytest.approx(0.6), pytest.approx(0.608))
    assert timeline.busy == pytest.approx(0.4, abs=0.01)
    overlapping = a_trace() | {"gpu": [[0, 2], [1, 3], [3, 4]], "host": [["forward", 0, 1]]}
    assert read_trace(overlapping).gpu == [(0, 4)]


def test_thousands_of_kernels_are_drawn_at_once_and_small():
    timelines = {"large": read_trace(a_trace(length=0.02)), "small": read_trace(a_trace())}
    begin = time.process_time()
    figure = trace_figure(timelines)
    assert labels_are_there(figure)
    assert time.process_time() - begin < 5
    enlarged = figure.axes[2].get_xlim()
    assert enlarged[1] - enlarged[0] == pytest.approx(23 * 0.02 + 0.008)


# The widget


def test_the_widget_follows_its_sliders():
    widget = queue_widget()
    assert "with .item(): 80." in widget.caption.value
    before = widget.picture.value
    for slider, value in ((widget.gpu, 40), (widget.python, 30), (widget.load, 12)):
        slider.value = value
        assert widget.picture.value != before
        before = widget.picture.value
    assert repr(widget) == "QueueWidget(4 steps)"
    assert 'role="img"' in before
    assert "loads a batch" in before


def test_a_redraw_takes_less_than_80_ms_of_cpu_time():
    widget = queue_widget()
    begin = time.process_time()
    for value in range(1, 11):
        widget.python.value = value
    assert (time.process_time() - begin) / 10 < 0.08


def test_the_svg_is_well_formed_and_as_wide_as_the_longest_timeline():
    from xml.etree import ElementTree

    timelines = {"a": simulate(2, 5, 10), "b": simulate(2, 5, 30, load=3, item=False)}
    boxes = [node.attrib for node in ElementTree.fromstring(timelines_svg(timelines)) if node.tag.endswith("rect")]
    right = max(float(box["x"]) + float(box["width"]) for box in boxes if box["fill"] == gpu_queue.BLUE)
    assert right == pytest.approx(gpu_queue.WIDTH - 10, abs=0.2)


def test_timelines_on_one_scale_or_each_on_its_own():
    timelines = {"with": simulate(2, 5, 10), "without": simulate(2, 5, 10, item=False)}
    figure = timelines_figure(timelines, longest=50)
    assert [axes.get_xlim() for axes in figure.axes] == [(0, 50), (0, 50)]
    assert labels_are_there(figure)
    own = timelines_figure(timelines)
    assert own.axes[0].get_xlim()[1] == pytest.approx(timelines["with"].end)


# Loading


def test_the_notes_wait_for_the_forward_pass_only():
    for load, step in itertools.product((1.0, 5.0, 20.0), repeat=2):
        ends = {
            (workers, item): loading_timeline(6, load, step, num_workers=workers, item=item)[1][-1][1]
            for workers, item in ((0, True), (0, False), (1, False), (3, False))
        }
        assert ends[0, True] == pytest.approx(load + step + 5 * max(load + step / 3, step))
        assert ends[0, False] == load + step + 5 * max(load, step)
        assert ends[0, False] <= ends[0, True]
        assert ends[1, False] == ends[0, False]  # one worker loads no faster than Python
        assert load + 6 * step <= ends[3, False] <= ends[1, False]


def test_the_drawing_of_loading_has_the_times_of_the_lesson():
    figure = loading_figure(8, 30, 20, num_workers=2)
    assert [axes.get_title().rsplit(": ")[-1] for axes in figure.axes] == ["307 ms", "260 ms", "190 ms"]
    assert labels_are_there(figure)


# Charts


def test_rounds_are_counted_from_one():
    assert rounds(4).max() == 48
    assert rounds(192).max() == 1
    assert (rounds(5, (3, 4)) == [[1, 1, 1, 1], [1, 2, 2, 2], [2, 2, 3, 3]]).all()
    assert [axes.get_title() for axes in rounds_figure((4, 192)).axes] == ["4 units: 48 rounds", "192 units: 1 round"]
    assert encode(rounds_figure())[0] == "image/png"


def test_axes_have_words_and_what_failed_has_no_bar():
    times = {"notes": 60.0, "first": 20.0, "later": 2.0}
    assert labels_are_there(input_bars({"milliseconds": times, "ratio": {"first": 3.0, "later": 30.0}}))
    row = {"way": "notes", "images_a_second_with_the_loader": 3.0, "images_a_second_of_the_step": 9.0}
    figure = speed_bars([row, {"way": "broken", "error": "no"}])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["notes"]
    assert labels_are_there(figure)


def test_measured_peaks_stand_beside_what_was_computed_and_cards_beside_the_bars():
    memory = StepMemory(GIB, GIB, 2 * GIB, GIB)
    figure = memory_bars({"small": memory, "large": memory}, (2, 4), measured={"large": {2: 7.0, 4: 9.5, 8: 90.0}})
    small, large = figure.axes
    assert not small.lines or all(line.get_linestyle() == "--" for line in small.lines)
    marks = [line for line in large.lines if line.get_marker() == "D"]
    assert [list(line.get_ydata()) for line in marks] == [[7.0, 9.5]]
    assert all(text.xy[0] > 1.5 for text in large.texts)
    assert labels_are_there(figure)


# The exercise


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (9.4, "Right. "),
        (18.75 / 4 / 4 * 8, "Right. "),
        (18.75, "Not yet: as much as"),
        (4.7, "Not yet: that is the amount for four small"),
        (37.5, "Not yet: that is the amount for eight pictures of the full"),
        (9.98, "Not yet: weights, gradients"),
        (1.0, "Not yet: yours is 1 GiB"),
        ("nine", "Not yet: one number"),
    ],
)
def test_the_predicted_activations_get_the_hint_meant_for_them(answer, said, capsys):
    check_activations(lambda: answer)
    assert capsys.readouterr().out.startswith(said)


def test_the_stub_is_not_right(capsys):
    check_activations(lambda: ...)
    assert capsys.readouterr().out.startswith("Not yet: nothing to check")


# What 08 says of its records. Where a new measurement contradicts one of these, the words of the lesson are wrong.


def rows(name: str, case: str = "large") -> dict:
    return rows_of_case(recorded(name), case)


def times(name: str, case: str = "large") -> dict[str, float]:
    """How many times as fast as the notes' loop the step of each way is."""
    found = rows(name, case)
    notes = found["the notes' loop"]["images_a_second_of_the_step"]
    return {way: row["images_a_second_of_the_step"] / notes for way, row in found.items()}


def test_the_lesson_says_of_the_step_what_was_measured():
    earlier = times("gpu_step_h100")
    assert earlier["TF32 nowhere"] < 0.5  # "below half its speed"
    assert earlier["channels-last"] > 1.3
    assert times("gpu_step")["bfloat16"] > 1.1
    assert times("gpu_step")["all together, compiled"] > times("gpu_step")["all together"] > 3


def test_the_lesson_says_of_the_small_model_what_was_measured():
    small = times("gpu_step", "small")
    assert small["recorded as a CUDA graph"] > 3
    assert small["all together, recorded, bfloat16"] < small["all together, recorded"]
    summary = recorded("reference")["summary"]
    assert summary["ours"]["iou"] > summary["reference, bfloat16, recorded"]["iou"] > summary["reference"]["iou"]


def test_the_goals_of_the_speed_are_in_the_records():
    """Four times the notes' loop with its loader; 40 % of the matrix rate; three times the reference; a cheap guard."""
    large, small = rows("gpu_step"), rows("gpu_step", "small")
    loader, step = "images_a_second_with_the_loader", "images_a_second_of_the_step"
    assert large["all together"][loader] > 4 * large["the notes' loop"][loader]
    assert large["all together, compiled"]["share_of_the_matrix_rate"] > 0.4
    assert small["all together, recorded"][step] > 0.97 * small["all together, recorded, no guard"][step]
    assert large["all together"][step] > 0.97 * large["all together, no guard"][step]
    reference = recorded("reference")["summary"]["reference"]
    assert reference["ours_is_faster"] > 3
    assert reference["points_ahead"] > 5


def test_the_lesson_says_of_the_loader_what_was_measured():
    full = rows("gpu_step_h100")
    shares = {
        way: row["images_a_second_with_the_loader"] / row["images_a_second_of_the_step"] for way, row in full.items()
    }
    assert shares["the notes' loop"] < shares["no .item()"] < 0.97  # "with a loader, a little more"
    assert shares["the notes' loop"] < shares["workers"] < 0.97  # "workers close part of the gap"
    assert shares["bytes and a cache"] > 0.97  # "nearly all"
    computed = step_memory("deeplabv3_resnet50", (960, 1280)).total(8) / GIB
    for name in ("gpu_step", "gpu_step_h100"):
        assert 1.03 < rows(name)["the notes' loop"]["peak_gib"] / computed < 1.15  # "about a tenth higher"
    of_two = next(run for run in recorded("gpu_notebooks")["rows"] if run["full_size"])
    assert 1.2 < of_two["reserved_gib"] / of_two["peak_gib"] < 1.35  # "a quarter more than it used"


def test_the_lesson_says_of_loading_what_was_measured():
    of = {(row["way"], row["workers"]): row["seconds_a_picture_by_epoch"] for row in recorded("input")["epochs"]}
    assert of["ours", 0][0] < of["notes", 0][0] / 2  # "more than twice as fast"
    assert of["ours", 0][1] < of["notes", 0][1] / 20  # "the cache far more"
    assert of["notes", 2][2] > of["notes", 0][2] * 2 / 3  # "gained less than a third"
    assert of["ours", 2][2] > 2.5 * of["ours", 0][2]  # "several times slower"


def test_the_lesson_says_of_the_trace_what_was_measured():
    timelines, _ = timelines_of_both_models()
    assert timelines["large"].busy > 0.85
    assert timelines["large"].waited > 0.5  # "Python waits for most of the time"
    assert timelines["small"].busy < 0.7
    assert labels_are_there(trace_figure(timelines))
    traces = recorded("gpu_trace")["traces"]
    assert 850 < traces["small"]["kernels_a_step"] < 1000  # "nearly a thousand kernels"
    assert traces["small, recorded"]["step_ms"] < traces["small"]["step_ms"] / 3
    for size in ("large", "small"):  # "a hundredth or two"
        assert 1 <= traces[size]["step_ms"] / traces[f"{size}, without .item()"]["step_ms"] < 1.03


def test_rows_are_found_in_the_first_record_and_in_later_ones_and_missing_ones_have_words():
    named = {"way": "a", "case": "small", "model": "m", "batch_size": 16, "images_a_second_of_the_step": 3.14}
    unnamed = {"way": "b", "model": "deeplabv3_resnet50", "batch_size": 8, "images_a_second_of_the_step": 2.0}
    broken = {"way": "c", "case": "small", "model": "m", "batch_size": 4, "error": "no memory"}
    record = {"rows": [named, unnamed, unnamed | {"way": "d", "batch_size": 2}, broken]}
    small, large = rows_of_case(record, "small"), rows_of_case(record, "large")
    assert list(small) == ["a"]
    assert list(large) == ["b"]
    assert rate(small, "a") == "3.1"
    assert rate(small, "c", loader=True) == "not measured yet"
