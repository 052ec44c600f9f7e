"""Owns how a notebook starts several processes, by torchrun, and shows what they say. See 14_many_gpus."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from seglib.errors import SegError

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]  # what the command torchrun starts
# What a function of a notebook may use when it runs in a process of its own.
PREAMBLE = """\
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from seglib import CustomDataset, build_deeplab, make_loss, train_one_epoch
from seglib.device import seed_everything
from seglib.training.distributed import evaluate_sharded, global_mean_loss, replicate, share, together
from seglib.data.splits import make_loaders, read_split
from seglib.training.distributed import everyone, group, processes, rank
from seglib.data.transforms import joint_transform


"""


def torchrun(work: Callable[[Path], None], folder: Path, *needed: Callable, count: int = 2) -> None:
    """Let so many processes run `work(folder)`, and print what they said, in alphabetical order: they take no turns.

    Args:
        work: a function of the notebook. Its source is written into a file, for torchrun starts files.
        folder: for that file, and for what `work` writes.
        needed: other functions of the notebook that it calls.
        count: of processes.

    Raises:
        SegError: a process failed; with the end of what it said.
    """
    script = folder / f"{work.__name__}.py"
    sources = [textwrap.dedent(inspect.getsource(part)) for part in (*needed, work)]
    script.write_text(PREAMBLE + "\n\n".join(sources) + f"\n\n{work.__name__}(Path(sys.argv[1]))\n", encoding="utf-8")
    done = _run([*TORCHRUN, f"--nproc-per-node={count}", str(script), str(folder)], Path.cwd())
    if done.returncode:
        raise SegError(f"{work.__name__} failed: {done.stderr[-2000:]}", "processes that end well", "Look at it alone.")
    print("\n".join(sorted(done.stdout.splitlines())))


def command(words: str, folder: Path, count: int = 0) -> int:
    """Run `python -m seglib.train` and these words in a folder, print what it says, and give back the exit code.

    Args:
        words: arguments, apart by spaces; IMAGES and MASKS stand for the folders of the samples, SPLIT for their split.
        folder: in which the command runs.
        count: of processes, started by torchrun; 0 for one without it.
    """
    samples = ROOT / "data_samples"
    places = {"IMAGES": samples / "images", "MASKS": samples / "masks", "SPLIT": samples / "split.json"}
    start = [*TORCHRUN, f"--nproc-per-node={count}"] if count else [sys.executable]
    arguments = [str(places.get(word, word)) for word in words.split()]
    done = _run([*start, "-m", "seglib.train", *arguments], folder)
    report = re.search(r"^[WE]\d{4} |^Traceback|^\S*\w+Warning:", done.stderr, re.MULTILINE)  # torchrun's own, a page
    print((done.stdout + done.stderr[: report.start() if report else None]).strip())
    return done.returncode


def _run(line: list[str], folder: Path) -> subprocess.CompletedProcess:
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(line, cwd=folder, env=surroundings, capture_output=True, text=True, encoding="utf-8")
