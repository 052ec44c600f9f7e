"""Owns how a notebook starts several processes by torchrun, and shows what they print. See 14_many_gpus."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import seglib
from seglib.errors import SegError

IMPORT_FOLDER = Path(seglib.__file__).parents[1]  # the folder that holds seglib: a clone, or site-packages
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]  # what the command torchrun starts
# The imports of the script that torchrun starts: what a function of the notebook may use there.
PREAMBLE = """\
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from seglib import CustomDataset, build_deeplab, make_loss, train_one_epoch
from seglib.data.dataloaders import make_loaders
from seglib.data.splits import read_split
from seglib.data.transforms import joint_transform
from seglib.device import seed_everything
from seglib.training.distributed import all_gather, process_group, rank, world_size
from seglib.training.distributed import evaluate_sharded, global_batch_loss, global_mean_loss, shard_loader, to_ddp


"""


def torchrun(work: Callable[[Path], None], folder: Path, *needed: Callable, nproc_per_node: int = 2) -> None:
    """Let several processes run `work(folder)`, and print their lines in alphabetical order, whoever came first.

    Args:
        work: a function of the notebook. Its source is written into a file, because torchrun starts files.
        folder: for that file, and for what `work` writes.
        needed: other functions of the notebook that it calls.
        nproc_per_node: how many processes; "node" is torchrun's word for a machine.

    Raises:
        SegError: a process failed; with the end of what it printed.
    """
    script = folder / f"{work.__name__}.py"
    sources = [textwrap.dedent(inspect.getsource(function)) for function in (*needed, work)]
    call = f"{work.__name__}(Path(sys.argv[1]))\n"
    script.write_text("\n\n".join([PREAMBLE, *sources, call]), encoding="utf-8")
    done = _run([*TORCHRUN, f"--nproc-per-node={nproc_per_node}", str(script), str(folder)], Path.cwd())
    if done.returncode:
        raise SegError(
            f"{work.__name__} failed: {done.stderr[-2000:]}",
            "processes that end without an error",
            "Run the function in one process, without torchrun, and look at its error.",
        )
    print("\n".join(sorted(done.stdout.splitlines())))


def train_command(
    arguments: str, folder: Path, *, nproc_per_node: int = 0, samples: Path = Path("../data_samples")
) -> int:
    """Run `python -m seglib.train` in a folder, print what it prints, and give back its exit code.

    Args:
        arguments: separated by spaces; IMAGES and MASKS stand for the folders of the samples, SPLIT for their split.
        folder: in which the command runs.
        nproc_per_node: how many processes torchrun starts; 0 for one process without torchrun.
        samples: the folder of the samples, from the working directory.
    """
    samples = samples.resolve()
    paths = {"IMAGES": samples / "images", "MASKS": samples / "masks", "SPLIT": samples / "split.json"}
    start = [*TORCHRUN, f"--nproc-per-node={nproc_per_node}"] if nproc_per_node else [sys.executable]
    done = _run([*start, "-m", "seglib.train", *(str(paths.get(word, word)) for word in arguments.split())], folder)
    # After the message of the command torchrun prints a page of its own: what stands from there on is left out.
    report = re.search(r"^[WE]\d{4} |^Traceback|^\S*\w+Warning:", done.stderr, re.MULTILINE)
    said = (done.stdout + done.stderr[: report.start() if report else None]).strip()
    for name, path in paths.items():
        said = said.replace(str(path), name)  # as it was typed here; where the folders lie is nobody's business
    print(said)
    return done.returncode


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {
        "PYTHONPATH": str(IMPORT_FOLDER),
        "OMP_NUM_THREADS": "1",  # the processes share the cores
        "CUDA_VISIBLE_DEVICES": "",  # two processes need two GPUs, and there may be one
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
