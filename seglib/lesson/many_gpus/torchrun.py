"""Owns how a notebook starts several processes by torchrun, and shows what they print. See 14_many_gpus."""

import inspect
import os
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import seglib
from seglib.errors import SegError

IMPORT_FOLDER = Path(seglib.__file__).parents[1]  # the folder that holds seglib: a clone, or site-packages
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]  # what the command torchrun starts
# torchrun starts `python -u`, which writes each word at once: those of two processes may come to stand in one line.
WHOLE_LINES = "sys.stdout.reconfigure(line_buffering=True, write_through=False)"
PREAMBLE = f"import sys\nfrom pathlib import Path\n\n{WHOLE_LINES}"


def torchrun(
    work: Callable[[Path], None], folder: Path, *needed: Callable, nproc_per_node: int = 2, nnodes: int = 1
) -> None:
    """Let several processes run `work(folder)`, and print their lines in alphabetical order, whoever came first.

    Args:
        work: a function of the notebook that imports what it uses, or one of a module. Its source, or the import, is
            written into a file, because torchrun starts files.
        folder: for that file, and for what `work` writes.
        needed: other functions of the notebook that it calls.
        nproc_per_node: how many processes on each machine; "node" is torchrun's word for a machine.
        nnodes: how many machines. torchrun is started so many times on this one, and each start plays a machine.

    Raises:
        SegError: a process failed; with the end of what it printed.
    """
    script = folder / f"{work.__name__}.py"
    sources = [_source(function) for function in (*needed, work)]
    call = f"{work.__name__}(Path(sys.argv[1]))\n"
    script.write_text("\n\n\n".join([PREAMBLE, *sources, call]), encoding="utf-8")
    options = ["--standalone"] if nnodes == 1 else rendezvous(nnodes)
    command = [*TORCHRUN, *options, f"--nproc-per-node={nproc_per_node}", str(script), str(folder)]
    starts = [_start(command, Path.cwd()) for _ in range(nnodes)]
    outputs = [start.communicate() for start in starts]
    for start, (_, error) in zip(starts, outputs, strict=True):
        if start.returncode:
            raise SegError(
                f"{work.__name__} failed: {error[-2000:]}",
                "processes that end without an error",
                "Run the function in one process, without torchrun, and look at its error.",
            )
    for line in sorted(line for out, _ in outputs for line in out.splitlines()):
        print(line)


def _source(function: Callable) -> str:
    """The lines that give a script this function."""
    if function.__module__ == "__main__":  # of a notebook, which a script cannot import
        return textwrap.dedent(inspect.getsource(function))
    return f"from {function.__module__} import {function.__name__}"


def rendezvous(nnodes: int) -> list[str]:
    """The options by which so many starts of torchrun find each other, all of them on this machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    endpoint = [f"--nnodes={nnodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}"]
    return [*endpoint, "--local-addr=localhost"]  # without it, by the name of this machine, which need not be known


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
    start = [*TORCHRUN, "--standalone", f"--nproc-per-node={nproc_per_node}"] if nproc_per_node else [sys.executable]
    words = [str(paths.get(word, word)) for word in arguments.split()]
    process = _start([*start, "-m", "seglib.train", *words], folder)
    out, error = process.communicate()
    said = (out + end_of_screen(error)).strip()
    for name, path in paths.items():
        said = said.replace(str(path), name)  # as it was typed here; where the folders lie is nobody's business
    print(said)
    return process.returncode


def end_of_screen(error: str) -> str:
    r"""What a command has written to stderr; of torchrun's page about failed processes only its last lines.

    Example:
        >>> end_of_screen("Traceback ...\n  traceback : \nNo such file.\n====\n").splitlines()
        ['...', 'No such file.', '====']
    """
    *before, last = error.split("  traceback : \n")
    if before:
        return f"...\n{last.rstrip()}"
    report = re.search(r"^[WE]\d{4} |^Traceback|^\S*\w+Warning:", error, re.MULTILINE)
    return error[: report.start() if report else None]


def _start(command: list[str], folder: Path) -> subprocess.Popen:
    environment = os.environ | {
        "PYTHONPATH": str(IMPORT_FOLDER),
        "OMP_NUM_THREADS": "1",  # the processes share the cores
        "CUDA_VISIBLE_DEVICES": "",  # two processes need two GPUs, and there may be one
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, encoding="utf-8", stdout=pipe, stderr=pipe)
