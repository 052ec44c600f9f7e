"""The tolerances of cells: the comparing function by itself, then the plugin under nbval, on a notebook of its own."""

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.notebooks.environment import ROOT
from tools.notebooks.nbval_tolerance import (
    MAX_DIFFERENCE,
    MAX_PERCENT,
    Tolerance,
    differences,
    numbers_in,
    tolerance_of,
)

ABSOLUTE = Tolerance(Decimal("0.03"), percent=False)
PERCENT = Tolerance(Decimal("5"), percent=True)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("IoU 0.85, 12 of 16", ["0.85", "12", "16"]),
        ("x=-0.5, y: +0.25", ["-0.5", "+0.25"]),
        ("−0.30", ["−0.30"]),
        ("0.3-0.4", ["0.3", "0.4"]),
        ("-0.00 and 0.00", ["-0.00", "0.00"]),
        ("1e-05, 3.2e+04", ["1e-05", "3.2e+04"]),
        ("tensor([1., 2.5000])", ["1.", "2.5000"]),
        ("[1.e+20 2.0e-1]", ["1.e+20", "2.0e-1"]),
        ("1,234.5 and 1,234,567", ["1,234.5", "1,234,567"]),
        ("(3, 240, 320)", ["3", "240", "320"]),
        ("(3,240,320)", ["3", "240", "320"]),
        ("12%, 1.5x, 0.8s, 85 %", ["12", "1.5", "0.8", "85"]),
        ("nan -inf NaN", ["nan", "-inf", "NaN"]),
        ("<td>0.5</td>", ["0.5"]),
        ("That is 0.5.", ["0.5"]),
        ("fruit_007.jpg 012 conv2d 3x3 320x240", []),
        ("torch 2.11.0, v1.5, resnet-50, weights-0.85, 0.85.png, 12.jpg", []),
        ("#102030, &#39;, 0x7f, 10²", []),
        ("nano, info, banana", []),
    ],
)
def test_a_number_is_what_stands_by_itself(text: str, numbers: list[str]):
    assert [number.text for number in numbers_in(text)] == numbers


EQUAL = [
    ("at the bound, exactly", "IoU 0.50", "IoU 0.53", ABSOLUTE),
    ("at the bound, below", "IoU 0.53", "IoU 0.50", ABSOLUTE),
    ("the sign of zero", "0.00", "-0.00", ABSOLUTE),
    ("a sign that moves the columns", "[ 0.01, -0.02]", "[-0.01,  0.00]", ABSOLUTE),
    ("other digits", "tensor([1., 2.])", "tensor([1.0100, 1.9900])", ABSOLUTE),
    ("white space", "a 0.50\n b   c", "a  0.51 b\nc\n", ABSOLUTE),
    ("NaN", "nan and 0.50", "nan and 0.51", ABSOLUTE),
    ("NaN of either sign", "-nan", "nan", ABSOLUTE),
    ("infinity", "inf -inf", "inf -inf", PERCENT),
    ("a whole number within a percentage", "1,000 of 40", "1,050 of 38", PERCENT),
    ("no point, within a percentage", "lr 1.00e-04, 1e+02", "lr 1.05e-04, 1e+02", PERCENT),
    ("negative, within a percentage", "-2.00", "-2.10", PERCENT),
]
NOT_EQUAL = [
    (
        "over the bound",
        "IoU 0.50",
        "IoU 0.531",
        ABSOLUTE,
        ["was 0.50", "is 0.531", "differ by 0.031", "allowed is 0.03"],
    ),
    ("the other sign", "-0.50", "0.50", ABSOLUTE, ["was -0.50", "is 0.50"]),
    ("the second number", "0.50 0.50", "0.50 0.60", ABSOLUTE, ["number 2 of 2"]),
    ("its line", "a 0.50\nb 0.50", "a 0.50\nb 0.60", ABSOLUTE, ["In: b 0.60"]),
    ("a whole number", "12 of 16", "13 of 16", ABSOLUTE, ["number 1 of 2", "was 12", "is 13", "decimal point"]),
    ("a sentence's last number", "There are 12.", "There are 13.", ABSOLUTE, ["was 12.", "is 13."]),
    ("no point", "1e-05", "2e-05", ABSOLUTE, ["was 1e-05", "decimal point"]),
    ("a point that comes", "1e-05", "1.2e-05", ABSOLUTE, ["was 1e-05", "is 1.2e-05", "decimal point"]),
    ("a shape", "(3, 240, 320)", "(3, 239, 320)", ABSOLUTE, ["was 240", "is 239"]),
    ("a word", "IoU 0.50 good", "IoU 0.50 bad", ABSOLUTE, ["'good'", "'bad'", "words must be equal"]),
    ("a sign between", "0.5-0.6", "0.5 -0.6", ABSOLUTE, ["was '-'", "is ''"]),
    ("words run together", "a b 0.5", "ab 0.5", ABSOLUTE, ["words must be equal"]),
    ("a number more", "0.50", "0.50 0.50", ABSOLUTE, ["nothing more"]),
    ("a number less", "0.50 0.50", "0.50", ABSOLUTE, ["nothing more"]),
    ("a name", "fruit_007.jpg 0.5", "fruit_008.jpg 0.5", PERCENT, ["fruit_007.jpg", "fruit_008.jpg"]),
    ("a size", "320x240", "320x250", PERCENT, ["320x240"]),
    ("a version", "2.11.0", "2.12.0", PERCENT, ["2.11.0"]),
    ("a shape without blanks", "(3,240,320)", "(3,240,300)", PERCENT, ["was 320", "is 300"]),
    ("NaN for a number", "0.50", "nan", ABSOLUTE, ["was 0.50", "is nan", "NaN"]),
    ("a number for NaN", "nan", "0.50", PERCENT, ["was nan", "is 0.50"]),
    ("infinity of the other sign", "inf", "-inf", PERCENT, ["was inf", "is -inf"]),
    ("a number for infinity", "inf", "9.0", PERCENT, ["was inf", "is 9.0"]),
    ("a decimal for a whole number", "12", "12.0", PERCENT, ["was 12", "is 12.0", "whole number"]),
    ("over a percentage", "1,000", "1,051", PERCENT, ["is 1,051", "allowed is 50 (5% of the stored number)"]),
    ("nothing is 5 percent of zero", "0.00", "0.01", PERCENT, ["allowed is 0 ("]),
]


