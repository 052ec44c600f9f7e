"""The notebooks as documents: every rule of notebook_rules.py, asked of every notebook; and the rules themselves, asked
of notebooks that break them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.notebook_rules import LEAKS, MIN_ALT, RULES, Notebook
from tools.notebooks.environment import NOTEBOOKS, badge, setup_cell

pytestmark = pytest.mark.notebook

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))


def test_the_series_is_numbered_from_00_without_a_gap():
    stems = [path.stem for path in PATHS]
    assert stems, "there are no notebooks"
    assert [stem.partition("_")[0] for stem in stems] == [f"{number:02}" for number in range(len(stems))]
    assert all(re.fullmatch(r"\d\d_[a-z_]+", stem) for stem in stems)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook_keeps(path: Path, rule: Callable):
    found = list(rule(Notebook(path)))
    assert not found, f"{path.name}:\n" + "\n".join(found)


# The rules themselves. A lesson in small that keeps all of them; then each way of breaking one.

TABLE = "| you will | minutes | before |\n|--|--|--|\n| see | 1 | - |\n"
TITLE = f"# Sample\n\nWe learn a thing. {badge('00_sample')}\n\n{TABLE}"
SOLUTION = "<details><summary>Solution</summary>\n\n```python\ndef my_sum(a, b):\n    return a + b\n```\n\n</details>\n"


def code(source: str, *tags: str, outputs: tuple = ()) -> dict:
    cell = {"cell_type": "code", "id": "x", "source": source.splitlines(keepends=True), "outputs": list(outputs)}
    return cell | {"metadata": {"tags": list(tags)} if tags else {}, "execution_count": None}


def markdown(source: str) -> dict:
    return {"cell_type": "markdown", "id": "x", "metadata": {}, "source": source.splitlines(keepends=True)}


def printed(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": [text]}


def picture(alt: str) -> dict:
    data = {"image/png": "iVBORw0KGgo=", "text/plain": ["<Figure>"]}
    return {"output_type": "display_data", "data": data, "metadata": {"image/png": {"alt": alt}}}


def exercise(number: int) -> dict:
    stub = f"def my_sum{number}(a, b):\n    ...  # your code\n\n\ncheck_sum(my_sum{number})"
    return code(stub, "exercise", outputs=(printed("Not yet: nothing to check so far.\n"),))


LESSON = [
    markdown(TITLE),
    code(setup_cell()),
    markdown("## From the notes\n\n> Just returns the total number!\n\nSee the [glossary](GLOSSARY.md#mask).\n"),
    code("for i in range(1):\n  print(i)", "from-the-notes", "nbval-ignore-output", outputs=(printed("0\n"),)),
    code("assert i == 0"),
    code("import torch\n\nprint(torch.zeros(2).tolist())", outputs=(printed("[0.0, 0.0]\n"),)),
    code("print(1)", outputs=(picture("x" * MIN_ALT),)),
    code("print(2)", outputs=(printed("2\n"),)),
    code("print(3)", outputs=(printed("3\n"),)),
    markdown("## Try it\n"),
    exercise(1),
    markdown(SOLUTION),
    exercise(2),
    markdown(SOLUTION),
    markdown("## Recap and next\n\nThree lines, and `a != b` in code.\n"),
]


def read(folder: Path, cells: list[dict], metadata: dict | None = None) -> Notebook:
    """The cells as a stored notebook, executed 1 to n unless they say otherwise, beside a glossary of one term."""
    (folder / "GLOSSARY.md").write_text("# Glossary\n\n## Mask\n\nA picture of labels.\n")
    cells = json.loads(json.dumps(cells))
    number = 0
    for cell in cells:
        if cell["cell_type"] == "code":
            number += 1
            cell["execution_count"] = cell["execution_count"] or number
    path = folder / "00_sample.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": metadata or {}, "nbformat": 4, "nbformat_minor": 5}))
    return Notebook(path)


def rules_broken(notebook: Notebook) -> set[str]:
    return {rule.__name__ for rule in RULES if list(rule(notebook))}


def put(place: int, *cells: dict) -> list[dict]:
    """The lesson with other cells in this place."""
    return [*LESSON[:place], *cells, *LESSON[place + 1 :]]


def before_recap(*cells: dict) -> list[dict]:
    """The lesson with more cells before its last."""
    return [*LESSON[:-1], *cells, LESSON[-1]]


def shows(text: str) -> list[dict]:
    return before_recap(code("print(text)", outputs=(printed(text),)))


def says(text: str) -> list[dict]:
    return before_recap(markdown(text))


BROKEN = {
    "out of order": ("stored_executed_in_order", put(4, code("assert i == 0") | {"execution_count": 9})),
    "an empty cell": ("no_empty_code_cell", before_recap(code(" \n"))),
    "31 cells": ("at_most_thirty_code_cells", before_recap(*[code("pass")] * 22)),
    "16 lines": ("short_cells", before_recap(code("\n".join(["pass"] * 16)))),
    "stderr": ("no_error_and_nothing_on_stderr", before_recap(code("a", outputs=(printed("hm\n", "stderr"),)))),
    "an error": (
        "no_error_and_nothing_on_stderr",
        before_recap(code("1 / 0", outputs=({"output_type": "error", "ename": "E", "evalue": "", "traceback": []},))),
    ),
    "a widget's id": (
        "no_widget_ids",
        before_recap(
            code(
                "slider",
                outputs=(
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {"application/vnd.jupyter.widget-view+json": {"model_id": "7"}, "text/plain": ["S()"]},
                    },
                ),
            )
        ),
    ),
    "an unknown tag": ("known_tags_only", before_recap(code("pass", "nbval-skip"))),
    "a comment to nbval": ("known_tags_only", before_recap(code("# NBVAL_IGNORE_OUTPUT\npass"))),
    "two of seven ignored": (
        "at_most_one_in_six_ignored",
        put(7, *[code("a", "nbval-ignore-output", outputs=(printed("2\n"),)), code("assert a")] * 2),
    ),
    "an ignored cell, nothing asserted": (
        "ignored_cells_are_asserted",
        before_recap(code("print(4)", "nbval-ignore-output", outputs=(printed("4\n"),)), code("b = 'assert'")),
    ),
    "the notes compared": (
        "notes_run_verbatim_uncompared_after_their_quotation",
        put(3, code("for i in range(1):\n  print(i)", "from-the-notes", outputs=(printed("0\n"),))),
    ),
    "the notes not quoted": (
        "notes_run_verbatim_uncompared_after_their_quotation",
        put(2, markdown("## From the notes\n\nJust returns the total number.\n")),
    ),
    "another set-up cell": ("same_set_up_cell", put(1, code("import seglib"))),
    "pandas": ("imports_what_colab_has", before_recap(code("import pandas as pd"))),
    "a magic": ("imports_what_colab_has", before_recap(code("%matplotlib inline"))),
    "a missing file": ("links_resolve", says("See [this](missing.md).")),
    "a missing picture": ("links_resolve", says(f"![{'x' * MIN_ALT}](missing.png)")),
    "a missing notebook": ("links_resolve", says("Next: [two](02_transforms.ipynb).")),
    "a missing notebook on the web": ("links_resolve", says("[two](https://a.org/b/notebooks/02_transforms.ipynb)")),
    "a missing term": ("links_resolve", says("An [epoch](GLOSSARY.md#epoch).")),
    "a missing heading": ("links_resolve", says("Above, [there](#nowhere).")),
    "no table": ("first_cell_is_title_table_and_badge", put(0, markdown(TITLE.replace("|", " ")))),
    "no badge": ("first_cell_is_title_table_and_badge", put(0, markdown(TITLE.replace("colab", "collab")))),
    "a badge of another ref": (
        "first_cell_is_title_table_and_badge",
        put(0, markdown(TITLE.replace("/main/", "/old/"))),
    ),
    "no recap": ("ends_with_a_recap", LESSON[:-1]),
    "a figure without words": ("figures_have_alt_text", put(6, code("print(1)", outputs=(picture("a plot"),)))),
    "a picture without words": ("figures_have_alt_text", says("![plot](GLOSSARY.md)")),
    "interact": ("no_output_that_nbval_cannot_compare", before_recap(code("@interact(k=3)\ndef f(k):\n    pass"))),
    "clear_output": ("no_output_that_nbval_cannot_compare", before_recap(code("clear_output()"))),
    "a shout": ("voice", says("It works!")),
    "an emoji": ("voice", says("It works \U0001f389.")),
    "one exercise": ("two_to_four_exercises", [*LESSON[:12], LESSON[-1]]),
    "an exercise without check": (
        "exercises_have_stub_check_and_solution",
        put(10, code("def my_sum1(a, b):\n    ...  # your code", "exercise")),
    ),
    "an exercise without stub": (
        "exercises_have_stub_check_and_solution",
        put(10, code("def my_sum1(a, b):\n    return a + b\n\n\ncheck_sum(my_sum1)", "exercise")),
    ),
    "an exercise without solution": ("exercises_have_stub_check_and_solution", put(11, markdown("Good luck."))),
    "an answer needed later": ("no_cell_needs_an_answer", before_recap(code("total = my_sum2(1, 2)"))),
}

LEAKED = {
    "an absolute path": ["/home/ada/masks", "in /tmp/x1", "C:\\Users\\ada"],
    "a warning": ["UserWarning: careful"],
    "a traceback": ["Traceback (most recent call last)\n"],
    "a progress bar": [" 40%|####      | 4/10", "[00:01, 12.3it/s]"],
    "an object's address": ["<function f at 0x7f3a2b>"],
    "a date": ["2026-11-22"],
    "a time of day": ["7:58:03"],
    "a version": ["2.15.0"],
    "a device's name": ["NVIDIA H200", "cuda:0"],
}


def test_the_lesson_in_small_keeps_every_rule(tmp_path: Path):
    notebook = read(tmp_path, LESSON)
    assert [line for rule in RULES for line in rule(notebook)] == []


@pytest.mark.parametrize(("rule", "cells"), BROKEN.values(), ids=BROKEN)
def test_a_broken_lesson_is_found(rule: str, cells: list[dict], tmp_path: Path):
    assert rules_broken(read(tmp_path, cells)) == {rule}


def test_every_rule_has_been_broken():
    broken_above = {name for name, _ in BROKEN.values()}
    assert {rule.__name__ for rule in RULES} - broken_above == {"nothing_stored_that_may_not_be"}
    assert set(LEAKED) == set(LEAKS)


@pytest.mark.parametrize(("leak", "text"), [(leak, text) for leak, texts in LEAKED.items() for text in texts])
def test_a_leak_is_found(leak: str, text: str, tmp_path: Path):
    notebook = read(tmp_path, shows(text))
    assert rules_broken(notebook) == {"nothing_stored_that_may_not_be"}
    assert any(leak in line for rule in RULES for line in rule(notebook))


@pytest.mark.parametrize("text", ["data/images/fruit_007.jpg", "IoU 0.87, 12 of 16", "1:30 minutes", "50%", "a/tmp/b"])
def test_what_may_be_stored_is_no_leak(text: str, tmp_path: Path):
    assert rules_broken(read(tmp_path, shows(text))) == set()


def test_the_state_of_widgets_is_found(tmp_path: Path):
    assert rules_broken(read(tmp_path, LESSON, {"widgets": {}})) == {"no_widget_ids"}
