"""A benchmark goes on where it was stopped, but only with runs of its own settings and weights."""

import argparse
import json

import pytest

from benchmarks.common.resuming import runs_so_far, weights_used
from seglib.model import bundled_weights_path


def test_runs_of_the_same_settings_come_back_and_others_are_refused(tmp_path, capsys):
    out = tmp_path / "wheels.json"
    parser = argparse.ArgumentParser()
    settings = {"size": [2, 3], "weights": "ab"}
    assert runs_so_far(out, settings, parser) == []
    out.write_text(json.dumps({"settings": settings, "runs": [{"iou": 0.5}]}))
    assert runs_so_far(out, settings, parser) == [{"iou": 0.5}]
    with pytest.raises(SystemExit):
        runs_so_far(out, settings | {"weights": "cd"}, parser)
    assert "wheels.json holds runs with other settings" in capsys.readouterr().err


def test_the_weights_are_named_by_their_checksum():
    story = json.loads(bundled_weights_path().with_suffix(".json").read_text(encoding="utf-8"))
    assert len(weights_used()) == 12
    assert story["sha256"].startswith(weights_used())
