"""Owns what the widgets of the lessons share: a line of words once their kernel is gone, pictures at their own width.

Seen first in 01_dataset.
"""

from collections.abc import Sequence

import ipywidgets

AGAIN = "The kernel that drew this has ended, so nothing here answers. Run this cell again."
# JupyterLab gives a widget this class when its kernel has ended, and to one that it reads from a saved notebook. No
# program is needed to show the words then: a style sheet does. The colours can be read on light and on dark pages.
STYLE = """<style>
.lesson-widget > .lesson-widget-again { display: none; }
.lesson-widget.jupyter-widgets-disconnected > .lesson-widget-again { display: block; }
.lesson-widget-again div { white-space: normal; }
.lesson-widget-again b { background: #f0e442; color: #000; padding: 2px 6px; }
</style>"""


class LessonWidget(ipywidgets.VBox):
    """Controls, a picture and words, one below the other; above them a line that appears when the kernel has ended."""

    def __init__(self, parts: Sequence[ipywidgets.Widget]):
        again = ipywidgets.HTML(f"{STYLE}<b>{AGAIN}</b>")
        again.add_class("lesson-widget-again")
        super().__init__([again, *parts])
        self.add_class("lesson-widget")


def widget_picture(kind: str, alt: str, *, width: int | None = None) -> ipywidgets.Image:
    """Make the picture of a widget, still empty; a box would stretch it to the width of the cell, and blur it.

    Args:
        kind: "png" or "jpeg".
        alt: what the picture shows, for those who cannot see it; the words of the widget have what changes.
        width: on the screen, in CSS pixels; as wide as it has pixels if None.
    """
    layout = ipywidgets.Layout(align_self="flex-start", max_width="100%", height="auto")
    picture = ipywidgets.Image(format=kind, layout=layout)
    if width:
        picture.width = str(width)
    if picture.has_trait("tooltip"):  # not in ipywidgets 7, which Colab has
        picture.tooltip = alt
    return picture