@pytest.mark.parametrize(("stored", "now", "tolerance"), [case[1:] for case in EQUAL], ids=[case[0] for case in EQUAL])
def test_texts_that_are_equal_within_a_tolerance(stored: str, now: str, tolerance: Tolerance):
    assert differences(stored, now, tolerance) == []


@pytest.mark.parametrize(
    ("stored", "now", "tolerance", "said"), [case[1:] for case in NOT_EQUAL], ids=[case[0] for case in NOT_EQUAL]
)
def test_texts_that_are_not_equal_within_a_tolerance(stored: str, now: str, tolerance: Tolerance, said: list[str]):
    lines = differences(stored, now, tolerance)
    assert len(lines) == 1
    assert [words for words in said if words not in lines[0]] == []


def test_every_number_that_differs_is_shown():
    lines = differences("0.10 0.20 5 0.30", "0.20 0.21 6 0.40", ABSOLUTE)
    assert [line.split(":")[0] for line in lines] == ["number 1 of 4", "number 3 of 4", "number 4 of 4"]


values = st.decimals(-9999, 9999, places=3)
limits = st.decimals("0.001", "0.05", places=3)


@given(values, values, limits)
def test_decimals_are_equal_where_their_difference_is_within_the_limit(stored: Decimal, now: Decimal, limit: Decimal):
    tolerance = Tolerance(limit, percent=False)
    for second in (now, stored + limit, stored - limit, stored + limit + Decimal("0.001")):
        equal = differences(f"a {stored} b", f"a {second} b", tolerance) == []
        assert equal == (abs(stored - second) <= limit)


@given(st.integers(-99999, 99999), st.integers(-99999, 99999), st.integers(1, 10))
def test_whole_numbers_are_equal_within_a_percentage(stored: int, now: int, limit: int):
    for second in (now, stored + stored * limit // 100, stored + 1):
        equal = differences(f"{stored} pixels", f"{second} pixels", Tolerance(Decimal(limit), percent=True)) == []
        assert equal == (abs(stored - second) * 100 <= abs(stored) * limit)
        exactly = differences(f"{stored:,} pixels", f"{second:,} pixels", ABSOLUTE) == []
        assert exactly == (stored == second)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=5), st.sampled_from("efg"))
def test_every_float_that_python_prints_is_read_as_it_is(floats: list[float], how: str):
    printed = [f"{one:{how}}" for one in floats]
    assert [number.text for number in numbers_in(" ".join(printed))] == printed


@given(st.text(), st.text())
def test_any_text_equals_itself_and_different_words_never_pass(text: str, other: str):
    assert differences(text, text, ABSOLUTE) == []
    if not numbers_in(text) and text.split() != other.split():
        assert differences(text, other, PERCENT)


@pytest.mark.parametrize(
    ("tags", "tolerance"),
    [
        (["exercise"], None),
        (["within-0.03"], ABSOLUTE),
        (["within-.03", "exercise"], ABSOLUTE),
        (["within-5%"], PERCENT),
        ([f"within-{MAX_DIFFERENCE}"], Tolerance(MAX_DIFFERENCE, percent=False)),
        ([f"within-{MAX_PERCENT}%"], Tolerance(MAX_PERCENT, percent=True)),
    ],
)
def test_what_a_tag_states(tags: list[str], tolerance: Tolerance | None):
    assert tolerance_of(tags) == tolerance


