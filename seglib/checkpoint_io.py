"""Owns files of tensors: reading one without running code, and replacing one without ever losing the old one.

Explained in 10_checkpoints.
"""

import os
import pickle
import shutil
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from seglib.errors import WeightsError


def load_tensors(path: Path) -> Any:
    """What `torch.save` wrote at `path`, on the CPU: tensors, numbers, text, and containers of them.

    Code that the file may hold is not run.

    Raises:
        WeightsError: the file is damaged, cut short or no file of tensors, or it holds pickled code.
    """
    contents = _load_if_whole(path)
    if contents is None:
        raise WeightsError(
            f"{path.name} cannot be read: it is damaged or cut short, or is no file of tensors.",
            "a whole file of torch.save",
            "Copy the file again.",
        )
    return contents


def load_or_backup(path: Path) -> tuple[dict[str, Any], Path]:
    """What `atomic_save` wrote, on the CPU, and the file that it was read from: `path`, or else its backup.

    Raises:
        WeightsError: neither of the two is there and whole, or one holds pickled code.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> atomic_save(Path(folder.name) / "fruit.pt", {"epoch": 3})
        >>> load_or_backup(Path(folder.name) / "fruit.pt")[0]
        {'epoch': 3}
    """
    damaged = []
    for candidate in (path, backup_path(path)):
        if candidate.exists():
            contents = _load_if_whole(candidate)
            if isinstance(contents, dict):
                return contents, candidate
            damaged.append(candidate.name)
    raise WeightsError(
        f"{' and '.join(damaged)}: damaged or cut short." if damaged else f"There is no {path.name}.",
        "a whole file that seglib has saved",
        "Copy the file again." if damaged else "Correct the path, or train and save first.",
    )


def _load_if_whole(path: Path) -> Any:
    """What the file holds; None if it is damaged, cut short or no file of tensors."""
    is_zip = zipfile.is_zipfile(path)  # as torch writes since version 1.6
    try:
        if is_zip:
            with zipfile.ZipFile(path) as parts:
                if parts.testzip():  # compares the checksum of each part; torch itself compares none
                    return None
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not is_zip:
            return None  # damaged or pickled code: without checksums one cannot tell which
        raise WeightsError(
            f"{path.name} holds pickled code, which was not run.",
            "numbers, text and tensors",
            "Throw it away, unless you made it. If you did: save model.state_dict() instead of the model.",
        ) from error
    except Exception:  # depending on which byte is wrong, torch and zipfile raise many kinds
        return None


def backup_path(path: Path) -> Path:
    """Where the version before the last one is kept: `fruit.before.pt` of `fruit.pt`."""
    return path.with_name(f"{path.stem}.before{path.suffix}")


def atomic_save(path: Path, contents: dict[str, Any]) -> None:
    """Write `contents` as the new file at `path`, and keep the old one as its backup.

    At every moment, and so whenever the machine stops, `path` is a whole file, the old one or the new one.

    Args:
        path: its folder exists. All files are written there: a rename is atomic only within one file system.
        contents: plain values and tensors.

    Raises:
        OSError: no space left, no permission, a folder that is gone. Nothing has changed then.
    """
    packed = BytesIO()
    torch.save(contents, packed)  # into memory: an error of torch.save then leaves the disk as it was
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(packed.getbuffer())
            file.flush()
            os.fsync(file.fileno())  # before the rename: after a power cut the name must not stand for an empty file
        if path.exists():
            _keep_as_backup(path)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)  # give the space of the half-written file back
        raise
    _sync_folder(path.parent)


def _keep_as_backup(path: Path) -> None:
    """Make the file at `path` its own backup by a second name (hard link), so that `path` exists at every moment."""
    backup = backup_path(path)
    part = backup.with_name(backup.name + ".part")
    part.unlink(missing_ok=True)
    try:
        os.link(path, part)
    except OSError:  # USB sticks and Google Drive know no hard links
        shutil.copyfile(path, part)
    os.replace(part, backup)


def _sync_folder(folder: Path) -> None:
    """Write the folder's names to the disk: without it a power cut may undo the rename."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
