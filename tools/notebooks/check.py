"""Runs ruff over the notebooks, without the cells from the notes, and sees to their links into the glossary.

Used by `make check` and `make format`.

A cell tagged from-the-notes stays as the notes wrote it, two-space indents and all. Ruff knows no tags: here
its findings in those cells are left out, and the formatter sees a copy without them. What a link into the glossary
needs stands in tools/notebooks/glossary.py.

    python -m tools.notebooks.check [--fix] [notebooks/01_dataset.ipynb ...]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.notebooks.environment import NOTEBOOKS, ROOT
from tools.notebooks.glossary import GLOSSARY, Term, terms, update_glossary, update_links

RUFF = [sys.executable, "-m", "ruff"]
CONFIG = ["--config", str(ROOT / "pyproject.toml")]


def from_the_notes(cell: dict) -> bool:
    return "from-the-notes" in cell["metadata"].get("tags", [])


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, notebook: dict) -> None:
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def lint(paths: list[Path]) -> list[str]:
    """Ruff's findings in the cells that are ours, one line each."""
    done = subprocess.run(
        [*RUFF, "check", *CONFIG, "--output-format", "json", *map(str, paths)],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    cells = {path: read(path)["cells"] for path in paths}
    lines = []
    for finding in json.loads(done.stdout):
        path, number = Path(finding["filename"]), finding["cell"]
        if number is None or not from_the_notes(cells[path][number - 1]):
            row = finding["location"]["row"]
            lines.append(f"{path.name}, cell {number}, line {row}: {finding['code']} {finding['message']}")
    return lines


def layout(path: Path, fix: bool) -> list[str]:
    """The cells that are ours and that `ruff format` would write otherwise. With `fix`, it does."""
    notebook = read(path)
    ours = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and not from_the_notes(cell)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        write(copy, {**notebook, "cells": ours})
        done = subprocess.run([*RUFF, "format", "--quiet", *CONFIG, str(copy)], capture_output=True, text=True)
        if done.returncode:
            return [f"{path.name}: {done.stderr.strip()}"]
        formatted = read(copy)["cells"]
    changed = []
    for cell, better in zip(ours, formatted, strict=True):
        if "".join(cell["source"]) != "".join(better["source"]):
            changed.append(f"{path.name}, cell {1 + notebook['cells'].index(cell)}: not formatted (`make format`)")
            cell["source"] = better["source"]
    if fix and changed:
        write(path, notebook)
        return []
    return changed


def links(path: Path, known: dict[str, Term], *, fix: bool) -> list[str]:
    """The cells with a link into the glossary that lacks its term's sentence. With `fix`, it is written."""
    notebook = read(path)
    changed = update_links(notebook, known)
    if fix and changed:
        write(path, notebook)
        return []
    return [f"{path.name}, cell {number}: a link lacks its term's sentence (`make format`)" for number in changed]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--fix", action="store_true", help="write formatted cells, anchors and titles of links")
    arguments = parser.parse_args()
    paths = [path.resolve() for path in arguments.notebooks] or sorted(NOTEBOOKS.glob("*.ipynb"))
    if not paths:
        print("no notebooks to check")
        return 0
    found = update_glossary(fix=arguments.fix)
    known = terms(GLOSSARY.read_text(encoding="utf-8"))
    for path in paths:
        found += layout(path, arguments.fix) + links(path, known, fix=arguments.fix)
    found += lint(paths)
    print("\n".join(found) if found else f"{len(paths)} notebooks: all checks passed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
