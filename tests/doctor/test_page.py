"""The doctor's page: one file, its pictures inside, whatever the names hold, and of a bounded size."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from seglib.doctor import examine, page
from seglib.doctor.page import PICTURES, write_page
from seglib.inference.palette import class_colours


class Page(HTMLParser):
    """Counts what a page holds."""

    def __init__(self, path: Path):
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.words += data


def make_folder(root: Path, count: int, names=None, mask=None) -> tuple[Path, Path]:
    """Pictures of a disc on noise, with its mask; a mask that is given is drawn for all of them."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        name = names[number] if names else f"p{number:03}"
        image = Image.fromarray(rng.integers(0, 60, (60, 80, 3), np.uint8))
        drawn = Image.new("L", (80, 60))
        place = rng.uniform(10, 40, 2)
        for picture, colour in ((image, (220, 200, 90)), (drawn, 255)):
            ImageDraw.Draw(picture).ellipse((*place, *(place + 18)), fill=colour)
        image.save(root / "images" / f"{name}.png")
        (mask or drawn).save(root / "masks" / f"{name}.png")
    return root / "images", root / "masks"


def test_the_page_holds_the_findings_and_pictures_with_masks_drawn_over(tmp_path):
    folders = make_folder(tmp_path, 8)
    Image.new("L", (40, 30)).save(folders[1] / "p003.png")
    report = examine(*folders, size=(60, 80), progress=False)
    write_page(report, tmp_path / "page.html", title="Discs & noise")
    page = Page(tmp_path / "page.html")
    for finding in report.findings:
        assert finding.found in page.words
        assert finding.fix in page.words
    assert "Discs & noise" in page.words
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.images)
    assert all(image["alt"] for image in page.images)
    assert any("p003" in image["alt"] and "another size" in image["alt"] for image in page.images)
    assert "color-scheme: light dark" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:)', (tmp_path / "page.html").read_text(encoding="utf-8"))


def test_names_cannot_become_part_of_the_page(tmp_path):
    names = ["<b>bold<b>", '"><img src=x onerror=alert(1)>', "a & b"]
    try:
        folders = make_folder(tmp_path, 3, names=names)
    except OSError:
        pytest.skip("this system allows no such names")
    write_page(examine(*folders, size=(60, 80), progress=False), tmp_path / "page.html", title="<script>")
    page = Page(tmp_path / "page.html")
    assert "b" not in page.tags
    assert "script" not in page.tags
    assert all(image["src"].startswith("data:") and image.keys() == {"alt", "src"} for image in page.images)
    assert "a & b" in page.words


def test_the_number_of_pictures_is_bounded(tmp_path):
    folders = make_folder(tmp_path, 90, mask=Image.new("L", (30, 30)))
    report = examine(*folders, size=(60, 80), progress=False)
    assert len(report.of("size")) == 90
    write_page(report, tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    assert 6 <= len(page.images) <= PICTURES
    assert (tmp_path / "page.html").stat().st_size < 2_000_000


def test_pictures_that_cannot_be_read_are_said_and_stop_nothing(tmp_path):
    folders = make_folder(tmp_path, 4)
    (folders[0] / "p000.png").write_bytes(b"no picture")
    Image.new("RGB", (80, 60), (200, 10, 10)).save(folders[1] / "p001.png")
    write_page(examine(*folders, size=(60, 80), progress=False), tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    assert "p000: the picture cannot be read." in page.words
    assert any("its mask cannot be read" in image["alt"] for image in page.images)


def test_an_empty_report_makes_a_page_too(tmp_path):
    folders = make_folder(tmp_path, 2)
    for path in folders[1].iterdir():
        path.rename(path.with_stem(f"other_{path.stem}"))
    write_page(examine(*folders, progress=False), tmp_path / "page.html")
    assert "Images without a mask" in Page(tmp_path / "page.html").words


def test_several_classes_have_colours_of_their_own(tmp_path):
    labels = Image.new("L", (80, 60))
    labels.paste(1, (0, 0, 40, 60))
    labels.paste(9, (40, 0, 80, 60))
    folders = make_folder(tmp_path, 1, mask=labels)
    names = ["background", *(f"class {number}" for number in range(1, 10))]
    write_page(examine(*folders, classes=names, size=(60, 80), progress=False), tmp_path / "page.html")
    assert len(Page(tmp_path / "page.html").images) >= 1


def test_a_class_has_the_colour_that_overlays_of_predictions_give_it(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(page, "overlay", lambda image, mask, colours: given.append(colours) or np.array(image))
    folders = make_folder(tmp_path, 1, mask=Image.new("L", (80, 60), 2))
    report = examine(*folders, classes=["soil", "crop", "weed"], size=(60, 80), progress=False)
    write_page(report, tmp_path / "page.html")
    assert given[0] == class_colours(3)
