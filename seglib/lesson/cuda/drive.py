"""Owns the way of a file to Google Drive: written here, copied there, and looked at before it counts. See 08_cuda."""

import hashlib
import importlib
import os
import shutil
import tempfile
from pathlib import Path

from seglib.errors import SegError

MOUNTED = "/content/drive"


def drive_folder(name: str) -> Path:
    """A folder in the reader's Drive when this is Colab, which asks for leave; a temporary folder anywhere else.

    A reader who does not give leave gets the temporary folder, too, and is told so.
    """
    try:
        drive = importlib.import_module("google.colab.drive")
    except ImportError:
        return Path(tempfile.mkdtemp()) / name
    try:
        drive.mount(os.environ.get("SEGLIB_DRIVE", MOUNTED))
    except Exception as error:  # Colab raises several kinds
        print(f"Drive was not mounted ({error}). The copies go to a temporary folder of this runtime.")
        return Path(tempfile.mkdtemp()) / name
    return Path(os.environ.get("SEGLIB_DRIVE", MOUNTED)) / "MyDrive" / name


def copy_verified(file: Path, folder: Path) -> Path:
    """Copy a file so that under its name there is the whole of it or what was there before, and never a part.

    A mounted Drive takes the bytes at once and uploads them later; `drive.flush_and_unmount()` waits for that.

    Args:
        file: on the local disk.
        folder: made if it is missing; may be a mounted Drive, which breaks off now and then.

    Raises:
        SegError: what arrived is not what was sent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{file.name}.part"
    shutil.copyfile(file, part)
    with part.open("rb+") as copied:
        os.fsync(copied.fileno())
    if fingerprint(part) != fingerprint(file):
        part.unlink()
        raise SegError(
            f'The copy of "{file.name}" is not the file that was sent.',
            "the same bytes on both sides",
            "Look whether the Drive is full, mount it again, and copy once more. The copy of before is still there.",
        )
    return part.replace(folder / file.name)


def fingerprint(file: Path) -> str:
    """The SHA-256 of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
