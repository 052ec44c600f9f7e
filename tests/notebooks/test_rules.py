"""The notebooks as documents: every rule of notebook_rules.py, asked of every notebook; and the rules themselves, asked
of notebooks that break them."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support import notebook_rules
from tests.support.notebook_rules import (
    LEAKS,
    MIN_ALT,
    RULES,
    Notebook,
    few_verdicts,
    minutes_to_read,
    numbers_shown_or_written,
)
from tools.notebooks.environment import NOTEBOOKS, head_links, setup_cell

pytestmark = pytest.mark.notebook

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))


def test_the_series_is_numbered_from_00_without_a_gap():
    stems = [path.stem for path in PATHS]
    assert stems, "there are no notebooks"
    assert [stem.partition("_")[0] for stem in stems] == [f"{number:02}" for number in range(len(stems))]
    assert all(re.fullmatch(r"\d\d_[a-z_]+", stem) for stem in stems)


def test_the_series_prints_numbers_in_place_of_verdicts():
    assert list(few_verdicts([Notebook(path) for path in PATHS])) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook_keeps(path: Path, rule: Callable):
    found = list(rule(Notebook(path)))
    assert not found, f"{path.name}:\n" + "\n".join(found)


# The rules themselves. A lesson in small that keeps all of them; then each way of breaking one.

TABLE = "| | |\n|---|---|\n| **You will** | see |\n| **Minutes on a CPU** | 11 to read |\n| **Before** | nothing |\n"
TITLE = f"# Sample\n\nWe learn a thing.\n\n{TABLE}\n\n{head_links('00_sample')}"
SOLUTION = "<details><summary>Solution</summary>\n\n```python\ndef my_sum(a, b):\n    return a + b\n```\n\n</details>\n"


def code(source: str, *tags: str, outputs: tuple = ()) -> dict:
    cell = {"cell_type": "code", "id": "x", "source": source.splitlines(keepends=True), "outputs": list(outputs)}
    return cell | {"metadata": {"tags": list(tags)} if tags else {}, "execution_count": None}


def markdown(source: str) -> dict:
    return {"cell_type": "markdown", "id": "x", "metadata": {}, "source": source.splitlines(keepends=True)}


def hidden(cell: dict, **keys: object) -> dict:
    """A cell with more metadata: as it is, with the keys that hide its source in JupyterLab and in Colab."""
    keys = keys or {"jupyter": {"source_hidden": True}, "cellView": "form"}
    return cell | {"metadata": cell["metadata"] | keys}


def guard(source: str, outputs: tuple = ()) -> dict:
    return hidden(code(source, "guard", outputs=outputs))


def printed(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": [text]}


def picture(alt: str) -> dict:
    data = {"image/png": "iVBORw0KGgo=", "text/plain": [alt]}
    return {"output_type": "display_data", "data": data, "metadata": {"image/png": {"alt": alt}}}


def html(page: str) -> dict:
    return {"output_type": "display_data", "data": {"text/html": [page]}, "metadata": {}}


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
    code("print(torch.ones(2).mean())", "within-0.03", outputs=(printed("tensor(1.)\n"),)),
    markdown("## Try it\n"),
    exercise(1),
    markdown(SOLUTION),
    exercise(2),
    markdown(SOLUTION),
    markdown("## Recap and next\n\nThree lines, and `a != b` in code.\n"),
]


METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "version": "3.11.7"},
}


def read(folder: Path, cells: list[dict], metadata: dict | None = None) -> Notebook:
    """The cells as a stored notebook, executed 1 to n unless they say otherwise, beside a glossary of one term."""
    (folder / "GLOSSARY.md").write_text("# Glossary\n\n## Mask\n\nA picture of labels.\n")
    (folder / "badges").mkdir(exist_ok=True)
    for badge in ("colab.svg", "kaggle.svg"):
        (folder / "badges" / badge).touch()
    cells = json.loads(json.dumps(cells))
    number = 0
    for cell in cells:
        if cell["cell_type"] == "code":
            number += 1
            cell["execution_count"] = cell["execution_count"] or number
    path = folder / "00_sample.ipynb"
    path.write_text(
        json.dumps({"cells": cells, "metadata": METADATA | (metadata or {}), "nbformat": 4, "nbformat_minor": 5})
    )
    return Notebook(path)


def rules_broken(notebook: Notebook) -> set[str]:
    return {rule.__name__ for rule in RULES if list(rule(notebook))}


def put(place: int, *cells: dict) -> list[dict]:
    """The lesson with other cells in this place."""
    return [*LESSON[:place], *cells, *LESSON[place + 1 :]]


def before_recap(*cells: dict) -> list[dict]:
    """The lesson with more cells before its last."""
    return [*LESSON[:-1], *cells, LESSON[-1]]


def table_says(minutes: int) -> list[dict]:
    """The lesson without its recap, and with so many minutes in its table."""
    return [markdown(TITLE.replace("12 to read", f"{minutes} to read")), *LESSON[1:-1]]


def shows(text: str) -> list[dict]:
    return before_recap(code("print(text)", outputs=(printed(text),)))


def says(text: str) -> list[dict]:
    return before_recap(markdown(text))


RIGHT_TAG = "tolerances_are_right_and_needed"
IMPORT_CHECK = "from seglib.lesson.common.guard import check"
CHECK = f"{IMPORT_CHECK}\n\ncheck(i == 0, 'one round')"
IGNORED = code("print(4)", "nbval-ignore-output", outputs=(printed("4\n"),))
SILENT_GUARDS = "guards_call_check_and_say_nothing"
HIDDEN = "only_guards_and_annotations_hide_their_source"
NO_TRICKS = "no_tricks"
SHOWN = "numbers_in_the_prose_are_shown_or_recorded"

BROKEN = {
    "out of order": ("stored_executed_in_order", put(4, code("assert i == 0") | {"execution_count": 9})),
    "an empty cell": ("no_empty_code_cell", before_recap(code(" \n"))),
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
    "a tag of no meaning": ("known_tags_only", put(4, code("assert i == 0", "guarded"))),
    "a comment to nbval": ("known_tags_only", before_recap(code("# NBVAL_IGNORE_OUTPUT\npass"))),
    "a wrong tolerance": (RIGHT_TAG, before_recap(code("a", "within-0.5", outputs=(printed("0.3\n"),)))),
    "a tolerance misspelt": (RIGHT_TAG, before_recap(code("a", "Within-0.03", outputs=(printed("0.3\n"),)))),
    "a tolerance of words": (RIGHT_TAG, before_recap(code("a", "within-0.03", outputs=(printed("3 fruit_007\n"),)))),
    "a tolerance of a width": (
        RIGHT_TAG,
        before_recap(code("a", "within-5%", outputs=(html('<i width="768">a</i><b>a</b>'),))),
    ),
    "a tolerance of prose": (RIGHT_TAG, before_recap(markdown("Hm.\n") | {"metadata": {"tags": ["within-0.03"]}})),
    "two of seven ignored": (
        "at_most_one_in_six_ignored",
        put(7, *[code("a", "nbval-ignore-output", outputs=(printed("2\n"),)), code("assert a")] * 2),
    ),
    "an ignored cell, nothing asserted": (
        "ignored_cells_are_asserted",
        before_recap(IGNORED, code("b = 'assert'")),
    ),
    "an ignored cell, another function": (
        "ignored_cells_are_asserted",
        before_recap(IGNORED, code("from os import getcwd\n\ngetcwd()")),
    ),
    "an ignored cell, a check of another kind": ("ignored_cells_are_asserted", before_recap(IGNORED, code("check(4)"))),
    "a guard that checks nothing": (SILENT_GUARDS, before_recap(guard("a = 1"))),
    "a guard with a check of its own": (SILENT_GUARDS, before_recap(guard("def check(a, b): ...\n\n\ncheck(1, 'a')"))),
    "a guard that stops the reader": (SILENT_GUARDS, before_recap(guard(f"{CHECK}\nassert i == 0"))),
    "a guard that speaks": (SILENT_GUARDS, before_recap(guard(CHECK, outputs=(printed("This lesson expects\n"),)))),
    "a guard in view": (HIDDEN, before_recap(code(CHECK, "guard"))),
    "a guard in view in Colab": (HIDDEN, before_recap(hidden(code(CHECK, "guard"), jupyter={"source_hidden": True}))),
    "a guard in view in JupyterLab": (HIDDEN, before_recap(hidden(code(CHECK, "guard"), cellView="form"))),
    "another cell hidden in JupyterLab": (HIDDEN, before_recap(hidden(code("a = 1"), jupyter={"source_hidden": True}))),
    "another cell hidden in Colab": (HIDDEN, before_recap(hidden(code("a = 1"), cellView="form"))),
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
    "no badge": (
        "first_cell_is_title_table_and_badge",
        put(0, markdown(TITLE.replace("colab.research", "collab.research"))),
    ),
    "a badge of another ref": (
        "first_cell_is_title_table_and_badge",
        put(0, markdown(TITLE.replace("/main/", "/old/"))),
    ),
    "a head of its own": (
        "first_cell_is_title_table_and_badge",
        put(0, markdown(TITLE.replace("Glossary on the web", "Words"))),
    ),
    "no recap": ("ends_with_a_recap", LESSON[:-1]),
    "a figure without words": ("figures_have_alt_text", put(6, code("print(1)", outputs=(picture("a plot"),)))),
    "a picture without words": ("figures_have_alt_text", says("![plot](GLOSSARY.md)")),
    "a picture in a link without words": ("figures_have_alt_text", says("[![plot](GLOSSARY.md)](GLOSSARY.md)")),
    "a missing picture in a link": ("links_resolve", says("[![The loss of each epoch](none.svg)](GLOSSARY.md)")),
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
    "a table that flatters": ("minutes_are_honest", says("word " * 150 * 8)),
    "no minutes": ("minutes_are_honest", put(0, markdown(TITLE.replace("Minutes", "Time")))),
    "61 minutes": ("minutes_are_honest", [*table_says(60), markdown("word " * 150 * 51), LESSON[-1]]),
    "nine names": (
        "imports_where_they_are_needed",
        before_recap(code(f"from os import {', '.join('abcdefgh')}\nimport re")),
    ),
    "a walrus": (NO_TRICKS, before_recap(code("print(n := 3)"))),
    "locals()": (NO_TRICKS, before_recap(code("a = locals()['i']"))),
    "the future": (NO_TRICKS, before_recap(code("from __future__ import annotations"))),
    "torch's future": (
        NO_TRICKS,
        before_recap(code("torch.__future__.set_overwrite_module_params_on_conversion(True)")),
    ),
    "append in a comprehension": (NO_TRICKS, before_recap(code("a = []\nb = [a.append(n) for n in range(3)]"))),
    "print in a generator": (NO_TRICKS, before_recap(code("a = tuple(print(n) for n in range(3))"))),
    "in place in a comprehension": (NO_TRICKS, before_recap(code("a = {n: torch.zeros(2).fill_(n) for n in (1, 2)}"))),
    "next in a comprehension": (NO_TRICKS, before_recap(code("a = iter([1, 2])\nb = [next(a) for n in range(2)]"))),
    "a comprehension for a loop": (NO_TRICKS, before_recap(code("[torch.save(n) for n in (1, 2)]\na = 1"))),
    "a result not used": (NO_TRICKS, before_recap(code("[torch.relu(n) for n in (1, 2)]\na = 1"))),
    "a number from nowhere": (SHOWN, says("It reaches 0.85 here.")),
    "a number said in code": (SHOWN, before_recap(code("a = 'it reaches 0.85'  # 0.85"), markdown("It reaches 0.85."))),
    "a number rounded wrongly": (SHOWN, [*shows("IoU 0.847\n"), *says("It reaches 0.84.")[-2:]]),
    "a number of a figure's description": (
        SHOWN,
        before_recap(code("1", outputs=(picture("A curve that ends at 0.85"),)), markdown("It reaches 0.85.")),
    ),
    "percent that are none": (SHOWN, [*shows("IoU 0.847\n"), *says("It reaches 84.7 of them.")[-2:]]),
    "a record that nobody reads": (SHOWN, says("The ceiling is 0.98.")),
}

KEPT = {
    "a long cell": before_recap(code("\n".join(["pass"] * 20))),
    "many cells": before_recap(*[code("pass")] * 31),
    "an ignored cell and a guard": before_recap(IGNORED, guard(CHECK)),
    "an ignored cell and a check under another name": before_recap(
        IGNORED, guard("from seglib.lesson.common.guard import check as expect\n\nexpect(i == 0, 'one round')")
    ),
    "a guard that uses an import above": before_recap(
        guard(CHECK), code("a = 1"), IGNORED, guard("check(i == 0, 'a')")
    ),
    "an annotation, hidden": before_recap(hidden(code("annotate(seglib)"), jupyter={"source_hidden": True})),
    "a tolerance in percent of whole numbers": before_recap(code("a", "within-5%", outputs=(printed("120 pixels\n"),))),
    "eight names": before_recap(code(f"from os import {', '.join('abcdefgh')}")),
    "nine names in the notes": put(
        3,
        code(f"from os import {', '.join('abcdefghi')}\ni = 0", "from-the-notes", "nbval-ignore-output"),
    ),
    "a walrus in the notes": put(3, code("print(i := 0)", "from-the-notes", "nbval-ignore-output")),
    "plain comprehensions": before_recap(code("a = [abs(n) for n in (1, 2)]\n[next(iter([n])) for n in a]")),
    "a loop that appends": before_recap(code("a = []\nfor n in (1, 2):\n    a.append(n)")),
    "words under Deeper": before_recap(markdown("## Deeper: why\n\n" + "word " * 150 * 30)),
    "a number printed": [*shows("IoU 0.8471\n"), *says("It reaches 0.85, that is 84.7 %, not 84.7 percent less.")[-2:]],
    "a percentage printed": [*shows("IoU 85%\n"), *says("It reaches 0.85.")[-2:]],
    "a number printed with a sign": [*shows("-0.25\n"), *says("It falls by 0.25.")[-2:]],
    "a number in code": before_recap(code("rate = 1e-3"), markdown("The rate is 0.001.")),
    "a number recorded": before_recap(code("recorded('ceiling')"), markdown("The ceiling is 0.98.")),
    "numbers that are no prose": says(
        "> 0.123\n\n`0.123`\n\n```python\n0.123\n```\n\n"
        "Since Python 3.11 and torch 2.6, [here](https://a.org/0.123) and https://a.org/0.12.\n"
    ),
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


@pytest.mark.parametrize("cells", KEPT.values(), ids=KEPT)
def test_what_breaks_no_rule_is_left_alone(cells: list[dict], tmp_path: Path):
    notebook = read(tmp_path, cells)
    assert [line for rule in RULES for line in rule(notebook)] == []


def test_minutes_are_counted_as_the_table_of_a_lesson_promises(tmp_path: Path):
    cells = [
        markdown("word " * 300),  # 2 minutes
        code("a = 1\n\nb = 2\n" * 15),  # 30 lines: 4 minutes
        code("c", outputs=(picture("A figure"), printed("x\n"), picture("A figure"), picture("A figure"))),  # 1 minute
        code("d", "exercise"),  # 4 minutes
        markdown("## Deeper: more\n\n" + "word " * 3000),
        code("e = 1\n" * 100, "exercise"),
        markdown("```python\n# this comment in code is no heading\n```"),
        markdown("### A part of it\n\n" + "word " * 3000),
        markdown("## Recap\n\n" + "word " * 148),  # 1 minute
    ]
    two_short_lines = 2 * 8 / 60
    assert minutes_to_read(read(tmp_path, cells)) == pytest.approx(2 + 4 + 1 + 4 + 1 + two_short_lines)


def test_a_verdict_in_forty_lines_is_found_and_one_in_fifty_is_not(tmp_path: Path):
    def lines(count: int, verdict: str) -> list[str]:
        shown = code("a", outputs=(printed("IoU 0.85\n" * (count - 1) + verdict + "\n"),))
        return list(few_verdicts([read(tmp_path, [shown, code("b", "exercise", outputs=(printed("True\n"),))])]))

    for verdict in ("better: True", "False", "[True, 3]", "is it so: yes", "it is: no"):
        assert len(lines(40, verdict)) == 2, verdict
        assert lines(50, verdict) == []
    for number in ("3 of 4", "strict=True", "is it so: 0.3", "no news", "Truest"):
        assert lines(2, number) == []


def test_a_number_on_the_list_of_exceptions_is_allowed_while_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(notebook_rules, "PROSE_NUMBERS", {"sample": {"0.85": "a date of birth"}})
    assert rules_broken(read(tmp_path, says("It reaches 0.85."))) == set()
    assert rules_broken(read(tmp_path, says("It reaches nothing."))) == {SHOWN}


def test_exceptions_belong_to_notebooks_and_have_reasons():
    allowed = notebook_rules.PROSE_NUMBERS
    assert set(allowed) <= {Notebook(path).name for path in PATHS}
    assert all(len(reason) > 20 for numbers in allowed.values() for reason in numbers.values())


def test_a_curve_of_a_record_proves_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notebook_rules, "RECORDS", tmp_path)
    curve = [number / 100 for number in range(30)]
    record = {"iou": 0.5, "kept": [0.25, 0.75], "curve": curve, "rows": [{"seed": 3}] * 30, "odd": [True, None, "0.9"]}
    (tmp_path / "sweep.json").write_text(json.dumps(record))
    numbers, _ = numbers_shown_or_written(read(tmp_path, [code("recorded('sweep'), recorded('none'), recorded(name)")]))
    assert numbers == {Decimal("0.5"), Decimal("0.25"), Decimal("0.75"), Decimal("3")}


def test_every_rule_has_been_broken():
    broken_above = {name for name, _ in BROKEN.values()}
    by_themselves = {"nothing_stored_that_may_not_be", "metadata_are_those_of_jupyterlab"}
    assert {rule.__name__ for rule in RULES} - broken_above == by_themselves
    assert set(LEAKED) == set(LEAKS)


@pytest.mark.parametrize(("leak", "text"), [(leak, text) for leak, texts in LEAKED.items() for text in texts])
def test_a_leak_is_found(leak: str, text: str, tmp_path: Path):
    notebook = read(tmp_path, shows(text))
    assert rules_broken(notebook) == {"nothing_stored_that_may_not_be"}
    assert any(leak in line for rule in RULES for line in rule(notebook))


@pytest.mark.parametrize("text", ["data/images/fruit_007.jpg", "IoU 0.87, 12 of 16", "1:30 minutes", "50%", "a/tmp/b"])
def test_what_may_be_stored_is_no_leak(text: str, tmp_path: Path):
    assert rules_broken(read(tmp_path, shows(text))) == set()


def test_the_bytes_of_a_picture_are_no_words(tmp_path: Path):
    image = f'<img alt="{"x" * MIN_ALT}" src="data:image/png;base64,+/tmp/a+EPYC+">'
    assert rules_broken(read(tmp_path, before_recap(code("a", outputs=(html(image),))))) == set()


def test_the_state_of_widgets_is_found(tmp_path: Path):
    assert rules_broken(read(tmp_path, LESSON, {"widgets": {}})) == {"no_widget_ids"}


@pytest.mark.parametrize(
    "metadata",
    [{"kernelspec": METADATA["kernelspec"] | {"display_name": "Python 3"}}, {"language_info": {"name": "python"}}],
)
def test_metadata_that_jupyterlab_would_rewrite_are_found(metadata: dict, tmp_path: Path):
    assert rules_broken(read(tmp_path, LESSON, metadata)) == {"metadata_are_those_of_jupyterlab"}
