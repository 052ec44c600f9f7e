"""--tensorboard: what the log holds, where it lies, and what is said where tensorboard is missing."""

import math
import sys
from pathlib import Path

import pytest
import torch

from seglib.cli import tensorboard_log, train
from seglib.cli.tensorboard_log import TensorBoardLog
from seglib.errors import SegError
from seglib.training.checkpoint import load_trained
from seglib.training.history import History
from tests.support.helpers import check_message, make_folders, snapshot


class Writer:
    """A stand-in for `SummaryWriter`, which keeps what it is given: (tag, value, epoch)."""

    def __init__(self, folder: str, purge_step: int):
        self.folder = folder
        self.purge_step = purge_step
        self.added: list[tuple[str, float, int]] = []

    def add_scalar(self, tag: str, value: float, epoch: int) -> None:
        self.added.append((tag, value, epoch))

    def flush(self) -> None:
        self.flushed = len(self.added)


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    """A command line for tiny pictures; `--out` is the last of it."""
    images, masks = make_folders(tmp_path, "abcdefgh")
    words = f"{images} {masks} --validation-share 0.25 --size 48 64 --weights none --device cpu --epochs 2 --warmup 1"
    return [*words.split(), "--skip-doctor", "--tensorboard", "--out", str(tmp_path / "run.pt")]


def optimizer(*rates: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [torch.zeros(1)], "lr": rate} for rate in rates])


def test_an_epoch_is_logged_by_name_and_what_was_not_measured_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tensorboard_log, "require_tensorboard", lambda: Writer)
    log = TensorBoardLog("folder", ["background", "crop", "weed"], optimizer(0.1, 0.5), done=3)
    history = History()
    history.add(0.4, 0.5, 0.6, [0.9, 0.3, math.nan])
    log.on_epoch(history)
    assert log.writer.added == [
        ("loss/training", 0.4, 1),
        ("loss/validation", 0.5, 1),
        ("IoU", 0.6, 1),
        ("IoU_of_class/background", 0.9, 1),
        ("IoU_of_class/crop", 0.3, 1),
        ("learning_rate/backbone", 0.1, 1),
        ("learning_rate/head", 0.5, 1),
    ]
    history.add(0.2, math.nan, math.nan)  # an epoch that was not measured
    log.on_epoch(history)
    assert [tag for tag, _, epoch in log.writer.added if epoch == 2] == [
        "loss/training",
        "learning_rate/backbone",
        "learning_rate/head",
    ]
    assert log.writer.flushed == len(log.writer.added)
    assert log.writer.purge_step == 4


def test_where_it_is_missing_nothing_is_trained_and_the_package_is_named(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # the import then fails
    before = snapshot(tmp_path)
    assert train.main(line) == 2
    assert "Fix: python -m pip install tensorboard." in capsys.readouterr().err
    assert snapshot(tmp_path) == before
    with pytest.raises(SegError) as caught:
        tensorboard_log.require_tensorboard()
    check_message(caught.value, "--tensorboard")


def test_a_training_that_goes_on_adds_to_its_log(line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert train.main([*line, "--epochs", "1", "--schedule", "constant"]) == 0
    assert f"tensorboard --logdir {tmp_path / 'run.tensorboard'}" in capsys.readouterr().out
    assert train.main([*line, "--epochs", "2", "--schedule", "constant", "--resume"]) == 0
    log = EventAccumulator(str(tmp_path / "run.tensorboard")).Reload()
    logged = [(event.step, event.value) for event in log.Scalars("loss/training")]
    history = load_trained(tmp_path / "run.pt").history
    assert logged == [(epoch, pytest.approx(loss)) for epoch, loss in enumerate(history.train_loss, 1)]
    assert {"IoU", "IoU_of_class/object", "learning_rate/head"} <= set(log.Tags()["scalars"])
