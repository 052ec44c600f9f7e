"""The measures in tests/questions: ten questions with ten answers, and a task whose solution runs through its check."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def text_of(stem: str) -> str:
    return (ROOT / "tests" / "questions" / f"{stem}.md").read_text(encoding="utf-8")


def numbers_under(stem: str, title: str) -> list[str]:
    """The numbers of the list under a heading."""
    below = text_of(stem).split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^(\d+)\. ", below, re.MULTILINE)


def code_under(stem: str, title: str) -> str:
    """The first block of Python under a heading of the task."""
    below = text_of(stem).split(f"\n### {title}\n", 1)[1]
    return re.search(r"```python\n(.*?)```", below, re.DOTALL)[1]


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_ten_questions_with_an_answer_each(stem: str):
    numbers = [str(number) for number in range(1, 11)]
    for title in ("Questions", "What a right answer holds"):
        assert numbers_under(stem, title) == numbers


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_the_solution_is_plain_torch_and_runs_through_its_check(stem, tmp_path, monkeypatch, capsys):
    solution = code_under(stem, "A solution")
    assert "seglib" not in solution
    script = f"{solution}\n{code_under(stem, 'A check')}"
    monkeypatch.chdir(tmp_path)
    if "__main__" in script:  # it starts workers, which look for their functions in a file
        Path("script.py").write_text(script, encoding="utf-8")
        printed = subprocess.run([sys.executable, "script.py"], check=True, capture_output=True, text=True).stdout
    else:
        exec(script, {"__name__": "script"})
        printed = capsys.readouterr().out
    assert printed.strip()  # what a reader's own solution is held against
