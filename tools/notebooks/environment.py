"""What every notebook shares: its set-up cell, the links of its head, and the environment of stored outputs.

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

ZIP = "seglib-colab.zip"  # the lessons as one file, where they cannot be cloned; `make colab-zip` builds it

SETUP_CELL = """\
import os
import shutil
import sys

if not os.path.isdir("../seglib"):  # in Colab: fetch the lessons, at the ref of the badge
    repository = "{repository}"
    ref = "{ref}"
    if os.path.isfile("{zip}") and not os.path.isdir("lessons"):
        shutil.unpack_archive("{zip}", "lessons")
    if not os.path.isdir("lessons") and os.system(f"git clone -q --depth 1 -b {{ref}} {{repository}} lessons"):
        raise RuntimeError(f"No lessons at {{repository}}, {{ref}}. README.md, Start, says how to upload them.")
    os.chdir("lessons/notebooks")
sys.path.insert(0, os.path.abspath(".."))"""


def repository() -> str:
    """The repository's address. It stands in one place, pyproject.toml."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["urls"]["Repository"].removesuffix("/")


def setup_cell() -> str:
    """The set-up cell, the same in every notebook."""
    return SETUP_CELL.format(ref=REF, repository=repository(), zip=ZIP)


def on_the_web(name: str) -> str:
    """The address of a file of the folder `notebooks` in the repository."""
    return f"{repository()}/blob/{REF}/notebooks/{name}"


def colab_link(stem: str) -> str:
    """Where Colab opens the notebook `stem`."""
    path = on_the_web(f"{stem}.ipynb").removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{path}"


def kaggle_link(stem: str) -> str:
    """Where Kaggle opens the notebook `stem`."""
    return f"https://kaggle.com/kernels/welcome?src={on_the_web(f'{stem}.ipynb')}"


def badge(stem: str, folder: str = "") -> str:
    """The link to Colab, with a picture of our own from `notebooks/badges`: none has to come from the network.

    Args:
        stem: of the notebook.
        folder: where `notebooks` lies, seen from the page that holds the badge, as in "notebooks/".
    """
    return f"[![Open in Colab]({folder}badges/colab.svg)]({colab_link(stem)})"


def kaggle_badge(stem: str, folder: str = "") -> str:
    """The link to Kaggle, as `badge`."""
    return f"[![Open in Kaggle]({folder}badges/kaggle.svg)]({kaggle_link(stem)})"


def head_links(stem: str) -> str:
    """The last line of a notebook's head: where it opens, and the glossary for a copy that lies alone, as in Drive."""
    glossary = f"[Glossary on the web]({on_the_web('GLOSSARY.md')})"
    return f"{badge(stem)} {kaggle_badge(stem)} {glossary}"


def copy_project(folder: Path) -> None:
    """Copy the project's files, as they lie here, committed or not; what git ignores stays behind."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():  # one that was deleted and not yet committed is listed too
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
