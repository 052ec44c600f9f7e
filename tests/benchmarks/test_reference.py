"""What `benchmarks.reference` decides without a GPU: which rates it tries, in which order, and what it sums up."""

import argparse
import json
import math
from pathlib import Path

import pytest
import torch

from benchmarks import reference
from benchmarks.reference import Bench, Epochs, Recipe, Stream, next_rate, recipes_on, summary_of
from seglib.data.dataloaders import make_loaders

RECIPES = [Recipe("ours", ours=True), Recipe("reference")]


def rates_tried(iou_at, rates, beyond: int) -> list[float]:
    tried: list[dict] = []
    while (lr := next_rate(rates, tried, beyond)) is not None:
        tried.append({"lr": lr, "iou": iou_at(lr)})
    return [row["lr"] for row in tried]


@pytest.mark.parametrize(
    ("best", "beyond", "wanted"),
    [
        (2, 3, [1, 2, 4]),
        (4, 3, [1, 2, 4, 8]),
        (16, 3, [1, 2, 4, 8, 16, 32]),
        (64, 2, [1, 2, 4, 8, 16]),
        (0.5, 3, [1, 2, 4, 0.5, 0.25]),
    ],
)
def test_while_the_best_rate_of_the_reference_is_on_an_edge_one_beyond_is_tried(best, beyond, wanted):
    assert rates_tried(lambda lr: -abs(math.log(lr / best)), (1, 2, 4), beyond) == wanted


def test_a_gpu_adds_recorded_steps_and_quick_leaves_out_the_one_row_that_is_no_reference():
    assert [recipe.name for recipe in recipes_on("cpu")] == ["ours", "reference", "reference, bfloat16"]
    names = [recipe.name for recipe in recipes_on("cuda")]
    assert names[3:] == ["reference, bfloat16, recorded", "ours, not recorded"]
    assert [recipe.name for recipe in recipes_on("cuda", quick=True)] == names[:4]
    assert [recipe.recorded for recipe in recipes_on("cuda")] == [True, False, False, True, False]


def bench_at(out: Path, before: dict, limit: float = math.inf) -> Bench:
    arguments = argparse.Namespace(
        out=out, seconds=6.0, tuning_seconds=3.0, rates=3, beyond=3, seeds=(0, 1), limit=limit
    )
    return Bench(RECIPES, arguments, {"seconds": 6.0}, before=before, hardware={})


@pytest.fixture
def done(monkeypatch):
    """The runs that were made, as (recipe, rate, seed); each takes no time, and the best rate is 0.002."""
    made: list[tuple] = []

    def run(recipe, lr, seed, seconds, setting):
        made.append((recipe.name, lr, seed))
        return {
            "recipe": recipe.name,
            "lr": lr,
            "seed": seed,
            "iou": 0.8 - abs(math.log(lr / 0.002)) / 10,
            "seconds": seconds,
            "images_a_second": 100.0,
            "capture_seconds": 0.0,
            "seconds_with_everything": seconds * 7 / 6 + 1,
        }

    monkeypatch.setattr(reference, "run", run)
    return made


def test_reference_tunes_in_turns_trains_seed_by_seed_and_runs_nothing_twice(tmp_path, done):
    out = tmp_path / "record.json"
    bench = bench_at(out, {})
    bench.tune(None)
    assert [name for name, *_ in done[:4]] == ["ours", "reference"] * 2
    before_training = len(done)
    bench.train(None)
    trained = done[before_training:]
    assert [(name, seed) for name, _, seed in trained] == [("ours", 0), ("reference", 0), ("ours", 1), ("reference", 1)]
    record = json.loads(out.read_text())
    assert record["chosen"]["ours"] == {"lr": 0.002, "inside": True}
    assert record["chosen"]["reference"] == {"lr": 0.0025, "inside": True}  # 0.00125 was tried beyond the edge
    assert {lr for name, lr, _ in trained if name == "reference"} == {0.0025}
    made = len(done)
    again = bench_at(out, record)
    again.tune(None)
    again.train(None)
    assert len(done) == made


def test_reference_tries_no_rate_that_takes_the_time_of_a_training(tmp_path, done):
    in_time = bench_at(tmp_path / "record.json", {}, limit=4 * 9 + 4)  # the clock stands still: 4 trainings of 9 s
    in_time.tune(None)
    assert not done
    in_time.train(None)
    assert len(done) == 4
    too_late = bench_at(tmp_path / "record.json", {}, limit=8)
    too_late.tune(None)
    too_late.train(None)
    assert len(done) == 4


def test_the_summary_of_the_reference_takes_the_seeds_that_all_recipes_have():
    rows = [("ours", 0, 0.8, 300.0), ("reference", 0, 0.7, 100.0), ("ours", 1, 0.2, 900.0)]
    runs = [
        {"recipe": name, "seed": seed, "iou": iou, "images_a_second": speed, "seconds": 6.0, "capture_seconds": 0.5}
        for name, seed, iou, speed in rows
    ]
    summary = summary_of(runs)
    assert summary["ours"]["seeds"] == summary["reference"]["seeds"] == 1
    assert summary["reference"] == {
        "seeds": 1,
        "iou": 0.7,
        "spread": 0.0,
        "images_a_second": 100.0,
        "seconds": 6.0,
        "capture_seconds": 0.5,
        "ours_is_faster": 3.0,
        "points_ahead": 10.0,
        "equal_seconds": True,
        "ahead_in_both": True,
    }


class Numbers(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, idx: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor([idx]), torch.randint(10**6, (1,))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_stream_of_the_reference_is_the_epochs_of_make_loaders_without_a_stop(workers):
    train, _ = make_loaders(Numbers(), [], batch_size=2, num_workers=0, seed=7)
    wanted = [batch for _ in range(3) for batch in train]
    endless, _ = make_loaders(Numbers(), [], batch_size=2, num_workers=workers, drop_last=True)
    stream = Stream(endless, Epochs(6))
    for _ in range(2):  # the second time after it was stopped in the middle of an epoch
        stream.restart(7)
        got = [*stream.steps(4), *stream.steps(4)]
        assert all(
            torch.equal(a, b) for one, two in zip(got, wanted, strict=False) for a, b in zip(one, two, strict=True)
        )
        assert len(got) == 8
