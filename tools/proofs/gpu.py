"""Runs on a machine with a GPU what CI, which has none, cannot: speeds, all notebooks, and the tests marked `gpu`.

It takes the Python that is there and installs nothing: torch, torchvision, the packages of a notebook, nbclient. In
this order, each part bounded in seconds, and each going on where an earlier run was stopped:

    speed       benchmarks.gpu_trace, benchmarks.gpu_step, benchmarks.reference --quick
    notebooks   every notebook with the GPU visible, at the lesson size and, where it has the switch, at FULL_SIZE,
                each in a process that may take 15 GB of the GPU; benchmarks/results/gpu_notebooks.json holds seconds,
                peak memory, what was printed differently from the stored outputs, and what was written to stderr
    tests       pytest -m gpu

    python tools/proofs/gpu.py [--parts speed notebooks tests] [--jobs N] [--limit SECONDS] [--out FOLDER]
    python tools/proofs/gpu.py --tiny --out FOLDER         on a CPU, to see that it runs

Full size wants torchvision's weights of ResNet-50. Where they cannot be downloaded, --stand-in writes random ones into
the cache of this run; the record says so.
"""

import argparse
import concurrent.futures
import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # it runs as a file too

import nbformat  # noqa: E402
import torch  # noqa: E402

from benchmarks.common.machine import machine_with_gpu  # noqa: E402
from benchmarks.common.results import read_record, results_path, write_record  # noqa: E402
from seglib.device import pick_device  # noqa: E402
from tools.notebooks.environment import NOTEBOOKS, RUN_ENV  # noqa: E402
from tools.notebooks.store import execute  # noqa: E402

PARTS = ("speed", "notebooks", "tests")
SWITCH = "FULL_SIZE = False"
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}

# Run before the first cell, and after the last: the cap, and a thread that looks at the memory in use. A lesson may
# reset torch's own peak.
BEFORE = """
import threading as _threading, time as _time, torch as _torch
_peak = [0, 0]
if _torch.cuda.is_available():
    _share = {cap} * 2**30 / _torch.cuda.get_device_properties(0).total_memory
    _torch.cuda.set_per_process_memory_fraction(min(1.0, _share))
    def _watch():
        while True:
            _peak[0] = max(_peak[0], _torch.cuda.memory_allocated())
            _peak[1] = max(_peak[1], _torch.cuda.memory_reserved())
            _time.sleep(0.01)
    _threading.Thread(target=_watch, daemon=True).start()
"""
AFTER = "print(*_peak)"


def run_command(command: list[str], seconds: float, environment: dict[str, str] | None = None) -> int:
    """Run it, at most so many seconds; its output goes through. 124 if it was stopped."""
    print("$", *command, f"(at most {seconds:.0f} s)", flush=True)
    try:
        return subprocess.run(command, cwd=ROOT, timeout=seconds, env=environment, check=False).returncode
    except subprocess.TimeoutExpired:
        return 124


def speed(arguments: argparse.Namespace) -> list[str]:
    """Run the benchmarks; returns those that failed."""
    commands: list[tuple[list[str], float]] = [
        (["benchmarks.gpu_trace"], 60),
        (["benchmarks.gpu_step"], 330),
        (["benchmarks.reference", "--quick"], 260),
    ]
    if arguments.tiny:
        commands = [(["benchmarks.gpu_step", "--tiny", "--ways", "the notes' loop"], 300)]
    failed = []
    for (name, *options), seconds in commands:
        out = ["--out", str(arguments.out / f"{name.split('.')[-1]}.json")]
        if run_command([sys.executable, "-m", name, *options, *out], seconds):
            failed.append(name)
    return failed


def notebooks(arguments: argparse.Namespace) -> list[str]:
    """Run all notebooks at both sizes; returns those that failed."""
    path = arguments.out / "gpu_notebooks.json"
    device = pick_device()
    hardware = machine_with_gpu(device)
    before = read_record(path)
    rows = [row for row in before.get("rows", []) if not row["error"]] if before.get("machine") == hardware else []
    done = {(row["notebook"], row["full_size"]) for row in rows}
    files = [NOTEBOOKS / f"{name}.ipynb" for name in arguments.names] or sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    wanted = [(file, False) for file in files]
    wanted += [(file, True) for file in files if SWITCH in file.read_text(encoding="utf-8") and not arguments.tiny]
    wanted = [pair for pair in wanted if (pair[0].stem, pair[1]) not in done]
    end = time.monotonic() + arguments.limit
    figures: dict[str, Any] = {"cap_gib": arguments.cap, "jobs": arguments.jobs, "stand_in_weights": arguments.stand_in}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        run = functools.partial(run_notebook, cap=arguments.cap, end=end)
        for row in concurrent.futures.as_completed([pool.submit(run, file, full) for file, full in wanted]):
            rows.append(row.result())
            print(json.dumps(rows[-1])[:600], flush=True)
            rows.sort(key=lambda row: (row["full_size"], row["notebook"]))
            write_record(path, "every notebook with a GPU visible", figures | {"rows": rows}, hardware=hardware)
    return [f"{row['notebook']}{' at full size' if row['full_size'] else ''}" for row in rows if row["error"]]


