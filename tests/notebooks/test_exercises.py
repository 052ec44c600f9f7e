"""The exercises, as a reader meets them: the stub is not right, the solution is, each mistake gets its hint."""

import ast
import contextlib
import io
from pathlib import Path

import pytest

from tests.support.notebook_rules import Cell, Notebook, check_call
from tests.support.wrong_answers import WRONG_ANSWERS
from tools.notebooks.environment import NOTEBOOKS

pytestmark = pytest.mark.notebook

EXERCISES = {
    (path.stem, check_call(cell).func.id.removeprefix("check_")): (notebook, cell)
    for path in sorted(NOTEBOOKS.glob("*.ipynb"))
    for notebook in [Notebook(path)]
    for cell in notebook.exercises
    if check_call(cell) is not None  # one without a check is reported by test_notebooks.py
}
WRONG = [(key, answer, hint) for key, answers in WRONG_ANSWERS.items() for answer, hint in answers]


def names() -> dict:
    """What a reader has at hand in any exercise: the libraries under their usual names."""
    import numpy as np
    import torch
    from PIL import Image

    import seglib

    return {"np": np, "torch": torch, "Image": Image, "Path": Path, "seglib": seglib, "__name__": "__main__"}


def imports_of(notebook: Notebook) -> str:
    """The imports of a notebook, its checks among them."""
    nodes = [node for cell in notebook.code if cell.tree for node in cell.tree.body]
    return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


def run(notebook: Notebook, *sources: str) -> str:
    """What is printed by these pieces of code, run one after the other. An error in them is an error here."""
    namespace, stdout = names(), io.StringIO()
    with contextlib.redirect_stdout(stdout):
        for source in (imports_of(notebook), *sources):
            exec(compile(source, "<exercise>", "exec"), namespace)
    return stdout.getvalue().strip()


def call_of(cell: Cell) -> str:
    """The line of the exercise that checks the answer."""
    return ast.unparse(check_call(cell))


@pytest.fixture(autouse=True)
def where_notebooks_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(NOTEBOOKS)


@pytest.mark.parametrize("key", EXERCISES, ids="-".join)
def test_the_stub_is_not_right_and_raises_nothing(key: tuple[str, str]):
    notebook, cell = EXERCISES[key]
    said = run(notebook, cell.source)
    assert said.startswith("Not yet"), said


@pytest.mark.parametrize("key", EXERCISES, ids="-".join)
def test_the_solution_is_right(key: tuple[str, str]):
    notebook, cell = EXERCISES[key]
    said = run(notebook, cell.source, notebook.solution(cell), call_of(cell)).splitlines()[-1]
    assert said.startswith("Right"), said


@pytest.mark.parametrize("key", EXERCISES, ids="-".join)
def test_two_typical_mistakes_are_known(key: tuple[str, str]):
    hints = [hint for _, hint in WRONG_ANSWERS.get(key, [])]
    assert len(set(hints)) >= 2, (
        f"tests/support/wrong_answers.py: {key} needs two wrong answers with hints of their own"
    )


@pytest.mark.parametrize(("key", "answer", "hint"), WRONG, ids=[f"{'-'.join(key)}: {hint}" for key, _, hint in WRONG])
def test_a_typical_mistake_gets_the_hint_meant_for_it(key: tuple[str, str], answer: str, hint: str):
    assert key in EXERCISES, f"tests/support/wrong_answers.py: there is no exercise {key}"
    notebook, cell = EXERCISES[key]
    said = run(notebook, cell.source, answer, call_of(cell)).splitlines()[-1]
    assert said.startswith("Not yet"), said
    assert hint in said, said
