"""Owns how a notebook reads a figure that was measured earlier, by a script in `benchmarks/`. See 00_start_here."""

import json
from pathlib import Path
from typing import Any

from seglib.errors import SegError


def recorded(name: str) -> dict[str, Any]:
    """What `benchmarks/NAME.py` stored when it was last run: its figures, and the machine under "machine".

    Raises:
        SegError: nothing was stored under this name.
    """
    path = Path(__file__).parents[2] / "benchmarks" / "results" / f"{name}.json"
    if not path.is_file():
        raise SegError(
            f"No figures are recorded under {name!r}.",
            "a file of that name in benchmarks/results",
            f"Run python benchmarks/{name}.py, or correct the name.",
        )
    return json.loads(path.read_text(encoding="utf-8"))
