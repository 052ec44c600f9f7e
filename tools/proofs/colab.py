"""Google Colab without Google: builds the zip for a repository that Colab cannot clone, and plays every notebook.

Playing means: an empty working folder, a Python without seglib and with Colab's versions (colab_constraints.txt), a
stand-in for the module `google.colab`, and the notebook from first cell to last, its set-up cell run twice. The lessons
come from a clone (git is told, for these processes only, that the repository's address is a local folder), or from the
zip, which lies in the working folder as after an upload.

    python -m tools.proofs.colab zip [FILE]
    python -m tools.proofs.colab play [--python PYTHON] [--lessons clone zip] [notebook ...]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import nbformat
from jupyter_client import KernelManager
from nbclient import NotebookClient

from benchmarks.common.results import results_path, write_record
from tools.notebooks.environment import NOTEBOOKS, REF, ROOT, RUN_ENV, ZIP, copy_project, repository

WAYS = ("clone", "zip")  # by which the lessons come
CONSTRAINTS = Path(__file__).with_name("colab_constraints.txt")
IN_ZIP = ("notebooks", "seglib", "data_samples", "benchmarks/results", "README.md", "LICENSE")  # weights: in seglib

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
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for command in (
        ("init", "--quiet", "--initial-branch", REF),
        ("-c", "core.compression=0", "add", "--all"),
        (*identity, "commit", "--quiet", "-m", "as it is"),
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
    """Run one notebook in the empty `folder`; returns seconds, and raises what the notebook raises.

    Args:
        notebook: its file.
        python: the interpreter of the kernel.
        folder: where the kernel begins.
        environment: of `surroundings`.
        archive: the zip that a reader has uploaded there; without one, the set-up cell clones the lessons.
    """
    if archive:
        shutil.copyfile(archive, folder / ZIP)
    document = nbformat.read(notebook, as_version=4)
    first = next(number for number, cell in enumerate(document.cells) if cell.cell_type == "code")
    document.cells.insert(first, nbformat.v4.new_code_cell(document.cells[first].source))
    manager = KernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = python
    client = NotebookClient(document, km=manager, timeout=900, resources={"metadata": {"path": str(folder)}})
    begin = time.perf_counter()
    client.execute(env=environment)
    return time.perf_counter() - begin


def constraints() -> dict[str, str]:
    """The versions that Colab has, by name."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def installed(python: str) -> dict[str, str]:
    """The versions that the interpreter `python` has of Python and of what `constraints` names."""
    code = f"""
import json, platform
from importlib import metadata
found = {{"python": platform.python_version()}}
for name in {list(constraints())!r}:
    try:
        found[name] = metadata.version(name).split("+")[0]
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=Path(python).parent)
    return json.loads(done.stdout)


def other_than_colab(found: dict[str, str]) -> list[str]:
    """Where the versions `found` are not Colab's, one line each."""
    wanted = constraints()
    return [
        f"{name} {found[name]} instead of {wanted[name]}"
        for name in wanted
        if name in found and found[name] != wanted[name]
    ]


def play_all(notebooks: list[Path], python: str, ways: list[str]) -> list[dict[str, object]]:
    """Play each notebook with its lessons coming by each of the ways; a row for each, with the seconds it took."""
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        environment = surroundings(Path(scratch) / "site", origin(Path(scratch) / "origin"))
        archive = build_zip(Path(scratch) / ZIP)
        for way in ways:
            for notebook in notebooks:
                folder = Path(scratch) / way / notebook.stem
                folder.mkdir(parents=True)
                seconds = play(notebook, python, folder, environment, archive if way == "zip" else None)
                rows.append({"notebook": notebook.stem, "lessons": way, "seconds": round(seconds, 1)})
                print(rows[-1], flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("zip", "play"))
    parser.add_argument("names", nargs="*", help="notebooks to play, or the zip's name")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--lessons", nargs="+", choices=WAYS, default=list(WAYS))
    arguments = parser.parse_args()
    if arguments.what == "zip":
        path = build_zip(Path(arguments.names[0] if arguments.names else ZIP))
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB. Upload it to Colab or Drive, then see notebook 00.")
        return 0
    named = [NOTEBOOKS / f"{Path(name).stem}.ipynb" for name in arguments.names]
    notebooks = named or sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    python = str(Path(arguments.python).absolute())  # not resolved: a link in a virtual environment belongs to it
    found = installed(python)
    others = other_than_colab(found)
    print(f"Python {found['python']}, torch {found['torch']}, ipywidgets {found['ipywidgets']}.", flush=True)
    if others:
        print(f"Not Colab's versions: {', '.join(others)}.", flush=True)
    rows = play_all(notebooks, python, arguments.lessons)
    if not named and set(arguments.lessons) == set(WAYS):
        figures = {"versions": found, "not_of_colab": others, "plays": rows}
        write_record(results_path("colab"), "seconds of each notebook as Google Colab would run it", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
