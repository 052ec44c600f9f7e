"""What 14_many_gpus needs beside seglib: processes started from a notebook, and its charts."""

from pathlib import Path

import pytest

from seglib.cli.train import train
from seglib.errors import SegError
from seglib.lesson.common.annotate import annotate
from seglib.lesson.many_gpus.annotations import TRAIN_WORDS
from seglib.lesson.many_gpus.figures import ROWS, batch_dots, who_holds_what
from seglib.lesson.many_gpus.torchrun import command, torchrun


def told(folder: Path) -> None:
    import sys

    sys.stdout.write("one\n")


def failing(folder: Path) -> None:
    raise ValueError("no such fruit")


def test_each_process_says_its_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    torchrun(told, tmp_path)
    assert capsys.readouterr().out == "one\none\n"
    with pytest.raises(SegError, match="failing failed"):
        torchrun(failing, tmp_path, count=1)


def test_a_command_says_what_it_says_and_no_page_of_torchrun(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "run.pt").write_bytes(b"there")
    assert command("IMAGES MASKS --device cpu --out run.pt", tmp_path, count=2) != 0
    said = capsys.readouterr().out
    assert said == "run.pt is there already.\nExpected: a new name\nFix: --resume goes on with it, or name another.\n"


def test_the_words_fit_the_training():
    assert len(annotate(train, TRAIN_WORDS).groups) > len(TRAIN_WORDS)


def test_the_charts_draw_what_they_get():
    texts = [text.get_text().strip() for text in who_holds_what([list("abcdef"), list("ghijkl")], "both").axes[0].texts]
    assert {*ROWS, *"abcdefghijkl", "both", "process 1"} <= set(texts)
    runs = [{"arm": arm, "steps": 2, "validation_iou": [0.1, 0.5 + seed / 10]} for arm in "xy" for seed in (0, 1)]
    assert [text.get_text() for text in batch_dots(runs).axes[0].texts] == ["0.55", "0.55"]
