"""Owns copying a file to Google Drive so that a broken connection leaves no half file there. See 08_cuda."""

import hashlib
import importlib
import os
import shutil
import tempfile
from pathlib import Path

from seglib.errors import SegError

MOUNT_POINT = "/content/drive"  # where Colab's examples mount it


def drive_folder(name: str) -> Path:
    """A folder in the reader's Drive when this is Colab, which asks for permission; a temporary folder anywhere else.

    A reader who does not give the permission gets a temporary folder too, and a line that says so.

    Args:
        name: of the folder. It need not exist: `copy_verified` makes it.
    """
    try:
        drive = importlib.import_module("google.colab.drive")
    except ImportError:
        return Path(tempfile.mkdtemp()) / name
    mount_point = os.environ.get("SEGLIB_DRIVE", MOUNT_POINT)
    try:
        drive.mount(mount_point)
    except Exception as error:  # Colab raises several kinds
        print(f"Drive was not mounted ({error}). The copies go to a temporary folder of this runtime.")
        return Path(tempfile.mkdtemp()) / name
    return Path(mount_point) / "MyDrive" / name


def copy_verified(file: Path, folder: Path) -> Path:
    """Copy a file into a folder: under its name stands the whole file or the one from before, never a part of it.

    The copy is written under another name and compared by its SHA-256 before it is renamed. A mounted Drive takes the
    bytes at once and uploads them later; `drive.flush_and_unmount()` waits for that.

    Args:
        file: on the local disk.
        folder: made if it is missing; may be a mounted Drive, whose connection may break in the middle of a file.

    Returns:
        The path of the copy.

    Raises:
        SegError: what arrived is not what was sent; the copy from before is still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{file.name}.part"
    shutil.copyfile(file, part)
    with part.open("rb+") as copied:
        os.fsync(copied.fileno())  # before the rename: the bytes must be on the disk when the name is
    if sha256_of(part) != sha256_of(file):
        part.unlink()
        raise SegError(
            f'The copy of "{file.name}" is not the file that was sent.',
            "the same bytes on both sides",
            "Look whether the Drive is full, mount it again, and copy once more. The copy of before is still there.",
        )
    return part.replace(folder / file.name)


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
