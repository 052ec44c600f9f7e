"""The faults fit the code: one that no longer applies would be caught by nothing. And a red cell is read rightly."""

import ast
import shutil
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.notebooks.environment import NOTEBOOKS, ROOT
from tools.notebooks.nbval_tolerance import Tolerance, differences
from tools.proofs.faults import FAULTS, Edit, Fault, faulty_texts
from tools.proofs.mutants import change_over_tolerance, in_words, is_weak, read_report, red_cells, verdict


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_fits_the_code_and_still_compiles(fault: Fault):
    for name, text in faulty_texts(fault, ROOT).items():
        assert text != (ROOT / name).read_text(encoding="utf-8")
        ast.parse(text)


def test_each_fault_has_a_name_and_notebooks_of_its_own():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    known = {path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    for fault in FAULTS:
        assert fault.notebooks
        assert known.issuperset(fault.notebooks), fault.name


@pytest.mark.parametrize("old", ["no such text", "import"])
def test_a_fault_that_does_not_fit_once_is_named(old: str):
    fault = Fault("a wrong fault", (Edit("seglib/data/pairing.py", old, "pass"),), ("01_dataset",))
    with pytest.raises(SystemExit, match=r"a wrong fault: this stands \d+ times in seglib/data/pairing.py"):
        faulty_texts(fault, ROOT)


def failure_of(stored: str, now: str, limit: str) -> str:
    """What the plugin says of a cell tagged within `limit`, as it stands in a report."""
    tolerance = Tolerance(Decimal(limit.removesuffix("%")), percent=limit.endswith("%"))
    lines = [f"stdout, {line}" for line in differences(stored, now, tolerance)]
    return "\n".join([f"not equal within {tolerance}:", *lines, "", " mismatch 'stdout'", ""])


def test_the_change_of_numbers_is_divided_by_the_tolerance():
    assert change_over_tolerance(failure_of("IoU 0.80", "IoU 0.90", "0.04")) == pytest.approx(2.5)
    assert change_over_tolerance(failure_of("10 of 200.0", "10 of 230.0", "5%")) == pytest.approx(3)
    assert change_over_tolerance(failure_of("0.80, 0.10", "0.85, 0.30", "0.02")) == pytest.approx(10)


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ("IoU 0.80", "IOU 0.80"),  # another word
        ("IoU 0.80, 3 masks", "IoU 0.90, 4 masks"),  # a whole number too
        ("IoU 0.80", "IoU nan"),
        ("IoU 0.80", "IoU 0.80, loss 0.1"),
    ],
)
def test_a_cell_that_fails_for_another_reason_has_no_such_change(stored: str, now: str):
    assert change_over_tolerance(failure_of(stored, now, "0.04")) is None


@pytest.mark.parametrize(
    "failure",
    [
        " mismatch 'stdout'\n assert reference_output == test_output failed:",  # no tolerance
        "Cell 3: Cell execution caused an exception",
        failure_of("IoU 0.80", "IoU 0.90", "0.04") + " mismatch 'text/html'\n",
        failure_of("IoU 0.80", "IoU 0.90", "0.04") + "Missing output fields from running code: {'stderr'}",
    ],
)
def test_a_failure_without_a_tolerance_has_no_such_change(failure: str):
    assert change_over_tolerance(failure) is None


def test_a_fault_that_changes_less_than_twice_the_tolerance_is_weak():
    row = {"fault": "f", "notebook": "n", "caught": True, "by_code_cell": 2, "which_begins": "x", "seconds": 1}
    assert not is_weak(row | {"change_over_tolerance": None})
    assert not is_weak(row | {"change_over_tolerance": 2.0})
    assert is_weak(row | {"change_over_tolerance": 1.99})
    assert "TOO LITTLE" in in_words(row | {"change_over_tolerance": 1.99})


def test_a_report_is_read(tmp_path: Path):
    text = escape("not equal within 0.03:\n")
    cells = f'<testcase name="Cell 0"/><testcase name="Cell 4"><failure>{text}</failure></testcase>'
    (tmp_path / "report.xml").write_text(f"<testsuites><testsuite>{cells}</testsuite></testsuites>")
    [cell] = read_report(tmp_path / "report.xml")
    assert (cell.number, cell.failure) == (5, "not equal within 0.03:\n")


def stored_cell(number: int, source: str, output: str, tag: str = "") -> nbformat.NotebookNode:
    cell = new_code_cell(source, execution_count=number, outputs=[new_output("stream", name="stdout", text=output)])
    cell.metadata["tags"] = [tag] if tag else []
    return cell


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the project with a package of one line, and one notebook."""
    for name in (
        "conftest.py",
        "pyproject.toml",
        "tools/notebooks/environment.py",
        "tools/notebooks/nbval_tolerance.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "seglib").mkdir()
    (tmp_path / "seglib" / "__init__.py").write_text(
        "def score():\n    return 0.80\n\n\ndef annotate(text):\n    print(text)\n"
    )
    notebook = new_notebook(
        cells=[
            stored_cell(1, "from seglib import annotate, score\nprint('ready')", "ready\n"),
            stored_cell(2, "annotate(score())", "0.8\n"),
            stored_cell(3, "print(score())", "0.8\n", "within-0.05"),
            stored_cell(4, "print(score() > 0.5)", "True\n"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "01_scores.ipynb")
    return tmp_path


@pytest.mark.notebook
def test_a_notebook_of_a_copy_is_compared_with_the_tolerances_of_its_cells(tree: Path):
    assert red_cells(tree, "01_scores") == []
    package = tree / "seglib" / "__init__.py"
    whole = package.read_text()

    package.write_text(whole.replace("0.80", "0.83"))  # within the tolerance: only the annotated source has changed
    found = verdict(tree, "01_scores")
    assert (found["caught"], found["red_code_cells"]) == (False, [2])

    package.write_text(whole.replace("0.80", "0.95"))
    found = verdict(tree, "01_scores")
    assert (found["by_code_cell"], found["red_code_cells"]) == (3, [2, 3])
    assert found["change_over_tolerance"] == 3.0

    package.write_text(whole.replace("0.80", "0.40"))  # another cell, without a tolerance, finds it too
    found = verdict(tree, "01_scores")
    assert (found["by_code_cell"], found["red_code_cells"]) == (3, [2, 3, 4])
    assert found["change_over_tolerance"] is None
