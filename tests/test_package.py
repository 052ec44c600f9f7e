"""seglib as it is installed: every file of it is packaged, and it works where the repository is not."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

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
