"""Owns the doctor's report as a page: its findings, each with its first pictures and masks. See 13_your_own_data."""

import os
from collections.abc import Iterator

from PIL import Image

from seglib.doctor.report import Report, settings_in_words
from seglib.doctor.rules import Finding
from seglib.errors import SegError, name_of
from seglib.inference.html_page import heading, picture, table, text
from seglib.inference.html_page import write_page as write_html
from seglib.inference.overlay import overlay
from seglib.inference.palette import SKY_BLUE, class_colours

PICTURES = 60  # on the page, at most
PER_FINDING = 6
SIDE = 320  # pixels


def write_page(report: Report, path: str | os.PathLike[str], title: str = "The doctor's report") -> None:
    """Write a report as one HTML file that holds its pictures: the first few of each finding, the masks drawn over.

    Args:
        report: of `examine`; the files must still lie where it found them.
        path: of the page; a file of that name is replaced.
        title: of the page.

    Example:
        >>> from seglib.doctor import examine
        >>> folder = getfixture("tmp_path")
        >>> write_page(examine("data_samples/images", "data_samples/masks", progress=False), folder / "page.html")
    """
    head = ["class", "share of pixels", "IoU of calling everything so", "best possible IoU"]
    rows = [[one.name, one.share, one.trivial_iou, _or_dash(one.ceiling)] for one in report.classes]
    parts = [text(f"{report.pairs} pairs."), table(head, rows)]
    parts.append(text(f"Best possible: coarse logits at {report.prospects.geometry}, each class by itself."))
    if report.proposed:
        parts.append(text(f"Proposed settings: {settings_in_words(report.proposed)}"))
    left = PICTURES - PER_FINDING
    for finding in report.findings:
        parts += [heading(f"{finding.severity.capitalize()}: {finding.kind}"), text(finding.found)]
        parts.append(text(f"Expected: {finding.expected}\nFix: {finding.fix}"))
        shown = list(_pictures(finding, report, min(left, PER_FINDING)))
        parts += shown
        left -= len(shown)
    if not report.findings:
        parts.append(text("Nothing was found."))
    stems = list(report.files)
    parts.append(heading("Some of the pairs, spread over the folder: do the masks lie on their objects?"))
    parts += [_one_picture(stem, report) for stem in stems[:: max(1, len(stems) // PER_FINDING)][:PER_FINDING]]
    write_html(path, title, parts)


def _or_dash(value: float | None) -> float | str:
    return "-" if value is None else value


def _pictures(finding: Finding, report: Report, most: int) -> Iterator[str]:
    """The first pictures that a finding names; names that are no pictures, as those of classes, have none."""
    stem_of_file = {name_of(file): stem for stem, pair in report.files.items() for file in pair if file is not None}
    stems = [stem_of_file.get(part, part) for name in finding.names for part in (name, *name.split(" and "))]
    for stem in [stem for stem in dict.fromkeys(stems) if stem in report.files][:most]:
        yield _one_picture(stem, report)


def _one_picture(stem: str, report: Report) -> str:
    """A picture with its mask drawn over; what cannot be read is said in its caption."""
    image_path, mask_path = report.files[stem]
    try:
        image = report.reading.image(image_path)
    except SegError:
        return text(f"{stem}: the picture cannot be read.")
    own_size = image.size
    image.thumbnail((SIDE, SIDE))
    if mask_path is None:
        return picture(image, f"{stem}, without a mask")
    try:
        mask = report.reading.mask(mask_path, own_size)
    except SegError:
        return picture(image, f"{stem}; its mask cannot be read")
    caption = stem if mask.size == own_size else f"{stem}; its mask is of another size, and drawn enlarged or reduced"
    small = mask.resize(image.size, Image.Resampling.NEAREST)
    colours = SKY_BLUE if report.reading.classes is None else class_colours(len(report.reading.names))
    drawn = overlay(image, small, colours)
    return picture(Image.fromarray(drawn), caption)
