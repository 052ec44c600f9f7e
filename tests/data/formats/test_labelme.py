"""LabelMe: one JSON beside each photograph; shapes are drawn in their order."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from seglib.data.formats import convert
from seglib.errors import MaskError, PairError, SplitError
from tests.support.helpers import photograph, quick, refused

HEIGHT, WIDTH = 24, 32


def shape(label: str, points: list, kind: str | None = "polygon", **more) -> dict:
    entry = {"label": label, "points": points, "group_id": None, "description": "", "shape_type": kind, "flags": {}}
    return {**entry, "mask": None, **more}


def square(label: str, left=2, top=2, right=10, bottom=8) -> dict:
    return shape(label, [[left, top], [right, top], [right, bottom], [left, bottom]])


def annotate(folder: Path, stem: str, *shapes: dict, **more) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    photograph(0, HEIGHT, WIDTH).save(folder / f"{stem}.jpg")
    contents = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": f"{stem}.jpg", "imageData": None}
    contents |= {"imageHeight": HEIGHT, "imageWidth": WIDTH, **more}
    (folder / f"{stem}.json").write_text(json.dumps(contents), encoding="utf-8")
    return folder / f"{stem}.json"


def mask(folder: Path, stem: str) -> np.ndarray:
    return np.asarray(Image.open(folder / "masks" / f"{stem}.png"))


def packed(inside: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(inside.astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def test_shapes_with_an_area_are_drawn_and_classes_are_sorted(tmp_path):
    folder = tmp_path / "labelme"
    annotate(folder, "a", square("dog"), shape("cat", [[30, 20], [20, 12]], "rectangle"))
    annotate(folder, "b", shape("dog", [[16, 12], [16, 17]], "circle"), shape("dog", [[0, 0], [3, 0], [3, 3]], None))
    report = convert(folder, tmp_path / "out")
    assert report.classes == ["background", "cat", "dog"]
    expected = np.zeros((HEIGHT, WIDTH))
    expected[2:8, 2:10] = 2
    expected[12:20, 20:30] = 1
    assert (mask(tmp_path / "out", "a") == expected).all()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    circle = np.hypot(rows - 12, columns - 16) <= 5
    assert (mask(tmp_path / "out", "b")[6:] == 2 * circle[6:]).all()
    assert mask(tmp_path / "out", "b")[:3, :3].any()  # a file of an old version: no type is a polygon
    assert report.image_folder == folder
    assert report.met == report.left_out == {}


def test_a_hole_and_pixels_to_be_ignored_are_shapes_with_names_of_labelme(tmp_path):
    folder = tmp_path / "labelme"
    annotate(folder, "a", square("cat"), square("_background_", 4, 4, 6, 6), square("__ignore__", 20, 20, 22, 22))
    report = convert(folder, tmp_path / "out")
    found = mask(tmp_path / "out", "a")
    assert [(found == value).sum() for value in (1, 255)] == [44, 4]
    assert not found[4:6, 4:6].any()
    assert report.classes == ["background", "cat"]
    assert 'class "background", which clear' in str(report)


def test_lines_and_points_are_left_out_and_said(tmp_path):
    folder = tmp_path / "labelme"
    points = [[1, 1], [5, 5], [9, 1]]
    lines = [shape("cat", points, kind) for kind in ("linestrip", "line", "point", "points", "cube")]
    annotate(folder, "a", {**square("cat"), "group_id": 3}, *lines, lines[0])
    report = convert(folder, tmp_path / "out")
    assert (mask(tmp_path / "out", "a") == 1).sum() == 48
    counts = {what.split()[3].rstrip(","): count for what, (count, _) in report.left_out.items()}
    assert counts == {"linestrip": 2, "line": 1, "point": 1, "points": 1, "cube": 1}


windows = arrays.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6)))


@quick
@given(st.integers(-4, 30), st.integers(-4, 22), windows)
def test_a_mask_of_the_ai_tools_is_pasted_exactly(tmp_path_factory, left, top, inside):
    folder = tmp_path_factory.mktemp("ai")
    height, width = inside.shape
    corners = [[left, top], [left + width - 1, top + height - 1]]
    annotate(folder / "in", "a", shape("cat", corners, "mask", mask=packed(inside)), square("dog", 14, 10, 16, 12))
    convert(folder / "in", folder / "out")
    canvas = np.zeros((HEIGHT + 40, WIDTH + 40))
    canvas[top + 20 : top + 20 + height, left + 20 : left + 20 + width] = inside
    canvas[30:32, 34:36] = 2
    assert (mask(folder / "out", "a") == canvas[20:-20, 20:-20]).all()


def test_the_photograph_is_found_by_the_path_of_another_system(tmp_path):
    annotate(tmp_path / "set" / "ann", "a", square("cat"), imagePath="..\\img\\a.jpg")
    (tmp_path / "set" / "img").mkdir()
    (tmp_path / "set" / "ann" / "a.jpg").rename(tmp_path / "set" / "img" / "a.jpg")
    report = convert(tmp_path / "set" / "ann", tmp_path / "out")
    assert report.image_folder == tmp_path / "set" / "img"


def test_folders_named_after_the_sides_are_a_split(tmp_path):
    for side, stem in (("train", "a"), ("val", "b")):
        annotate(tmp_path / "set" / side, stem, square("cat"))
    report = convert(tmp_path / "set", tmp_path / "out")
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert split == {"train": ["train/a"], "validation": ["val/b"]}
    assert report.sides == {"train": 1, "validation": 1}
    annotate(tmp_path / "set", "c", square("cat"))
    with refused(SplitError, tmp_path, "1 pictures stand on no side of the split", "set/c.jpg"):
        convert(tmp_path / "set", tmp_path / "other")


def test_other_json_files_are_left_out_and_said_and_a_photograph_without_one_too(tmp_path):
    annotate(tmp_path / "set", "a", square("cat"))
    annotate(tmp_path / "set", "b", square("cat")).unlink()
    (tmp_path / "set" / "notes.json").write_text("[]")
    words = str(convert(tmp_path / "set", tmp_path / "out"))
    assert "JSON files that are not of LabelMe: 1 (the first: set/notes.json)" in words
    assert "other pictures in the folder of the pictures: 1 (the first: set/b.jpg)" in words
    assert "gather_images=True" in words


BAD = {
    "two points": (shape("cat", [[1, 1], [5, 5]]), "a polygon of 2 points", "at least three"),
    "one corner": (shape("cat", [[1, 1]], "rectangle"), "a rectangle of 1 points", "two opposite corners"),
    "circle": (shape("cat", [[1, 1], [2, 2], [3, 3]], "circle"), "a circle of 3 points", "centre"),
    "no label": (shape("", [[1, 1], [5, 5], [1, 5]]), 'no "label"', "text"),
    "three numbers": (shape("cat", [[1, 1, 1], [5, 5, 1], [1, 5, 1]]), "no list of [x, y]", "two numbers"),
    "text": (shape("cat", [["1", 1], [5, 5], [1, 5]]), "no list of numbers", "finite"),
    "base64": (shape("cat", [[1, 1], [2, 2]], "mask", mask="%%%"), "its mask is damaged", "base64"),
    "no mask": (shape("cat", [[1, 1], [2, 2]], "mask"), "its mask is damaged", "base64"),
    "mask size": (shape("cat", [[1, 1], [2, 2]], "mask", mask=packed(np.ones((2, 3)))), "2 x 3 pixels", "2 x 2"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_shape_that_cannot_be_right_is_named_and_nothing_is_written(tmp_path, bad):
    entry, *words = BAD[bad]
    annotate(tmp_path / "set", "a", square("cat"), entry)
    with refused(MaskError, tmp_path, '"set/a.json", shape 2', *words):
        convert(tmp_path / "set", tmp_path / "out")


def test_a_file_of_another_picture_or_without_one_is_named(tmp_path):
    path = annotate(tmp_path / "set", "a", square("cat"), imageHeight=HEIGHT + 1)
    with refused(MaskError, tmp_path, '"set/a.json" is 32 wide, 25 high', "24 high"):
        convert(tmp_path / "set", tmp_path / "out")
    annotate(tmp_path / "set", "a", square("cat"), imageHeight="24")
    with refused(MaskError, tmp_path, "imageHeight 24"):
        convert(tmp_path / "set", tmp_path / "out")
    annotate(tmp_path / "set", "a", square("cat"), imageHeight=None, imageWidth=None)
    assert convert(tmp_path / "set", tmp_path / "out").pictures[""] == 1
    (tmp_path / "set" / "a.jpg").unlink()
    with refused(PairError, tmp_path, '"set/a.json" is for the photograph "a.jpg"', "images=FOLDER"):
        convert(tmp_path / "set", tmp_path / "out")
    path.write_text("{")
    with refused(MaskError, tmp_path, '"set/a.json" is damaged'):
        convert(tmp_path / "set", tmp_path / "out")
