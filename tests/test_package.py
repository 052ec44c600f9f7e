"""seglib as it is installed: every file of it is packaged, and it works where the repository is not."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tools.notebooks.environment import ROOT

CODE = """
from pathlib import Path
import seglib, seglib.doctor.rules, seglib.cli.train
from seglib.model import bundled_weights_path
assert Path(seglib.__file__).is_relative_to({site!r}), seglib.__file__
seglib.build_deeplab()
from seglib.lesson.many_gpus import torchrun
from seglib.lesson import recorded
try:
    recorded("weights")
except seglib.SegError as error:
    print(error.fix)
"""


def test_every_file_that_is_no_python_is_packaged():
    with open(ROOT / "pyproject.toml", "rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["seglib"]
    package = ROOT / "seglib"
    for path in package.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            name = path.relative_to(package)
            assert any(name.match(pattern) for pattern in patterns), f"{name} would be missing in a wheel"


def test_every_folder_of_code_is_a_package():
    for path in (ROOT / "seglib").rglob("*.py"):
        assert (path.parent / "__init__.py").is_file(), f"{path.parent.name} would be missing in a wheel"


def test_it_works_from_another_folder_without_the_repository(tmp_path: Path):
    site = tmp_path / "site"
    shutil.copytree(ROOT / "seglib", site / "seglib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(site=str(site))],
        cwd=tmp_path / "elsewhere",
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert "bundled weights, pretrained on" in said[0]
    assert "Clone the repository" in said[-1]  # where the recorded figures are


def test_the_wheel_holds_every_file_of_the_package_and_the_mark_of_its_types(tmp_path: Path):
    pytest.importorskip("setuptools", minversion="77", reason="an older one reads no licence of this form")
    project = tmp_path / "project"
    shutil.copytree(ROOT / "seglib", project / "seglib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    build = "from setuptools import build_meta; build_meta.build_wheel('wheels')"
    done = subprocess.run([sys.executable, "-c", build], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (project / "wheels").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("seglib/")}
    files = {path.relative_to(project).as_posix() for path in (project / "seglib").rglob("*") if path.is_file()}
    assert held == files
    assert "seglib/py.typed" in held  # a type checker then reads the types of seglib in another project
