"""Runs the notebooks in order, each in a fresh kernel, and stores their outputs. Used by `make notebooks`.

A notebook is written only when every one of its cells ran; otherwise the cell and its error are printed and the file
stays as it was. What changes from run to run (times, widget ids, the kernel's version) is left out, so that a diff
shows what changed.

    python tools/store_notebooks.py [notebooks/01_dataset.ipynb ...]
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from notebook_env import NOTEBOOKS, RUN_ENV

SECONDS_ALLOWED = 90  # on two CPU cores, run by itself
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"  # the id of a widget that lives in one kernel only


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a fresh kernel, as nbval will see them."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()
    return notebook


def normalise(notebook: nbformat.NotebookNode, stem: str) -> None:
    """Leave out of an executed notebook, in place, what differs from one run or machine to the next."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    taken: set[str] = set()
    for number, cell in enumerate(notebook.cells):
        if not cell.get("id") or cell.id in taken:
            cell.id = f"{stem}-{number:02}"
        taken.add(cell.id)
        metadata: dict = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code" and cell.source.startswith("annotate("):
            metadata["jupyter"] = {"source_hidden": True}  # its output says the same words; a click opens it
        cell.metadata = nbformat.from_dict(metadata)
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}) and len(output.data) > 1:
                del output.data[WIDGET]


def write(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Store the notebook in one step: whoever reads the file sees the old one or the new one, whole."""
    nbformat.validate(notebook)
    beside = path.with_suffix(".ipynb.new")
    beside.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8", newline="\n")
    os.replace(beside, path)


def store(path: Path) -> bool:
    """Run and store one notebook; False, with the reason printed, where a cell fails."""
    begin = time.perf_counter()
    try:
        notebook = execute(path)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        seconds = time.perf_counter() - begin
        print(f"{path.name}: failed after {seconds:.0f} s, the file is unchanged\n{error}", flush=True)
        return False
    seconds = time.perf_counter() - begin
    normalise(notebook, path.stem)
    write(path, notebook)
    note = f", over the {SECONDS_ALLOWED} s allowed" if seconds > SECONDS_ALLOWED else ""
    print(f"{path.name}: {seconds:.1f} s{note}", flush=True)
    return True


def main() -> int:
    os.environ.update(RUN_ENV)
    paths = [Path(name).resolve() for name in sys.argv[1:]] or sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    stored = [store(path) for path in paths]  # the rest is run too when one fails: one run shows all that is wrong
    print(f"{sum(stored)} of {len(stored)} notebooks stored")
    return 0 if all(stored) else 1


if __name__ == "__main__":
    sys.exit(main())
