"""What the widgets of the lessons share; how it looks is seen by `make browser`."""

import ipywidgets
import pytest

from seglib.lesson.common.lesson_widget import AGAIN, LessonWidget, widget_picture


def test_the_line_for_a_lost_kernel_comes_first_and_is_hidden_while_the_kernel_is_there():
    part = ipywidgets.HTML("words")
    widget = LessonWidget([part])
    again, last = widget.children
    assert last is part
    assert AGAIN in again.value
    assert ".lesson-widget > .lesson-widget-again { display: none; }" in again.value
    assert "lesson-widget" in widget._dom_classes
    assert "lesson-widget-again" in again._dom_classes


@pytest.mark.parametrize(("width", "written"), [(None, ""), (768, "768")])
def test_a_picture_is_not_stretched_and_has_words(width, written):
    picture = widget_picture("png", "a chart of two lines", width=width)
    assert picture.layout.align_self == "flex-start"
    assert picture.width == written
    assert picture.tooltip == "a chart of two lines"
