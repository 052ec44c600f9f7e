"""Puts each known fault into seglib and sees that a notebook goes red. Used by `make mutants`.

A fault counts as caught only if a cell fails that does more than show annotated source: such a cell changes with every
change of the code, and would catch anything. Each fault is put into a copy of the project; no file here is touched.
Notebooks run side by side, one core each, and only until a cell that counts is red.

Where every cell that counts is compared within a tolerance, and fails for its numbers alone, the notebook is run to its
end; the largest of these changes, divided by what was allowed, is recorded. It must be 2 at least: a fault that changes
a number by little more than its tolerance would pass on another machine.

    python -m tools.proofs.mutants [name of a fault ...]        records benchmarks/results/mutants.json for all of them
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common.results import results_path, write_record
from tools.notebooks.environment import ROOT, copy_project
from tools.proofs.faults import FAULTS, Fault, faulty_texts

LEAST_CHANGE = 2.0  # over tolerance, of a fault that is caught by a tolerance alone


@dataclass(frozen=True)
class RedCell:
    """A code cell that strict nbval finds failing: its number, from 1, and what pytest says of it."""

    number: int
    failure: str


def red_cells(tree: Path, stem: str, *, stop_early: bool = True) -> list[RedCell]:
    """The failing code cells of a notebook of `tree`.

    Args:
        tree: a copy of the project.
        stem: of the notebook.
        stop_early: stop when more cells have failed than there are annotated sources, for then one of them counts.

    Raises:
        SystemExit: the kernel would import another seglib, or pytest could not run.
    """
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    check_imports_from(tree, environment)
    report = tree / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=900", f"notebooks/{stem}.ipynb"]
    if stop_early:
        command.append(f"--maxfail={1 + sum(map(is_annotated_source, code_cells(tree, stem)))}")
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest could not run {stem}:\n{done.stdout}{done.stderr}")
    return read_report(report)


def check_imports_from(tree: Path, environment: dict[str, str]) -> None:
    """Stop everything if a kernel in the notebooks' folder of `tree` would import seglib from elsewhere."""
    command = [sys.executable, "-c", "import seglib; print(seglib.__file__)"]
    found = subprocess.run(command, cwd=tree / "notebooks", env=environment, capture_output=True, text=True)
    if found.returncode or not Path(found.stdout.strip()).resolve().is_relative_to(tree.resolve()):
        raise SystemExit(f"a kernel would import seglib from elsewhere: {found.stdout}{found.stderr}")


def read_report(report: Path) -> list[RedCell]:
    """The failing cells of a report that pytest wrote as JUnit XML."""
    cells = []
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        for kind in ("failure", "error"):
            failure = case.find(kind)
            if failure is not None:
                number = int(case.get("name", "").removeprefix("Cell ")) + 1
                cells.append(RedCell(number, failure.text or ""))
    return cells


