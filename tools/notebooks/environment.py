"""What every notebook shares: its set-up cell, its Colab badge, and the environment in which it is stored and compared.

Standard library only, so that a test of the set-up cell can use it where nothing is installed.
"""

import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
REF = "main"  # the badge opens this ref, and the set-up cell clones it

# Stored outputs come from a CPU, with bars off and one order of sets. They are compared in the same surroundings.
RUN_ENV = {
    "SEGLIB_DEVICE": "cpu",  # what pick_device() takes, on a Mac too
    "SEGLIB_STRICT": "1",  # hidden guards raise; a reader who changed something gets a line of words instead
    "CUDA_VISIBLE_DEVICES": "",  # nothing warms up a GPU that is there
    "TQDM_DISABLE": "1",
    "PYTHONHASHSEED": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "KINETO_LOG_LEVEL": "99",  # torch's profiler says on stderr when it begins, with the time
}

SETUP_CELL = """\
import os
import sys

if not os.path.isdir("../seglib"):  # in Google Colab: fetch the lessons, at the ref of the badge
    repository = "{repository}"
    ref = "{ref}"
    if not os.path.isdir("lessons") and os.system(f"git clone -q --depth 1 -b {{ref}} {{repository}} lessons"):
        raise RuntimeError(f"No lessons at {{repository}}, {{ref}}. Is there a network? Notebook 00 has another way.")
    os.chdir("lessons/notebooks")
sys.path.insert(0, os.path.abspath(".."))"""


def repository() -> str:
    """The repository's address. It stands in one place, pyproject.toml."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["urls"]["Repository"].removesuffix("/")


def setup_cell() -> str:
    """The set-up cell, the same in every notebook."""
    return SETUP_CELL.format(ref=REF, repository=repository())


def colab_link(stem: str) -> str:
    """Where Colab opens the notebook `stem`."""
    return f"https://colab.research.google.com/github/{repository().split('github.com/')[-1]}/blob/{REF}/notebooks/{stem}.ipynb"


def badge(stem: str) -> str:
    """The link to Colab at the top of a notebook, in words: a picture of a badge would need the network."""
    return f"[Open in Colab]({colab_link(stem)})"


def copy_project(folder: Path) -> None:
    """Copy the project's files, as they lie here, committed or not; what git ignores stays behind."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():  # one that was deleted and not yet committed is listed too
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
