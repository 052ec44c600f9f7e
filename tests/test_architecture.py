"""ARCHITECTURE.md names files that exist, names every folder of seglib, and can be found from the other pages."""

import re

import pytest

from tools.notebooks.environment import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:seglib|tools|benchmarks|tests)/[\w/.]*)`", PAGE)))


def test_it_names_many_places():
    assert len(PATHS) > 25


@pytest.mark.parametrize("path", PATHS)
def test_a_place_that_it_names_is_there(path: str):
    assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()


def test_a_file_that_the_drawing_names_is_there():
    folder = ""
    for line in PAGE.split("```")[1].splitlines():
        found = re.match(r" (seglib/(?:\w+/)?)", line)
        folder = found.group(1) if found else folder
        for name in re.findall(r"(?<![\w/])(\w+\.py)", line):
            assert (ROOT / folder / name).is_file(), f"{folder}{name}"


def test_every_module_outside_lessons_stands_on_the_page():
    package = ROOT / "seglib"
    for path in package.rglob("*.py"):
        if "lesson" not in path.parts and not path.stem.startswith("__"):
            parts = path.relative_to(package).parts
            assert path.name in PAGE or f"seglib/{parts[0]}/" in PAGE, f"{path.name} is not on the page"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_other_pages_lead_there(page: str):
    assert "(ARCHITECTURE.md)" in (ROOT / page).read_text(encoding="utf-8")