def run_notebook(file: Path, full_size: bool, cap: float, end: float) -> dict[str, Any]:
    """Run one notebook from a fresh kernel: seconds, peak memory, what it printed otherwise than it is stored."""
    stored = nbformat.read(file, as_version=4)
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(SWITCH, "FULL_SIZE = True") if full_size else cell.source
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BEFORE.format(cap=cap)))
    notebook.cells.append(nbformat.v4.new_code_cell(AFTER))
    row: dict[str, Any] = {"notebook": file.stem, "full_size": full_size, "error": None}
    begin = time.monotonic()
    left = max(1, int(end - begin))
    try:
        execute(notebook, file.parent, seconds_a_cell=left)
    except Exception as error:  # whatever a notebook raises is a row of the record
        row["error"] = re.sub(r"\x1b\[[0-9;]*m", "", str(error))[-1200:]
    row["seconds"] = round(time.monotonic() - begin, 1)
    if not row["error"]:
        in_use, reserved = map(int, notebook.cells[-1].outputs[0].text.split())
        row |= {"peak_gib": round(in_use / 2**30, 2), "reserved_gib": round(reserved / 2**30, 2)}
    cells = list(zip(stored.cells, notebook.cells[1:], strict=False))
    row["differs"] = [] if full_size or row["error"] else [found for a, b in cells if (found := difference(a, b))]
    row["stderr"] = [text[:300] for _, cell in cells if (text := stderr_of(cell))]
    return row


def difference(stored: nbformat.NotebookNode, run: nbformat.NotebookNode) -> dict[str, str] | None:
    """The first line that a cell printed otherwise than it is stored; None for a cell that is not compared."""
    if stored.cell_type != "code" or NOT_COMPARED & set(stored.metadata.get("tags", [])):
        return None
    before, after = (text_of(cell).splitlines() for cell in (stored, run))
    for number in range(max(len(before), len(after))):
        lines = [text[number] if number < len(text) else "" for text in (before, after)]
        if lines[0] != lines[1]:
            return {
                "cell": stored.id,
                "tags": " ".join(stored.metadata.get("tags", [])),
                "stored": lines[0][:200],
                "here": lines[1][:200],
            }
    return None


def text_of(cell: nbformat.NotebookNode) -> str:
    """What a cell printed and showed as text, without addresses in memory."""
    parts = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stdout":
            parts.append(output.text)
        elif "data" in output:
            parts.append(output.data.get("text/plain", ""))
    return re.sub(r"0x[0-9a-f]+", "0x", "\n".join(parts))


def stderr_of(cell: nbformat.NotebookNode) -> str:
    return "".join(o.text for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == "stderr")


def tests(arguments: argparse.Namespace) -> list[str]:
    """Run the tests that need a GPU; returns what failed."""
    marked = re.compile(r"mark\.gpu\b")
    files = [
        str(file) for file in sorted((ROOT / "tests").rglob("test_*.py")) if marked.search(file.read_text("utf-8"))
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files]
    environment = os.environ | {"SEGLIB_GPU_TESTS": "1"}
    return ["tests"] if run_command(command, arguments.limit, environment) else []


def stand_in_weights(folder: Path) -> None:
    """Random weights under the names that torchvision would download, for this process and its children."""
    from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights, deeplabv3_resnet50

    url = DeepLabV3_ResNet50_Weights.DEFAULT.url
    (folder / "hub" / "checkpoints").mkdir(parents=True, exist_ok=True)
    model = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    torch.save(model.state_dict(), folder / "hub" / "checkpoints" / url.rsplit("/", 1)[-1])
    os.environ["TORCH_HOME"] = str(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these notebooks, by name [all]")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--jobs", type=int, default=1, help="notebooks at a time [1]")
    parser.add_argument("--cap", type=float, default=15, help="GiB of the GPU for each notebook [15]")
    parser.add_argument("--limit", type=float, default=1800, help="seconds of the notebooks, and of the tests [1800]")
    parser.add_argument("--stand-in", action="store_true", help="random weights where torchvision's cannot be had")
    parser.add_argument("--out", type=Path, default=results_path("gpu_notebooks").parent, help="folder of the records")
    parser.add_argument("--tiny", action="store_true", help="one speed, the lesson size only")
    arguments = parser.parse_args()
    arguments.out = arguments.out.absolute()
    kept = ("SEGLIB_DEVICE", "CUDA_VISIBLE_DEVICES", "SEGLIB_STRICT")  # a reader with a GPU has none of them
    os.environ.update({key: value for key, value in RUN_ENV.items() if key not in kept})
    failed: list[str] = []
    with tempfile.TemporaryDirectory() if arguments.stand_in else contextlib.nullcontext() as folder:
        if folder:
            stand_in_weights(Path(folder))
        for part in arguments.parts:
            failed += {"speed": speed, "notebooks": notebooks, "tests": tests}[part](arguments)
    print("failed:", ", ".join(failed) or "nothing")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
