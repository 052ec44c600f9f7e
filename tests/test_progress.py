"""Bars: off by TQDM_DISABLE, whatever it was when tqdm was imported, and in a notebook too."""

import pytest
from tqdm.notebook import tqdm as widget_bar

from seglib import progress


@pytest.mark.parametrize(("variable", "shown"), [("1", False), ("0", True)])
def test_a_bar_looks_at_the_variable_when_it_is_made(variable, shown, monkeypatch, capsys):
    monkeypatch.setenv("TQDM_DISABLE", variable)
    assert list(progress.progress_bar([1, 2, 3], unit="step")) == [1, 2, 3]
    assert ("3/3" in capsys.readouterr().err) == shown


def test_the_bar_of_a_notebook_is_off_too(monkeypatch, capsys):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(progress, "tqdm", widget_bar)
    assert list(progress.progress_bar([1, 2])) == [1, 2]
    assert capsys.readouterr().out == ""
