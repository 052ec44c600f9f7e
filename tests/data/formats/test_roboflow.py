"""Roboflow's semantic segmentation masks: x.jpg, x_mask.png and _classes.csv in each folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from seglib.data.formats import convert
from seglib.errors import MaskError, PairError
from tests.support.helpers import photograph, quick, refused

HEIGHT, WIDTH = 6, 8
TABLE = "Pixel Value, Class\n0, background\n1, leaf\n7, stem\n"


def write(folder: Path, stem: str, values: np.ndarray, table: str = TABLE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    photograph(0, *values.shape).save(folder / f"{stem}.jpg")
    Image.fromarray(values.astype(np.uint8)).save(folder / f"{stem}_mask.png")
    (folder / "_classes.csv").write_text(table, encoding="utf-8-sig")


def mask(out: Path, stem: str) -> np.ndarray:
    return np.asarray(Image.open(out / "masks" / f"{stem}.png"))


def values(*found: int) -> np.ndarray:
    array = np.zeros((HEIGHT, WIDTH), np.uint8)
    array.flat[: len(found)] = found
    return array


@quick
@given(
    arrays.arrays(np.uint8, (HEIGHT, WIDTH), elements=st.sampled_from([0, 1, 7])), st.sampled_from(["L", "P", "RGB"])
)
def test_the_values_of_the_table_are_read_back_equal(tmp_path_factory, found, mode):
    root = tmp_path_factory.mktemp("any")
    found[0, 0] = 7
    write(root / "in" / "train", "a", found)
    picture = Image.fromarray(found)
    picture = Image.frombytes("P", picture.size, picture.tobytes()) if mode == "P" else picture.convert(mode)
    if mode == "P":
        picture.putpalette([9, 9, 9, *range(21)])
    picture.save(root / "in" / "train" / "a_mask.png")
    convert(root / "in", root / "out")
    assert (mask(root / "out", "a") == np.array([0, 1, 0, 0, 0, 0, 0, 2])[found]).all()


def test_the_three_folders_are_a_split_and_photographs_can_be_gathered_from_among_the_masks(tmp_path):
    for side, stem in (("train", "a"), ("valid", "b"), ("test", "c")):
        write(tmp_path / "plants" / side, f"{stem}_jpg.rf.0a1b", values(1, 7))
    report = convert(tmp_path / "plants", tmp_path / "out")
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert split == {
        "train": ["train/a_jpg.rf.0a1b"],
        "validation": ["valid/b_jpg.rf.0a1b"],
        "test": ["test/c_jpg.rf.0a1b"],
    }
    assert report.classes == ["background", "leaf", "stem"]
    assert report.left_out["other pictures in the folder of the pictures"][0] == 3  # the masks beside them
    gathered = convert(tmp_path / "plants", tmp_path / "gathered", gather_images=True)
    assert gathered.image_folder == tmp_path / "gathered" / "images"
    assert gathered.left_out == {}
    original = tmp_path / "plants" / "train" / "a_jpg.rf.0a1b.jpg"
    assert (gathered.image_folder / "train" / original.name).read_bytes() == original.read_bytes()


def test_background_may_be_named_last_and_a_value_may_be_255(tmp_path):
    write(tmp_path / "in", "a", values(255), "Pixel Value, Class\n255, leaf\n0, background\n")
    convert(tmp_path / "in", tmp_path / "out")
    assert (mask(tmp_path / "out", "a") == values(1)).all()


@pytest.mark.parametrize(
    "table",
    [
        "Pixel Value, Class\n",
        "Pixel Value, Class\n0, background\nleaf, 1\n",
        "Pixel Value, Class\n0, background\n1, leaf\n1, stem\n",
        "Pixel Value, Class\n0, background\n1, leaf\n2, leaf\n",
        "Pixel Value, Class\n0, background\n300, leaf\n",
        "Pixel Value, Class\n1, leaf\n2, stem\n",
        "Pixel Value, Class\n0, background\n1\n",
    ],
)
def test_a_table_that_cannot_be_right_is_named(tmp_path, table):
    write(tmp_path / "in", "a", values(1), table)
    with refused(MaskError, tmp_path, "in/_classes.csv"):
        convert(tmp_path / "in", tmp_path / "out")


def test_values_without_a_name_colours_and_lonely_files_are_errors(tmp_path):
    write(tmp_path / "in", "a", values(1, 3))
    with refused(MaskError, tmp_path, '"in/a_mask.png" holds the values 3, which _classes.csv does not name'):
        convert(tmp_path / "in", tmp_path / "out")
    Image.new("RGB", (WIDTH, HEIGHT), (1, 2, 3)).save(tmp_path / "in" / "a_mask.png")
    with refused(MaskError, tmp_path, '"in/a_mask.png" is in colour'):
        convert(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "a_mask.png").rename(tmp_path / "in" / "b_mask.png")
    with refused(PairError, tmp_path, "2 files", "have no partner", "in/a.jpg"):
        convert(tmp_path / "in", tmp_path / "out")


def test_folders_with_different_tables_are_an_error(tmp_path):
    write(tmp_path / "plants" / "train", "a", values(1))
    write(tmp_path / "plants" / "valid", "b", values(1), TABLE.replace("leaf", "root"))
    with refused(MaskError, tmp_path, '"train/_classes.csv" and "valid/_classes.csv" differ'):
        convert(tmp_path / "plants", tmp_path / "out")
