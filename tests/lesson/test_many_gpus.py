"""What 14_many_gpus needs beside seglib: processes started from a notebook, and its charts."""

import os
import subprocess
from pathlib import Path

import pytest

from seglib.cli.train import build, resume, run, train
from seglib.errors import SegError
from seglib.lesson.common.annotate import annotate
from seglib.lesson.many_gpus import torchrun as torchrun_module
from seglib.lesson.many_gpus.annotations import BUILD_WORDS, RESUME_WORDS, RUN_WORDS, TRAIN_WORDS
from seglib.lesson.many_gpus.figures import ROWS, batch_dots, ddp_step_figure
from seglib.lesson.many_gpus.torchrun import PREAMBLE, torchrun, train_command


def told(folder: Path) -> None:
    import sys

    sys.stdout.write("one\n")


def failing(folder: Path) -> None:
    raise ValueError("no such fruit")


def test_each_process_says_its_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    torchrun(told, tmp_path)
    assert capsys.readouterr().out == "one\none\n"
    with pytest.raises(SegError, match="failing failed"):
        torchrun(failing, tmp_path, nproc_per_node=1)


def test_a_command_says_what_it_says_and_no_page_of_torchrun(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "run.pt").write_bytes(b"there")
    options = "IMAGES MASKS --device cpu --out run.pt"
    assert train_command(options, tmp_path, nproc_per_node=2, samples=Path("data_samples")) != 0
    said = capsys.readouterr().out
    assert said == "run.pt is there already.\nExpected: a new name\nFix: --resume goes on with it, or name another.\n"


def test_a_command_gets_the_samples_that_lie_beside_the_folder_of_the_notebook(tmp_path: Path, monkeypatch):
    calls = []

    def record(command: list[str], **options) -> subprocess.CompletedProcess:
        calls.append((command, options["env"]))
        return subprocess.CompletedProcess(command, 0, stdout="done", stderr="")

    samples = Path("data_samples").resolve()
    monkeypatch.setattr(torchrun_module.subprocess, "run", record)
    monkeypatch.chdir("notebooks")
    assert train_command("IMAGES MASKS --split SPLIT", tmp_path) == 0
    command, environment = calls[0]
    assert [Path(word) for word in command if "data_samples" in word] == [
        samples / "images",
        samples / "masks",
        samples / "split.json",
    ]
    assert os.path.samefile(Path(environment["PYTHONPATH"]) / "seglib" / "train.py", samples.parent / "seglib/train.py")


def test_the_preamble_gives_all_names_that_the_notebook_imports_for_its_processes():
    names: dict = {}
    exec(PREAMBLE, names)
    assert {"rank", "world_size", "all_gather", "to_ddp", "shard_loader", "global_batch_loss"} <= set(names)


@pytest.mark.parametrize(
    ("function", "words"),
    [(train, TRAIN_WORDS), (build, BUILD_WORDS), (resume, RESUME_WORDS), (run, RUN_WORDS)],
    ids=lambda case: getattr(case, "__name__", ""),
)
def test_the_words_fit_the_training(function, words: dict[str, str]):
    explained = [group.explanation for group in annotate(function, words).groups if group.explanation]
    assert sorted(explained) == sorted(words.values())


def test_the_charts_draw_what_they_get():
    texts = [
        text.get_text().strip() for text in ddp_step_figure([list("abcdef"), list("ghijkl")], "both").axes[0].texts
    ]
    assert {*ROWS, *"abcdefghijkl", "both", "process 1"} <= set(texts)
    runs = [{"arm": arm, "steps": 2, "validation_iou": [0.1, 0.5 + seed / 10]} for arm in "xy" for seed in (0, 1)]
    assert [text.get_text() for text in batch_dots(runs).axes[0].texts] == ["0.55", "0.55"]
