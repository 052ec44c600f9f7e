"""Where `recorded` looks for the figures of benchmarks: in a clone, and where seglib is installed from a wheel."""

import json
import os
from pathlib import Path

import pytest

from seglib.errors import SegError
from seglib.lesson.common import recorded as module
from seglib.lesson.common.recorded import recorded
from tests.support.helpers import check_message

ROOT = Path(__file__).resolve().parents[3]


def clone_with(root: Path, **figures: dict) -> Path:
    """A folder with `benchmarks/results` that holds these figures, and `notebooks`, which is returned."""
    (root / "benchmarks" / "results").mkdir(parents=True)
    (root / "notebooks").mkdir()
    for name, figure in figures.items():
        (root / "benchmarks" / "results" / f"{name}.json").write_text(json.dumps(figure), encoding="utf-8")
    return root / "notebooks"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As if this module lay in site-packages, far from any clone."""
    package = tmp_path / "site-packages" / "seglib" / "lesson" / "common"
    package.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "recorded.py"))


def test_in_a_clone_the_working_directory_does_not_matter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored = json.loads((ROOT / "benchmarks" / "results" / "ceiling.json").read_text(encoding="utf-8"))
    assert recorded("ceiling") == stored
    assert "cores" in stored["machine"]


def test_a_wheel_finds_the_figures_of_the_clone_that_the_notebook_runs_in(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(clone_with(tmp_path / "clone", speed={"ratio": 1.5}))
    assert recorded("speed") == {"ratio": 1.5}


def test_the_nearest_folder_that_has_the_figures_is_read(installed, tmp_path, monkeypatch):
    clone_with(tmp_path / "outer", speed={"ratio": 1.0}, memory={"bytes": 3})
    monkeypatch.chdir(clone_with(tmp_path / "outer" / "inner", speed={"ratio": 2.0}))
    assert recorded("speed") == {"ratio": 2.0}
    assert recorded("memory") == {"bytes": 3}


def test_the_working_directory_comes_before_the_package(tmp_path, monkeypatch):
    package = clone_with(tmp_path / "clone of seglib", speed={"ratio": 1.0})
    monkeypatch.setattr(module, "__file__", str(package / "recorded.py"))
    monkeypatch.chdir(clone_with(tmp_path / "clone of the notebook", speed={"ratio": 2.0}))
    assert recorded("speed") == {"ratio": 2.0}


def test_outside_of_every_clone_the_error_says_to_run_inside_one(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SegError) as caught:
        recorded("ceiling")
    check_message(caught.value, "benchmarks/results", "Clone the repository", never=tmp_path)


@pytest.mark.parametrize("inside", [True, False], ids=["in the clone", "elsewhere"])
def test_an_unknown_name_is_told_how_to_measure_it(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT if inside else tmp_path)
    with pytest.raises(SegError) as caught:
        recorded("no_such_script")
    check_message(caught.value, "'no_such_script'", "`python -m benchmarks.no_such_script`", never=ROOT)
    assert os.fspath(ROOT) not in str(caught.value)
