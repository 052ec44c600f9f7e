"""The set-up cell, played as Colab would: an empty folder, no seglib anywhere, the repository a clone away.

The cell runs as it stands. Git is told, for these processes only, that the repository's address is a local folder.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.notebook_env import REF, ROOT, copy_project, repository, setup_cell

pytestmark = [
    pytest.mark.notebook,
    pytest.mark.skipif(sys.platform == "win32", reason="Colab runs Linux: the cell speaks to its shell"),
    pytest.mark.skipif(shutil.which("git") is None, reason="there is no git"),
    pytest.mark.skipif(
        not (ROOT / ".git").exists(), reason="not a checkout: nothing says which files are the project's"
    ),
]

# Before the cell: this Python as if seglib had never been installed into it.
HIDE = f"""
import importlib.util, os, sys
sys.path[:] = [path for path in sys.path if path and os.path.realpath(path) != {str(ROOT)!r}]
sys.path.insert(0, "")  # a notebook's own folder, as in Colab
sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in str(finder)]
"""
SHOW = """
from pathlib import Path
print(Path(find_spec("seglib").origin).resolve().parent)
print(Path.cwd().resolve())
print(Path("../data_samples").is_dir())
"""


def git(*arguments: str, cwd: Path) -> None:
    subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit on the badge's ref: the project's files as they lie here, committed or not."""
    folder = tmp_path_factory.mktemp("origin")
    copy_project(folder)
    git("init", "--quiet", "--initial-branch", REF, cwd=folder)
    git("-c", "core.compression=0", "add", "--all", cwd=folder)
    git("-c", "user.name=tests", "-c", "user.email=tests@localhost", "commit", "--quiet", "-m", "as it is", cwd=folder)
    return folder


def in_colab(folder: Path, origin: Path, *sources: str) -> list[str]:
    """What these pieces of code print, run one after the other in a new process in `folder`."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{origin.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository(),
        "GIT_TERMINAL_PROMPT": "0",
    }
    command = [sys.executable, "-c", "\n".join([HIDE, *sources])]
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


def test_it_says_so_where_the_lessons_cannot_be_fetched(tmp_path: Path):
    with pytest.raises(AssertionError, match="No such file or directory: 'lessons/notebooks'"):
        in_colab(tmp_path, tmp_path / "nowhere", setup_cell())


def test_it_installs_nothing_and_touches_neither_torch_nor_numpy(origin: Path, tmp_path: Path):
    assert "pip" not in setup_cell()
    loaded = in_colab(tmp_path, origin, setup_cell(), "print({'torch', 'numpy', 'torchvision'} & set(sys.modules))")
    assert loaded == ["set()"]


def test_it_does_nothing_where_seglib_is_at_hand(tmp_path: Path):
    code = f"sys.path.insert(0, {str(ROOT)!r})"
    said = in_colab(tmp_path, tmp_path / "nowhere", code, setup_cell(), "print(os.getcwd())")
    assert said == [str(tmp_path.resolve())]
    assert list(tmp_path.iterdir()) == []
