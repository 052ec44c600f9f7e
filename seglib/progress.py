"""Owns the progress bars: a widget in a notebook, a line on a terminal, none by TQDM_DISABLE. See 07_training_loop."""

import os
from typing import Any

from tqdm.auto import tqdm


def progress_bar(*args: Any, **kwargs: Any) -> Any:
    """As `tqdm.auto.tqdm`. tqdm's widget does not look at the environment variable TQDM_DISABLE; this does.

    Example:
        >>> list(progress_bar([1, 2], disable=True))
        [1, 2]
    """
    if os.environ.get("TQDM_DISABLE", "0") not in ("", "0"):
        kwargs["disable"] = True
    kwargs.setdefault("disable", False)  # else tqdm takes what the variable was when tqdm was imported
    return tqdm(*args, **kwargs)
