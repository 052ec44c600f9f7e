"""`python -m seglib --version`: what a report needs, and nothing that says where it was typed."""

import getpass
import platform

import pytest
import torch

import seglib
from seglib.cli import versions
from seglib.cli.main import main


def test_it_names_what_a_report_needs(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert not ended.value.code
    said = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert said["seglib"] == seglib.__version__
    assert said["python"] == platform.python_version()
    assert said["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert said["device"] == "cpu"  # as the tests ask for
    assert said.keys() >= {"system", "torchvision", "numpy", "pillow", "matplotlib", "ipywidgets"}


def test_what_is_missing_is_said_and_no_path_or_name_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(versions, "LIBRARIES", ("torch", "no-such-library"))
    said = versions.versions()
    assert "no-such-library is not installed" in said
    assert "/" not in said
    assert "\\" not in said
    assert not {getpass.getuser(), platform.node()} & set(said.split())


def test_the_card_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(versions, "pick_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    assert "\ndevice cuda, a card, CUDA" in versions.versions()
