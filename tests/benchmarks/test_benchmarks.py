"""The benchmarks that are run by hand only, at a tiny size: what they store is what the lessons read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seglib.lesson.cuda.figures import input_bars, speed_bars
from tools.notebooks.environment import ROOT

TINY = {
    "gpu_step": ["--tiny", "--ways", "the notes' loop", "all together", "all together, recorded"],
    "reference": ["--tiny"],
    "many_processes": ["speed", "--rounds", "1", "--steps", "1", "--size", "48", "64"],
    "input": ["--rounds", "2", "--epochs", "1", "--count", "5", "--file", "120", "160", "--size", "96", "128"],
}


@pytest.fixture(scope="module")
def record_of(tmp_path_factory: pytest.TempPathFactory):
    """Runs a benchmark of `TINY`, and returns what it stored."""

    def run(name: str) -> dict:
        out: Path = tmp_path_factory.mktemp(name) / "out.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", *TINY[name], "--out", str(out)]
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        record = json.loads(out.read_text(encoding="utf-8"))
        assert record["what"]
        assert record["machine"]["torch"]
        return record

    return run


def test_gpu_step_stores_each_way_and_the_iou_of_both_trainings(record_of):
    record = record_of("gpu_step")
    assert [(row["case"], row["way"]) for row in record["rows"]] == [
        ("large", "the notes' loop"),
        ("small", "the notes' loop"),
        ("large", "all together"),
        ("small", "all together, recorded"),
    ]
    assert record["not_reached"] == []
    assert all(row["images_a_second_of_the_step"] > 0 for row in record["rows"])
    assert len(record["iou"]["all together"]) == len(record["iou"]["float32"]) > 0
    assert record["matrix_rate_in"] == "bfloat16"
    assert speed_bars([row for row in record["rows"] if row["case"] == "large"]).axes


def test_reference_stores_every_recipe_at_a_rate_that_was_tried(record_of):
    record = record_of("reference")
    recipes = {run["recipe"] for run in record["runs"]}
    assert recipes == {"reference", "reference, bfloat16", "ours"}
    summary = record["summary"]
    for recipe in recipes - {"ours"}:
        ratio = summary["ours"]["images_a_second"] / summary[recipe]["images_a_second"]
        assert summary[recipe]["ours_is_faster"] == pytest.approx(ratio, abs=0.02)
        points = 100 * (summary["ours"]["iou"] - summary[recipe]["iou"])
        assert summary[recipe]["points_ahead"] == pytest.approx(points, abs=0.02)
        assert {"equal_seconds", "ahead_in_both"} <= summary[recipe].keys()
    for run in record["runs"]:
        tried = [row["lr"] for row in record["tuning"] if row["recipe"] == run["recipe"]]
        assert run["lr"] == record["chosen"][run["recipe"]]["lr"] in tried
        assert len(tried) == 3  # the best of two rates is on an edge, so one beyond it was tried


def test_many_processes_stores_the_speed_and_what_is_sent(record_of):
    speed = record_of("many_processes")["speed"]
    assert set(speed["images_a_second"]) == {"1", "2"}
    assert speed["ratios"] == [speed["ratio"]]  # of one round
    assert speed["ratio"] > 0
    assert speed["bytes_of_outputs_and_masks"] == 2 * 2 * 48 * 64 * 4
    assert speed["bytes_of_gradients"] > 4e7


def test_input_stores_equal_masks_and_nearly_equal_images(record_of):
    record = record_of("input")
    assert record["masks_equal"]
    assert 0 < record["largest_difference_in_steps_of_255"] <= 2.01
    assert all(ratio > 0 for ratio in record["ratio"].values())
    assert {row["way"] for row in record["epochs"]} == {"notes", "ours"}
    assert input_bars(record).axes
