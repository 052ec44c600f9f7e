"""What stands around the project: each file is of its form, and agrees with pyproject.toml and the README."""

import json
import re
import tomllib

import pytest

import seglib
from seglib.cli.main import parser
from tools.notebooks.environment import ROOT, repository

yaml = pytest.importorskip("yaml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*-*.yml"))


def read_yaml(*parts: str) -> dict:
    return yaml.safe_load(ROOT.joinpath(*parts).read_text(encoding="utf-8"))


def test_one_version_everywhere():
    assert seglib.__version__ == PROJECT["version"]
    assert read_yaml("CITATION.cff")["version"] == PROJECT["version"]
    assert f"## [{PROJECT['version']}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["torch", "torchvision"])
def test_the_line_that_installs_for_a_cpu_names_the_tested_pair(package):
    pin = re.search(rf"^{package}==\S+$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE).group()
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if "--index-url" in line]
    assert pin in line.split()
    assert line.split()[-1] == "https://download.pytorch.org/whl/cpu"


def test_the_citation_has_what_its_schema_requires_and_the_address_of_the_repository():
    citation = read_yaml("CITATION.cff")
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == repository()


def test_the_changelog_keeps_its_form_newest_first():
    headings = re.findall(r"^(##+) (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    releases = [text for level, text in headings if level == "##"]
    assert releases[0] == "[Unreleased]"
    dates = [re.fullmatch(r"\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d)", text).group(1) for text in releases[1:]]
    assert dates == sorted(dates, reverse=True)
    kinds = {text for level, text in headings if level == "###"}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_questions_with_answers(path):
    form = read_yaml(".github", "ISSUE_TEMPLATE", path.name)
    assert form["name"]
    assert form["description"]
    fields = form["body"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert {field["type"] for field in fields} <= {"input", "textarea", "dropdown", "markdown"}
    assert all(field["attributes"]["label"] for field in fields)


def test_there_are_two_forms_and_the_one_for_failures_names_a_command_that_is_there(capsys):
    assert [path.stem for path in FORMS] == ["cell-fails", "lesson-unclear"]
    asked = (ROOT / ".github" / "ISSUE_TEMPLATE" / "cell-fails.yml").read_text(encoding="utf-8")
    assert asked.count("-m seglib --version") == 2
    assert "--version" in parser().format_help()


def test_dependabot_looks_at_the_pins_and_moves_torch_and_torchvision_together():
    updates = {update["package-ecosystem"]: update for update in read_yaml(".github", "dependabot.yml")["updates"]}
    assert updates.keys() == {"pip", "github-actions"}
    assert updates["pip"]["groups"]["torch"]["patterns"] == ["torch", "torchvision"]


def test_the_container_installs_as_the_makefile_does():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))  # comments are allowed in this one
    version = re.search(r"python:(3\.\d+)$", container["image"]).group(1)
    assert f"python{version}" in (ROOT / "Makefile").read_text(encoding="utf-8")
    target = container["postCreateCommand"].split()[1]
    assert target == ".venv/.installed"  # of $(INSTALLED), which `make lab` and `make test` begin with
