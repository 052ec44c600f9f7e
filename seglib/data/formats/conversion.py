"""Owns the way from another tool's export to masks that seglib trains on. Explained in 13_your_own_data.

The export is recognised, read and drawn picture by picture; the masks become visible in the output folder only once all
of them are whole. Photographs stay where they are.
"""

import difflib
import json
import os
import shlex
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from seglib.data.formats.coco import ROBOFLOW, coco_files, read_coco
from seglib.data.formats.labelme import labelme_files, read_labelme
from seglib.data.formats.roboflow import TABLE, read_roboflow, roboflow_folders
from seglib.data.formats.source import (
    BACKGROUND,
    IGNORED,
    AnnotatedPicture,
    Size,
    Source,
    is_picture,
    read_json,
    same_stem,
    stored_and_upright,
    turned_upright,
)
from seglib.data.formats.voc import read_voc, voc_roots
from seglib.data.formats.yolo import read_yolo, yolo_files
from seglib.errors import MaskError, PairError, SplitError, name_of

FORMATS = ("coco", "labelme", "voc", "cvat", "roboflow", "yolo")
EXISTING = ("refuse", "overwrite")
HOLES = ("fill", "cut")
SIDES = ("train", "validation", "test")
_IGNORE = 255


@dataclass
class ConversionReport:
    """What a conversion wrote, met and left out; as text, the report that the command prints.

    Attributes:
        kind: the format, in words.
        image_folder: the photographs, for `train`.
        mask_folder: the masks, for `train`.
        classes: the names of the labels, the background's first; None for binary masks.
        pixels: of each class, and of "ignore".
        pictures: how many pictures hold each class; "" counts all pictures.
        met: what was used and should be known: words -> [count, where it came first].
        left_out: what stands in no mask, in the same form.
        sides: how many pictures stand on each side of the split; empty without one.
        others: how many pictures without a mask lie in the image folder; then `command` counts on `gather_images`.
        hints: sentences for the report.
        command: the next command line, in words.
    """

    kind: str
    image_folder: Path
    mask_folder: Path
    classes: list[str] | None
    pixels: Counter[str] = field(default_factory=Counter)
    pictures: Counter[str] = field(default_factory=Counter)
    met: dict[str, list[Any]] = field(default_factory=dict)
    left_out: dict[str, list[Any]] = field(default_factory=dict)
    sides: dict[str, int] = field(default_factory=dict)
    others: int = 0
    hints: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        total = sum(self.pixels.values()) or 1
        lines = [f"{self.kind}: {self.pictures['']} pictures, masks in {self.mask_folder.as_posix()}"]
        for name, count in self.pixels.items():
            lines.append(f"  {name}: {count} pixels ({count / total:.1%}), in {self.pictures[name]} pictures")
        if self.sides:
            lines.append("Split: " + ", ".join(f"{side} {count}" for side, count in self.sides.items()))
        for title, found in (("Met", self.met), ("Left out", self.left_out)):
            if found:
                lines.append(f"{title}:")
                lines += [f"  {what}: {count} (the first: {where})" for what, (count, where) in found.items()]
        lines += self.hints
        lines.append(f"The photographs are in {self.image_folder.as_posix()}. To train:")
        if self.others:
            lines[-1] = (
                f"The photographs are in {self.image_folder.as_posix()}, among {self.others} other pictures, which "
                "`train` would take for photographs without a mask.\n"
                'Convert again with gather_images=True existing="overwrite", which puts those with a mask into a '
                "folder of their own. Then:"
            )
        lines.append(shlex.join(self.command))
        return "\n".join(lines)


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str | None = None,
    images: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    binary: bool = False,
    holes: str = "fill",
    existing: str = "refuse",
    gather_images: bool = False,
) -> ConversionReport:
    """Write a mask for each photograph of another tool's export.

    Into `out` go `masks` (8-bit PNG, the photographs' names), `classes.txt` (one name a line; not for binary masks)
    and, where the export is split, `split.json`. Photographs are read for their size only.

    Args:
        source: the folder of the export, or its annotation file.
        out: a folder, made if it is not there. It must not lie among the photographs.
        format: one of `FORMATS`; None recognises it by the files.
        images: the folder of the photographs, where the export does not hold them.
        classes: the names to write, in the order of their labels, the background's first; a class of the export that is
            not named becomes background. `"vehicle=car,truck"` makes one class of several.
        ignore: classes of the export whose pixels become 255, which no loss counts.
        binary: write 0 for the background and 255 for all objects.
        holes: for COCO: what becomes of a polygon inside another one of its object, "fill" or "cut".
        existing: what to do where a file is already: "refuse" to begin, or "overwrite" it.
        gather_images: put each photograph into `out/images` too, by a second name for the same file (hard link) or,
            where the disk knows none, as a copy. For exports whose photographs lie among others or among their masks.

    Returns:
        The report: classes and their pixels, what was met, what was left out, the next command.

    Raises:
        PairError: the format is not recognised, or is none; files are missing, or would be overwritten.
        MaskError: an annotation or a mask that cannot be right. Nothing is written then.
        SplitError: a picture stands on two sides.
        SegError: a library is not installed: `pip install "seglib[formats]"`.
    """
    source_path, out_path = Path(source), Path(out)
    image_path = None if images is None else Path(images)
    _require_one_of(existing=(existing, EXISTING), holes=(holes, HOLES))
    _require_there(source_path, image_path)
    name = recognise_format(source_path) if format is None else format.lower()
    try:
        read = _read(name, source_path, image_path, list(classes) if classes is not None else None, holes)
        choice = _Choice(read.classes, classes, ignore, binary)
        return _write(read, choice, out_path, existing == "overwrite", gather_images)
    finally:
        read_json.cache_clear()


