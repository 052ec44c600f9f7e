"""`make address`: the head, the set-up cell and the pages of a copy; and what they link to is there."""

import copy
import xml.etree.ElementTree as ElementTree

import pytest

from tests.support.notebook_rules import LINK
from tools.notebooks import address
from tools.notebooks.environment import NOTEBOOKS, REF, ROOT, head_links, repository, setup_cell

IN_WORDS = "[Open in Colab](https://colab.research.google.com/github/OWNER/seglib/blob/main/notebooks/01_dataset.ipynb)"
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["# 01 Dataset\n", "\n", f"{IN_WORDS} (the first cell fetches)"]},
        {"cell_type": "code", "source": ["import os\n", "os.system('git clone https://github.com/a/b lessons')"]},
        {"cell_type": "markdown", "source": ["Words, and `git clone https://github.com/a/b`, and more."]},
        {"cell_type": "code", "source": ["print('git clone')"]},
    ]
}


def updated() -> dict:
    notebook = copy.deepcopy(NOTEBOOK)
    address.update(notebook, "01_dataset")
    return notebook


def source(notebook: dict, place: int) -> str:
    return "".join(notebook["cells"][place]["source"])


def test_the_head_gets_its_line_and_the_set_up_cell_its_code():
    notebook = updated()
    assert source(notebook, 0) == f"# 01 Dataset\n\n{head_links('01_dataset')}"
    assert source(notebook, 1) == setup_cell()
    assert source(notebook, 2) == f"Words, and `git clone {repository()}`, and more."
    assert source(notebook, 3) == "print('git clone')"


def test_twice_is_as_once():
    notebook = updated()
    again = copy.deepcopy(notebook)
    address.update(again, "01_dataset")
    assert again == notebook


def test_a_new_address_reaches_every_link(monkeypatch: pytest.MonkeyPatch):
    notebook = updated()
    monkeypatch.setattr("tools.notebooks.environment.repository", lambda: "https://github.com/new/home")
    monkeypatch.setattr(address, "repository", lambda: "https://github.com/new/home")
    address.update(notebook, "01_dataset")
    pages = [(ROOT / name).read_text(encoding="utf-8") for name in address.PAGES]
    texts = [source(notebook, place) for place in range(3)] + [address.with_links(page) for page in pages]
    for text in texts:
        assert "new/home" in text
        assert "OWNER/seglib" not in text


def test_the_links_of_a_head_are_relative_but_for_colab_kaggle_and_one_to_the_glossary():
    line = head_links("01_dataset")
    outer = [match.group(3) for match in LINK.finditer(line)]
    colab, kaggle, glossary = outer
    path = f"blob/{REF}/notebooks"
    assert colab.endswith(f"/{path}/01_dataset.ipynb")
    assert kaggle.endswith(f"{repository()}/{path}/01_dataset.ipynb")
    assert glossary == f"{repository()}/{path}/GLOSSARY.md"  # absolute: a copy in Drive lies alone


@pytest.mark.parametrize(("name", "words"), [("colab", "Open in Colab"), ("kaggle", "Open in Kaggle")])
def test_a_badge_is_a_picture_of_its_words(name: str, words: str):
    assert f"[![{words}](badges/{name}.svg)](https://" in head_links("01_dataset")
    root = ElementTree.parse(NOTEBOOKS / "badges" / f"{name}.svg").getroot()
    assert root.get("aria-label") == words
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith(("title", "text"))]
    assert texts == [words, words]
    assert "http" not in ElementTree.tostring(root, encoding="unicode").replace("http://www.w3.org/2000/svg", "")
