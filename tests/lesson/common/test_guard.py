import pytest
import torch

from seglib.lesson.common.guard import check


@pytest.mark.parametrize("strict", [None, "", "0", "1"])
@pytest.mark.parametrize("condition", [True, torch.tensor(0.7) > 0.5])
def test_nothing_is_said_where_the_result_is_as_expected(strict, condition, monkeypatch, capsys):
    set_strict(monkeypatch, strict)
    check(condition, "an IoU above 0.5")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("strict", [None, "", "0"])
@pytest.mark.parametrize("condition", [False, torch.tensor(0.3) > 0.5])
def test_a_reader_gets_one_line_and_goes_on(strict, condition, monkeypatch, capsys):
    set_strict(monkeypatch, strict)
    check(condition, "an IoU above 0.5")
    said = capsys.readouterr().out
    assert said.startswith("This lesson expects an IoU above 0.5. You changed something")
    assert said.endswith("go on.\n")
    assert said.count("\n") == 1


def test_a_test_run_stops(monkeypatch):
    set_strict(monkeypatch, "1")
    with pytest.raises(AssertionError, match=r"^This lesson expects an IoU above 0\.5\.$"):
        check(False, "an IoU above 0.5")


def set_strict(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("SEGLIB_STRICT", raising=False)
    if value is not None:
        monkeypatch.setenv("SEGLIB_STRICT", value)
