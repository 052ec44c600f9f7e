"""The layout of Pascal VOC: palettes in VOC itself, colours with a labelmap.txt in CVAT's exports."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from seglib.data.formats import convert
from seglib.data.formats.voc import VOC_CLASSES, voc_palette
from seglib.errors import MaskError, PairError, SegError, SplitError
from tests.support.helpers import photograph, quick, refused

HEIGHT, WIDTH = 6, 8
MAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:10,20,30::\ncat:200,0,7::\n"


def palette_mask(labels: np.ndarray) -> Image.Image:
    picture = Image.fromarray(labels.astype(np.uint8)).convert("L")
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette([band for colour in voc_palette() for band in colour])
    return picture


def colour_mask(labels: np.ndarray, colours: list) -> Image.Image:
    return Image.fromarray(np.array(colours, np.uint8)[labels])


def write(root: Path, name: str, mask: Image.Image, images: str = "JPEGImages") -> None:
    for folder in (images, "SegmentationClass"):
        ((root / folder / name).parent).mkdir(parents=True, exist_ok=True)
    photograph(0, mask.height, mask.width).save(root / images / f"{name}.jpg")
    mask.save(root / "SegmentationClass" / f"{name}.png")


def write_list(root: Path, name: str, *stems: str) -> None:
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8-sig")


def mask(out: Path, stem: str) -> np.ndarray:
    return np.asarray(Image.open(out / "masks" / f"{stem}.png"))


def labels(*values: int) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), np.int64)
    found.flat[: len(values)] = values
    return found


voc_labels = arrays.arrays(np.uint8, (HEIGHT, WIDTH), elements=st.sampled_from([0, 1, 15, 20, 255]))


@quick
@given(voc_labels)
def test_the_palettes_of_voc_are_read_back_equal(tmp_path_factory, found):
    root = tmp_path_factory.mktemp("any") / "VOCdevkit" / "VOC2012"
    found[0, :2] = [15, 255]
    write(root, "2007_000032", palette_mask(found))
    report = convert(root.parent, root.parent / "out")
    assert (mask(root.parent / "out", "2007_000032") == found).all()
    assert report.classes == list(VOC_CLASSES)
    assert "those of Pascal VOC itself are taken: 1" in str(report)
    assert "ignored: 1" in str(report)


def test_the_lists_are_the_split_and_what_they_do_not_name_is_left_out(tmp_path):
    root = tmp_path / "VOC2012"
    for name in ("a", "b", "c", "d"):
        write(root, name, palette_mask(labels(1, 255)))
    photograph(0, HEIGHT, WIDTH).save(root / "JPEGImages" / "e.jpg")
    write_list(root, "train", "a", "b")
    write_list(root, "val", "c")
    write_list(root, "trainval", "a", "b", "c")
    write_list(root, "test", "e")
    report = convert(root, tmp_path / "out")
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert split == {"train": ["a", "b"], "validation": ["c"]}
    assert sorted(path.stem for path in (tmp_path / "out" / "masks").iterdir()) == ["a", "b", "c"]
    assert {what: count for what, (count, _) in report.left_out.items()} == {
        "names on the list of test pictures that have no mask": 1,
        "masks that no list of ImageSets/Segmentation names": 1,
        "other pictures in the folder of the pictures": 2,
    }
    write_list(root, "val", "c", "a")
    with refused(SplitError, tmp_path, '"a" is on two lists'):
        convert(root, tmp_path / "other")
    write_list(root, "val", "e")
    (root / "ImageSets" / "Segmentation" / "test.txt").unlink()
    with refused(PairError, tmp_path, 'name "e", which has no mask'):
        convert(root, tmp_path / "other")


cvat_labels = arrays.arrays(np.int64, (HEIGHT, WIDTH), elements=st.integers(0, 3))
COLOURS = [(0, 0, 0), (10, 20, 30), (200, 0, 7), (224, 224, 192)]


@quick
@given(cvat_labels, st.booleans())
def test_the_colours_of_cvat_are_read_back_equal(tmp_path_factory, found, as_palette):
    root = tmp_path_factory.mktemp("cvat")
    found[0, 0] = 2
    picture = colour_mask(found, COLOURS)
    write(root / "in", "north side/x 1", picture.quantize(8) if as_palette else picture)
    (root / "in" / "labelmap.txt").write_text(MAP, encoding="utf-8-sig")
    write_list(root / "in", "default", '"north side/x 1"')
    report = convert(root / "in", root / "out")
    assert (mask(root / "out", "x 1") == np.array([0, 1, 2, 255])[found]).all()
    assert (root / "out" / "classes.txt").read_text() == "background\ncar\ncat\n"
    assert not (root / "out" / "split.json").exists()
    assert report.kind.startswith("CVAT")


def test_the_background_of_cvat_may_have_a_colour_and_black_a_name(tmp_path):
    for name, table, classes in (
        ("one", "car:10,20,30::\nbackground:1,2,3::\n", ["background", "car"]),
        ("two", "car:10,20,30::\nsoil:0,0,0::\n", ["soil", "car"]),
        ("three", "car:10,20,30::\n", ["background", "car"]),
    ):
        ground = (1, 2, 3) if name == "one" else (0, 0, 0)
        write(tmp_path / name, "a", colour_mask(labels(1), [ground, (10, 20, 30)]))
        (tmp_path / name / "labelmap.txt").write_text(table)
        assert convert(tmp_path / name, tmp_path / f"{name}-out").classes == classes
        assert (mask(tmp_path / f"{name}-out", "a") == labels(1)).all()


def test_grey_masks_hold_places_of_the_list_or_greys_that_it_names(tmp_path):
    for name, table, value in (("places", MAP, 2), ("greys", "background:0,0,0::\na:9,9,9::\ncat:7,7,7::\n", 7)):
        write(tmp_path / name, "a", Image.fromarray(labels(value).astype(np.uint8)))
        (tmp_path / name / "labelmap.txt").write_text(table)
        convert(tmp_path / name, tmp_path / f"{name}-out")
        assert (mask(tmp_path / f"{name}-out", "a") == labels(2)).all()
    (tmp_path / "greys" / "labelmap.txt").write_text("background:0,0,0::\na:2,2,2::\nb:1,1,1::\n")
    write(tmp_path / "greys", "a", Image.fromarray(labels(2, 1).astype(np.uint8)))
    with refused(MaskError, tmp_path, '"SegmentationClass/a.png" is grey', "in colours"):
        convert(tmp_path / "greys", tmp_path / "other")


def test_colours_of_vocs_palette_need_no_label_map(tmp_path):
    write(tmp_path / "in", "a", colour_mask(labels(1, 2), voc_palette()[:3]))
    convert(tmp_path / "in", tmp_path / "out", classes=["background", "cat", "dog"])
    assert (mask(tmp_path / "out", "a") == labels(1, 2)).all()


def test_labels_without_names_are_an_error_that_asks_for_them(tmp_path):
    write(tmp_path / "in", "a", palette_mask(labels(1, 2, 255)))
    with refused(MaskError, tmp_path, "no labelmap.txt", 'classes=["background", "cat"]'):
        convert(tmp_path / "in", tmp_path / "out")
    with refused(MaskError, tmp_path, '"SegmentationClass/a.png" holds the labels 2, which have no name'):
        convert(tmp_path / "in", tmp_path / "out", classes=["background", "cat"])
    (tmp_path / "in" / "class_names.txt").write_text("__ignore__\n_background_\ncat\ndog\n")  # as labelme2voc
    report = convert(tmp_path / "in", tmp_path / "out")
    assert report.classes == ["_background_", "cat", "dog"]
    assert (mask(tmp_path / "out", "a") == labels(1, 2, 255)).all()


def test_a_colour_that_the_table_does_not_name_is_an_error(tmp_path):
    write(tmp_path / "in", "a", colour_mask(labels(1), [(0, 0, 0), (9, 20, 30)]))
    (tmp_path / "in" / "labelmap.txt").write_text(MAP)
    with refused(MaskError, tmp_path, '"SegmentationClass/a.png" holds the colour 9,20,30', "labelmap.txt"):
        convert(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize(
    "table",
    ["car 10,20,30", "car:10,20::", "car:10,20,300::", "car:1,2,3::\ndog:1,2,3::", "car:1,2,3::\ncar:3,4,5::", ""],
)
def test_a_label_map_that_cannot_be_right_is_named(tmp_path, table):
    write(tmp_path / "in", "a", colour_mask(labels(1), COLOURS))
    (tmp_path / "in" / "labelmap.txt").write_text(table)
    with refused(MaskError, tmp_path, '"in/labelmap.txt"'):
        convert(tmp_path / "in", tmp_path / "out")


def test_photographs_that_are_not_there_are_named_and_may_lie_elsewhere(tmp_path):
    write(tmp_path / "in", "a", colour_mask(labels(1), COLOURS))
    (tmp_path / "in" / "labelmap.txt").write_text(MAP)
    (tmp_path / "in" / "JPEGImages").rename(tmp_path / "photos")
    with refused(PairError, tmp_path, '/in" holds masks, but no photographs', "images=FOLDER"):
        convert(tmp_path / "in", tmp_path / "out")
    assert convert(tmp_path / "in", tmp_path / "out", images=tmp_path / "photos").pictures[""] == 1
    (tmp_path / "photos" / "a.jpg").rename(tmp_path / "photos" / "b.jpg")
    with refused(PairError, tmp_path, 'The photograph of "SegmentationClass/a.png" is not there'):
        convert(tmp_path / "in", tmp_path / "other", images=tmp_path / "photos")


def test_damaged_masks_and_masks_of_other_sizes_are_named(tmp_path):
    write(tmp_path / "in", "a", colour_mask(labels(1), COLOURS))
    (tmp_path / "in" / "labelmap.txt").write_text(MAP)
    photograph(0, HEIGHT, WIDTH + 1).save(tmp_path / "in" / "JPEGImages" / "a.jpg")
    with refused(MaskError, tmp_path, '"SegmentationClass/a.png" is 8 wide', "9 wide"):
        convert(tmp_path / "in", tmp_path / "out")
    path = tmp_path / "in" / "SegmentationClass" / "a.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SegError, match=r"SegmentationClass/a\.png"):
        convert(tmp_path / "in", tmp_path / "out")
    Image.new("I;16", (WIDTH, HEIGHT)).save(path)
    with pytest.raises(SegError, match=r"SegmentationClass/a\.png"):
        convert(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
