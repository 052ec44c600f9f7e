"""Runs the notebooks in order, each in a fresh kernel, and stores their outputs. Used by `make notebooks`.

A notebook is written only when every one of its cells ran; otherwise the cell and its error are printed and the file
stays as it was. It is written as JupyterLab would write it: opening and saving it there changes nothing. What changes
from run to run (times, widget ids) is left out, and a picture with the same pixels keeps its bytes, so that a diff
shows what changed.

    python -m tools.notebooks.store [notebooks/01_dataset.ipynb ...]
"""

import base64
import copy
import io
import os
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image

from tools.notebooks.environment import NOTEBOOKS, RUN_ENV

SECONDS_ALLOWED = 90  # on two CPU cores, run by itself
KERNEL_NAME = "python3"  # by this name JupyterLab and Colab start the Python that they run on
WIDGET = "application/vnd.jupyter.widget-view+json"  # the id of a widget that lives in one kernel only
PICTURES = ("image/png", "image/jpeg")


class ThisPythonSpecs(KernelSpecManager):
    """Knows one kernel: the Python that runs this program, whatever a kernelspec on this machine says."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())


class ThisPython(AsyncKernelManager):
    def __init__(self, **arguments: Any):
        super().__init__(kernel_spec_manager=ThisPythonSpecs(), **arguments)


def execute(notebook: nbformat.NotebookNode, folder: Path, seconds_a_cell: int = 600) -> None:
    """Replace the outputs of a notebook, in place, by those of a fresh kernel that works in `folder`."""
    NotebookClient(
        notebook,
        timeout=seconds_a_cell,
        kernel_name=KERNEL_NAME,
        kernel_manager_class=ThisPython,
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
    ).execute()


def normalise(notebook: nbformat.NotebookNode, stem: str) -> None:
    """Bring an executed notebook, in place, into the form that JupyterLab saves, without what differs between runs."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": get_kernel_dict()["display_name"],
                "language": "python",
                "name": KERNEL_NAME,
            },
            "language_info": notebook.metadata["language_info"],  # nbclient has it from the kernel, as JupyterLab has
        }
    )
    notebook.nbformat = 4
    notebook.nbformat_minor = 5
    taken: set[str] = set()
    for number, cell in enumerate(notebook.cells):
        if not cell.get("id") or cell.id in taken:
            cell.id = f"{stem}-{number:02}"
        taken.add(cell.id)
        cell.metadata = nbformat.from_dict(cell_metadata(cell))
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}) and len(output.data) > 1:
                del output.data[WIDGET]


def cell_metadata(cell: nbformat.NotebookNode) -> dict[str, Any]:
    """What is stored beside a cell: its tags, and that its source is hidden until a click opens it.

    Hidden are annotated sources, because the output says the same words, and the guards of the series, which a reader
    need not read. JupyterLab and Colab each have a key of their own for it.
    """
    metadata: dict[str, Any] = {}
    tags = cell.metadata.get("tags", [])
    if tags:
        metadata["tags"] = tags
    if cell.cell_type == "code" and (cell.source.startswith("annotate(") or "guard" in tags):
        metadata["jupyter"] = {"source_hidden": True}
        metadata["cellView"] = "form"
    return metadata


def same_pixels(one: bytes, other: bytes) -> bool:
    """Whether two files hold the same picture. Bytes differ with the version of the library that wrote them."""
    with Image.open(io.BytesIO(one)) as first, Image.open(io.BytesIO(other)) as second:
        return first.size == second.size and first.convert("RGBA").tobytes() == second.convert("RGBA").tobytes()


def keep_pictures(notebook: nbformat.NotebookNode, before: nbformat.NotebookNode) -> None:
    """Where a cell shows the pixels that it showed `before`, put the bytes of before into the notebook, in place.

    A cell is known by its id, or by its place if that id is new; a picture by its place among the cell's pictures.
    """
    by_id = {cell.get("id"): cell for cell in before.cells}
    for place, cell in enumerate(notebook.cells):
        same_place = before.cells[place] if place < len(before.cells) else None
        cell_before = by_id.get(cell.get("id"), same_place)
        if cell_before is None:
            continue
        for output, output_before in zip(pictures_of(cell), pictures_of(cell_before), strict=False):
            keep_picture(output, output_before)


def pictures_of(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for output in cell.get("outputs", []) if any(kind in output.get("data", {}) for kind in PICTURES)]


def keep_picture(output: nbformat.NotebookNode, before: nbformat.NotebookNode) -> None:
    """Put the bytes of `before` into an output, in place, if both hold the same pixels in the same format."""
    for kind in PICTURES:
        if kind not in output.data or kind not in before.data:
            continue
        new = output.data[kind]
        old = before.data[kind]
        if same_pixels(base64.b64decode(new), base64.b64decode(old)):
            output.data[kind] = old
            if "text/html" in output.data:  # an <img> holds the same picture once more
                output.data["text/html"] = output.data["text/html"].replace(new.strip(), old.strip())


def write(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Store the notebook in one step: whoever reads the file sees the old one or the new one, whole."""
    nbformat.validate(notebook)
    beside = path.with_suffix(".ipynb.new")
    beside.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8", newline="\n")
    os.replace(beside, path)


def store(path: Path) -> bool:
    """Run and store one notebook; False, with the reason printed, where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    before = copy.deepcopy(notebook)
    begin = time.perf_counter()
    try:
        execute(notebook, path.parent)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        seconds = time.perf_counter() - begin
        print(f"{path.name}: failed after {seconds:.0f} s, the file is unchanged\n{error}", flush=True)
        return False
    seconds = time.perf_counter() - begin
    normalise(notebook, path.stem)
    keep_pictures(notebook, before)
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