def code_cells(tree: Path, stem: str) -> list[str]:
    notebook = json.loads((tree / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def is_annotated_source(source: str) -> bool:
    return "annotate(" in source


# What the plugin of tools/notebooks/nbval_tolerance.py says of a tagged cell: a line for each difference. It precedes
# what nbval says of every differing output.
DIFFERENCES = re.compile(r"^not equal within .*:\n((?:.+\n)*)", re.MULTILINE)
NUMBER_DIFFERS = re.compile(r"(\S+), number .*: they differ by ([\d.]+), allowed is (\d+(?:\.\d+)?)")
OTHER_REASON = re.compile(r"output fields from running code|dissimilar number of outputs")


def change_over_tolerance(failure: str) -> float | None:
    """The largest difference of a number from the stored one, divided by what the cell's tag allows.

    None if the cell failed for another reason too: it has no tolerance, words or whole numbers changed, an output is
    missing, or it raised an error.
    """
    differences = DIFFERENCES.search(failure)
    if not differences:
        return None
    numbers = [NUMBER_DIFFERS.match(line) for line in differences.group(1).splitlines()]
    outputs = {match.group(1) for match in numbers if match}
    behind = failure[differences.end() :]
    if not all(numbers) or OTHER_REASON.search(behind) or set(re.findall(r"mismatch '([^']+)'", behind)) - outputs:
        return None
    pairs = [(float(match.group(2)), float(match.group(3))) for match in numbers if match]
    if any(allowed == 0 for _, allowed in pairs):  # a percentage of 0: compared exactly
        return None
    return max(difference / allowed for difference, allowed in pairs)


def verdict(tree: Path, stem: str) -> dict[str, Any]:
    """What a notebook of the tree with a fault says: which cells are red, and the first that counts."""
    begin = time.perf_counter()
    sources = code_cells(tree, stem)
    red = red_cells(tree, stem)
    change = change_of_all(red, sources)
    if change is not None:  # by a tolerance so far: does a later cell fail for another reason?
        red = red_cells(tree, stem, stop_early=False)
        change = change_of_all(red, sources)
    counting = those_that_count(red, sources)
    first = counting[0].number if counting else None
    return {
        "notebook": stem,
        "caught": first is not None,
        "by_code_cell": first,
        "which_begins": sources[first - 1].splitlines()[0] if first else None,
        "red_code_cells": [cell.number for cell in red],
        "change_over_tolerance": None if change is None else round(change, 2),
        "seconds": round(time.perf_counter() - begin),
    }


def those_that_count(red: list[RedCell], sources: list[str]) -> list[RedCell]:
    """The red cells that do more than show annotated source."""
    return [cell for cell in red if not is_annotated_source(sources[cell.number - 1])]


def change_of_all(red: list[RedCell], sources: list[str]) -> float | None:
    """The largest change over tolerance of the cells that count; None if one of them fails for another reason."""
    largest = None
    for cell in those_that_count(red, sources):
        change = change_over_tolerance(cell.failure)
        if change is None:
            return None
        largest = max(change, largest or 0.0)
    return largest


def run_with_fault(fault: Fault, stem: str) -> dict[str, Any]:
    """The verdict of one notebook on one fault, in a copy of the project of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_project(tree)
        for name, text in faulty_texts(fault, tree).items():
            (tree / name).write_text(text, encoding="utf-8")
        row = {"fault": fault.name, "file": fault.file, **verdict(tree, stem)}
    print(in_words(row), flush=True)
    return row


def in_words(row: dict[str, Any]) -> str:
    """One line on what a notebook said of a fault."""
    begin = f"{row['fault']}, {row['notebook']} ({row['seconds']} s): "
    if not row["caught"]:
        return begin + "IT SURVIVES"
    change = row["change_over_tolerance"]
    by = "" if change is None else f", by {change} times its tolerance"
    note = ": TOO LITTLE" if is_weak(row) else ""
    return f"{begin}caught by code cell {row['by_code_cell']}, {row['which_begins']!r}{by}{note}"


def is_weak(row: dict[str, Any]) -> bool:
    """Whether a fault was caught by tolerances alone, and changed the numbers by less than twice what they allow."""
    return row["change_over_tolerance"] is not None and row["change_over_tolerance"] < LEAST_CHANGE


def check_without_fault(stem: str) -> None:
    """Stop everything if a notebook is red as it is."""
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        red = [cell.number for cell in red_cells(Path(folder), stem)]
    if red:
        raise SystemExit(f"{stem} is red without any fault, in code cells {red}: mend that first")


def record(rows: list[dict[str, Any]], survivors: int) -> None:
    changes = [row["change_over_tolerance"] for row in rows if row["change_over_tolerance"] is not None]
    figures = {
        "survivors": survivors,
        "caught_by_a_tolerance_alone": len(changes),
        "least_change_over_tolerance": min(changes, default=None),
        "faults": rows,
    }
    what = "faults put into seglib, and the first cell of each notebook that goes red"
    write_record(results_path("mutants"), what, figures)


def faults_named(names: list[str]) -> list[Fault]:
    """These faults, or all if none is named; SystemExit for an unknown name."""
    known = [fault.name for fault in FAULTS]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit("\n".join([f"There is no fault {', '.join(unknown)}. These are known:", *known]))
    return [fault for fault in FAULTS if not names or fault.name in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a fault; without one, all of them")
    faults = faults_named(parser.parse_args().names)
    for fault in faults:  # before minutes are spent: does every fault still fit the code?
        faulty_texts(fault, ROOT)
    cases = [(fault, stem) for fault in faults for stem in fault.notebooks]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(check_without_fault, sorted({stem for _, stem in cases})))
        rows = list(pool.map(run_with_fault, *zip(*cases, strict=True)))
    survivors = sum(not row["caught"] for row in rows)
    weak = sum(map(is_weak, rows))
    if faults == FAULTS:
        record(rows, survivors)
    print(f"{len(faults)} faults; {survivors} times a notebook stayed green, {weak} times it changed too little")
    return 1 if survivors or weak else 0


if __name__ == "__main__":
    sys.exit(main())
