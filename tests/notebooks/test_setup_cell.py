"""The set-up cell, played as Colab would: an empty folder, no seglib anywhere, the repository a clone away.

The cell runs as it stands. Git is told, for these processes only, that the repository's address is a local folder.
"""

import json
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.notebooks.environment import NOTEBOOKS, ROOT, setup_cell
from tools.proofs import colab

pytestmark = [
    pytest.mark.notebook,
    pytest.mark.skipif(sys.platform == "win32", reason="Colab runs Linux: the cell speaks to its shell"),
    pytest.mark.skipif(shutil.which("git") is None, reason="there is no git"),
    pytest.mark.skipif(
        not (ROOT / ".git").exists(), reason="not a checkout: nothing says which files are the project's"
    ),
]

SHOW = """
from importlib.util import find_spec
from pathlib import Path
print(Path(find_spec("seglib").origin).resolve().parent)
print(Path.cwd().resolve())
print(Path("../data_samples").is_dir())
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colab.origin(tmp_path_factory.mktemp("origin"))


def in_colab(folder: Path, origin: Path, *sources: str) -> list[str]:
    """What these pieces of code print, run one after the other in a new process in `folder`."""
    environment = colab.surroundings(folder.parent / f"{folder.name}-site", origin)
    command = [sys.executable, "-c", "\n".join(["import sys; sys.path[0] = ''", *sources])]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def where(folder: Path) -> list[str]:
    """What SHOW prints in a notebook that found the clone in `folder`."""
    clone = (folder / "lessons").resolve()
    return [str(clone / "seglib"), str(clone / "notebooks"), "True"]


def test_it_fetches_the_lessons_and_moves_into_notebooks(origin: Path, tmp_path: Path):
    imports = "import seglib.lesson; print(seglib.SegError.__module__)"
    assert in_colab(tmp_path, origin, setup_cell(), SHOW, imports) == [*where(tmp_path), "seglib.errors"]


def test_it_may_run_twice_and_after_a_restart(origin: Path, tmp_path: Path):
    assert in_colab(tmp_path, origin, setup_cell(), setup_cell(), SHOW, setup_cell(), SHOW) == where(tmp_path) * 2
    note = tmp_path / "lessons" / "note.txt"
    note.write_text("a reader's own file")
    gone = tmp_path / "nowhere"
    assert in_colab(tmp_path, gone, setup_cell(), SHOW) == where(tmp_path)  # a new kernel, and no network
    assert note.exists()


def test_it_says_what_to_do_where_the_lessons_cannot_be_fetched(tmp_path: Path, origin: Path):
    with pytest.raises(AssertionError, match="RuntimeError: No lessons at .* README.md, Start, says how"):
        in_colab(tmp_path, tmp_path / "nowhere", setup_cell())
    of_no_branch = setup_cell().replace(f'"{colab.REF}"', '"no-such-branch"')
    with pytest.raises(AssertionError, match="no-such-branch"):
        in_colab(tmp_path, origin, of_no_branch)
    assert list(tmp_path.iterdir()) == []  # so that the next try starts afresh


def test_it_installs_nothing_and_touches_neither_torch_nor_numpy(origin: Path, tmp_path: Path):
    assert "pip" not in setup_cell()
    loaded = in_colab(tmp_path, origin, setup_cell(), "print({'torch', 'numpy', 'torchvision'} & set(sys.modules))")
    assert loaded == ["set()"]


def test_it_fetches_nothing_in_a_checkout(origin: Path, tmp_path: Path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copytree(ROOT / "seglib", tmp_path / "seglib")
    shutil.copytree(ROOT / "data_samples" / "masks", tmp_path / "data_samples")
    said = in_colab(folder, tmp_path / "nowhere", setup_cell(), SHOW)
    assert said == [str(tmp_path.resolve() / "seglib"), str(folder.resolve()), "True"]
    assert list(folder.iterdir()) == []


def test_the_zip_holds_what_the_lessons_need_and_the_cell_finds_it(tmp_path: Path):
    working = tmp_path / "content"
    working.mkdir()
    with zipfile.ZipFile(colab.build_zip(working / colab.ZIP)) as archive:  # as it lies there after an upload
        assert not [name for name in archive.namelist() if name.startswith(("tests/", "tools/", "."))]
    imports = "from seglib.lesson.common.recorded import recorded; print(recorded('ceiling')['sizes'][-1]['width'])"
    assert in_colab(working, tmp_path / "nowhere", setup_cell(), SHOW, imports) == [*where(working), "320"]


def test_the_zip_is_unpacked_once_and_what_lies_there_stays(tmp_path: Path):
    colab.build_zip(tmp_path / colab.ZIP)
    lessons = tmp_path / "lessons" / "notebooks"
    lessons.mkdir(parents=True)
    (tmp_path / "lessons" / "seglib").mkdir()
    in_colab(tmp_path, tmp_path / "nowhere", setup_cell())
    assert list(lessons.iterdir()) == []  # unpacked by hand, or by an earlier run, and perhaps changed since


def test_colabs_versions_are_pinned_with_their_date_and_pyproject_accepts_them():
    text = colab.CONSTRAINTS.read_text(encoding="utf-8")
    assert re.search(r"20\d\d-\d\d-\d\d.*googlecolab/backend-info", text)
    assert re.search(r"commit [0-9a-f]{40}\b", text)
    versions = colab.constraints()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in map(Requirement, project["dependencies"]):
        assert requirement.specifier.contains(versions[requirement.name]), requirement
    for name in ("ipython", "ipykernel", "jupyter_client", "traitlets"):
        assert name in versions


def test_what_is_not_colabs_is_told():
    found = colab.constraints() | {"python": "3.11.7", "torch": "2.15.0"}
    assert colab.other_than_colab(found) == [f"torch 2.15.0 instead of {colab.constraints()['torch']}"]
    here = colab.installed(sys.executable)
    assert here["python"] == platform.python_version()
    assert here["ipywidgets"] == metadata.version("ipywidgets")


def test_a_notebook_is_played_from_a_clone_with_its_set_up_cell_twice(origin: Path, tmp_path: Path):
    short = {
        "cells": [
            {"cell_type": "code", "source": setup_cell()},
            {"cell_type": "code", "source": "import os, seglib\nfrom google.colab import drive\ndrive.mount('d')"},
            {"cell_type": "code", "source": "assert 'lessons' in seglib.__file__ and os.path.isdir('d/MyDrive')"},
        ]
    }
    document = json.loads((NOTEBOOKS / "01_dataset.ipynb").read_text(encoding="utf-8"))
    cells = [cell | {"metadata": {}, "outputs": [], "execution_count": None} for cell in short["cells"]]
    notebook = tmp_path / "short.ipynb"
    notebook.write_text(json.dumps(document | {"cells": cells, "nbformat_minor": 4}), encoding="utf-8")
    folder = tmp_path / "content"
    folder.mkdir()
    environment = colab.surroundings(tmp_path / "site", origin)
    assert colab.play(notebook, sys.executable, folder, environment) > 0
    assert (folder / "lessons" / "notebooks").is_dir()
