"""tools/proofs/gpu.py and the trace of benchmarks/gpu_trace.py, where there is no GPU."""

import json
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from benchmarks.gpu_trace import merged, spans_of
from tools.notebooks.environment import ROOT
from tools.proofs import gpu


def notebook_of(source: str, stored: str, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(source, id="one", metadata={"tags": list(tags)})
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stored)]
    return nbformat.v4.new_notebook(cells=[cell])


@pytest.mark.notebook
@pytest.mark.parametrize("full_size", [False, True])
def test_a_notebook_is_run_and_compared_with_what_is_stored(tmp_path, full_size):
    file = tmp_path / "99_sample.ipynb"
    source = f"import sys\n{gpu.SWITCH}\nprint('full' if FULL_SIZE else 'small')\nprint('careful', file=sys.stderr)"
    nbformat.write(notebook_of(source, "large\n"), file)
    before = file.read_bytes()
    row = gpu.run_notebook(file, full_size, cap=15, end=time.monotonic() + 100)
    assert row["error"] is None
    assert row["peak_gib"] == 0
    assert row["stderr"] == ["careful\n"]
    found = [] if full_size else [{"cell": "one", "tags": "", "stored": "large", "here": "small"}]
    assert row["differs"] == found
    assert file.read_bytes() == before


@pytest.mark.notebook
def test_a_notebook_that_fails_is_a_row_with_its_error(tmp_path):
    file = tmp_path / "99_sample.ipynb"
    nbformat.write(notebook_of("1 / 0", ""), file)
    row = gpu.run_notebook(file, False, cap=15, end=time.monotonic() + 100)
    assert "ZeroDivisionError" in row["error"]
    assert "\x1b" not in row["error"]


def test_what_is_not_compared_is_no_difference():
    tagged = notebook_of("1", "a\n", ("nbval-ignore-output",)).cells[0]
    assert gpu.difference(tagged, notebook_of("1", "b\n").cells[0]) is None
    address = notebook_of("1", "<object at 0x7f12>\n").cells[0]
    assert gpu.difference(address, notebook_of("1", "<object at 0x7f99>\n").cells[0]) is None
    longer = notebook_of("1", "a\nb\n").cells[0]
    found = gpu.difference(notebook_of("1", "a\n").cells[0], longer)
    assert found == {"cell": "one", "tags": "", "stored": "", "here": "b"}


def test_it_runs_as_a_file_and_names_its_parts():
    done = subprocess.run(
        [sys.executable, "tools/proofs/gpu.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(part in done.stdout for part in gpu.PARTS)


def test_no_benchmark_needs_jupyter():
    of_widgets = {"widget_redraw"}
    names = {file.stem for file in (ROOT / "benchmarks").glob("*.py")} - of_widgets
    block = "import sys; sys.modules.update(dict.fromkeys(['IPython', 'ipywidgets', 'nbformat', 'nbclient']))\n"
    imports = "\n".join(f"import benchmarks.{name}" for name in names)
    done = subprocess.run(
        [sys.executable, "-c", block + imports], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-600:]


# A trace


def test_kernels_that_follow_each_other_closely_are_one_span():
    assert merged([(0, 1), (1, 2), (4.5, 5), (20, 21)]) == [(0, 5), (20, 21)]
    assert merged([(0, 10), (2, 3)]) == [(0, 10)]


def test_a_trace_begins_with_the_first_part_of_python():
    def event(category: str, name: str, start: float, duration: float) -> dict:
        return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": duration}

    events = [
        event("kernel", "before", 900, 5),
        event("user_annotation", "forward", 1000, 100),
        event("user_annotation", "ProfilerStep", 990, 500),
        event("gpu_user_annotation", "forward", 1010, 100),
        event("kernel", "convolution", 1050, 200),
        event("gpu_memcpy", "copy", 1900, 100),
        {"ph": "M", "name": "process_name"},
    ]
    assert spans_of(json.loads(json.dumps(events))) == {
        "host": [["forward", 0.0, 0.1]],
        "gpu": [[0.05, 0.25], [0.9, 1.0]],
        "kernels_a_step": 1,  # two, in three steps
        "gpu_busy_ms_a_step": 0.1,
    }


def test_the_record_has_every_notebook_that_it_names_once():
    record = json.loads((ROOT / "benchmarks" / "results" / "gpu_notebooks.json").read_text(encoding="utf-8"))
    runs = [(row["notebook"], row["full_size"]) for row in record["rows"]]
    assert len(set(runs)) == len(runs)
    assert not [row for row in record["rows"] if row["error"]]
    assert max(row["reserved_gib"] for row in record["rows"]) < record["cap_gib"]
    assert {Path(name).stem for name, _ in runs} <= {file.stem for file in (ROOT / "notebooks").glob("*.ipynb")}
