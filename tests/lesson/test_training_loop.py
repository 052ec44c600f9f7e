"""What 07_training_loop draws, trains in a monitor, and asks: charts, buttons without a browser, exercise checks."""

import inspect
import io
import math
import sys
import threading
from unittest.mock import Mock

import ipywidgets
import numpy as np
import pytest
import torch
from IPython.display import HTML
from PIL import Image

from seglib.errors import SegError, TrainingError
from seglib.lesson import annotate, show
from seglib.lesson.training_loop import monitor as monitor_module
from seglib.lesson.training_loop.annotations import (
    LOOP_EXPLANATIONS,
    NOTES_LOOP_EXPLANATIONS,
    SCRIPT_LOOP_EXPLANATIONS,
    SCRIPT_REASONS,
)
from seglib.lesson.training_loop.exercises import check_epoch, check_gradient
from seglib.lesson.training_loop.figures import (
    graph_chart,
    losses_chart,
    monitor_figure,
    paths_chart,
    race_chart,
    race_runs,
    race_table,
)
from seglib.lesson.training_loop.monitor import TrainingMonitor, training_monitor
from seglib.lesson.training_loop.notes_script import NOTES_LOOP, NOTES_SCRIPT, loop_and_evaluation, script_diff
from seglib.losses import make_loss
from seglib.optim import make_optimizer
from seglib.training.history import History
from seglib.training.loop import fit, train_one_epoch
from tests.support.helpers import TinyModel
from tools.notebooks.environment import ROOT

ALT = "What the training did, epoch by epoch, as two curves and a picture."
PHOTO = np.full((24, 32, 3), 120, np.uint8)
MASK = np.pad(np.ones((8, 12), np.int64), ((4, 12), (6, 14)))


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: bundles.append(data))
    return bundles


# Charts


def a_record():
    """A record of two recipes: ours reaches the first goal and not the second, the notes' reaches neither."""
    ours = {"reached": 3, "runs": 3, "steps": 8.0}
    notes = {"reached": 0, "runs": 3, "steps": 800.0}
    rows = [{"share": 0.5, "iou": 0.49, "ours": ours, "notes": notes, "ratio_of_seconds": 99.7}]
    rows.append({"share": 0.85, "iou": 0.83, "ours": ours | {"reached": 0}, "notes": notes})
    ends = (("poly", 0.8), ("notes, augmented", 0.4), ("ours", 0.9))
    runs = [{"arm": arm, "steps": [8, 16], "validation_iou": [0.1, iou]} for arm, iou in ends]
    race = {"arms": {"notes": "notes, augmented", "ours": "poly"}, "rows": rows}
    return {"race": {"augmented": race}, "runs": runs, "ceiling": 0.97}


@pytest.mark.parametrize(
    "figure",
    [
        graph_chart([("weight", "0.00", "-1.00"), ("loss", "0.25", "1.00")]),
        paths_chart({"weight": {"right": [0, 0.25], "no step": [0, 0]}, "loss": {"right": [1, 0.5]}}),
        monitor_figure(History([0.5], [0.4], [0.3]), PHOTO, MASK, ceiling=0.97),
        monitor_figure(History(), PHOTO, MASK),
        race_chart(a_record()),
        losses_chart({"fast": [1.0, 0.5, 0.1], "slow": [1.0, 0.99]}),
    ],
    ids=["graph", "paths", "monitor", "monitor before", "recipes", "losses"],
)
def test_each_figure_can_be_shown_in_words_too(figure, shown):
    show(figure, ALT)
    assert shown[0]["text/plain"] == ALT


def test_a_path_has_a_point_for_the_start_and_each_step():
    (axes,) = paths_chart({"weight": {"right": [0, 0.25, 0.375]}}).axes
    assert axes.lines[0].get_ydata().tolist() == [0, 0.25, 0.375]


def test_gradients_and_values_stand_in_the_graph():
    texts = [text.get_text() for text in graph_chart([("weight", "0.5", "-1"), ("loss", "0.25", "1")]).axes[0].texts]
    assert {"weight", "0.5", "-1", "loss", "0.25", "1"} <= set(texts)


def test_lines_of_equal_values_differ_in_width_so_that_all_are_visible():
    (axes,) = paths_chart({"weight": {name: [0, 0] for name in ("no step", "no backward", "step first")}}).axes
    widths = [line.get_linewidth() for line in axes.lines]
    marks = [line.get_markersize() for line in axes.lines]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 3
    assert marks == sorted(marks, reverse=True)
    assert len(set(marks)) == 3


