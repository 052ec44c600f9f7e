"""The common front: recognising, choosing classes, writing all or nothing, and the report."""

import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglib.data.formats import convert
from seglib.data.formats.conversion import recognise_format
from seglib.data.pairing import pair_files
from seglib.data.splits import read_split
from seglib.errors import ImageError, MaskError, PairError
from tests.support.helpers import photograph, refused, snapshot

HEIGHT, WIDTH = 20, 24
CLASSES = {"car": (1, 1), "truck": (9, 1), "person": (1, 9), "void": (9, 9)}  # left and top of a 4 x 4 square


def labelme(folder: Path, stem: str, *names: str, box: float = 4) -> Path:
    """A photograph and its JSON, with a square of each class."""
    folder.mkdir(parents=True, exist_ok=True)
    photograph(0, HEIGHT, WIDTH).save(folder / f"{stem}.jpg")
    shapes = []
    for name in names:
        x, y = CLASSES[name]
        points = [[x, y], [x + box, y], [x + box, y + box], [x, y + box]]
        shapes.append({"label": name, "points": points, "shape_type": "polygon"})
    contents = {"shapes": shapes, "imagePath": f"{stem}.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH}
    (folder / f"{stem}.json").write_text(json.dumps(contents), encoding="utf-8")
    return folder / f"{stem}.json"


@pytest.fixture
def export(tmp_path):
    labelme(tmp_path / "set", "a", *CLASSES)
    labelme(tmp_path / "set", "b", "car")
    return tmp_path / "set"


def mask(out: Path, stem: str = "a") -> np.ndarray:
    return np.asarray(Image.open(out / "masks" / f"{stem}.png"))


def at(found: np.ndarray, name: str) -> int:
    x, y = CLASSES[name]
    return int(found[y + 1, x + 1])


# Recognising


def make_voc(root: Path) -> None:
    (root / "SegmentationClass").mkdir(parents=True)
    (root / "SegmentationClass" / "a.png").touch()


def make_cvat(root: Path) -> None:
    make_voc(root)
    (root / "labelmap.txt").touch()


def make_yolo(root: Path) -> None:
    root.mkdir(exist_ok=True)
    (root / "data.yaml").write_text("names: [cat]\n")


def make_roboflow(root: Path) -> None:
    (root / "train").mkdir(parents=True)
    (root / "train" / "_classes.csv").write_text("Pixel Value, Class\n")


def make_coco(root: Path) -> None:
    (root / "annotations").mkdir(parents=True)
    (root / "annotations" / "a.json").write_text('{"images": [], "annotations": []}')


MAKERS = {"voc": make_voc, "cvat": make_cvat, "yolo": make_yolo, "roboflow": make_roboflow, "coco": make_coco}


@pytest.mark.parametrize("name", MAKERS)
def test_a_format_is_recognised_by_its_files(tmp_path, name):
    MAKERS[name](tmp_path / "in")
    assert recognise_format(tmp_path / "in") == name


def test_labelme_is_recognised_and_so_is_a_single_file(export):
    assert recognise_format(export) == "labelme"
    assert recognise_format(export / "a.json") == "labelme"
    assert convert(export / "a.json", export.parent / "out").pictures[""] == 1


def test_files_of_two_tools_or_of_none_are_an_error_that_lists_what_was_looked_for(export, tmp_path):
    make_yolo(export)
    with refused(PairError, tmp_path, "several formats: labelme, yolo", 'format="labelme"'):
        convert(export, tmp_path / "out")
    assert convert(export, tmp_path / "out", format="labelme").kind == "LabelMe"
    (tmp_path / "empty").mkdir()
    with refused(
        PairError, tmp_path, "not recognised", "_classes.csv", "data.yaml", "SegmentationClass", "labelmap.txt"
    ):
        convert(tmp_path / "empty", tmp_path / "other")
    with refused(PairError, tmp_path, 'There is no "'):
        convert(tmp_path / "nowhere", tmp_path / "other")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "pdf"}, 'format="pdf"'),
        ({"existing": "skip"}, 'existing="skip"'),
        ({"holes": "drill"}, 'holes="drill"'),
        ({"images": "nowhere"}, "There is no folder"),
    ],
)
def test_unknown_words_are_errors(export, tmp_path, options, words):
    with refused(PairError, tmp_path, words):
        convert(export, tmp_path / "out", **options)


# Choosing classes


