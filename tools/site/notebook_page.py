"""Turns a stored notebook into the notebook that Sphinx reads: its figures as files, its badges, its folded cells.

Nothing is run. What a page cannot do is taken out or said in words: guards of the series, the set-up of Colab, widgets.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

from tools.notebooks.environment import badge, kaggle_badge
from tools.site.links import with_site_links

Cell = dict[str, Any]
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg"}
COLAB_LINE = re.compile(r"^.*\(https://colab\.research\.google\.com/.*$", re.MULTILINE)
WIDGET = re.compile(r"\w+(Slider|Widget|Monitor)\(")  # so begins the plain text of a widget: by its class
WIDGET_WORDS = "*Here stands a widget with knobs. To turn them, open this notebook in Colab or in JupyterLab.*"


def badges(stem: str) -> str:
    """The links to Colab and Kaggle, as badges that lie on the site."""
    return f"{badge(stem, '../')}\n{kaggle_badge(stem, '../')}"


def notebook_page(notebook: dict[str, Any], stem: str, folder: Path) -> dict[str, Any]:
    """The notebook as Sphinx shall read it; its figures are written into `folder`/figures.

    Args:
        notebook: as JSON, stored with its outputs; stays as it is.
        stem: its file's name, without suffix.
        folder: where the page will lie.
    """
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        if "guard" in cell["metadata"].get("tags", []) and not cell["outputs"]:
            continue
        if cell["cell_type"] == "markdown":
            cells.append(markdown_cell(cell, stem))
        else:
            cells.append(code_cell(cell, f"{stem}-{number:02}", folder))
    metadata = notebook["metadata"] | {"myst": {"html_meta": {"description lang=en": first_sentences(notebook)}}}
    return notebook | {"cells": cells, "metadata": metadata}


def first_sentences(notebook: dict[str, Any]) -> str:
    """The paragraph under the title, plain: what a search engine shows below the page's name."""
    paragraphs = "".join(notebook["cells"][0]["source"]).split("\n\n")
    return re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`]", r"\1", paragraphs[1]).strip() if len(paragraphs) > 1 else ""


def markdown_cell(cell: Cell, stem: str) -> Cell:
    text = with_site_links("".join(cell["source"]), f"notebooks/{stem}.ipynb")
    return cell | {"source": COLAB_LINE.sub(lambda _: badges(stem), text)}


def code_cell(cell: Cell, name: str, folder: Path) -> Cell:
    """A code cell: its source folded where JupyterLab hides it, its outputs as a page can show them."""
    metadata = dict(cell["metadata"])
    tags = list(metadata.get("tags", []))
    if metadata.get("jupyter", {}).get("source_hidden"):
        tags.append("hide-input")
    outputs = [page_output(output, f"{name}-{number}", folder) for number, output in enumerate(cell["outputs"])]
    return cell | {"metadata": metadata | {"tags": tags}, "outputs": outputs}


def page_output(output: dict[str, Any], name: str, folder: Path) -> dict[str, Any]:
    """An output as a page can show it: a figure as a file with its alternative text, a widget in words."""
    data = output.get("data", {})
    for kind, suffix in SUFFIXES.items():
        if kind in data:
            figures = folder / "figures"
            figures.mkdir(parents=True, exist_ok=True)
            (figures / (name + suffix)).write_bytes(base64.b64decode("".join(data[kind])))
            return output | {"data": {"text/markdown": figure(f"figures/{name}{suffix}", output["metadata"], kind)}}
    if set(data) == {"text/plain"} and WIDGET.match("".join(data["text/plain"])):
        return output | {"data": {"text/markdown": WIDGET_WORDS}}
    return output


def figure(path: str, metadata: dict[str, Any], kind: str) -> str:
    """The figure in MyST's words.

    Raises:
        SystemExit: it has no alternative text.
    """
    about = metadata.get(kind, {})
    if not about.get("alt"):
        raise SystemExit(
            f"{path} has no alternative text. Show it with seglib.lesson.common.figures.show(figure, alt)."
        )
    return "\n".join(
        (
            f"```{{image}} {path}",
            f":alt: {json.dumps(about['alt'], ensure_ascii=False)}",
            f":width: {about['width']}px",
            ":class: figure-output dark-light",
            "```",
        )
    )
