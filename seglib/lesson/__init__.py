"""What only a lesson needs: `common` for several lessons, and a folder for each. Only here is matplotlib imported."""

from seglib.inference.overlay import error_picture, overlay, to_labels, to_picture
from seglib.inference.palette import OKABE_ITO
from seglib.lesson.common.annotate import annotate
from seglib.lesson.common.figures import new_figure, show
from seglib.lesson.common.plots import image_grid, plot_history
from seglib.lesson.common.recorded import recorded

__all__ = [
    "OKABE_ITO",
    "annotate",
    "error_picture",
    "image_grid",
    "new_figure",
    "overlay",
    "plot_history",
    "recorded",
    "show",
    "to_labels",
    "to_picture",
]
