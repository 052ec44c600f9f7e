"""The tool that keeps the glossary and the links to it in step; that all of them are is asked by `make check`."""

import json

import pytest

from tests.support.notebook_rules import LINK, Notebook, minutes_to_read
from tools.notebooks.check import links
from tools.notebooks.glossary import (
    GLOSSARY,
    jupyterlab_anchor,
    terms,
    update_glossary,
    with_anchors,
    with_titles,
)

TEXT = """# Glossary

The words.

## IoU

What two `masks` share, over what either
holds ("their union"). Between 0 and 1.

## kernel (GPU)

A small program: see [IoU](#iou) (N, C). Short.

## epoch

One pass
"""
KNOWN = terms(TEXT)


def test_each_entry_is_found_with_its_first_sentence_in_plain_text():
    assert {anchor: term.name for anchor, term in KNOWN.items()} == {
        "iou": "IoU",
        "kernel-gpu": "kernel (GPU)",
        "epoch": "epoch",
    }
    assert KNOWN["iou"].sentence == "What two masks share, over what either holds ('their union')."
    assert KNOWN["kernel-gpu"].sentence == "A small program: see IoU (N, C)."
    assert KNOWN["epoch"].sentence == "One pass"


def test_an_anchor_is_written_only_where_jupyterlab_would_have_another():
    better = with_anchors(TEXT)
    assert '## <a id="iou"></a>IoU\n\nWhat' in better
    assert '## <a id="kernel-gpu"></a>kernel (GPU)\n\nA small' in better
    assert "## epoch\n\nOne pass\n" in better
    assert with_anchors(better) == better
    assert terms(better) == KNOWN
    assert with_anchors(better.replace('"iou"', '"old"')) == better


def test_a_link_gets_the_sentence_of_its_term_once():
    source = (
        "An [IoU](GLOSSARY.md#iou), a [kernel](GLOSSARY.md#kernel-gpu), [what](GLOSSARY.md#none), [all](GLOSSARY.md)."
    )
    better = with_titles(source, KNOWN)
    assert "[IoU](GLOSSARY.md#iou \"What two masks share, over what either holds ('their union').\")," in better
    assert "[what](GLOSSARY.md#none), [all](GLOSSARY.md)." in better
    assert with_titles(better, KNOWN) == better
    assert with_titles(better.replace("What two masks share", "Outdated"), KNOWN) == better
    assert LINK.sub(lambda link: link.group(2), better) == "An IoU, a kernel, what, all."


def notebook_with(source: str) -> dict:
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": source.splitlines(keepends=True)},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": ["'](GLOSSARY.md#iou)'"], "outputs": []},
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_check_names_the_cells_and_fix_writes_them(tmp_path):
    path = tmp_path / "00_try.ipynb"
    path.write_text(json.dumps(notebook_with("# Title\n\nAn [IoU](GLOSSARY.md#iou).\n")))
    assert links(path, KNOWN, fix=False) == ["00_try.ipynb, cell 1: a link lacks its term's sentence (`make format`)"]
    assert links(path, KNOWN, fix=True) == []
    assert links(path, KNOWN, fix=False) == []
    cells = json.loads(path.read_text())["cells"]
    assert cells[0]["source"][2].startswith('An [IoU](GLOSSARY.md#iou "What two')
    assert cells[1]["source"] == ["'](GLOSSARY.md#iou)'"]  # code is not touched


def test_the_glossary_is_checked_and_mended(tmp_path):
    path = tmp_path / "GLOSSARY.md"
    path.write_text(TEXT)
    (found,) = update_glossary(path, fix=False)
    assert found.startswith("GLOSSARY.md: a heading lacks its anchor")
    assert update_glossary(path, fix=True) == []
    assert update_glossary(path, fix=False) == []


def test_the_sentence_at_the_pointer_counts_for_no_minute(tmp_path):
    source = "# Title\n\nAn [IoU](GLOSSARY.md#iou).\n"
    minutes = [
        minutes_to_read(Notebook(tmp_path / "00_try.ipynb", notebook_with(text)))
        for text in (source, with_titles(source, KNOWN))
    ]
    assert minutes[0] == minutes[1]


@pytest.mark.parametrize("term", terms(GLOSSARY.read_text(encoding="utf-8")).values(), ids=lambda term: term.anchor)
def test_a_term_of_ours_can_be_a_title_and_be_found(term):
    assert 15 < len(term.sentence) < 200
    assert not set('"|\\$`') & set(term.sentence)
    glossary = GLOSSARY.read_text(encoding="utf-8")
    assert f'<a id="{term.anchor}"></a>' in glossary or jupyterlab_anchor(term.name) == term.anchor