def test_the_comparison_as_a_table_says_which_recipe_never_reaches_a_goal_and_rounds_down():
    table = race_table(a_record(), "augmented")
    assert table.splitlines()[0] == "pictures augmented"
    rows = [[cell for cell in line.split("  ") if cell] for line in table.splitlines()[1:]]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["goal", "ours", "the notes", "seconds, notes / ours"],
        ["IoU 0.49 (50% of ceiling)", "3 of 3, after 8 steps", "0 of 3, in 800 steps", "at least 99"],
        ["IoU 0.83 (85% of ceiling)", "0 of 3, in 8 steps", "0 of 3, in 800 steps", "-"],
        ["IoU at the end", "0.80", "0.40"],
    ]
    record = a_record()
    record["race"]["augmented"]["rows"][0]["ratio_of_seconds"] = 7.89
    assert "at least 7.8\n" in race_table(record, "augmented")


@pytest.mark.parametrize(
    ("reached", "said"), [(0, "0 of 3, in 800 steps"), (1, "1 of 3, in 800 steps"), (2, "2 of 3, after 800 steps")]
)
def test_steps_in_which_most_runs_did_not_arrive_are_not_said_to_be_those_after_which_they_did(reached, said):
    record = a_record()
    record["race"]["augmented"]["rows"][0]["notes"]["reached"] = reached
    assert said in race_table(record, "augmented")


def test_the_race_names_the_runs_of_both_recipes():
    found = race_runs(a_record(), "augmented")
    assert {name: [run["arm"] for run in runs] for name, runs in found.items()} == {
        "ours": ["poly"],
        "the notes'": ["notes, augmented"],
    }


def test_the_comparison_is_drawn_with_its_highest_goal():
    (axes,) = race_chart(a_record()).axes
    assert axes.get_title() == "pictures augmented"
    assert [line.get_ydata()[-1] for line in axes.lines[:2]] == [0.8, 0.4]
    assert [text.get_text() for text in axes.texts] == ["ceiling", "0.85 of the ceiling"]


# The notes' script and what became of it


def test_every_line_of_the_notes_loop_is_explained():
    groups = annotate(NOTES_LOOP, NOTES_LOOP_EXPLANATIONS).groups
    full = [line for line in NOTES_LOOP.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(groups) == len(full) == len(NOTES_LOOP_EXPLANATIONS)


def test_the_notes_script_is_python_and_ends_with_their_loop():
    compile(NOTES_SCRIPT, "notes", "exec")
    assert NOTES_SCRIPT.endswith(NOTES_LOOP)


def test_each_change_of_the_script_has_its_reason_and_both_scripts_can_be_read_off_it():
    repaired = (ROOT / "examples" / "finetune.py").read_text(encoding="utf-8")
    groups = script_diff(NOTES_SCRIPT, repaired, SCRIPT_REASONS).groups
    lines = [line for group in groups for line in group.lines]
    assert [line[2:] for line in lines if line[0] in " +"] == [line for line in repaired.splitlines() if line.strip()]
    old = sorted(line[2:].strip().replace("'", '"') for line in lines if line[0] in " -")
    assert old == sorted(line.strip().replace("'", '"') for line in NOTES_SCRIPT.splitlines() if line.strip())
    for group in groups:
        assert ({line[0] for line in group.lines} == {" "}) == (group.explanation == "")


def test_the_loop_of_the_script_and_its_evaluation_are_shown_whole_and_each_piece_is_explained():
    repaired = (ROOT / "examples" / "finetune.py").read_text(encoding="utf-8")
    shown = loop_and_evaluation(repaired)
    compile(shown, "shown", "exec")
    assert shown.startswith("for epoch in range(args.epochs):\n")
    assert "    save(pretrained_deeplab, args.out)\n\n\n@torch.no_grad()\ndef evaluate(" in shown
    assert shown.rstrip().endswith('return intersection / union if union else float("nan")')
    groups = annotate(shown, SCRIPT_LOOP_EXPLANATIONS).groups
    assert [group.fragment for group in groups] == list(SCRIPT_LOOP_EXPLANATIONS)
    with pytest.raises(SegError, match="no lines from '@torch.no_grad"):
        loop_and_evaluation("\n    for epoch in range(3):\n        pass\n    print()\n")


def test_indentation_quotes_and_empty_lines_are_no_change():
    (group,) = script_diff("a = 'x'\n  b = 1\n", 'a = "x"\n\nb = 1\n', {}).groups
    assert group.lines == ('  a = "x"', "  b = 1")


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ({}, "begins without a reason: '- a = 1'"),
        ({"a = 2": "**New.**", "c = 3": "**Gone.**"}, "No changed line holds 'c = 3'"),
        ({"a = ": "**Both.**"}, "stands in two changed lines"),
    ],
)
def test_a_change_without_a_reason_and_a_reason_without_a_change(reasons, said):
    with pytest.raises(SegError, match=said):
        script_diff("a = 1\n", "a = 2\n", reasons)


