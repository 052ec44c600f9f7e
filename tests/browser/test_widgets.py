"""The widget of each notebook that has one: moved by key and by mouse, in light and dark, saved, opened again."""

import pytest

from tests.browser.jupyterlab import Lab, OpenNotebook, Widget, wait_until


def widget_of(notebook: OpenNotebook) -> tuple[int, Widget]:
    """The cell of the notebook's widget, and the widget, drawn by a kernel that has run what it needs."""
    if not notebook.widget_cells:
        pytest.skip("no widget")
    (place,) = notebook.widget_cells
    return place, notebook.run_widget(place)


def see_every_move(widget: Widget) -> None:
    """Each way to move each knob must give another picture."""
    for words, move in widget.moves():
        before = widget.pixels()
        move()
        wait_until(lambda before=before: widget.pixels() != before, f"the picture follows {words}", 30)


def see_one_move(widget: Widget) -> bool:
    """Whether the picture follows the first knob within some seconds; there may be none, in the monitor."""
    words, move = next(widget.moves(), (None, None))
    if move is None:
        return True
    before = widget.pixels()
    move()
    try:
        return wait_until(lambda: widget.pixels() != before, f"the picture follows {words}", 10)
    except AssertionError:
        return False


def test_every_knob_redraws_by_key_and_by_mouse_in_light_and_in_dark(lab: Lab, notebook: OpenNotebook):
    place, widget = widget_of(notebook)
    assert not widget.asks_to_be_run()
    for theme in ("light", "dark"):
        lab.theme(theme)
        assert lab.unreadable(widget.node) == []
        if theme == "dark":
            notebook.run(place)  # anew, from its first picture: a knob at its end would not move
            widget = notebook.widget(place)
        see_every_move(widget)


def test_the_picture_has_its_own_width_and_a_description(notebook: OpenNotebook):
    _, widget = widget_of(notebook)
    sizes = widget.image.evaluate("""e => [e.getBoundingClientRect().width, e.naturalWidth || 0,
        Number(e.getAttribute("width")) || 0, e.title || e.alt || e.getAttribute("aria-label") || ""]""")
    shown, pixels, asked, words = sizes
    assert shown == pytest.approx(asked or pixels, abs=1)
    assert len(words) >= 20


def test_a_widget_that_was_saved_is_there_again(notebook: OpenNotebook):
    place, widget = widget_of(notebook)
    assert see_one_move(widget)
    seen = widget.pixels()
    notebook.save_as_if_all_had_run()
    notebook.close()
    again = notebook.lab.open(notebook.name)
    assert not again.dirty()
    widget = again.widget(place)
    wait_until(lambda: widget.pixels() == seen, "the saved picture is shown", 30)
    assert not widget.asks_to_be_run()  # the kernel is still there
    assert see_one_move(widget)


def test_a_widget_says_that_its_kernel_is_gone(notebook: OpenNotebook):
    place, widget = widget_of(notebook)
    notebook.restart_kernel()
    wait_until(widget.asks_to_be_run, "the widget asks for its cell to be run", 30)
    notebook.save_as_if_all_had_run()
    notebook.shut_down()
    again = notebook.lab.open(notebook.name)
    widget = again.widget(place)
    wait_until(widget.asks_to_be_run, "the widget asks for its cell to be run, read from the file", 30)
    assert not notebook.lab.unreadable(widget.node)
    widget = again.run_widget(place)
    assert not widget.asks_to_be_run()
    assert see_one_move(widget)
