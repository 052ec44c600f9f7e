"""What benchmarks share: they go on where they were stopped, only with their own runs, and know the ceiling."""

import argparse
import json

import pytest

from benchmarks.ceiling import SIZES, ceiling_at
from benchmarks.common.resuming import runs_so_far, weights_used
from seglib.model import bundled_weights_path


def test_runs_of_the_same_settings_come_back_and_others_are_refused(tmp_path, capsys):
    out, parser, settings = tmp_path / "wheels.json", argparse.ArgumentParser(), {"size": [2, 3], "weights": "ab"}
    assert runs_so_far(out, settings, parser) == []
    out.write_text(json.dumps({"settings": settings, "runs": [{"iou": 0.5}]}))
    assert runs_so_far(out, settings, parser) == [{"iou": 0.5}]
    with pytest.raises(SystemExit):
        runs_so_far(out, settings | {"weights": "cd"}, parser)
    assert "wheels.json holds runs with other settings" in capsys.readouterr().err


def test_the_weights_are_told_by_their_checksum():
    story = json.loads(bundled_weights_path().with_suffix(".json").read_text(encoding="utf-8"))
    assert len(weights_used()) == 12
    assert story["sha256"].startswith(weights_used())


def test_the_ceiling_of_a_size_is_the_stored_one_or_that_of_the_largest():
    ceilings = [ceiling_at(size) for size in SIZES]
    assert ceilings == sorted(set(ceilings))  # one for each size, more pixels allow more
    assert ceiling_at((48, 64)) == ceiling_at(SIZES[-1])
