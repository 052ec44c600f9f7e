"""Answers that no exercise may accept, and what a check prints about an answer."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

STUBS = [None, ..., lambda *_: ..., lambda *_: None]
NONSENSE = [
    3,
    lambda: 1,
    lambda *_: 1 / 0,
    lambda *_: "text",
    lambda *_: True,
    lambda *_: float("nan"),
    lambda *_: torch.empty(0),
    lambda *_: torch.ones(2, 2) * 1j,
    lambda *_: object(),
    lambda *arguments: arguments[0],
]


def printed(check: Callable[[Any], None], answer: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a check prints about an answer."""
    check(answer)
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    return text
