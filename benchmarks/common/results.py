"""Owns the record of a benchmark, `benchmarks/results/NAME.json`, and the option --out that names another file."""

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common.machine import machine, machine_with_gpu

ROOT = Path(__file__).resolve().parents[2]


def results_path(name: str) -> Path:
    """Where the record of the benchmark `name` lies, whatever the working folder."""
    return ROOT / "benchmarks" / "results" / f"{name}.json"


def option_parser(description: str | None, name: str, gpu: bool = False) -> argparse.ArgumentParser:
    """A parser with the option --out, and with a module's docstring as its help.

    Args:
        description: the docstring.
        name: of the benchmark, and of its record.
        gpu: False for a record of a CPU: lessons and benchmarks then take the CPU on a machine with a GPU too.
    """
    if not gpu:
        os.environ.setdefault("SEGLIB_DEVICE", "cpu")
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=results_path(name), metavar="FILE", help="[%(default)s]")
    return parser


def trainings_parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """As `option_parser`, for a benchmark that runs many trainings side by side: with --processes and --tiny."""
    parser = option_parser(description, name)
    parser.add_argument("--processes", type=int, help="trainings at a time [as many as there are cores]")
    parser.add_argument("--tiny", action="store_true", help="small pictures, few trainings: to see that it runs")
    return parser


def refuse_a_tiny_record(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Stop with an error where --tiny would write over the record: it is no measurement."""
    if arguments.tiny and arguments.out == parser.get_default("out"):
        parser.error("--tiny is no measurement: name another file with --out")


def read_record(path: Path) -> dict[str, Any]:
    """What is recorded at `path`; an empty dict if nothing is."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_record(
    path: Path,
    what: str,
    figures: Mapping[str, Any],
    *,
    hardware: Mapping[str, Any] | None = None,
    indent: int | None = 1,
) -> None:
    """Write a record as JSON: what was measured, on which machine, and the figures.

    Args:
        path: of the file; its folder is made if it is not there.
        what: one sentence.
        figures: plain values. If they come from an older record, its "what" and "machine" are replaced.
        hardware: the machine; None: `machine()`, and the GPU's name where SEGLIB_DEVICE asks for a GPU.
        indent: of the JSON; None writes a long list of numbers on one line.
    """
    record = {"what": what, "machine": dict(hardware or _machine_in_use())}
    record |= {key: value for key, value in figures.items() if key not in record}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=indent) + "\n", encoding="utf-8", newline="\n")


def _machine_in_use() -> dict[str, Any]:
    name = os.environ.get("SEGLIB_DEVICE", "cpu")
    if not name.startswith("cuda"):
        return machine()
    import torch  # here: a record of a CPU need not wait for it

    return machine_with_gpu(torch.device(name))
