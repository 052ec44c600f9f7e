"""COCO: the JSON as COCO, CVAT and Roboflow write it becomes masks; what cannot be right is named."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools import mask as coco

from seglib.data.formats import convert
from seglib.errors import MaskError, PairError
from tests.support.helpers import photograph, quick, refused, snapshot

HEIGHT, WIDTH = 24, 32
SQUARE = [2, 2, 10, 2, 10, 8, 2, 8]  # 8 wide, 6 high
OTHER = [20, 10, 30, 10, 30, 20, 20, 20]  # 10 x 10


def category(number: int, name: str) -> dict:
    return {"id": number, "name": name, "supercategory": "things"}


def image(number: int, name: str) -> dict:
    return {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH, "license": 1, "date_captured": ""}


def annotation(number: int, of: int, kind: int, segmentation, **more) -> dict:
    entry = {"id": number, "image_id": of, "category_id": kind, "segmentation": segmentation}
    return {**entry, "area": 1.0, "bbox": [2, 2, 8, 6], "iscrowd": 0, **more}


def run_lengths(mask: np.ndarray) -> dict:
    packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": packed["counts"].decode("ascii")}


def save_photographs(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        photograph(0, HEIGHT, WIDTH).save(folder / name)


def write(path: Path, annotations: list, images: list | None = None, categories: list | None = None, bom=False) -> Path:
    contents = {
        "info": {"description": "made by a test"},
        "licenses": [],
        "images": images if images is not None else [image(7, "a.jpg"), image(9, "b.jpg")],
        "annotations": annotations,
        "categories": categories if categories is not None else [category(3, "cat"), category(1, "car")],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(contents), encoding="utf-8-sig" if bom else "utf-8")
    return path


@pytest.fixture
def export(tmp_path):
    """The folder of an export as CVAT makes it: images/ and annotations/instances_default.json."""
    save_photographs(tmp_path / "export" / "images", "a.jpg", "b.jpg")
    return tmp_path / "export"


def annotate(export: Path, *annotations: dict, **more) -> Path:
    return write(export / "annotations" / "instances_default.json", list(annotations), **more)


def masks_of(out: Path) -> dict[str, np.ndarray]:
    folder = out / "masks"
    return {
        path.relative_to(folder).with_suffix("").as_posix(): np.asarray(Image.open(path))
        for path in sorted(folder.rglob("*.png"))
    }


def test_polygons_of_several_parts_become_labels_in_the_order_of_the_categories(export, tmp_path):
    annotate(export, annotation(1, 7, 3, [SQUARE, OTHER]), annotation(2, 9, 1, [OTHER]), bom=True)
    before = snapshot(export)
    report = convert(export, tmp_path / "out")
    masks = masks_of(tmp_path / "out")
    assert snapshot(export) == before
    assert list(masks) == ["a", "b"]
    assert Image.open(tmp_path / "out" / "masks" / "a.png").mode == "L"
    expected = np.zeros((HEIGHT, WIDTH))
    expected[2:8, 2:10] = 2
    expected[10:20, 20:30] = 2
    assert (masks["a"] == expected).all()
    assert (np.unique(masks["b"], return_counts=True)[1] == [HEIGHT * WIDTH - 100, 100]).all()
    assert (tmp_path / "out" / "classes.txt").read_text() == "background\ncar\ncat\n"
    assert not (tmp_path / "out" / "split.json").exists()
    assert report.pixels == {"background": 2 * HEIGHT * WIDTH - 248, "car": 100, "cat": 148}
    assert report.image_folder == export / "images"
    assert report.met == report.left_out == {}


label_maps = arrays.arrays(np.uint8, (HEIGHT, WIDTH), elements=st.sampled_from([0, 1, 2, 3, 255]))


@quick
@given(label_maps, st.randoms())
def test_run_lengths_of_any_label_map_are_read_back_equal(tmp_path_factory, labels, random):
    folder = tmp_path_factory.mktemp("any")
    save_photographs(folder / "images", "a.jpg")
    labels[0, :4] = [0, 1, 2, 3]
    annotations = []
    for label in (1, 2, 3, 255):
        segmentation = run_lengths(labels == label)
        crowd = int(label == 255)
        annotations.append(annotation(label, 7, 10 * label if label < 255 else 10, segmentation, iscrowd=crowd))
    random.shuffle(annotations)
    categories = [category(10, "x"), category(20, "y"), category(30, "z")]
    source = write(folder / "images" / "coco.json", annotations, [image(7, "a.jpg")], categories)
    convert(source, folder / "out")
    assert (masks_of(folder / "out")["a"] == labels).all()


def test_a_later_object_is_on_top_and_a_crowd_is_below_all(export, tmp_path):
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[:8] = True
    annotate(
        export,
        annotation(1, 7, 1, [SQUARE]),
        annotation(2, 7, 3, [[6, 2, 14, 2, 14, 8, 6, 8]]),
        annotation(3, 7, 3, run_lengths(crowd), iscrowd=1),
    )
    report = convert(export, tmp_path / "out")
    mask = masks_of(tmp_path / "out")["a"]
    assert mask[4].tolist() == [255] * 2 + [1] * 4 + [2] * 8 + [255] * 18
    assert report.pixels["ignore"] == 8 * WIDTH - 72
    words = str(report)
    assert 'crowd regions, ignored (255): 1 (the first: "annotations/instances_default.json", annotation 3)' in words
    assert "the later one is on top: 2" in words  # over the crowd, and over the car


@pytest.mark.parametrize(("holes", "pixels", "words"), [("fill", 48, "filled"), ("cut", 44, "cut out")])
def test_a_polygon_inside_another_is_filled_as_coco_has_it_or_cut(export, tmp_path, holes, pixels, words):
    annotate(export, annotation(1, 7, 1, [SQUARE, [4, 4, 6, 4, 6, 6, 4, 6]]))
    report = convert(export, tmp_path / "out", holes=holes)
    assert (masks_of(tmp_path / "out")["a"] == 1).sum() == pixels
    assert words in str(report)


def test_what_has_no_area_is_left_out_and_counted(export, tmp_path):
    annotate(
        export,
        annotation(1, 7, 1, [SQUARE]),
        annotation(2, 7, 1, []),
        annotation(3, 7, 1, None),
        annotation(4, 9, 1, [], keypoints=[1, 2, 2], num_keypoints=1),
        annotation(5, 7, 1, [[1, 1, 5, 5]]),
        annotation(6, 7, 1, [[1.1, 1.1, 1.3, 1.1, 1.3, 1.3]]),
    )
    report = convert(export, tmp_path / "out")
    assert {what: count for what, (count, _) in report.left_out.items()} == {
        "annotations that are only a box, without an area": 2,
        "annotations that are only key points, without an area": 1,
        "polygons of fewer than three corners": 1,
        "shapes that cover no pixel's centre": 1,
    }
    assert report.met["pictures without an annotation that has an area, taken as background"] == [1, "b.jpg"]
    assert not masks_of(tmp_path / "out")["b"].any()


def test_a_polygon_that_leaves_the_picture_is_cut_off_and_said(export, tmp_path):
    annotate(export, annotation(1, 7, 1, [[-4, -4, 5, -4, 5, 3, -4, 3]]))
    report = convert(export, tmp_path / "out")
    assert (masks_of(tmp_path / "out")["a"] == 1).sum() == 15
    assert "outside their picture, cut off there: 1" in str(report)


def test_a_category_called_background_clears_what_lies_under_it(export, tmp_path):
    kinds = [category(0, "Background"), category(1, "car")]
    annotate(export, annotation(1, 7, 1, [SQUARE]), annotation(2, 7, 0, [[4, 4, 6, 4, 6, 6, 4, 6]]), categories=kinds)
    convert(export, tmp_path / "out")
    assert (masks_of(tmp_path / "out")["a"] == 1).sum() == 44
    assert (tmp_path / "out" / "classes.txt").read_text() == "background\ncar\n"


def test_roboflows_folders_are_the_sides_of_a_split_and_its_first_category_is_left_out(tmp_path):
    root = tmp_path / "fruit"
    kinds = [
        {"id": 0, "name": "fruit", "supercategory": "none"},
        {"id": 1, "name": "apple", "supercategory": "fruit"},
    ]
    for side, stem in (("train", "a"), ("valid", "b"), ("test", "c")):
        save_photographs(root / side, f"{stem}.jpg")
        entries = [annotation(0, 0, 1, [SQUARE])] if side != "test" else []
        write(root / side / "_annotations.coco.json", entries, [image(0, f"{stem}.jpg")], kinds)
    report = convert(root, tmp_path / "out")
    assert list(masks_of(tmp_path / "out")) == ["test/c", "train/a", "valid/b"]
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert split == {"train": ["train/a"], "validation": ["valid/b"], "test": ["test/c"]}
    assert report.classes == ["background", "apple"]
    assert report.image_folder == root
    assert "--recursive" in report.command
    assert report.left_out["categories that only name the Roboflow project"] == [
        3,
        '"fruit" in "test/_annotations.coco.json"',
    ]


def test_cocos_own_layout_is_read_without_captions(tmp_path):
    root = tmp_path / "coco"
    for side in ("train2017", "val2017"):
        save_photographs(root / side, f"{side}.jpg")
        name = f"{side}.jpg"
        write(root / "annotations" / f"instances_{side}.json", [annotation(1, 1, 1, [SQUARE])], [image(1, name)])
        write(root / "annotations" / f"captions_{side}.json", [], [image(1, name)])
    convert(root, tmp_path / "out")
    assert list(masks_of(tmp_path / "out")) == ["train2017/train2017", "val2017/val2017"]
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert split == {"train": ["train2017/train2017"], "validation": ["val2017/val2017"]}


def test_sub_folders_of_the_file_names_are_kept(export, tmp_path):
    save_photographs(export / "images", "north/x.jpg", "south/x.jpg")
    images = [image(1, "north/x.jpg"), image(2, "south\\x.jpg")]
    annotate(export, annotation(1, 1, 1, [SQUARE]), images=images)
    convert(export, tmp_path / "out")
    assert list(masks_of(tmp_path / "out")) == ["north/x", "south/x"]


def test_annotations_of_the_pixels_as_stored_are_turned_with_the_photograph(export, tmp_path):
    turned = Image.new("RGB", (WIDTH, HEIGHT))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    turned.save(export / "images" / "a.jpg", exif=exif)
    annotate(export, annotation(1, 7, 1, [[0, 0, 4, 0, 4, 2, 0, 2]]))  # in the upper left corner, as stored
    report = convert(export, tmp_path / "out")
    mask = masks_of(tmp_path / "out")["a"]
    assert mask.shape == (WIDTH, HEIGHT)
    assert (mask[:4, -2:] == 1).all()  # in the upper right corner, upright
    assert (mask == 1).sum() == 8
    assert "turned as the EXIF data turn the photograph" in str(report)


BAD = {
    "odd": (annotation(4, 7, 1, [[1, 2, 3, 4, 5, 6, 7]]), "a polygon of 7 numbers"),
    "text": (annotation(4, 7, 1, [["1", "2", "3", "4", "5", "6"]]), "no list of numbers"),
    "nan": (annotation(4, 7, 1, [[float("nan"), 2, 3, 4, 5, 6]]), "no list of numbers"),
    "huge": (annotation(4, 7, 1, [[10**400, 2, 3, 4, 5, 6]]), "no list of numbers"),
    "far": (annotation(4, 7, 1, [[1e9, 2, 3, 4, 5, 6]]), "no list of numbers"),
    "flat": (annotation(4, 7, 1, SQUARE), "neither a list of polygons nor run lengths"),
    "pairs": (annotation(4, 7, 1, [[[1, 2], [3, 4], [5, 6]]]), "no list of numbers"),
    "class": (annotation(4, 7, 8, [SQUARE]), "category 8, which has no name"),
    "image": (annotation(4, 8, 1, [SQUARE]), "image 8, which is not in the file"),
    "no image": (annotation(4, None, 1, [SQUARE]), '"image_id" is None'),
    "size": (annotation(4, 7, 1, {"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT]}), "run lengths are for a"),
    "sum": (annotation(4, 7, 1, {"size": [HEIGHT, WIDTH], "counts": [1, 2]}), "do not add up to 24 x 32"),
}


@pytest.mark.parametrize("bad", BAD)
def test_an_annotation_that_cannot_be_right_is_named_and_nothing_is_written(export, tmp_path, bad):
    entry, words = BAD[bad]
    annotate(export, annotation(3, 9, 1, [SQUARE]), entry)
    with refused(MaskError, tmp_path, words, '"annotations/instances_default.json", annotation 4'):
        convert(export, tmp_path / "out")


def test_a_damaged_file_and_a_missing_key_are_named(export, tmp_path):
    path = annotate(export)
    path.write_text(path.read_text()[:-30])
    with refused(MaskError, tmp_path, '"annotations/instances_default.json" is damaged', "line 1"):
        convert(export, tmp_path / "out")
    path.write_text('{"images": [], "annotations": []}')
    with refused(MaskError, tmp_path, 'no list of objects under "categories"'):
        convert(export, tmp_path / "out")
    path.write_text("[1, 2]")
    with refused(MaskError, tmp_path, 'no list of objects under "categories"'):
        convert(path, tmp_path / "out", format="coco")
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    with refused(PairError, tmp_path, "names no picture"):
        convert(path, tmp_path / "out")


def test_a_photograph_that_is_not_there_or_of_another_size_is_named(export, tmp_path):
    annotate(export, annotation(1, 7, 1, [SQUARE]))
    photograph(0, HEIGHT, WIDTH + 1).save(export / "images" / "b.jpg")
    with refused(MaskError, tmp_path, "image 9 is 32 wide, 24 high", "33 wide"):
        convert(export, tmp_path / "out")
    (export / "images" / "b.jpg").unlink()
    with refused(PairError, tmp_path, '"b.jpg" is not there', "images=FOLDER"):
        convert(export, tmp_path / "out")


def test_two_annotation_files_are_an_error_unless_they_are_a_split(export, tmp_path):
    path = annotate(export, annotation(1, 7, 1, [SQUARE]))
    (path.parent / "old.json").write_bytes(path.read_bytes())
    with refused(PairError, tmp_path, "2 annotation files", "old.json"):
        convert(export, tmp_path / "out")
    assert convert(path, tmp_path / "out").pictures[""] == 2  # naming one file settles it


def test_one_photograph_annotated_twice_and_shared_stems_are_an_error(export, tmp_path):
    annotate(export, annotation(1, 7, 1, [SQUARE]), images=[image(7, "a.jpg"), image(9, "a.jpg")])
    with refused(PairError, tmp_path, "annotated twice", "image 7", "image 9"):
        convert(export, tmp_path / "out")
    save_photographs(export / "images", "A.png")
    annotate(export, annotation(1, 7, 1, [SQUARE]), images=[image(7, "a.jpg"), image(9, "A.png")])
    with refused(PairError, tmp_path, "same stem"):
        convert(export, tmp_path / "out")


def test_photographs_in_a_folder_of_their_own_are_named_by_images(export, tmp_path):
    annotate(export, annotation(1, 7, 1, [SQUARE]), images=[image(7, "/home/ann/a.jpg"), image(9, "C:\\x\\b.jpg")])
    (export / "images").rename(tmp_path / "elsewhere")
    report = convert(export, tmp_path / "out", images=tmp_path / "elsewhere")
    assert report.image_folder == tmp_path / "elsewhere"
    assert list(masks_of(tmp_path / "out")) == ["a", "b"]


def test_a_detection_export_is_an_error_that_says_so(export, tmp_path):
    annotate(export, annotation(1, 7, 1, []), annotation(2, 9, 1, []))
    with refused(MaskError, tmp_path, "left out: 2 annotations that are only a box", "segmentation, not detection"):
        convert(export, tmp_path / "out")