def test_all_classes_by_default(export, tmp_path):
    report = convert(export, tmp_path / "out")
    assert report.classes == ["background", "car", "person", "truck", "void"]
    assert [at(mask(tmp_path / "out"), name) for name in CLASSES] == [1, 3, 2, 4]
    assert report.pixels == {"background": 2 * HEIGHT * WIDTH - 80, "car": 32, "person": 16, "truck": 16, "void": 16}
    assert report.pictures == {"": 2, "background": 2, "car": 2, "person": 1, "truck": 1, "void": 1}


def test_classes_are_chosen_joined_and_ignored_and_what_was_not_asked_for_is_said(export, tmp_path):
    classes = ["ground", "vehicle=truck,car"]
    report = convert(export, tmp_path / "out", classes=classes, ignore=["void"])
    assert [at(mask(tmp_path / "out"), name) for name in CLASSES] == [1, 1, 0, 255]
    assert (tmp_path / "out" / "classes.txt").read_text() == "ground\nvehicle\n"
    assert report.left_out == {
        "pixels of classes that were not asked for, now background (person)": [16, '"set/a.json"']
    }
    assert report.pixels["ignore"] == 16
    assert "binary=True" in str(report)


def test_binary_masks_hold_0_and_255_and_have_no_names(export, tmp_path):
    report = convert(export, tmp_path / "out", binary=True)
    assert np.unique(mask(tmp_path / "out")).tolist() == [0, 255]
    assert report.pixels == {"background": 2 * HEIGHT * WIDTH - 80, "object": 80}
    assert report.classes is None
    assert not (tmp_path / "out" / "classes.txt").exists()
    assert "--classes" not in report.command
    convert(export, tmp_path / "cars", binary=True, classes=["background", "car"])
    assert [at(mask(tmp_path / "cars"), name) for name in CLASSES] == [255, 0, 0, 0]


def test_a_binary_mask_cannot_ignore(export, tmp_path):
    with refused(MaskError, tmp_path, '"set/a.json" has pixels to be ignored', "binary=True", "classes=["):
        convert(export, tmp_path / "out", binary=True, ignore=["void"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": "car"}, 'classes="car"'),
        ({"ignore": "void"}, 'ignore="void"'),
        ({"classes": ["background"]}, "at least two"),
        ({"classes": []}, "at least two"),
        ({"classes": ["background", "car", "car"]}, "at least two different names"),
        ({"classes": ["background", "car", "all=car,truck"]}, "at least two different names"),
        ({"classes": ["background", "cra"]}, 'Did you mean "car"?'),
        ({"classes": ["car", "person"]}, 'begins with "car"'),
        ({"ignore": ["sky"]}, 'no class "sky"'),
    ],
)
def test_classes_that_cannot_be_right_are_named(export, tmp_path, options, words):
    with refused(MaskError, tmp_path, words):
        convert(export, tmp_path / "out", **options)


def test_only_background_is_an_error(tmp_path):
    labelme(tmp_path / "set", "a")
    with refused(MaskError, tmp_path, "All 1 pictures are background"):
        convert(tmp_path / "set", tmp_path / "out")


# Writing


def test_what_is_there_is_not_overwritten_unless_asked_for(export, tmp_path):
    (tmp_path / "out" / "masks").mkdir(parents=True)
    (tmp_path / "out" / "masks" / "b.png").write_text("mine")
    with refused(PairError, tmp_path, "1 files are in", "masks/b.png", 'existing="overwrite"'):
        convert(export, tmp_path / "out")
    convert(export, tmp_path / "out", existing="overwrite")
    assert at(mask(tmp_path / "out", "b"), "car") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["classes.txt", "masks"]


def test_an_error_in_the_last_picture_leaves_nothing_behind_and_the_old_masks_whole(export, tmp_path):
    convert(export, tmp_path / "out")
    (export / "b.jpg").write_bytes((export / "b.jpg").read_bytes()[:20])
    with refused(ImageError, tmp_path, "set/b.jpg"):
        convert(export, tmp_path / "out", existing="overwrite")
    with refused(ImageError, tmp_path, "set/b.jpg"):
        convert(export, tmp_path / "new" / "deep")


