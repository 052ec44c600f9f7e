"""Owns how a benchmark goes on where it was stopped: the runs that it recorded, if they were made with its settings."""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.common.results import read_record
from seglib.model import bundled_weights_path


def weights_used() -> str:
    """The first digits of the bundled weights' SHA-256, for the settings: from other weights come other runs."""
    return json.loads(bundled_weights_path().with_suffix(".json").read_text(encoding="utf-8"))["sha256"][:12]


def runs_so_far(out: Path, settings: dict[str, Any], parser: argparse.ArgumentParser) -> list[dict[str, Any]]:
    """The runs that the file `out` holds, or none; `parser` refuses those that were made with other settings."""
    before = read_record(out)
    if before and before["settings"] != settings:
        parser.error(f"{out.name} holds runs with other settings, or from other weights: move it away first")
    return before.get("runs", [])
