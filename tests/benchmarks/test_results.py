"""A record names what was measured and the machine of its last run; the ceiling is looked up in one."""

import os

import torch

from benchmarks.ceiling import SIZES
from benchmarks.common.machine import machine
from benchmarks.common.recorded_ceiling import ceiling_at
from benchmarks.common.results import option_parser, read_record, results_path, write_record


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "results" / "wheels.json"
    assert read_record(path) == {}
    write_record(path, "how round wheels are", {"runs": [1, 2]})
    assert read_record(path) == {"what": "how round wheels are", "machine": machine(), "runs": [1, 2]}
    assert path.read_bytes().endswith(b"}\n")


def test_a_record_that_goes_on_names_the_machine_of_today(tmp_path):
    path = tmp_path / "wheels.json"
    write_record(path, "how round wheels are", {"runs": [1]}, hardware={"processor": "an old one"})
    write_record(path, "how round wheels are", read_record(path) | {"runs": [1, 2]})
    assert read_record(path)["machine"] == machine()
    assert read_record(path)["runs"] == [1, 2]


def test_a_record_of_trainings_on_a_gpu_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"the card of {device}")
    write_record(tmp_path / "wheels.json", "how round wheels are", {})
    assert read_record(tmp_path / "wheels.json")["machine"] == {**machine(), "gpu": "the card of cuda"}


def test_each_benchmark_stores_in_the_folder_that_the_lessons_read():
    assert read_record(results_path("ceiling"))["what"]


def test_the_ceiling_of_a_size_is_the_recorded_one_or_that_of_the_largest():
    ceilings = [ceiling_at(size) for size in SIZES]
    assert ceilings == sorted(set(ceilings))  # one for each size, more pixels allow more
    assert ceiling_at((48, 64)) == ceiling_at(SIZES[-1])


def test_a_benchmark_that_does_not_ask_for_a_gpu_takes_the_cpu(monkeypatch):
    monkeypatch.delenv("SEGLIB_DEVICE", raising=False)
    option_parser("On a GPU.", "wheels", gpu=True)
    assert "SEGLIB_DEVICE" not in os.environ
    option_parser("On a CPU.", "wheels")
    assert os.environ["SEGLIB_DEVICE"] == "cpu"
    monkeypatch.setenv("SEGLIB_DEVICE", "mps")
    option_parser("On a CPU.", "wheels")
    assert os.environ["SEGLIB_DEVICE"] == "mps"
