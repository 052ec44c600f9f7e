"""Writes the picture of README.md from what the first notebook stores, so that the two cannot differ.

Used by `make notebooks`. The file is written only if its pixels change.

    python -m tools.notebooks.readme_picture
"""

import base64
import json
from pathlib import Path

from tools.notebooks.environment import NOTEBOOKS
from tools.notebooks.store import same_pixels

PICTURE = NOTEBOOKS / "before_after.jpg"
BEGINS = "Three validation photographs"  # the figure's description in words


def stored_picture(notebook: Path = NOTEBOOKS / "00_start_here.ipynb") -> bytes:
    """The JPEG that the notebook shows before and after training."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "".join(data.get("text/plain", "")).startswith(BEGINS) and "image/jpeg" in data:
                return base64.b64decode("".join(data["image/jpeg"]))
    raise SystemExit(f"{notebook.name} stores no JPEG whose description begins {BEGINS!r}: run `make notebooks`")


def update(picture: Path, stored: bytes) -> None:
    """Write the stored picture into a file, unless the file shows the same pixels."""
    if not picture.exists() or not same_pixels(picture.read_bytes(), stored):
        picture.write_bytes(stored)


if __name__ == "__main__":
    update(PICTURE, stored_picture())
