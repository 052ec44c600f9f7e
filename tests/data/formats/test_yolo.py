"""YOLO's segmentation labels: data.yaml, images/ and labels/."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from seglib.data.formats import convert
from seglib.data.formats.yolo import label_file_of
from seglib.errors import MaskError, PairError, SegError, SplitError
from tests.support.helpers import photograph, quick, refused

HEIGHT, WIDTH = 24, 32
SQUARE = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"  # 16 x 12 pixels
YAML = "train: images/train\nval: images/val\nnc: 2\nnames: ['cat', 'dog']\n"


def picture(root: Path, name: str, labels: str | None) -> None:
    image = root / f"{name}.jpg"
    image.parent.mkdir(parents=True, exist_ok=True)
    photograph(0, HEIGHT, WIDTH).save(image)
    if labels is not None:
        label_file_of(image).parent.mkdir(parents=True, exist_ok=True)
        label_file_of(image).write_text(labels, encoding="utf-8")


@pytest.fixture
def export(tmp_path):
    root = tmp_path / "pets"
    picture(root, "images/train/a", f"{SQUARE}\n")
    picture(root, "images/val/b", "1 0 0 0.5 0 0.5 0.5 0 0.5\n")
    (root / "data.yaml").write_text(YAML, encoding="utf-8")
    return root


def mask(out: Path, stem: str) -> np.ndarray:
    return np.asarray(Image.open(out / "masks" / f"{stem}.png"))


def test_outlines_become_labels_one_above_their_class(export, tmp_path):
    report = convert(export, tmp_path / "out")
    expected = np.zeros((HEIGHT, WIDTH))
    expected[6:18, 8:24] = 1
    assert (mask(tmp_path / "out", "train/a") == expected).all()
    assert (mask(tmp_path / "out", "val/b")[:12, :16] == 2).all()
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert split == {"train": ["train/a"], "validation": ["val/b"]}
    assert report.classes == ["background", "cat", "dog"]
    assert report.image_folder == export / "images"
    assert report.met == report.left_out == {}


@quick
@given(st.lists(st.tuples(st.integers(0, 1), *[st.integers(0, 12)] * 4), min_size=1, max_size=5))
def test_rectangles_on_the_grid_of_pixels_are_read_back_equal(tmp_path_factory, boxes):
    root = tmp_path_factory.mktemp("yolo")
    expected = np.zeros((HEIGHT, WIDTH))
    expected[20:22, 20:22] = 1
    lines = ["0 0.625 0.8333333333 0.6875 0.8333333333 0.6875 0.9166666667 0.625 0.9166666667"]
    for kind, x, y, width, height in boxes:
        corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        lines.append(
            " ".join([str(kind), *(f"{value:.10f}" for cx, cy in corners for value in (cx / WIDTH, cy / HEIGHT))])
        )
        expected[y : y + height, x : x + width] = kind + 1
    picture(root / "in", "images/a", "\n".join(lines))
    (root / "in" / "data.yaml").write_text("train: images\nnames: {0: cat, 1: dog}\n")
    convert(root / "in", root / "out")
    assert (mask(root / "out", "a") == expected).all()


def test_roboflows_layout_with_paths_that_lead_out_of_the_folder(tmp_path):
    root = tmp_path / "pets"
    picture(root, "train/images/a", SQUARE)
    picture(root, "valid/images/b", SQUARE)
    (root / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['cat']\n"
    )
    report = convert(root, tmp_path / "out")
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert split == {"train": ["train/images/a"], "validation": ["valid/images/b"]}
    assert report.left_out['folders of "data.yaml" that are not there'] == [1, "test: ../test/images"]


def test_cvats_layout_with_lists(export, tmp_path):
    (export / "data.yaml").write_text("path: ./\ntrain: train.txt\nval: val.txt\nnames:\n  0: cat\n  1: dog\n")
    (export / "train.txt").write_text("data/images/train/a.jpg\n")
    (export / "val.txt").write_text("images/val/b.jpg\n\n")
    assert convert(export, tmp_path / "out").sides == {"train": 1, "validation": 1}
    (export / "val.txt").write_text("images/val/c.jpg\n")
    with refused(PairError, tmp_path, '"pets/val.txt" lists "images/val/c.jpg"'):
        convert(export, tmp_path / "other")


def test_boxes_are_left_out_and_pictures_without_labels_are_background_and_all_is_said(export, tmp_path):
    picture(export, "images/train/empty", "")
    picture(export, "images/train/none", None)
    picture(export, "images/train/box", f"1 0.5 0.5 0.2 0.2\n{SQUARE}\n")
    report = convert(export, tmp_path / "out")
    assert report.left_out["lines that are only a box (five numbers)"] == [1, '"train/box.txt", line 1']
    assert report.met["pictures with an empty text file, taken as background"] == [1, "train/empty.txt"]
    assert report.met["pictures without a text file, taken as background"] == [1, "train/none.txt"]
    assert not mask(tmp_path / "out", "train/empty").any()
    assert not mask(tmp_path / "out", "train/none").any()


def test_an_outline_that_leaves_the_picture_is_cut_off_and_said(export, tmp_path):
    picture(export, "images/train/a", "0 0.75 0.75 1.2 0.75 1.2 1.2 0.75 1.2")
    report = convert(export, tmp_path / "out")
    assert (mask(tmp_path / "out", "train/a") == 1).sum() == 48
    assert "outside their picture, cut off there: 1" in str(report)


BAD = {
    "odd": ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.1", "7 numbers after the class"),
    "one point": ("0 0.1 0.1", "2 numbers after the class"),
    "class": ("2 0.1 0.1 0.2 0.1 0.2 0.2", "class 2 has no name"),
    "half a class": ("0.5 0.1 0.1 0.2 0.1 0.2 0.2", "class 0.5 has no name"),
    "words": ("cat 0.1 0.1 0.2 0.1 0.2 0.2", "are no numbers"),
    "pixels": ("0 8 6 24 6 24 18", "coordinates up to 24"),
    "nan": ("0 nan 0.1 0.2 0.1 0.2 0.2", "shares of width and height"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_line_that_cannot_be_right_is_named_and_nothing_is_written(export, tmp_path, bad):
    line, words = BAD[bad]
    picture(export, "images/train/a", f"{SQUARE}\n\n{line}\n")
    with refused(MaskError, tmp_path, '"train/a.txt", line 3', words):
        convert(export, tmp_path / "out")


BAD_YAML = {
    "yaml": ("names: [", "damaged"),
    "list": ("names:\n - yes\n", '"names" is'),
    "count": ("nc: 3\nnames: [cat, dog]\n", "says nc: 3"),
    "keys": ("names:\n  a: cat\n", '"names" is'),
}


@pytest.mark.parametrize("bad", BAD_YAML)
def test_a_data_yaml_that_cannot_be_right_is_named(export, tmp_path, bad):
    text, words = BAD_YAML[bad]
    (export / "data.yaml").write_text(text)
    with refused(MaskError, tmp_path, '"pets/data.yaml"', words):
        convert(export, tmp_path / "out")


def test_names_without_a_picture_labels_without_one_and_two_sides_are_errors(export, tmp_path):
    (export / "labels" / "train" / "gone.txt").write_text(SQUARE)
    with refused(PairError, tmp_path, '"train/gone.txt" holds labels of a photograph that is not there'):
        convert(export, tmp_path / "out")
    (export / "labels" / "train" / "gone.txt").unlink()
    (export / "data.yaml").write_text(YAML.replace("images/val", "images/train"))
    with refused(SplitError, tmp_path, "two sides", "train/a.jpg"):
        convert(export, tmp_path / "out")
    (export / "data.yaml").write_text("names: [cat]\n")
    with refused(PairError, tmp_path, "No photograph", "images=FOLDER"):
        convert(export, tmp_path / "out")
    (export / "other.yaml").write_text("names: [cat]\n")
    with refused(PairError, tmp_path, "there is 2", "other.yaml"):
        convert(export, tmp_path / "out")


def test_the_library_for_yaml_is_named_when_it_is_not_there(export, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(SegError, match="yaml") as error:
        convert(export, tmp_path / "out")
    assert error.value.fix == 'pip install "seglib[formats]"'
