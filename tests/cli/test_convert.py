"""`convert` on the command line: its options reach the function, its report and errors speak of options."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglib.cli.convert import add_parser
from seglib.data.formats import convert
from seglib.errors import PairError
from tests.support.helpers import photograph


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args(["convert", *words])


@pytest.fixture
def export(tmp_path) -> Path:
    """A COCO export of one photograph: a square with a square inside it, and a dog."""
    (tmp_path / "export").mkdir()
    photograph(0, 24, 32).save(tmp_path / "export" / "a.jpg")
    outer, inner = [2, 2, 12, 2, 12, 12, 2, 12], [4, 4, 8, 4, 8, 8, 4, 8]
    contents = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 24, "width": 32}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [outer, inner], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "segmentation": [[20, 2, 24, 2, 24, 6, 20, 6]], "iscrowd": 0},
        ],
    }
    (tmp_path / "export" / "coco.json").write_text(json.dumps(contents))
    return tmp_path / "export"


def mask(out: Path) -> np.ndarray:
    return np.asarray(Image.open(out / "masks" / "a.png"))


def test_the_command_writes_masks_and_prints_the_report(export, tmp_path, capsys):
    options = parse(str(export), str(tmp_path / "out"))
    assert options.run(options) == 0
    printed = capsys.readouterr().out
    assert [(mask(tmp_path / "out") == label).sum() for label in (1, 2)] == [100, 16]
    assert printed.startswith("COCO: 1 pictures")
    assert "cat: 100 pixels" in printed
    assert printed.rstrip().endswith("--classes background cat dog --out run.pt")
    assert "--holes cut takes them out" in printed


def test_every_option_reaches_the_function(export, tmp_path):
    words = "--format coco --holes cut --binary --classes background cat --existing overwrite --gather-images"
    for _ in range(2):
        options = parse(str(export), str(tmp_path / "out"), *words.split(), "--images", str(export))
        assert options.run(options) == 0
    assert np.unique(mask(tmp_path / "out"), return_counts=True)[1].tolist() == [24 * 32 - 84, 84]
    assert (tmp_path / "out" / "images" / "a.jpg").is_file()
    options = parse(str(export), str(tmp_path / "dogs"), "--ignore", "cat")
    assert options.run(options) == 0
    assert np.unique(mask(tmp_path / "dogs")).tolist() == [0, 1, 255]


def test_errors_come_out_as_python_raises_them(export, tmp_path):
    options = parse(str(export), str(tmp_path / "out"))
    options.run(options)
    with pytest.raises(PairError, match="existing="):
        options.run(options)


def test_the_options_are_the_arguments_of_the_function():
    options = vars(parse("in", "out"))
    known = set(convert.__annotations__) - {"return"}
    assert options.keys() - {"run", "parser"} == known
    defaults = dict(convert.__kwdefaults__)
    assert {name: options[name] or defaults[name] for name in defaults} == defaults