WRONG_TAGS = [
    (["within-"], "within-0.03 or within-5%"),
    (["within-abc"], "'within-abc' states no tolerance"),
    (["within-0.03 "], "states no tolerance"),
    (["within--0.03"], "states no tolerance"),
    (["within-1e-2"], "states no tolerance"),
    (["within0.03"], "states no tolerance"),
    (["Within-0.03"], "states no tolerance"),
    (["within-0.5"], "at most 0.05, or 10%"),
    (["within-0.051"], "at most 0.05, or 10%"),
    (["within-3"], "at most 0.05, or 10%"),
    (["within-11%"], "at most 0.05, or 10%"),
    (["within-10.5%"], "at most 0.05, or 10%"),
    (["within-0%"], "allows no difference"),
    (["within-0.00"], "allows no difference"),
    (["within-0.03", "within-0.05"], "one tolerance"),
    (["within-0.03", "within-0.03"], "one tolerance"),
    (["within-0.03", "nbval-ignore-output"], "contradict"),
]


@pytest.mark.parametrize(("tags", "said"), WRONG_TAGS)
def test_a_wrong_tag_says_what_is_wrong(tags: list[str], said: str):
    with pytest.raises(ValueError, match=re.escape(said)):
        tolerance_of(tags)


# The plugin, at work. Each case is a cell of one notebook that runs once, in a copy of the project's pytest set-up.


