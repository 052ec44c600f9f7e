"""How the files of the repository become the pages that Sphinx reads."""

import base64
import json

import pytest

from tools.notebooks.environment import NOTEBOOKS, ROOT
from tools.site.links import linked_files, page_of, slug, with_site_links
from tools.site.notebook_page import WIDGET_WORDS, badges, first_sentences, notebook_page
from tools.site.stage import stage, with_all_they_link

PICTURE = base64.b64encode(b"bytes of a picture").decode("ascii")
FIGURE = {
    "output_type": "display_data",
    "data": {"image/png": PICTURE, "text/html": "<img>", "text/plain": "words"},
    "metadata": {"image/png": {"alt": 'A "curve": it falls', "width": 768}},
}


def notebook(*cells: dict) -> dict:
    title = {
        "cell_type": "markdown",
        "metadata": {},
        "source": ["# 05 Loss\n", "\n", "A [loss](GLOSSARY.md#loss) is `one`.\n"],
    }
    return {"cells": [title, *cells], "metadata": {"kernelspec": {"name": "python3"}}}


def code(*outputs: dict, tags: tuple[str, ...] = (), hidden: bool = False) -> dict:
    metadata = {"tags": list(tags)} | ({"jupyter": {"source_hidden": True}} if hidden else {})
    return {"cell_type": "code", "metadata": metadata, "source": ["x = 1"], "outputs": list(outputs)}


def page(cell: dict, tmp_path) -> dict:
    return notebook_page(notebook(cell), "05_loss", tmp_path)["cells"][-1]


def test_a_figure_becomes_a_file_with_its_alternative_text(tmp_path):
    data = page(code(FIGURE), tmp_path)["outputs"][0]["data"]
    assert list(data) == ["text/markdown"]
    assert ':alt: "A \\"curve\\": it falls"' in data["text/markdown"]
    assert ":width: 768px" in data["text/markdown"]
    assert (tmp_path / "figures" / "05_loss-01-0.png").read_bytes() == b"bytes of a picture"


def test_a_figure_without_alternative_text_stops_the_build(tmp_path):
    bare = FIGURE | {"metadata": {"image/png": {"width": 768}}}
    with pytest.raises(SystemExit, match=r"05_loss-01-0\.png has no alternative text"):
        page(code(bare), tmp_path)


def test_guards_are_left_out_and_hidden_sources_are_folded(tmp_path):
    assert page(code(tags=("guard",)), tmp_path)["cell_type"] == "markdown"
    assert page(code(hidden=True), tmp_path)["metadata"]["tags"] == ["hide-input"]
    assert page(code(), tmp_path)["metadata"]["tags"] == []


@pytest.mark.parametrize(("words", "is_widget"), [("LossSlider(4 losses)", True), ("Compose(resize)", False)])
def test_a_widget_is_said_in_words(tmp_path, words, is_widget):
    output = {"output_type": "execute_result", "data": {"text/plain": [words]}, "metadata": {}}
    shown = page(code(output), tmp_path)["outputs"][0]["data"]
    assert (shown == {"text/markdown": WIDGET_WORDS}) == is_widget


def test_the_line_to_colab_becomes_badges_whatever_it_looks_like(tmp_path):
    for line in (
        "[Open in Colab](https://colab.research.google.com/x)",
        "[![a](b.svg)](https://colab.research.google.com/x)",
    ):
        cell = {"cell_type": "markdown", "metadata": {}, "source": f"before\n\n{line}\n\nafter"}
        assert page(cell, tmp_path)["source"] == f"before\n\n{badges('05_loss')}\n\nafter"


def test_the_page_says_in_plain_words_what_it_is_about():
    assert first_sentences(notebook()) == "A loss is one."


def test_links_lead_to_pages():
    assert with_site_links("[a](notebooks/00_start_here.ipynb)", "README.md") == "[a](notebooks/00_start_here.ipynb)"
    assert with_site_links("[a](examples/finetune.py)", "README.md") == "[a](examples/finetune.py.md)"
    assert with_site_links("[a](../README.md#start)", "notebooks/05_loss.ipynb") == "[a](../index.md#start)"
    assert with_site_links("[IoU](GLOSSARY.md#IoU)", "notebooks/05_loss.ipynb") == "[IoU](GLOSSARY.md#iou)"
    assert with_site_links("[a](https://a.org/b.py)", "README.md") == "[a](https://a.org/b.py)"
    assert with_site_links("[a](seglib)", "README.md").startswith("[a](https://github.com/")
    assert with_site_links("[a](nowhere.md)", "README.md") == "[a](nowhere.md)"


def test_what_a_page_links_is_a_page_too():
    shown = with_all_they_link(["README.md"])
    assert {"ARCHITECTURE.md", "examples/finetune.py", "LICENSE", "notebooks/05_loss.ipynb"} <= set(shown)
    assert len(shown) == len(set(shown))


def test_slugs_are_those_of_github():
    assert slug("True positive, false positive") == "true-positive-false-positive"
    assert slug("IoU") == "iou"


def test_every_notebook_and_all_that_is_linked_is_staged(tmp_path):
    stage(tmp_path)
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):
        assert (tmp_path / "notebooks" / path.name).is_file()
        assert path.stem in (tmp_path / "notebooks" / "index.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in linked_files(readme, "README.md"):
        assert (tmp_path / page_of(path)).is_file(), path


def test_no_picture_is_left_inside_a_staged_notebook(tmp_path):
    stage(tmp_path)
    for path in (tmp_path / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        kinds = {kind for cell in cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
        assert not {kind for kind in kinds if kind.startswith("image/")}, path.name
