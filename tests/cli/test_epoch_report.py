"""What a training says as it goes: in a log file once how long it takes, on a terminal by its bar."""

import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from seglib.cli import epoch_report
from seglib.cli.epoch_report import EpochReport
from seglib.metrics import Evaluation
from seglib.training.history import History
from tools.notebooks.environment import ROOT

GOOD = Evaluation(0.5, torch.tensor([[70, 5], [5, 20]]))


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """A training without a model, by a clock of its own; returns its lines."""

    def train(epochs: int, seconds: float, done: int = 0, validate_every: int = 1) -> list[str]:
        clock = SimpleNamespace(now=100.0)
        monkeypatch.setattr(epoch_report, "time", SimpleNamespace(monotonic=lambda: clock.now))
        checkpoint = SimpleNamespace(path=tmp_path / "run.pt", save=lambda history: None)
        report = EpochReport(checkpoint, ["background", "object"], epochs, 4, done)
        history = History(*([0.5] * done for _ in range(3)), [[0.5, 0.5]] * done)
        for epoch in range(done + 1, epochs + 1):
            clock.now += seconds
            measured = epoch % validate_every == 0 or epoch == epochs
            report.evaluation = GOOD if measured else None
            history.add(0.5, 0.5, GOOD.iou, GOOD.class_iou)
            report.on_epoch(history)
        report.close()
        return capsys.readouterr().out.splitlines()

    return train


@pytest.mark.parametrize(
    ("epochs", "seconds", "words"),
    [
        (30, 20, "  At this pace epoch 30 ends in about 10 minutes."),
        (2, 60, "  At this pace epoch 2 ends in about 1 minute."),
        (2, 89, "  At this pace epoch 2 ends in about 1 minute."),
        (3, 50, "  At this pace epoch 3 ends in about 2 minutes."),
    ],
)
def test_a_log_file_says_once_how_long_it_takes(train, epochs: int, seconds: float, words: str):
    lines = train(epochs, seconds)
    assert lines[1] == words
    assert len(lines) == epochs + 1
    assert lines[0].startswith(f"epoch 1 of {epochs}: loss ")


@pytest.mark.parametrize(("epochs", "seconds"), [(2, 59), (1, 3600), (30, 1)])
def test_less_than_a_minute_is_not_worth_a_line(train, epochs: int, seconds: float):
    assert len(train(epochs, seconds)) == epochs


def test_the_pace_is_that_of_the_epochs_of_this_run(train):
    assert train(14, 60, done=10)[1] == "  At this pace epoch 14 ends in about 3 minutes."


def test_the_pace_holds_a_measurement_on_the_validation_pictures(train):
    lines = train(20, 30, validate_every=5)
    assert lines[5] == "  At this pace epoch 20 ends in about 8 minutes."  # 7.5, behind the fifth epoch
    assert sum("pace" in line for line in lines) == 1


def test_a_terminal_has_its_bar(train, monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert not any("pace" in line for line in train(30, 20))
    assert "epoch" in terminal.getvalue() or "0/120" in terminal.getvalue()


def test_no_notebook_compares_the_lines_of_a_training():
    """They may hold a time, which is another one on each machine."""
    told = 0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            outputs = "".join("".join(output.get("text", "")) for output in cell.get("outputs", []))
            if re.search(r"^epoch \d+ of \d+: loss ", outputs, re.MULTILINE):
                told += 1
                assert "nbval-ignore-output" in cell["metadata"]["tags"], f"{path.name}, cell {cell['id']}"
    assert told
