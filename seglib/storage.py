"""Owns how a file on disk is replaced so that a good one is always there. Explained in 08_when_to_stop."""

import os
import pickle
import shutil
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from seglib.errors import WeightsError


def one_before(path: Path) -> Path:
    """Where the file before is kept: `fruit.before.pt` of `fruit.pt`."""
    return path.with_name(f"{path.stem}.before{path.suffix}")


def replace_file(path: Path, contents: dict[str, Any]) -> None:
    """Write `contents` as the new file at `path`, and keep the old one as the file before.

    At every moment, and so whenever the machine stops, `path` is a whole file, the old one or the new one.

    Args:
        path: its folder exists; all files are written there, since a file is renamed at once only within one folder.
        contents: plain values and tensors.

    Raises:
        OSError: no space left, no permission, a folder that is gone. Nothing has changed then.
    """
    packed = BytesIO()
    torch.save(contents, packed)  # in memory first: on the disk's side nothing can go wrong but an OSError
    new, before = path.with_name(path.name + ".part"), one_before(path)
    try:
        with open(new, "wb") as file:
            file.write(packed.getbuffer())
            file.flush()
            os.fsync(file.fileno())  # the bytes are on the disk before the name is theirs
        if path.exists():
            _keep(path, before)
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)  # half a file helps nobody, and gives back its space
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the names too
        finally:
            os.close(folder)


def _keep(path: Path, before: Path) -> None:
    """Give the file at `path` a second name. It keeps its first one, so there is no moment without it."""
    second = before.with_name(before.name + ".part")
    second.unlink(missing_ok=True)
    try:
        os.link(path, second)
    except OSError:  # a disk that knows one name a file, as USB sticks and Google Drive do
        shutil.copyfile(path, second)
    os.replace(second, before)


def read_file(path: Path) -> tuple[dict[str, Any], Path]:
    """What `replace_file` wrote, to the CPU, and the file that it was read from: `path`, or else the one before.

    Nothing but numbers, text and tensors is ever made of the file: code that it may hold is not run.

    Raises:
        WeightsError: neither of the two is there and whole, or one holds pickled code.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> replace_file(Path(folder.name) / "fruit.pt", {"epoch": 3})
        >>> read_file(Path(folder.name) / "fruit.pt")[0]
        {'epoch': 3}
    """
    damaged = []
    for candidate in (path, one_before(path)):
        if candidate.exists():
            contents = _unpack(candidate)
            if contents is not None:
                return contents, candidate
            damaged.append(candidate.name)
    raise WeightsError(
        f"{' and '.join(damaged)}: damaged or cut short." if damaged else f"There is no {path.name}.",
        "a whole file that seglib has saved",
        "Copy the file again." if damaged else "Correct the path, or train and save first.",
    )


def _unpack(path: Path) -> dict[str, Any] | None:
    """What the file holds; None if a byte of it is missing or wrong."""
    try:
        with zipfile.ZipFile(path) as parts:
            if parts.testzip():  # torch itself compares no checksums
                return None
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path.name} holds pickled code, which was not run.",
            "numbers, text and tensors",
            "Throw it away, unless you made it. If you did: save model.state_dict() instead of the model.",
        ) from error
    except Exception:  # no zip file at all, or a damage that the checksums do not cover
        return None
    return contents if isinstance(contents, dict) else None
