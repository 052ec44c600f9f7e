"""Google Colab without Google: builds the zip for a repository that Colab cannot clone, and plays every notebook.

Playing means: an empty working folder, a Python without seglib, a stand-in for the module `google.colab`, and the
notebook from first cell to last, its set-up cell run twice. The lessons come from a clone (git is told, for these
processes only, that the repository's address is a local folder), or from the zip, unpacked by hand as notebook 00 says.

    python tools/proofs/colab.py zip [FILE]
    python tools/proofs/colab.py play [--python PYTHON] [--lessons clone zip] [notebook ...]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import nbformat
from jupyter_client import KernelManager
from nbclient import NotebookClient

from benchmarks.common.machine import machine
from tools.notebooks.environment import NOTEBOOKS, REF, ROOT, RUN_ENV, copy_project, repository

RESULTS = ROOT / "benchmarks" / "results" / "colab.json"
ZIP = "seglib-colab.zip"
IN_ZIP = ("notebooks", "seglib", "data_samples", "benchmarks/results", "README.md", "LICENSE")

# What a reader's own installation would bring is hidden, and `from google.colab import drive` works.
SITE = f"""
import os, sys
sys.path[:] = [path for path in sys.path if os.path.realpath(path or ".") != {str(ROOT)!r}]
sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in str(finder)]
"""
DRIVE = """
import os
def mount(path, force_remount=False):
    os.makedirs(os.path.join(path, "MyDrive"), exist_ok=True)
    print("Mounted at", path)
"""


def origin(folder: Path) -> Path:
    """A repository in `folder` with one commit on the badge's ref: the project's files as they lie here."""
    copy_project(folder)
    who = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for command in (
        ("init", "--quiet", "--initial-branch", REF),
        ("-c", "core.compression=0", "add", "--all"),
        (*who, "commit", "--quiet", "-m", "as it is"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    return folder


def surroundings(folder: Path, cloned_from: Path | str) -> dict[str, str]:
    """The environment of a process in Colab; writes the stand-ins into `folder`."""
    google = folder / "google" / "colab"
    google.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    (google / "__init__.py").write_text("", encoding="utf-8")
    (google / "drive.py").write_text(DRIVE, encoding="utf-8")
    address = cloned_from.as_uri() if isinstance(cloned_from, Path) else cloned_from
    return os.environ | {
        "PYTHONPATH": str(folder),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{address}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository(),
        "GIT_TERMINAL_PROMPT": "0",
        **RUN_ENV,
    }


def build_zip(path: Path) -> Path:
    """Pack what a reader in Colab needs: the lessons, the package, samples, weights and recorded results."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        copy_project(Path(folder))
        for file in sorted(Path(folder).rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_file() and any(name == part or name.startswith(f"{part}/") for part in IN_ZIP):
                archive.write(file, name)
    return path


def play(notebook: Path, python: str, folder: Path, environment: dict[str, str], archive: Path | None = None) -> float:
    """Run one notebook in the empty `folder`; returns seconds, and raises what the notebook raises."""
    if archive:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder / "lessons")
    document = nbformat.read(notebook, as_version=4)
    first = next(number for number, cell in enumerate(document.cells) if cell.cell_type == "code")
    document.cells.insert(first, nbformat.v4.new_code_cell(document.cells[first].source))
    manager = KernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = python
    client = NotebookClient(document, km=manager, timeout=900, resources={"metadata": {"path": str(folder)}})
    begin = time.perf_counter()
    client.execute(env=environment)
    return time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("zip", "play"))
    parser.add_argument("names", nargs="*", help="notebooks to play, or the zip's name")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--lessons", nargs="+", choices=("clone", "zip"), default=["clone", "zip"])
    args = parser.parse_args()
    if args.what == "zip":
        path = build_zip(Path(args.names[0] if args.names else ZIP))
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB. Upload it to Colab or Drive, then see notebook 00.")
        return 0
    notebooks = [NOTEBOOKS / f"{Path(name).stem}.ipynb" for name in args.names] or sorted(
        NOTEBOOKS.glob("[0-9]*.ipynb")
    )
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        environment = surroundings(Path(scratch) / "site", origin(Path(scratch) / "origin"))
        archive = build_zip(Path(scratch) / ZIP)
        for lessons in args.lessons:
            for notebook in notebooks:
                folder = Path(scratch) / lessons / notebook.stem
                folder.mkdir(parents=True)
                packed = archive if lessons == "zip" else None
                seconds = play(notebook, str(Path(args.python).absolute()), folder, environment, packed)
                rows.append({"notebook": notebook.stem, "lessons": lessons, "seconds": round(seconds, 1)})
                print(rows[-1], flush=True)
    if not args.names and len(args.lessons) == 2:
        RESULTS.write_text(json.dumps({"machine": machine(), "plays": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
