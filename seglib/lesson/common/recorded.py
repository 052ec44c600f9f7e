"""Owns how a notebook reads figures that a script in `benchmarks/` has measured earlier. See 00_start_here."""

import json
from pathlib import Path
from typing import Any

from seglib.errors import SegError

RESULTS = Path("benchmarks", "results")


def recorded(name: str) -> dict[str, Any]:
    """What `benchmarks/NAME.py` stored when it was last run: its figures, and the machine under "machine".

    The results are part of the repository, not of the installed package. So the folder is looked for above the working
    directory (a notebook runs in `notebooks/`) and above the package (a script may run anywhere).

    Args:
        name: of the script, without `.py`.

    Raises:
        SegError: there is no folder of results, or it holds none of this name.

    Example:
        >>> recorded("ceiling")["sizes"][-1]["width"]
        320
    """
    folders = _results_folders()
    if not folders:
        raise SegError(
            f"There is no folder {RESULTS.as_posix()}, neither above the working directory nor above seglib.",
            "a clone of the repository: an installed seglib has no recorded figures",
            "Clone the repository, and run the notebook in its folder notebooks.",
        )
    for folder in folders:
        path = folder / f"{name}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    raise SegError(
        f"No figures are recorded under {name!r}.",
        f"the name of a file in {RESULTS.as_posix()}, without its suffix",
        f"Run `python -m benchmarks.{name}` in the folder of the repository, or correct the name.",
    )


def _results_folders() -> list[Path]:
    """Every `benchmarks/results` above the working directory, the nearest first, then those above this file."""
    folders = []
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / RESULTS).is_dir():
                folders.append(folder / RESULTS)
    return folders
