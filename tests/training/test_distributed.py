"""Two processes are one training: what they see, what they learn, what they measure. Two really start, on the CPU."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from seglib.data.dataloaders import make_loaders
from seglib.device import pick_device
from seglib.errors import TrainingError
from seglib.losses import make_loss
from seglib.training import distributed
from seglib.training.distributed import global_batch_loss, shard_loader, to_ddp
from tests.support import two_processes as by_two
from tests.support.helpers import check_message
from tools.notebooks.environment import ROOT

LOSSES = ("mse", "bce", "dice", "bce_dice", "cross_entropy")


def torchrun(*arguments: object, cwd: Path = ROOT, processes: int = 2) -> subprocess.CompletedProcess:
    """Start so many processes with torchrun; a hang is an error after two minutes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command += map(str, arguments)
    return subprocess.run(command, cwd=cwd, env=surroundings, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("two")
    done = torchrun("tests/support/two_processes.py", "everything", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{number}.pt") for number in (0, 1)]


@pytest.fixture(scope="module")
def one() -> dict:
    """What one process finds, without torchrun."""
    return by_two.everything(pick_device("cpu"))


def test_each_picture_is_seen_once_an_epoch_by_one_process(two, one):
    for epoch in (0, 1):
        batches = list(zip(*(process["seen"][epoch] for process in two), strict=True))
        for ours, together_ in zip(one["seen"][epoch], batches, strict=True):
            assert sorted(ours) == sorted([picture for part in together_ for picture in part])  # its chance too
        every = [picture for part in batches for mine in part for picture, _ in mine]
        assert sorted(every) == list(range(by_two.COUNT))
    assert [[len(part) for part in batch] for batch in batches] == [[2, 2], [2, 2], [2, 1]]


def test_order_changes_from_epoch_to_epoch_and_not_by_workers(two, one):
    assert one["seen"][0] != one["seen"][1]
    assert all(process["seen"] == process["seen by workers"] for process in (*two, one))


@pytest.mark.parametrize("loss", LOSSES)
def test_two_processes_end_at_the_weights_of_one(two, one, loss):
    assert torch.equal(two[0][loss]["weights"], two[1][loss]["weights"])
    assert (two[0][loss]["weights"] - one[loss]["weights"]).abs().max() < 1e-6
    by_two_ = [process[loss] for process in two]
    assert by_two_[0]["losses"] == by_two_[1]["losses"]
    assert by_two_[0]["losses"] == pytest.approx(one[loss]["losses"], abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_score_is_that_of_one_process(two, one, loss):
    for process in two:
        assert torch.equal(torch.stack(process[loss]["matrices"]), torch.stack(one[loss]["matrices"]))
        assert process[loss]["validation losses"] == pytest.approx(one[loss]["validation losses"], abs=1e-6)
    assert int(one[loss]["matrices"][0].sum()) == 5 * 48 - (0 + 1 + 2 + 3 + 4)  # each pixel once, but for the ignored


def test_a_process_without_validation_pictures_adds_nothing(two, one):
    assert [process["few"]["batches"] for process in two] == [1, 0]
    assert two[0]["few"]["pixels"] == two[1]["few"]["pixels"] == one["few"]["pixels"] == 48
    assert two[1]["few"]["loss"] == pytest.approx(one["few"]["loss"], abs=1e-6)


def test_nan_in_one_process_stops_both_in_the_same_step(two):
    assert two[0]["nan"] == two[1]["nan"]
    assert two[0]["nan"].startswith("The loss became nan in step 1")


def test_running_means_are_those_of_all_processes(two):
    assert two[0]["statistics"] == [1.0, 4.0]  # BatchNorm itself sees the pictures of its own process
    assert two[1]["statistics"] == [7.0, 4.0]


def test_dropout_differs_between_processes(two, one):
    assert two[0]["dropout"] == one["dropout"]
    assert two[0]["dropout"] != two[1]["dropout"]


def test_one_process_tells_what_went_wrong_for_all(two):
    assert sorted(process["first"] for process in two) == [False, True]


@pytest.mark.parametrize("what", ["killed", "silent"])
def test_a_process_that_is_gone_or_silent_ends_all(tmp_path: Path, what: str):
    done = torchrun("tests/support/two_processes.py", what, tmp_path)
    assert done.returncode != 0
    assert not (tmp_path / "woke.txt").exists()  # the silent one was ended while it slept
    assert "Another process of this training has ended" in (tmp_path / "said.txt").read_text()


def test_the_page_of_torchrun_ends_with_the_first_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert not distributed.tell_torchrun("No such file.\nFix: Name another.")  # alone, whoever calls has to print it
    files = [tmp_path / "0.json", tmp_path / "1.json"]
    for number, first in ((1, True), (0, False)):  # process 1 fails, process 0 follows in the same second
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(files[number]))
        monkeypatch.setattr(distributed, "first_to_report", lambda first=first: first)
        assert distributed.tell_torchrun("No such file.\nFix: Name another.")
    assert json.loads(files[1].read_text())["timestamp"] < json.loads(files[0].read_text())["timestamp"]
    failures = {number: ProcessFailure(number, 1000 + number, 2, str(path)) for number, path in enumerate(files)}
    page = str(ChildFailedError("seglib.train", failures)).splitlines()
    assert page[-3:-1] == ["No such file.", "Fix: Name another."]
    assert "\n".join(page).count("No such file.") == 1


@pytest.mark.parametrize(
    ("device", "processes", "least"), [("cuda", 4, 1), ("cuda", 1, 2), ("cpu", 4, 2), ("cpu", 1, 2)]
)
def test_one_picture_each_is_enough_on_several_gpus(monkeypatch, device: str, processes: int, least: int):
    monkeypatch.setattr(distributed, "world_size", lambda: processes)
    assert distributed.min_pictures_per_rank(torch.device(device)) == least


def test_alone_nothing_is_wrapped():
    model, criterion = by_two.TinyModel(), make_loss("dice")
    assert to_ddp(model, pick_device("cpu")) is model
    assert global_batch_loss(criterion, 4) is criterion


def test_too_few_pictures_for_a_process_are_refused_before_training():
    nine = [by_two.Numbered(9)[idx] for idx in range(9)]
    loader, _ = make_loaders(nine, nine[:1], batch_size=4)
    with pytest.raises(TrainingError) as caught:
        shard_loader(loader, min_per_rank=2)
    check_message(caught.value, "9 pictures in batches of 4: the smallest holds 1, to be shared by 1")
    dropping, _ = make_loaders(nine, nine[:1], batch_size=4, drop_last=True)
    assert len(shard_loader(dropping, min_per_rank=2)) == 2
    assert len(shard_loader(loader, whole_batches=True, min_per_rank=2)) == math.ceil(9 / 4)


# One process alone, and the device of each


def test_alone_it_is_number_0_of_1():
    with distributed.process_group("cpu") as device:
        assert device.type == "cpu"
        assert (distributed.rank(), distributed.world_size(), distributed.all_gather({"a": 1})) == (0, 1, [{"a": 1}])
    assert distributed.first_to_report()


@pytest.mark.parametrize(("name", "told"), [("mps", "mps"), ("cuda:0", "cuda:0"), ("cuda", "cuda:9")])
def test_a_device_that_not_every_process_can_have_is_refused(monkeypatch, name, told):
    monkeypatch.setenv("LOCAL_RANK", "9")
    with pytest.raises(TrainingError) as caught, distributed.process_group(name):
        pass
    check_message(caught.value, f'device = "{told}"')


def test_errors_of_our_own_keep_their_words(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="out of memory"), distributed.process_group("cpu"):
        raise RuntimeError("out of memory")
    with pytest.raises(TrainingError, match="has ended"), distributed.process_group("cpu"):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:1] Connection closed by peer")