def test_masks_get_their_names_only_when_all_are_drawn(export, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("seglib.data.formats.conversion._require_objects", stop)
    with pytest.raises(KeyboardInterrupt):
        convert(export, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_masks_never_come_to_lie_among_the_photographs(tmp_path):
    for side in ("train", "val"):
        labelme(tmp_path / "set" / side, side, "car")
    with refused(PairError, tmp_path, "lies inside", "gather_images=True"):
        convert(tmp_path / "set", tmp_path / "set" / "out")
    labelme(tmp_path / "flat" / "masks", "a", "car")
    with refused(PairError, tmp_path, "lies inside"):
        convert(tmp_path / "flat" / "masks", tmp_path / "flat", existing="overwrite")


def test_gathered_photographs_are_second_names_of_the_same_files(export, tmp_path):
    photograph(3, HEIGHT, WIDTH).save(export / "unannotated.jpg")
    before = snapshot(export)
    report = convert(export, tmp_path / "out", gather_images=True)
    assert snapshot(export) == before
    assert os.path.samefile(tmp_path / "out" / "images" / "a.jpg", export / "a.jpg")
    assert [image.name for image, _ in pair_files(report.image_folder, report.mask_folder)] == ["a.jpg", "b.jpg"]


def test_gathering_overwrites_no_picture_unless_asked_for_and_never_the_photographs(export, tmp_path):
    (tmp_path / "out" / "images").mkdir(parents=True)
    (tmp_path / "out" / "images" / "b.jpg").write_text("mine")
    with refused(PairError, tmp_path, "the first is images/b.jpg", 'existing="overwrite"'):
        convert(export, tmp_path / "out", gather_images=True)
    labelme(tmp_path / "own" / "images", "a", "car")
    with refused(PairError, tmp_path, "holds the photographs already", "gather_images=True"):
        convert(tmp_path / "own" / "images", tmp_path / "own", gather_images=True, existing="overwrite")


def test_without_hard_links_photographs_are_copied(export, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", fail)
    report = convert(export, tmp_path / "out", gather_images=True)
    assert (report.image_folder / "a.jpg").read_bytes() == (export / "a.jpg").read_bytes()
    assert not os.path.samefile(report.image_folder / "a.jpg", export / "a.jpg")


# The report


def test_the_next_command_is_quoted_and_its_folders_pair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for side in ("train", "val", "test"):
        labelme(tmp_path / "my set" / side, side, "car", "person")
    report = convert("my set", "my masks")
    last = str(report).splitlines()[-1]
    assert shlex.split(last) == report.command
    assert last.startswith("python -m seglib train 'my set' 'my masks/masks' --recursive --split 'my masks/split.json'")
    assert last.endswith("--classes background car person --out run.pt")
    pairs = pair_files(report.image_folder, report.mask_folder, recursive=True)
    split = read_split("my masks/split.json")
    assert len(pairs) == 3
    assert (split.train, split.validation, split.test) == (["train/train"], ["val/val"], ["test/test"])


def test_among_other_pictures_the_next_command_counts_on_gathered_photographs(export, tmp_path):
    photograph(3, HEIGHT, WIDTH).save(export / "unannotated.jpg")
    report = convert(export, tmp_path / "out")
    assert "among 1 other pictures" in str(report)
    assert report.image_folder == export
    again = convert(export, tmp_path / "out", gather_images=True, existing="overwrite")  # as the report says
    assert again.command == report.command
    assert again.others == 0
    images, masks = report.command[4:6]
    assert len(pair_files(images, masks)) == 2


def test_sub_folders_with_other_pictures_are_left_alone(export, tmp_path):
    labelme(export / "old", "c", "car")
    (export / "old" / "c.json").unlink()
    report = convert(export, tmp_path / "out")
    assert "--no-recursive" in report.command
    assert len(pair_files(report.image_folder, report.mask_folder, recursive=False)) == 2


def test_a_split_without_validation_pictures_is_said_and_can_be_trained_on(tmp_path):
    for side in ("train", "test"):
        for number in range(4):
            labelme(tmp_path / "set" / side, f"{side}{number}", "car")
    report = convert(tmp_path / "set", tmp_path / "out")
    assert "names no validation pictures" in str(report)
    split = read_split(tmp_path / "out" / "split.json", validation_share=0.25)
    assert (len(split.train), len(split.validation), len(split.test)) == (3, 1, 4)


def test_a_class_without_a_pixel_is_said_with_the_names_to_keep(tmp_path):
    labelme(tmp_path / "set", "a", "car")
    labelme(tmp_path / "set", "b", "person", box=0.1)
    words = str(convert(tmp_path / "set", tmp_path / "out"))
    assert "  person: 0 pixels (0.0%), in 0 pictures" in words
    assert "No pixel is of class person" in words
    assert 'existing="overwrite" classes=["background", "car"]' in words


def test_the_report_stays_short_for_many_pictures(tmp_path):
    for number in range(40):
        labelme(tmp_path / "set", f"p{number}", "car", "truck", box=12)
        photograph(0, HEIGHT, WIDTH).save(tmp_path / "set" / f"q{number}.jpg")
    words = str(convert(tmp_path / "set", tmp_path / "out"))
    assert "the later one is on top: 40 (the first:" in words
    assert "other pictures in the folder of the pictures: 40" in words
    assert len(words.splitlines()) < 16