def stream(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": [text]}


def result(data: dict[str, str]) -> dict:
    return {"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": data}


def display(data: dict[str, str]) -> dict:
    return {"output_type": "display_data", "metadata": {}, "data": data}


def image_in_html(place: str, data: str) -> dict:
    image = f'<img alt="a dot at {place}" src="data:{data}">'
    return display({"text/html": image, "text/plain": "a dot"})


@dataclass
class Case:
    """A cell, what is stored for it, and pieces of what the report has to say; none where the cell passes."""

    source: str
    outputs: list[dict]
    tags: list[str]
    said: list[str] = field(default_factory=list)


HTML = "from IPython.display import HTML\nHTML('<b>IoU</b> <i>0.85</i>')"
OF_HTML = "<IPython.core.display.HTML object>"
FIGURE = "from IPython.display import display\ndisplay({'image/png': 'QUJD', 'text/plain': 'a dot at 0.50'}, raw=True)"
IMAGE = 'from IPython.display import display\nimage = \'<img alt="a dot at 0.50" src="data:image/png;base64,QUJD">\'\n'
IMAGE += "display({'text/html': image, 'text/plain': 'a dot'}, raw=True)"
PRINTS = "print('IoU 0.85, 12 of 16')"

CASES = {
    "untagged, equal": Case(PRINTS, [stream("IoU 0.85, 12 of 16\n")], []),
    "untagged, not equal": Case(PRINTS, [stream("IoU 0.86, 12 of 16\n")], [], ["Cell outputs differ"]),
    "just inside": Case(PRINTS, [stream("IoU 0.82, 12 of 16\n")], ["within-0.03"]),
    "just outside": Case(
        PRINTS,
        [stream("IoU 0.81, 12 of 16\n")],
        ["within-0.03"],
        [
            "not equal within 0.03",
            "stdout, number 1 of 3: was 0.81, is 0.85: they differ by 0.04, allowed is 0.03",
            "mismatch 'stdout'",
        ],
    ),
    "a whole number off by one": Case(
        PRINTS, [stream("IoU 0.85, 13 of 16\n")], ["within-0.03"], ["number 2 of 3: was 13, is 12"]
    ),
    "a word": Case(
        PRINTS, [stream("IOU 0.85, 12 of 16\n")], ["within-0.03"], ["was 'IOU', is 'IoU'; with a tolerance too"]
    ),
    "white space": Case(PRINTS, [stream("IoU  0.86, 12\nof 16")], ["within-0.03"]),
    "NaN": Case("print(float('nan'), float('inf'))", [stream("nan inf\n")], ["within-0.03"]),
    "NaN for a number": Case("print(float('nan'))", [stream("0.5\n")], ["within-0.03"], ["was 0.5, is nan"]),
    "inside a percentage": Case(PRINTS, [stream("IoU 0.86, 12 of 16\n")], ["within-5%"]),
    "outside a percentage": Case(
        "print('100 pixels')", [stream("95 pixels\n")], ["within-5%"], ["was 95, is 100", "allowed is 4.75 (5% of"]
    ),
    "a last expression": Case("{'iou': 0.85}", [result({"text/plain": "{'iou': 0.84}"})], ["within-0.02"]),
    "a last expression, outside": Case(
        "{'iou': 0.85}", [result({"text/plain": "{'iou': 0.82}"})], ["within-0.02"], ["text/plain, number 1 of 1"]
    ),
    "HTML": Case(HTML, [result({"text/html": "<b>IoU</b> <i>0.84</i>", "text/plain": OF_HTML})], ["within-0.02"]),
    "HTML, outside": Case(
        HTML,
        [result({"text/html": "<b>IoU</b> <i>0.80</i>", "text/plain": OF_HTML})],
        ["within-0.02"],
        ["text/html, number 1 of 1: was 0.80, is 0.85"],
    ),
    "a figure": Case(FIGURE, [display({"image/png": "WFla", "text/plain": "a dot at 0.51"})], ["within-0.02"]),
    "a figure in HTML": Case(IMAGE, [image_in_html("0.50", "image/jpeg;base64,/9j+AA==")], []),
    "a figure in HTML, tagged": Case(IMAGE, [image_in_html("0.51", "image/png;base64,WF la")], ["within-0.02"]),
    "a figure in HTML with another description": Case(
        IMAGE, [image_in_html("0.51", "image/png;base64,QUJD")], [], ["mismatch 'text/html'"]
    ),
    "another drawing in HTML": Case(
        IMAGE, [image_in_html("0.50", "image/svg+xml;base64,QUJD")], [], ["mismatch 'text/html'"]
    ),
    "two displays, the second outside": Case(
        "from IPython.display import display\ndisplay(0.5)\ndisplay(0.6)",
        [display({"text/plain": "0.51"}), display({"text/plain": "0.63"})],
        ["within-0.02"],
        ["was 0.63, is 0.6:"],
    ),
    "an output missing": Case(
        "pass", [stream("IoU 0.85\n")], ["within-0.03"], ["Missing output fields from running code: {'stdout'}"]
    ),
    "an output more": Case("0.5", [stream("0.5\n")], ["within-0.03"], ["output fields from running code", "'stdout'"]),
    "a cell that needs the one before": Case(
        "seen = 0.5\nprint(seen)", [stream("0.5\n")], ["within-abc"], ["'within-abc' states no tolerance"]
    ),
    "it finds its name": Case("print(seen)", [stream("0.5\n")], []),
    "a wrong tag before a difference": Case("print(0.5)", [stream("7\n")], ["within-0.5"], ["at most 0.05, or 10%"]),
    "two tags": Case("print(0.5)", [stream("0.5\n")], ["within-0.01", "within-1%"], ["one tolerance"]),
    "compared and ignored": Case(
        "print(0.5)", [stream("0.9\n")], ["within-0.01", "nbval-ignore-output"], ["contradict"]
    ),
    "ignored": Case("print(0.5)", [stream("0.9\n")], ["nbval-ignore-output"]),
    "the environment": Case(
        "import os\nprint(os.environ['SEGLIB_DEVICE'], os.environ['SEGLIB_STRICT'])", [stream("cpu 1\n")], []
    ),
}


def as_cell(number: int, case: Case) -> dict:
    return {
        "cell_type": "code",
        "id": f"cell-{number}",
        "metadata": {"tags": case.tags} if case.tags else {},
        "source": case.source.splitlines(keepends=True),
        "outputs": case.outputs,
        "execution_count": number,
    }


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a run of the cells above reports for each: the words of its failure, "" where it passes."""
    project = tmp_path_factory.mktemp("project")
    for name in (
        "conftest.py",
        "pyproject.toml",
        "tools/notebooks/environment.py",
        "tools/notebooks/nbval_tolerance.py",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, project / name)
    cells = [as_cell(number, case) for number, case in enumerate(CASES.values(), 1)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    (project / "notebooks").mkdir()
    (project / "notebooks" / "cases.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    command += ["--nbval", "--nbval-current-env", "notebooks/cases.ipynb"]
    done = subprocess.run(command, cwd=project, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    report = {}
    for case in ElementTree.parse(project / "report.xml").getroot().iter("testcase"):
        assert case.find("error") is None
        failure = case.find("failure")
        number = int(case.get("name", "").removeprefix("Cell "))
        report[list(CASES)[number]] = "" if failure is None else failure.text
    assert list(report) == list(CASES)
    return report


@pytest.mark.notebook
@pytest.mark.parametrize("name", CASES)
def test_a_cell_under_nbval(name: str, reports: dict[str, str]):
    case = CASES[name]
    assert bool(reports[name]) == bool(case.said), reports[name]
    assert [words for words in case.said if words not in reports[name]] == [], reports[name]
