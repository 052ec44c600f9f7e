"""Owns pages of results: one HTML file with its pictures inside, readable in light and dark. See 13_your_own_data."""

import base64
import html
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8888; text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { display: inline-block; margin: .5rem; vertical-align: top; max-width: 21rem; }
figure img { max-width: 100%; height: auto; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; }
"""


def text(words: str) -> str:
    """A paragraph; line breaks are kept, and whatever a name holds is shown as it is."""
    return f"<p>{html.escape(words).replace(chr(10), '<br>')}</p>"


def heading(words: str) -> str:
    """The heading of a section."""
    return f"<h2>{html.escape(words)}</h2>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; floats are shown with three decimals."""
    lines = ["<table>", _row(head, "th")]
    lines += [_row([f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row], "td") for row in rows]
    return "\n".join([*lines, "</table>"])


def _row(cells: Iterable[object], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"


def picture(image: Image.Image, caption: str, side: int = 480) -> str:
    """A picture inside the page, its longer side at most `side` pixels; the caption is its alternative text too."""
    image = image.convert("RGB")
    image.thumbnail((side, side))
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=85)
    data = base64.b64encode(packed.getvalue()).decode("ascii")
    words = html.escape(caption)
    source = f"data:image/jpeg;base64,{data}"
    return f'<figure><img alt="{words}" src="{source}"><figcaption>{words}</figcaption></figure>'


def write_page(path: str | os.PathLike[str], title: str, parts: Iterable[str]) -> None:
    """Write a page of parts, each of a function above."""
    head = f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>'
    head += f'\n<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style>\n</head>\n<body>'
    page = "\n".join([head, f"<h1>{html.escape(title)}</h1>", *parts, "</body>\n</html>\n"])
    Path(path).write_text(page, encoding="utf-8")
