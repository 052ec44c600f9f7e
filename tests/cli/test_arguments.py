"""The defaults of the command line are the recipe of notebook 00; a wrong word is a `TrainingError`."""

import pytest

from seglib.cli.train import parser
from seglib.errors import TrainingError
from seglib.model import BUNDLED_MODEL
from tests.support.helpers import check_message

RECIPE = {
    "optimizer": "adamw",
    "lr": 1e-3,
    "head_lr": 5e-3,
    "weight_decay": 1e-4,
    "schedule": "poly",
    "warmup": None,  # 8, or a quarter of a short training
    "batch_size": None,  # 4, or as many as the processes need
    "size": [240, 320],
    "model": BUNDLED_MODEL,
    "weights": "bundled",
    "no_augment": False,
}


def test_the_defaults_are_the_recipe():
    options = vars(parser().parse_args(["images", "masks", "--out", "run.pt"]))
    assert options | RECIPE == options
    assert options["epochs"] == 30


@pytest.mark.parametrize("words", ["images masks", "--out run.pt", "images masks --out run.pt --size 240"])
def test_what_is_missing_is_told(words: str):
    with pytest.raises(TrainingError) as caught:
        parser().parse_args(words.split())
    check_message(caught.value, "--help")
