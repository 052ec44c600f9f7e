"""The monitor of 07_training_loop in a real kernel: it trains, one at a time, by its button or the kernel's it ends."""

import pytest

from tests.browser.jupyterlab import Lab, OpenNotebook, Widget, wait_until

WITH_MONITOR = "07_training_loop"


@pytest.fixture
def monitor(notebook: OpenNotebook) -> Widget:
    if notebook.name != WITH_MONITOR:
        pytest.skip("no monitor")
    (cell,) = notebook.widget_cells
    return notebook.run_widget(cell)


def says(widget: Widget, words: str) -> bool:
    return widget.node.get_by_text(words).first.is_visible()


def press(widget: Widget, button: str) -> None:
    widget.node.get_by_role("button", name=button).click()


def see_it_train(widget: Widget) -> None:
    press(widget, "start")
    wait_until(lambda: says(widget, "epoch 1, step"), "the first step is shown")


def test_it_trains_with_a_bar_and_ends_by_its_button(monitor: Widget):
    before = monitor.pixels()
    see_it_train(monitor)
    bars = monitor.node.locator(".jupyter-widget-hprogress, .widget-hprogress")
    assert bars.count() == 1
    wait_until(lambda: monitor.pixels() != before, "the picture follows the first epoch", 600)
    press(monitor, "stop")
    wait_until(lambda: says(monitor, "Stopped in epoch"), "the training has ended")


def test_the_stop_button_of_the_kernel_ends_it(notebook: OpenNotebook, monitor: Widget):
    see_it_train(monitor)
    notebook.interrupt_kernel()
    wait_until(lambda: says(monitor, "Stopped in epoch"), "the training has ended")


def test_the_cell_run_again_ends_the_training_under_way(notebook: OpenNotebook, monitor: Widget):
    see_it_train(monitor)
    (cell,) = notebook.widget_cells
    notebook.run(cell)  # ends when the old training has ended
    again = notebook.widget(cell)
    assert says(again, "Press start.")
    see_it_train(again)
    press(again, "stop")
    wait_until(lambda: says(again, "Stopped in epoch"), "the new training has ended")


def test_in_dark_its_words_can_be_read(lab: Lab, monitor: Widget):
    lab.theme("dark")
    assert lab.unreadable(monitor.node) == []
