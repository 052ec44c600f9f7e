"""examples/demo.py, with a stand-in for gradio: what it asks for, and that a photograph comes back with its mask."""

import ast
import runpy
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.training import checkpoint
from seglib.training.checkpoint import TrainedModel
from tests.support.helpers import photograph
from tools.notebooks.environment import ROOT

SCRIPT = ROOT / "examples" / "demo.py"


class Interface:
    """What gradio would show: a function, what goes in, what comes out."""

    made: "Interface"

    def __init__(self, function, inputs, outputs, flagging_mode):
        self.function = function
        self.inputs = inputs
        Interface.made = self

    def launch(self, show_error):
        self.launched = True


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch):
    """Runs the script with a model of so many classes, None for one object; gives its interface."""
    gradio = types.SimpleNamespace(Interface=Interface, Image=lambda **options: options, Error=ValueError)

    def run(classes: list[str] | None) -> Interface:
        model = build_deeplab(num_classes=len(classes) if classes else 1, weights=None, verbose=False)
        trained = TrainedModel(model, make_loss("ce_dice" if classes else "bce"), size=(48, 64), classes=classes)
        monkeypatch.setitem(sys.modules, "gradio", gradio)
        monkeypatch.setattr(checkpoint, "load_trained", {"run.pt": trained}.__getitem__)
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "run.pt"])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        assert Interface.made.launched
        return Interface.made

    return run


@pytest.mark.parametrize("classes", [None, ["background", "crop", "weed"]])
def test_a_photograph_comes_back_upright_with_its_mask(demo, classes, tmp_path: Path):
    interface = demo(classes)
    assert interface.inputs["type"] == "filepath"  # so that the turn that a camera wrote is still there
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph(height=60, width=80).save(tmp_path / "phone.jpg", exif=exif)
    shown = interface.function(str(tmp_path / "phone.jpg"))
    assert shown.shape == (80, 60, 3)
    assert shown.dtype == np.uint8
    with pytest.raises(ValueError, match="Choose a photograph first"):
        interface.function(None)


def test_it_stays_small():
    statements = ast.parse(SCRIPT.read_text(encoding="utf-8")).body[1:]
    own = [node for node in statements if not isinstance(node, ast.Import | ast.ImportFrom)]
    lines = sum(node.end_lineno - node.lineno + 1 for node in own)
    assert lines <= 10
