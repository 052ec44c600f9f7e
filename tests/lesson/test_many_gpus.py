"""What 14_many_gpus needs beside seglib: processes started from a notebook, and its charts."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from seglib.cli.train import build, resume, run, train
from seglib.errors import SegError
from seglib.lesson.common.annotate import annotate
from seglib.lesson.many_gpus import torchrun as torchrun_module
from seglib.lesson.many_gpus.annotations import (
    BUILD_WORDS,
    NOTES_LINES,
    NOTES_LINES_EXPLANATIONS,
    RESUME_WORDS,
    RUN_WORDS,
    SAME_TRAINING_WORDS,
    SMALL_TRAINING_WORDS,
    TRAIN_WORDS,
)
from seglib.lesson.many_gpus.figures import ROWS, STEP_OF_TWO, batch_dots, ddp_step_figure, loss_chart
from seglib.lesson.many_gpus.torchrun import torchrun, train_command
from seglib.lesson.many_gpus.trainings import (
    COUNT,
    EPOCHS,
    MISTAKES,
    distances,
    fruit_iou,
    mistakes,
    same_training,
    small_training,
    tiny_stacks,
)

SAMPLES = Path("data_samples")


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


def numbered(folder: Path) -> None:
    import sys

    sys.stdout.write(f"{os.environ['GROUP_RANK']} {os.environ['RANK']} {os.environ['WORLD_SIZE']}\n")


def test_two_starts_play_two_machines(tmp_path: Path, capsys: pytest.CaptureFixture):
    torchrun(numbered, tmp_path, nproc_per_node=1, nnodes=2)
    assert capsys.readouterr().out == "0 0 2\n1 1 2\n"


def test_a_function_of_a_notebook_is_written_with_those_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture):
    told.__module__ = "__main__"
    try:
        torchrun(told, tmp_path, nproc_per_node=1)
    finally:
        told.__module__ = __name__
    assert "def told(folder: Path)" in (tmp_path / "told.py").read_text()
    assert capsys.readouterr().out == "one\n"


def talking(folder: Path) -> None:
    dist.init_process_group("gloo")
    dist.barrier()  # so that both talk at the same time
    for number in range(100, 400):
        print("process", os.environ["RANK"], "says", number)
    dist.destroy_process_group()


def test_no_line_of_one_process_comes_to_stand_in_a_line_of_another(tmp_path: Path, capsys: pytest.CaptureFixture):
    torchrun(talking, tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert said == [f"process {rank} says {number}" for rank in (0, 1) for number in range(100, 400)]


def test_a_command_says_what_it_says_and_no_page_of_torchrun(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "run.pt").write_bytes(b"there")
    options = "IMAGES MASKS --device cpu --out run.pt"
    assert train_command(options, tmp_path, nproc_per_node=2, samples=Path("data_samples")) != 0
    *said, rule = capsys.readouterr().out.splitlines()
    words = ["run.pt is there already.", "Expected: a new name", "Fix: --resume goes on with it, or name another."]
    assert said == ["...", *words]
    assert set(rule) == {"="}
    assert train_command(options, tmp_path, samples=Path("data_samples")) == 2
    assert capsys.readouterr().out.splitlines() == words


def test_a_command_gets_the_samples_that_lie_beside_the_folder_of_the_notebook(tmp_path: Path, monkeypatch):
    calls = []

    class Recorded:
        returncode = 0

        def __init__(self, command: list[str], **options):
            calls.append((command, options["env"]))

        def communicate(self) -> tuple[str, str]:
            return "done", ""

    samples = Path("data_samples").resolve()
    monkeypatch.setattr(torchrun_module.subprocess, "Popen", Recorded)
    monkeypatch.chdir("notebooks")
    assert train_command("IMAGES MASKS --split SPLIT", tmp_path) == 0
    command, environment = calls[0]
    assert [Path(word) for word in command if "data_samples" in word] == [
        samples / "images",
        samples / "masks",
        samples / "split.json",
    ]
    assert os.path.samefile(Path(environment["PYTHONPATH"]) / "seglib" / "train.py", samples.parent / "seglib/train.py")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (train, TRAIN_WORDS),
        (build, BUILD_WORDS),
        (resume, RESUME_WORDS),
        (run, RUN_WORDS),
        (NOTES_LINES, NOTES_LINES_EXPLANATIONS),
        (same_training, SAME_TRAINING_WORDS),
        (small_training, SMALL_TRAINING_WORDS),
    ],
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
    assert len(STEP_OF_TWO[0]) == len(STEP_OF_TWO[1]) == len(ROWS)
    curves = {kind: [0.6, 0.4] for kind in ("two processes", *MISTAKES)}
    assert [line.get_label() for line in loss_chart(curves).axes[0].lines] == list(curves)


def test_two_processes_train_as_one_and_each_mistake_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir("notebooks")
    torchrun(mistakes, tmp_path)
    trained = torch.load(tmp_path / "trained.pt")
    far = distances(trained)
    assert far["two processes"] == pytest.approx((0, 0), abs=1e-4)
    assert far["all load everything"] == pytest.approx((0, 0), abs=1e-4)
    assert min(far["no exchange"]) > 0.1
    for kind in ("mean of means", "one order for all epochs"):
        assert far[kind][0] > 0.1
        assert far[kind][1] == 0
    counts = {kind: sum(process["computed"] for process in both) for kind, both in trained.items()}
    assert counts["two processes"] == EPOCHS * COUNT
    assert counts["all load everything"] == 2 * EPOCHS * COUNT
    assert all(both[0]["losses"][-1] < both[0]["losses"][0] for both in trained.values())


def test_a_picture_that_comes_twice_counts_twice():
    _, masks = tiny_stacks(SAMPLES)["validation"]
    outputs = masks - 0.5
    outputs[0] = -1.0  # nothing is found in the first
    pixels = masks.flatten(1).sum(dim=1)
    assert fruit_iou(outputs, range(1, 5), SAMPLES) == 1.0
    once = fruit_iou(outputs, range(5), SAMPLES)
    assert once == pytest.approx((pixels[1:].sum() / pixels.sum()).item())
    assert fruit_iou(outputs, [*range(5), 0], SAMPLES) < once


def test_alone_the_training_of_all_is_that_of_one(tmp_path: Path):
    same_training(tmp_path, SAMPLES)
    found = torch.load(tmp_path / "same.pt")
    assert torch.equal(found["alone"][0], found["together"][0])
    assert torch.equal(found["alone"][1], found["together"][1])
