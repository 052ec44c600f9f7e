"""The switch FULL_SIZE, thrown: the cells that a GPU would run, here on a CPU, with small pictures for large ones.

What stays: batches of two, and whatever else hangs on the switch. A cell that holds at one size only stops here.
"""

import json
import os
import subprocess
import sys

import pytest

from tools.notebooks.environment import NOTEBOOKS, RUN_ENV

pytestmark = pytest.mark.notebook

SWITCH = {"FULL_SIZE = False": "FULL_SIZE = True", "(960, 1280) if FULL_SIZE": "(96, 128) if FULL_SIZE"}
CPU = {'pick_device("cuda" if FULL_SIZE': 'pick_device("cpu" if FULL_SIZE'}
MODEL = {
    '"deeplabv3_resnet50" if FULL_SIZE': '"deeplabv3_mobilenet_v3_large" if FULL_SIZE',
    '"coco" if FULL_SIZE': '"bundled" if FULL_SIZE',
}
PLAYED = {  # old text, which stands there once -> new text
    "00_start_here": SWITCH | CPU | MODEL | {"epochs = 12": "epochs = 2", "goal = 0.5 if": "goal = 0.0 if"},
    "07_training_loop": SWITCH | CPU | MODEL,
    "08_cuda": SWITCH | CPU | {'("deeplabv3_resnet50", "coco") if': '("deeplabv3_mobilenet_v3_large", "bundled") if'},
}


def test_every_notebook_with_the_switch_is_played():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb") if "FULL_SIZE = " in path.read_text("utf-8")} == set(PLAYED)


@pytest.mark.parametrize("stem", PLAYED)
def test_it_runs_to_the_last_cell_with_the_switch_thrown(stem, tmp_path):
    cells = json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]
    script = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for old, new in PLAYED[stem].items():
        assert script.count(old) == 1, old
        script = script.replace(old, new)
    (tmp_path / "played.py").write_text(script, encoding="utf-8")
    environment = os.environ | RUN_ENV | {"MPLBACKEND": "agg"}
    command = [sys.executable, str(tmp_path / "played.py")]
    done = subprocess.run(command, cwd=NOTEBOOKS, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-2000:]