def test_an_old_line_stands_above_the_new_line_most_like_it():
    old = "rate = 1e-5\ncount += 4\n"
    new = "count += len(images)\nrate = 1e-3\n"
    groups = script_diff(old, new, {"len(images)": "**Count.**", "1e-3": "**Rate.**"}).groups
    assert [group.lines for group in groups] == [
        ("- count += 4", "+ count += len(images)"),
        ("- rate = 1e-5", "+ rate = 1e-3"),
    ]


# The monitor, without a browser


def batches(count=2, value=None):
    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(count):
        images = torch.randn(2, 3, 24, 32, generator=generator)
        made.append((images, (images.mean(dim=1, keepdim=True) > 0).float()))
    if value is not None:
        made[-1][0][0, 0, 0, 0] = value
    return made


def monitored(epochs=2, train_batches=None, on_step=None):
    torch.manual_seed(0)
    model = TinyModel()
    criterion = make_loss("bce")
    optimizer = make_optimizer(model, lr=0.05)
    train_batches = batches() if train_batches is None else train_batches

    def train(on_epoch_of_monitor, on_step_of_monitor):
        def both(*now):
            if on_step:
                on_step(*now)
            on_step_of_monitor(*now)

        cpu = torch.device("cpu")
        return fit(
            model,
            train_batches,
            batches(1),
            criterion,
            optimizer,
            epochs=epochs,
            device=cpu,
            on_epoch=on_epoch_of_monitor,
            on_step=both,
        )

    def predict():
        with torch.inference_mode():
            return criterion.predict(model.eval()(batches(1)[0][0][:1])["out"])[0]  # (H, W)

    return training_monitor(train, predict, PHOTO)


def test_nothing_is_trained_before_somebody_presses_start():
    monitor = monitored()
    assert monitor.history == History()
    assert monitor.thread is None
    assert monitor.stop.disabled
    assert Image.open(io.BytesIO(monitor.picture.value)).width > 600
    assert repr(monitor) == "TrainingMonitor(start, stop, curves, a prediction)"
    assert monitor._repr_mimebundle_()["text/plain"] == repr(monitor)


def test_start_trains_to_the_end_and_draws():
    monitor = monitored(epochs=2)
    before = monitor.picture.value
    monitor.start.click()
    monitor.wait(60)
    assert len(monitor.history.train_loss) == 2
    assert monitor.words.value == "Done. Whole epochs: 2."
    assert monitor.picture.value != before
    assert (monitor.start.disabled, monitor.stop.disabled) == (False, True)


def test_stop_ends_the_training_in_the_next_step():
    pressed = threading.Event()
    seen = []

    def on_step(epoch, step, loss):
        seen.append((epoch, step))
        if (epoch, step) == (2, 1):
            monitor.stop.click()
            pressed.set()

    monitor = monitored(epochs=1000, on_step=on_step)
    monitor.start.click()
    assert pressed.wait(60)
    monitor.wait(60)
    assert not monitor.thread.is_alive()
    assert monitor.history.stopped == "epoch 2, step 1"
    assert monitor.words.value == "Stopped in epoch 2, step 1. Whole epochs: 1."
    assert seen[-1] == (2, 1)
    monitor.start.click()  # and it can go on from there
    monitor.stop.click()
    monitor.wait(60)
    assert not monitor.thread.is_alive()


def test_each_step_is_shown_in_words():
    words = []
    monitor = monitored(epochs=1, on_step=lambda *now: words.append(monitor.words.value))
    monitor.start.click()
    monitor.wait(60)
    assert words[0] == "Loading the first batch."
    assert words[1].startswith("epoch 1, step 1, loss 0.")