# Recognising and reading


def recognise_format(source: str | os.PathLike[str]) -> str:
    """The name of an export's format, told by its files.

    Raises:
        PairError: none fits, or more than one.
    """
    path = Path(source)
    found = [name for name, (fits, _) in _SIGNS.items() if fits(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise PairError(
            f'"{name_of(path)}" fits several formats: {", ".join(found)}.',
            "files of one tool",
            f'Say which: format="{found[0]}".',
        )
    signs = "; ".join(f"{name}: {sign}" for name, (_, sign) in _SIGNS.items())
    raise PairError(
        f'"{name_of(path)}" is not recognised as an export.',
        signs,
        'Correct the path (unpack a zip first), or say which it is: format="coco".',
    )


_SIGNS: dict[str, tuple[Callable[[Path], bool], str]] = {
    "coco": (
        lambda path: bool(coco_files(path)),
        f"a JSON file with images and annotations, also in annotations/, or {ROBOFLOW} in train/, valid/, test/",
    ),
    "labelme": (
        lambda path: not coco_files(path) and bool(labelme_files(path)),
        "JSON files with shapes, one for each photograph",
    ),
    "voc": (
        lambda path: bool(voc_roots(path)) and not _has_label_map(path),
        "SegmentationClass with PNG masks, JPEGImages",
    ),
    "cvat": (lambda path: bool(voc_roots(path)) and _has_label_map(path), "the same with labelmap.txt"),
    "roboflow": (lambda path: bool(roboflow_folders(path)), f'{TABLE} with "Pixel Value" beside x_mask.png'),
    "yolo": (lambda path: bool(yolo_files(path)), "data.yaml with names, labels/ beside images/"),
}


def _has_label_map(path: Path) -> bool:
    return any((root / "labelmap.txt").is_file() for root in voc_roots(path))


def _read(name: str, source: Path, images: Path | None, classes: list[str] | None, holes: str) -> Source:
    """Read an export of a named format."""
    if name == "roboflow" and not roboflow_folders(source):
        name = "yolo" if yolo_files(source) else "coco"  # Roboflow exports all three
    if name == "coco":
        return read_coco(source, images=images, holes=holes)
    if name == "labelme":
        return read_labelme(source, images=images)
    if name in ("voc", "cvat"):
        return read_voc(source, images=images, classes=classes)
    if name == "roboflow":
        return read_roboflow(source)
    if name == "yolo":
        return read_yolo(source, images=images)
    raise PairError(f'format="{name}"', f"one of {', '.join(FORMATS)}", "Correct the word, or leave it out.")


def _require_one_of(**choices: tuple[str, Sequence[str]]) -> None:
    for argument, (value, allowed) in choices.items():
        if value not in allowed:
            raise PairError(f'{argument}="{value}"', f"one of {', '.join(allowed)}", "Correct the word.")


def _require_there(source: Path, images: Path | None) -> None:
    if not source.exists():
        raise PairError(
            f'There is no "{name_of(source)}".', "the folder of an export, or its annotation file", "Correct the path."
        )
    if images is not None and not images.is_dir():
        raise PairError(
            f'There is no folder "{name_of(images)}".', "the folder of the photographs", "Correct images=FOLDER."
        )


# Choosing classes


class _Choice:
    """Which classes of the source get which label.

    Attributes:
        names: of the labels, the background's first; None for binary masks.
        table: uint8 (65536,): the value in the mask of each number in a label map of the source.
        unasked: number in the source -> name, of the classes that were not asked for.
        dropped: the pixels of each of them, so far.
    """

    def __init__(self, known: list[str], classes: Sequence[str] | None, ignore: Sequence[str], binary: bool):
        if isinstance(classes, str) or isinstance(ignore, str):
            raise MaskError(
                f'classes="{classes}"' if isinstance(classes, str) else f'ignore="{ignore}"',
                "a list of names",
                'Put the names between brackets: classes=["background", "cat"].',
            )
        ignored = {_number_of(name, known) for name in ignore}
        chosen = [(name, [number]) for number, name in enumerate(known) if number == 0 or number not in ignored]
        if classes is not None:
            chosen = _asked_for(list(classes), known)
        self.names = None if binary else [name for name, _ in chosen]
        self.object_names = [name for name, _ in chosen[1:]]
        if len(chosen) > _IGNORE:
            raise MaskError(
                f"The export has {len(chosen)} classes.", f"at most {_IGNORE}", 'Choose: classes=["background", "cat"].'
            )
        self.table = np.zeros(IGNORED + 1, np.uint8)
        for label, (_, numbers) in enumerate(chosen):
            self.table[numbers] = 255 if binary and label else label
        asked = {number for _, numbers in chosen for number in numbers}
        self.unasked = {n: name for n, name in enumerate(known) if n and n not in asked | ignored}
        self.dropped: Counter[str] = Counter()
        self.dropped_first = ""
        self.ignored = np.array(sorted(ignored | {IGNORED}))
        self.table[self.ignored] = _IGNORE
        self.binary = binary


def _asked_for(classes: list[str], known: list[str]) -> list[tuple[str, list[int]]]:
    """The classes that were asked for: name, and numbers in the source."""
    chosen: list[tuple[str, list[int]]] = []
    for name in classes:
        title, joined, parts = (name, "", "") if name in known else name.partition("=")
        numbers = [_number_of(part.strip(), known) for part in parts.split(",")] if joined else []
        if not joined and chosen:
            numbers = [_number_of(name, known)]
        chosen.append((title, numbers))
    names = [name for name, _ in chosen]
    every = [number for _, numbers in chosen for number in numbers]
    first = names[0] if names else ""
    if len(names) < 2 or len(set(names)) < len(names) or len(set(every)) < len(every):
        raise MaskError(
            f"classes={classes}", "at least two different names, the background's first", f"Known: {_shown(known)}."
        )
    if first in known[1:]:
        raise MaskError(
            f'classes={classes} begins with "{first}", which is an object of the export.',
            "the background's name first: its label is 0",
            f"Put it in front: classes={[known[0], *classes]}.",
        )
    return chosen


def _number_of(name: str, known: list[str]) -> int:
    if name in known:
        return known.index(name)
    close = difflib.get_close_matches(name, known, 1)
    raise MaskError(
        f'The export has no class "{name}".',
        f"one of {_shown(known)}",
        f'Did you mean "{close[0]}"?' if close else "Correct it.",
    )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


# Writing


def _write(source: Source, choice: _Choice, out: Path, overwrite: bool, gather: bool) -> ConversionReport:
    """Draw all masks under temporary names, then rename them."""
    image_folder = _folder_of([picture.image for picture in source.pictures])
    names = _mask_names(source.pictures, image_folder)
    _require_apart(out, image_folder, names.values(), gather)
    report = ConversionReport(source.kind, out / "images" if gather else image_folder, out / "masks", choice.names)
    report.pixels = Counter(dict.fromkeys(choice.names or (BACKGROUND, "object"), 0))
    texts = _texts(source.pictures, names, choice, report)
    with _staged(out, overwrite) as stage:
        gathered = [f"images/{name}{image.suffix}" for image, name in names.items()] if gather else []
        stage.require_free([f"masks/{name}.png" for name in names.values()] + gathered + list(texts))
        for picture in tqdm(source.pictures, unit="picture", disable=None):
            name = names[picture.image]
            mask = _mask_of(picture, choice, source)
            _count(mask, choice, report)
            Image.fromarray(mask).save(stage.path(f"masks/{name}.png"))
            if gather:
                _second_name(picture.image, stage.path(f"images/{name}{picture.image.suffix}"))
        _require_objects(report, source)
        for name, text in texts.items():
            stage.path(name).write_text(text, encoding="utf-8")
    report.met, report.left_out = source.notes.met, source.notes.left_out
    _finish(report, choice, names)
    return report


def _folder_of(images: list[Path]) -> Path:
    """The deepest folder that holds all photographs."""
    if not images:
        raise PairError("The export names no picture.", "at least one", "Export it again, with its pictures.")
    parents = [image.parent for image in images]
    if len({parent.is_absolute() for parent in parents}) > 1:
        parents = [parent.absolute() for parent in parents]
    try:
        return Path(os.path.commonpath([parent.as_posix() for parent in parents]) or ".")
    except ValueError as error:  # on two drives of Windows
        raise PairError("The photographs lie on several drives.", "one folder", "Move them together.") from error


def _mask_names(pictures: list[AnnotatedPicture], folder: Path) -> dict[Path, str]:
    """The mask of each photograph: its path below the image folder, without ending."""
    names: dict[Path, str] = {}
    taken: dict[str, AnnotatedPicture] = {}
    for picture in pictures:
        image = picture.image.absolute() if folder.is_absolute() else picture.image
        name = image.relative_to(folder).with_suffix("").as_posix()
        other = taken.setdefault(name.casefold(), picture)  # Windows and macOS do not tell a.png from A.png
        if other is not picture and other.image == picture.image:
            raise PairError(
                f'"{name_of(picture.image)}" is annotated twice: in {other.where} and in {picture.where}.',
                "one annotation for each photograph",
                "Delete or move one of the two.",
            )
        if other is not picture:
            raise same_stem(other.image, picture.image)
        names[picture.image] = name
    return names


def _require_apart(out: Path, image_folder: Path, names: Any, gather: bool) -> None:
    """The masks do not come to lie among the photographs."""
    masks, photographs = (out / "masks").resolve(), image_folder.resolve()
    deep = any("/" in name for name in names)
    if gather and (out / "images").resolve() == photographs:
        raise PairError(
            f'"{name_of(image_folder)}" holds the photographs already.',
            "another output folder, in which they are to be gathered",
            "Leave out gather_images=True, or name another folder.",
        )
    if not gather and (masks == photographs or (deep and masks.is_relative_to(photographs))):
        raise PairError(
            f'"{name_of(out)}" lies inside "{name_of(image_folder)}", the folder of the photographs: its masks would '
            "be taken for photographs.",
            "an output folder outside of it",
            "Name another, or gather_images=True, which puts the photographs beside the masks.",
        )


def _texts(
    pictures: list[AnnotatedPicture], names: dict[Path, str], choice: _Choice, report: ConversionReport
) -> dict[str, str]:
    """The text files that go beside the masks; fills in the report's split."""
    texts = {}
    if choice.names is not None:
        texts["classes.txt"] = "\n".join(choice.names) + "\n"
    sides = {side: [names[picture.image] for picture in pictures if picture.side == side] for side in SIDES}
    sides = {side: stems for side, stems in sides.items() if stems}
    if "train" in sides and len(sides) > 1:
        aside = [picture for picture in pictures if picture.side is None]
        if aside:
            raise SplitError(
                f'{len(aside)} pictures stand on no side of the split; the first is "{name_of(aside[0].image)}".',
                "all pictures in train, val or test, or none",
                "Move them into one of these folders or lists.",
            )
        texts["split.json"] = json.dumps(sides, indent=1, ensure_ascii=False) + "\n"
        report.sides = {side: len(stems) for side, stems in sides.items()}
    return texts


def _mask_of(picture: AnnotatedPicture, choice: _Choice, source: Source) -> np.ndarray:
    """The mask of one picture, uint8 (H, W), upright."""
    stored, upright = stored_and_upright(picture.image)
    _require_size(picture, picture.size or upright, stored, upright)
    labels = picture.draw(picture.size or upright)
    _require_size(picture, labels.shape, stored, upright)  # a mask file has a size of its own
    if labels.shape != upright:
        labels = turned_upright(labels, picture.image)
        source.notes.add_met(
            "annotations of the pixels as stored, turned as the EXIF data turn the photograph", picture.where
        )
    mask = choice.table[labels]
    if choice.binary and np.isin(labels, choice.ignored).any():
        raise MaskError(
            f"{picture.where} has pixels to be ignored, and a binary mask has no value for them: 255 is the object.",
            "masks with classes, where 255 is ignore",
            f"Leave out binary=True; train with classes={[BACKGROUND, *choice.object_names][:6]}.",
        )
    _count_unasked(labels, choice, picture.where)
    return mask


def _count_unasked(labels: np.ndarray, choice: _Choice, where: str) -> None:
    """Add the pixels of classes that were not asked for to the choice's account."""
    if not choice.unasked:
        return
    counts = np.bincount(labels.ravel())
    for number in np.flatnonzero(counts).tolist():
        if number in choice.unasked:
            choice.dropped[choice.unasked[number]] += int(counts[number])
            choice.dropped_first = choice.dropped_first or where


def _require_size(picture: AnnotatedPicture, size: tuple[int, ...], stored: Size, upright: Size) -> None:
    if size not in (stored, upright):
        raise MaskError(
            f"{picture.where} is {size[1]} wide, {size[0]} high; its photograph {name_of(picture.image)} is "
            f"{upright[1]} wide, {upright[0]} high.",
            "one size",
            "Export photographs and annotations together: one of the two was resized or turned afterwards.",
        )


def _count(mask: np.ndarray, choice: _Choice, report: ConversionReport) -> None:
    """Add the pixels of a mask to the report."""
    values = np.bincount(mask.ravel(), minlength=256)
    titles = dict(enumerate(choice.names or [BACKGROUND]))
    titles[255] = "object" if choice.binary else "ignore"
    report.pictures[""] += 1
    for value in np.flatnonzero(values).tolist():
        report.pixels[titles[value]] += int(values[value])
        report.pictures[titles[value]] += 1


def _require_objects(report: ConversionReport, source: Source) -> None:
    """At least one pixel is no background."""
    if sum(count for name, count in list(report.pixels.items())[1:] if name != "ignore"):
        return
    most = max(source.notes.left_out.items(), key=lambda item: item[1][0], default=None)
    left_out = f"; left out: {most[1][0]} {most[0]}" if most else ""
    raise MaskError(
        f"All {report.pictures['']} pictures are background{left_out}.",
        "shapes with an area: polygons, masks or run lengths",
        "Export segmentation, not detection; or name the classes that the pictures hold.",
    )


def _second_name(image: Path, path: Path) -> None:
    """A second name for a photograph; a copy where the disk knows no hard links."""
    try:
        os.link(image, path)
    except OSError:
        shutil.copyfile(image, path)


class _Stage:
    """A folder inside `out` in which files are made whole before they get their names."""

    def __init__(self, out: Path, folder: Path, overwrite: bool):
        self.out = out
        self.folder = folder
        self.overwrite = overwrite

    def path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def require_free(self, names: list[str]) -> None:
        """None of these is there already, unless they may be overwritten."""
        there = [name for name in names if (self.out / name).exists()]
        if there and not self.overwrite:
            raise PairError(
                f'{len(there)} files are in "{name_of(self.out)}" already; the first is {there[0]}.',
                "an output folder without them",
                'Name another, or say existing="overwrite".',
            )

    def publish(self) -> None:
        """Give all files their names. The text files come last: where classes.txt is, the masks are whole."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: (path.parent == self.folder, path)):
            final = self.out / path.relative_to(self.folder)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, final)


@contextmanager
def _staged(out: Path, overwrite: bool) -> Iterator[_Stage]:
    """Files that are all published, or after an error none; folders that were made for them go too."""
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".convert-", suffix=".part", dir=out))
    except OSError as error:
        raise PairError(
            f'"{name_of(out)}" cannot be written to: {error.strerror}.',
            "a folder that can be written to",
            "Name another.",
        ) from error
    try:
        stage = _Stage(out, folder, overwrite)
        yield stage
        stage.publish()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for made in new:
            if made.is_dir() and not any(made.iterdir()):
                made.rmdir()


# The end of the report


def _finish(report: ConversionReport, choice: _Choice, names: dict[Path, str]) -> None:
    """What was not asked for, the next command, and what stands in its way."""
    if choice.dropped:
        what = f"pixels of classes that were not asked for, now background ({_shown(list(choice.dropped))})"
        report.left_out[what] = [sum(choice.dropped.values()), choice.dropped_first]
    deep = any("/" in name for name in names.values())
    _count_others(report, names, deep)
    report.command = _next_command(report, deep)
    absent = [name for name in choice.object_names if choice.names and not report.pixels[name]]
    if absent:
        kept = [name for name in choice.names or [] if name not in absent]
        report.hints.append(
            f"No pixel is of class {_shown(absent)}; a class without pixels cannot be learned. To leave it out, "
            f'convert again with existing="overwrite" classes={json.dumps(kept, ensure_ascii=False)}'
        )
    if report.sides and "validation" not in report.sides:
        report.hints.append(
            "The export names no validation pictures: train draws its share from the training pictures."
        )
    if choice.names and len(choice.names) == 2:
        report.hints.append(f'One kind of object: binary=True would write "{choice.names[1]}" as 255, as in the notes.')


def _next_command(report: ConversionReport, deep: bool) -> list[str]:
    """The command that trains on what was written."""
    image_folder = report.mask_folder.parent / "images" if report.others else report.image_folder
    command = ["python", "-m", "seglib", "train", str(image_folder), str(report.mask_folder)]
    if deep:
        command += ["--recursive"]
    elif any(is_picture(path) for path in image_folder.glob("*/**/*")):
        command += ["--no-recursive"]  # `train` asks what to do with sub folders that hold pictures
    if report.sides:
        command += ["--split", str(report.mask_folder.parent / "split.json")]
    if report.classes:
        command += ["--classes", *report.classes]
    return [*command, "--out", "run.pt"]


def _count_others(report: ConversionReport, names: dict[Path, str], deep: bool) -> None:
    """Pictures of the image folder, and masks of the mask folder, that have no partner."""
    expected = set(names.values())
    for folder, what in ((report.image_folder, "pictures"), (report.mask_folder, "masks")):
        found = [path for path in sorted(folder.rglob("*") if deep else folder.iterdir()) if is_picture(path)]
        alone = [path for path in found if path.relative_to(folder).with_suffix("").as_posix() not in expected]
        if alone:
            report.left_out[f"other {what} in the folder of the {what}"] = [len(alone), name_of(alone[0])]
            report.others += len(alone) if what == "pictures" else 0
