"""The benchmarks that nobody runs by the way, at a tiny size: what they store is what the lessons read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seglib.lesson.cuda.figures import input_bars, speed_bars
from tools.notebooks.environment import ROOT

TINY = {
    "gpu_step": ["--tiny", "--ways", "the notes' loop", "all together"],
    "reference": ["--tiny"],
    "many_processes": ["speed", "--rounds", "1", "--steps", "1", "--size", "48", "64"],
    "input": ["--rounds", "2", "--epochs", "1", "--count", "5", "--file", "120", "160", "--size", "96", "128"],
}


@pytest.fixture(scope="module", params=TINY)
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict]:
    """The name of a benchmark, and what it wrote."""
    out: Path = tmp_path_factory.mktemp("benchmark") / "out.json"
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / f"{request.param}.py"),
        *TINY[request.param],
        "--out",
        str(out),
    ]
    surroundings = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return request.param, json.loads(out.read_text(encoding="utf-8"))


def test_a_benchmark_runs_at_a_tiny_size_and_stores_what_is_read(stored):
    name, result = stored
    assert result["what"]
    assert result["machine"]["torch"]
    if name == "gpu_step":
        assert [row["way"] for row in result["rows"]] == TINY["gpu_step"][2:]
        assert all(row["images_a_second_of_the_step"] > 0 for row in result["rows"])
        assert len(result["iou"]["all together"]) == len(result["iou"]["float32"]) > 0
        assert result["matrix_rate_in"] == "bfloat16"
        assert speed_bars(result["rows"]).axes
    elif name == "reference":
        recipes = {run["recipe"] for run in result["runs"]}
        assert recipes == {"reference", "reference, bfloat16", "ours"}
        summary = result["summary"]
        for recipe in recipes - {"ours"}:
            ratio = summary["ours"]["images_a_second"] / summary[recipe]["images_a_second"]
            assert summary[recipe]["ours_is_faster"] == pytest.approx(ratio, abs=0.02)
            assert {"equal_seconds", "ahead_in_both"} <= summary[recipe].keys()
        assert {run["lr"] for run in result["runs"]} <= {run["lr"] for run in result["tuning"]}
    elif name == "many_processes":
        speed = result["speed"]
        assert speed["ratio"] == pytest.approx(speed["images_a_second"]["2"] / speed["images_a_second"]["1"], abs=0.1)
        assert speed["bytes_of_outputs_and_masks"] == 2 * 2 * 48 * 64 * 4
        assert speed["bytes_of_gradients"] > 4e7
    else:
        assert result["masks_equal"]
        assert 0 < result["largest_difference_in_steps_of_255"] <= 2.01
        assert result["ratio"]["later"] > result["ratio"]["first"] > 0
        assert input_bars(result).axes