def test_an_error_in_the_thread_is_shown_and_the_buttons_work_again():
    monitor = monitored(train_batches=batches(2, value=math.nan))
    monitor.start.click()
    monitor.wait(60)
    assert "The loss became nan in epoch 1, step 2" in monitor.words.value
    assert "<br>Fix: " in monitor.words.value
    assert not monitor.start.disabled
    broken = training_monitor(lambda *_: 1 / 0, lambda: MASK, PHOTO)
    broken.start.click()
    broken.wait(60)
    assert broken.words.value == "ZeroDivisionError: division by zero"


def test_one_training_at_a_time_another_start_ends_the_one_under_way():
    began = threading.Event()
    first = monitored(epochs=1000, on_step=lambda *now: began.set())
    first.start.click()
    assert began.wait(60)
    second = monitored(epochs=1)  # as when the cell is run again
    assert not first.thread.is_alive()
    assert first.history.stopped
    second.start.click()
    second.start.click()  # twice, before the button was grey
    second.wait(60)
    assert second.words.value == "Done. Whole epochs: 1."
    assert TrainingMonitor.under_way is None


def test_run_trains_in_the_cell_and_shows_the_same(monkeypatch):
    shown = []

    class Handle:
        def update(self, thing):
            shown.append(thing)

    def display(thing, *, display_id):
        shown.append(thing)
        return Handle()

    monkeypatch.setattr(monitor_module, "display", display)
    monitor = monitored(epochs=1)
    monitor.run()
    assert monitor.thread is None
    assert len(monitor.history.train_loss) == 1
    words = [thing.data for thing in shown if isinstance(thing, HTML)]
    assert words[0] == "Loading the first batch."
    assert words[1].startswith("epoch 1, step 1, loss ")
    assert words[-1] == "Done. Whole epochs: 1."
    pictures = [thing.data for thing in shown if not isinstance(thing, HTML)]
    assert len(pictures) == 2
    assert pictures[-1] == monitor.picture.value != pictures[0]


def test_an_interrupt_in_the_cell_ends_the_training_of_run(monkeypatch):
    def interrupted(epoch, step, loss):
        if step == 2:
            raise KeyboardInterrupt  # as the kernel does to a cell

    monkeypatch.setattr(monitor_module, "display", lambda thing, display_id: Mock())
    monitor = monitored(epochs=1000, on_step=interrupted)
    monitor.run()
    assert monitor.words.value == "Stopped in epoch 1, step 2. Whole epochs: 0."
    outside = training_monitor(Mock(side_effect=KeyboardInterrupt), lambda: MASK, PHOTO)
    outside.run()
    assert outside.words.value == "Stopped."
    assert TrainingMonitor.under_way is None


def test_in_colab_there_are_no_buttons_and_words_that_name_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", Mock())
    monitor = monitored()
    assert "<code>run()</code>" in monitor.words.value
    assert not any(isinstance(part, ipywidgets.HBox) for part in monitor.children)


def test_the_stop_button_of_the_kernel_sets_what_the_next_step_looks_at(monkeypatch):
    shell = Mock()
    shell.kernel.saved_sigint_handler = None
    monkeypatch.setattr(monitor_module, "get_ipython", lambda: shell)
    began = threading.Event()
    monitor = monitored(epochs=1000, on_step=lambda *now: began.set())
    shell.kernel.saved_sigint_handler(2, None)  # nothing is under way: nothing happens
    monitor.start.click()
    assert began.wait(60)
    shell.kernel.saved_sigint_handler(2, None)
    monitor.wait(60)
    assert monitor.words.value.startswith("Stopped in epoch")


def test_the_bar_of_the_thread_is_shown_in_the_widget():
    monitor = monitored()
    bar = {"msg_type": "display_data", "content": {"data": {"text/plain": "a bar"}, "metadata": {}, "transient": {}}}
    other = {"msg_type": "update_display_data"}
    assert monitor._take_bar(bar) is None
    assert monitor._take_bar(other) is other
    (output,) = monitor.bar.outputs
    assert output["data"] == {"text/plain": "a bar"}


def test_the_first_picture_has_no_ticks():
    losses, scores, _ = monitor_figure(History(), PHOTO, MASK).axes
    assert [*losses.get_xticks(), *losses.get_yticks(), *scores.get_xticks()] == []


def test_the_error_is_that_of_the_training():
    with pytest.raises(TrainingError, match="step 2"):
        monitored(train_batches=batches(2, value=math.nan)).train(lambda _: None, lambda *_: None)


