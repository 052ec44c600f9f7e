"""Owns how a figure gets into a notebook: sharp, small, and in words what it shows. See 00_start_here."""

import base64
import html
import io
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from seglib.errors import SegError

CSS_PIXELS_PER_INCH = 96  # what a browser calls an inch
DPI = 144  # one and a half device pixels for each of the browser's: sharp on most screens
MAX_BYTES = 150_000  # a notebook with ten figures stays near a megabyte
MAX_PALETTE_ERROR = 0.05  # of 255 grey levels, on average: what a palette may change without anybody seeing it
MIN_ALT_WORDS = 5
MIN_ALT_LETTERS = 20

STYLE: dict[Any, Any] = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "legend.fontsize": 11,
    "lines.linewidth": 1.6,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
styled = matplotlib.rc_context(STYLE)  # a decorator: whatever a function draws has our fonts and lines


@styled
def new_figure(rows: int = 1, columns: int = 1, width: float = 8.0, height: float = 3.4) -> tuple[Figure, np.ndarray]:
    """Make a figure in the style of the series, with rows x columns axes.

    pyplot does not know this figure: nothing shows it but `show`, so no cell shows a figure twice.

    Args:
        rows: of axes.
        columns: of axes.
        width: of the figure, in inches.
        height: of the figure, in inches.

    Returns:
        The figure, and its axes as an array (rows, columns).
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def show(figure: Figure, alt: str) -> None:
    """Display a figure and its alternative text; then close the figure.

    The picture goes into the output twice. JupyterLab and `nbconvert --to html` draw an image/png without
    any words, whatever its metadata say; of the two they take the HTML, where the words are the `alt` of an <img>. The
    picture as such, with the words in its metadata, is for what shows no HTML: a PDF, a diff of notebooks, a program.

    Args:
        figure: of `new_figure`, of the plots here, or of `plt.subplots`.
        alt: what the figure shows, not what it is; at least five words.

    Raises:
        SegError: the words are missing, or axes with lines, points or bars have no labels.
    """
    if not isinstance(alt, str) or len(alt.split()) < MIN_ALT_WORDS or len(alt) < MIN_ALT_LETTERS:
        raise SegError(
            f"The alternative text of this figure is {alt!r}.",
            "a sentence for those who cannot see the figure",
            f"say in {MIN_ALT_WORDS} words or more what the figure shows.",
        )
    for axes in figure.axes:
        _check_labels(axes)
    kind, data = encode(figure)
    if kind == "image/png":
        data = with_palette(data)
    plt.close(figure)
    width = round(figure.get_figwidth() * CSS_PIXELS_PER_INCH)
    address = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    image = f'<img alt="{html.escape(alt)}" width="{width}" src="{address}">'
    bundle = {kind: data, "text/html": image, "text/plain": alt}
    from IPython.display import display  # here: the benchmarks draw nothing, and run where there is no Jupyter

    display(bundle, raw=True, metadata={kind: {"alt": alt, "width": width}})


def encode(figure: Figure, limit: int = MAX_BYTES) -> tuple[str, bytes]:
    """Draw a figure once and store it small: as PNG where that stays below `limit` bytes, else as JPEG.

    Lines and bars compress well as PNG. Photographs do not, and a JPEG of the same sharpness has a tenth of the bytes.

    Returns:
        The media type, "image/png" or "image/jpeg", and the bytes.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})  # no version
    if drawn.tell() <= limit:
        return "image/png", drawn.getvalue()
    picture = Image.open(drawn).convert("RGB")
    for quality in (90, 85, 80, 70, 60, 50):
        stored = io.BytesIO()
        picture.save(stored, format="jpeg", quality=quality, subsampling=0)
        if stored.tell() <= limit:
            break
    return "image/jpeg", stored.getvalue()


def with_palette(png: bytes) -> bytes:
    """Store a PNG with a palette of 256 colours: about a third of the bytes for lines and bars.

    Returns:
        The smaller PNG, or the given one where its colours would change visibly, as those of a photograph do.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    reduced = picture.quantize(256, dither=Image.Dither.NONE)
    change = np.asarray(picture, dtype=np.int16) - np.asarray(reduced.convert("RGB"), dtype=np.int16)
    if np.abs(change).mean() > MAX_PALETTE_ERROR:
        return png
    stored = io.BytesIO()
    reduced.save(stored, format="png", optimize=True)
    return stored.getvalue()


def _check_labels(axes: Axes) -> None:
    """Data without a labelled axis is a picture of nothing; images and drawings (axis off) need no labels."""
    drawn = axes.lines or axes.collections or axes.containers
    if not drawn or axes.images or not axes.axison or axes.get_label() == "<colorbar>":
        return
    figure = axes.figure
    # A label on shared axes is written once, at the edge.
    across = [axes, *axes.get_shared_x_axes().get_siblings(axes)]
    along = [axes, *axes.get_shared_y_axes().get_siblings(axes)]
    missing = [] if figure.get_supxlabel() or any(a.get_xlabel() for a in across) else ["x"]
    missing += [] if figure.get_supylabel() or any(a.get_ylabel() for a in along) else ["y"]
    if missing:
        title = f" titled {axes.get_title()!r}" if axes.get_title() else ""
        raise SegError(
            f"Axes{title} hold data, but no label for {' and '.join(missing)}.",
            "both axes labelled, with their unit where they have one",
            " and ".join(f"call axes.set_{side}label(...)" for side in missing) + " before show.",
        )


def jpeg_bytes(picture: np.ndarray) -> bytes:
    """The JPEG file of a picture (H, W, 3), uint8: what a widget shows."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
