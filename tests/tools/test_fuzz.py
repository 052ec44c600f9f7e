"""A hundred damaged and strange files, of the 2,000 of `make fuzz`; and that a fault of seglib would be found."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageOps

from seglib.data.file_kinds import PictureFile, open_picture
from seglib.data.mask_values import labels_of
from tools.proofs import fuzz as proof
from tools.proofs.fuzz import Maker, Strange, as_image, fuzz, judge


def test_a_hundred_files_are_read_rightly_or_refused():
    counts = fuzz(100, seed=7)
    assert counts["what was wrong"] == []
    assert counts["files left"] == []
    assert counts["files"] == counts["whole"] + counts["cut off"] + counts["damaged"] == 100
    assert counts["read"] + counts["refused"] == 100
    assert min(counts["read"], counts["refused"], counts["whole"], counts["cut off"], counts["damaged"]) >= 10


def test_the_same_seed_makes_the_same_files_and_another_makes_others():
    files = [Maker(seed).any_file() for seed in (1, 1, 2)]
    assert files[0].data == files[1].data
    assert files[0].data != files[2].data


def faults_found(count: int = 150) -> list[str]:
    return fuzz(count, seed=7)["what was wrong"]


def test_it_finds_pictures_that_are_not_turned(monkeypatch):
    monkeypatch.setattr(ImageOps, "exif_transpose", lambda picture: picture)
    assert any("other pixels" in line for line in faults_found())


def test_it_finds_what_is_dropped_in_silence(monkeypatch):
    nothing_seen = lambda picture, file, path: PictureFile(picture, picture.format)  # noqa: E731
    monkeypatch.setitem(open_picture.__globals__, "_describe", nothing_seen)
    assert any("was read" in line for line in faults_found())


def test_it_finds_errors_that_are_no_segerrors(monkeypatch):
    monkeypatch.setitem(open_picture.__globals__, "_unreadable", lambda *_: KeyError("damaged"))
    assert any("KeyError" in line for line in faults_found())


def test_it_finds_labels_that_are_none(monkeypatch):
    monkeypatch.setitem(labels_of.__globals__, "check_labels", lambda *_, **__: None)
    assert faults_found(400)


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"x"), lambda path: path.with_suffix(".new").touch()])
def test_it_finds_files_that_are_changed_or_made(tmp_path: Path, change):
    data = proof.png_bytes(np.zeros((4, 5, 3), np.uint8))

    def careless(path: Path) -> np.ndarray:
        pixels = as_image(path)
        change(path)
        return pixels

    assert judge(Strange("a.png", data, "", as_image, np.zeros((4, 5, 3))), tmp_path) == ("picture", "")
    assert judge(Strange("a.png", data, "", careless), tmp_path) == ("wrong", "a file was changed")