# The words beside the loop


def test_the_words_fit_the_loop_and_stand_in_the_order_of_the_notes():
    lead_ins = [group.explanation.split("**")[1] for group in annotate(train_one_epoch, LOOP_EXPLANATIONS).groups[1:]]
    notes = ["Moving the data.", "Zeroing gradients.", "Forward pass.", "Loss calculation.", "Backward pass."]
    places = [lead_ins.index(words) for words in (*notes, "Optimization step.")]
    assert places == sorted(places)


# Exercises


def said(check, answer, capsys):
    check(answer)
    return capsys.readouterr().out.strip()


def epoch_by_hand(model, given, criterion, optimizer):
    model.train()
    total_loss, count = 0.0, 0
    for images, masks in given:
        optimizer.zero_grad()
        outputs = model(images)["out"]
        loss = criterion(outputs, masks)
        count += len(images)
        total_loss += loss.item() * len(images)
        loss.backward()
        optimizer.step()
    return total_loss / count


def zeroed_at_the_end(model, given, criterion, optimizer):
    model.train()
    total = torch.zeros(())
    for images, masks in given:
        loss = criterion(model(images)["out"], masks)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        total += loss.detach() * len(images)
    return total / 10


@pytest.mark.parametrize("answer", [epoch_by_hand, zeroed_at_the_end])
def test_a_right_epoch_is_right(answer, capsys):
    assert said(check_epoch, answer, capsys).startswith("Right.")


def with_change(old, new):
    """The epoch above with one line changed."""
    source = inspect.getsource(epoch_by_hand)
    assert source.count(old) == 1
    names = {}
    exec(source.replace(old, new), names)
    return names["epoch_by_hand"]


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("        optimizer.zero_grad()\n", "", "the gradients of the batches before"),
        ("        loss.backward()\n", "", "no gradient was computed"),
        ("        optimizer.step()\n", "", "nobody used them"),
        (
            "        loss.backward()\n        optimizer.step()\n",
            "        optimizer.step()\n        loss.backward()\n",
            "a step found no gradients",
        ),
        (
            "        loss.backward()\n",
            "        loss.backward()\n        optimizer.zero_grad()\n",
            "a step found no gradients",
        ),
        ("    model.train()\n", "", "evaluation mode"),
        ('model(images)["out"]', "model(images)", "the model gives a dict"),
        ("loss.item() * len(images)", "loss * len(images)", "the graph of every batch"),
        ("loss.item() * len(images)", "loss.item()", "each loss is a mean already"),
        ("total_loss / count", "loss.item()", "the loss of the last batch alone"),
        ("total_loss / count", "total_loss", "divide the sum"),
        ("total_loss / count", "'0.6'", "one number"),
        ("total_loss / count", "2 * total_loss / count", "0.6125"),
        (
            "        optimizer.step()\n",
            "        optimizer.step()\n        optimizer.step()\n",
            "one step for each batch",
        ),
        ("return total_loss / count", "pass", "nothing to check"),
    ],
)
def test_each_slip_in_an_epoch_gets_its_hint(old, new, hint, capsys):
    line = said(check_epoch, with_change(old, new), capsys)
    assert line.startswith("Not yet")
    assert hint in line


def test_means_of_means_and_the_notes_number_get_their_hints(capsys):
    changed = with_change("loss.item() * len(images)", "loss.item()")
    assert "a mean already" in said(check_epoch, changed, capsys)

    def of_means(*arguments):
        return changed(*arguments) * 10 / 3

    def notes(*arguments):
        return changed(*arguments) * 10 / 12

    assert "a mean of means" in said(check_epoch, of_means, capsys)
    assert "the notes' number" in said(check_epoch, notes, capsys)


def test_a_gradient_by_differences(capsys):
    def right(loss_of, weight, h):
        return (loss_of(weight + h) - loss_of(weight - h)) / (2 * h)

    assert said(check_gradient, right, capsys).startswith("Right.")
    assert "one side" in said(check_gradient, lambda f, w, h: (f(w) - f(w - h)) / h, capsys)
    assert "how far" in said(check_gradient, lambda f, w, h: f(w + h) - f(w - h), capsys)
    assert "one number" in said(check_gradient, lambda f, w, h: "6", capsys)
    assert "came out" in said(check_gradient, lambda f, w, h: 5.0, capsys)
