"""Owns the reading of COCO's JSON, as COCO, CVAT, Roboflow, Label Studio and others write it.

Explained in 13_your_own_data.

An object is one or more polygons, which are joined: COCO knows no holes in polygons. Holes stand in run lengths
(RLE), or in one outline that walks to the hole, around it and back; both are kept. Some tools write a hole as a further
polygon inside the first: `holes="cut"` takes such parts out. Regions with `iscrowd` hold many objects whose outlines
nobody drew: they are ignored in training, and are drawn first, so that an object on top of one keeps its pixels.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seglib.data.formats.rasters import Region, lies_outside, polygons_region, run_length_region
from seglib.data.formats.source import (
    BACKGROUND,
    IGNORED,
    AnnotatedPicture,
    Notes,
    Size,
    Source,
    as_posix,
    background_first,
    has_keys,
    is_absolute,
    is_background,
    normal,
    numbers_of,
    objects_of,
    read_json,
    side_of,
    string_of,
)
from seglib.errors import MaskError, PairError, name_of

ROBOFLOW = "_annotations.coco.json"


def coco_files(source: Path) -> list[Path]:
    """The annotation files of a COCO export: in the folder, in `annotations`, or in folders named after a side.

    Of a download of COCO itself these are its `instances_*.json`: captions and key points have no areas.
    """
    if source.is_file():
        return [source] if source.suffix.lower() == ".json" and has_keys(source, "images", "annotations") else []
    folders = [source, source / "annotations"]
    folders += [folder for folder in sorted(source.iterdir()) if folder.is_dir() and side_of(folder.name)]
    found = [path for folder in folders for path in sorted(folder.glob("*.json")) if not path.name.startswith(".")]
    found = [path for path in found if not path.name.startswith(("captions_", "person_keypoints_"))]
    return [path for path in found if has_keys(path, "images", "annotations")]


def read_coco(source: Path, *, images: Path | None = None, holes: str = "fill") -> Source:
    """Read COCO annotations.

    Args:
        source: a JSON file, or a folder that holds one, or one for each side of a split.
        images: the folder of the photographs, if it is not found by itself.
        holes: "fill" joins all parts of an object; "cut" takes parts inside another one out of it.

    Raises:
        PairError: no annotation file, several that are no split, or photographs that are not there.
        MaskError: an annotation that cannot be right, with its file and number.
    """
    files = coco_files(source) or ([source] if source.is_file() else [])
    sides = {path: side_of(path.stem) or side_of(path.parent.name) for path in files}
    if not files:
        raise PairError(
            f'"{name_of(source)}" is, or holds, no COCO annotations.',
            'a JSON file with "images" and "annotations", in the folder or in its sub folder "annotations"',
            "Name the file itself as the source.",
        )
    if len(files) > 1 and (None in sides.values() or len(set(sides.values())) < len(files)):
        raise PairError(
            f"There are {len(files)} annotation files: {', '.join(name_of(path) for path in files[:6])}.",
            "one, or one for each side of a split, with train, val or test in their names",
            "Name the file that you want as the source, or move the others away.",
        )
    notes = Notes()
    names: dict[int, str] = {}
    pictures: list[AnnotatedPicture] = []
    files_read = [_CocoFile(path, notes, holes == "cut") for path in files]
    for file in files_read:
        for number, name in file.categories.items():
            if names.setdefault(number, name) != name:
                raise MaskError(
                    f'Category {number} is "{names[number]}" in one file and "{name}" in {file.name}.',
                    "the same categories on each side of the split",
                    "Export all sides from one version of the project.",
                )
    classes = background_first(names[number] for number in sorted(names))
    for file in files_read:
        pictures += file.pictures(classes, images, sides[file.path])
    return Source("COCO", classes, pictures, notes)


@dataclass(frozen=True)
class _Shape:
    """One annotation of one picture, checked: polygons, or run lengths."""

    where: str
    label: int
    crowd: bool
    polygons: list[np.ndarray]  # each (N, 2)
    run_lengths: dict[str, Any] | None

    def region(self, size: Size, cut_holes: bool) -> tuple[Region, int]:
        if self.run_lengths is not None:
            return run_length_region(self.run_lengths, size, self.where), 0
        return polygons_region(self.polygons, size, cut_holes)


class _CocoFile:
    """One annotation file."""

    def __init__(self, path: Path, notes: Notes, cut_holes: bool):
        self.path = path
        self.name = f'"{name_of(path)}"'
        self.notes = notes
        self.cut_holes = cut_holes
        self.contents = read_json(path)
        self.categories = self._categories()

    def _categories(self) -> dict[int, str]:
        """Name of each category by its id, without Roboflow's first one, which only names the project."""
        found = objects_of(self.contents, "categories", self.name)
        used = {annotation.get("category_id") for annotation in objects_of(self.contents, "annotations", self.name)}
        parents = {category.get("supercategory") for category in found}
        names: dict[int, str] = {}
        for category in found:
            number = _id_of(category, "id", f"{self.name}, categories")
            name = string_of(category, "name", f"{self.name}, category {number}")
            if number in names:
                raise MaskError(f"{self.name} has two categories {number}.", "one of each id", "Export it again.")
            if number == 0 and number not in used and category.get("supercategory") == "none" and name in parents:
                self.notes.add_left_out("categories that only name the Roboflow project", f'"{name}" in {self.name}')
                continue
            names[number] = name
        return names

    def pictures(self, classes: list[str], images: Path | None, side: str | None) -> list[AnnotatedPicture]:
        entries = objects_of(self.contents, "images", self.name)
        by_id: dict[int, dict[str, Any]] = {}
        for entry in entries:
            number = _id_of(entry, "id", f"{self.name}, images")
            string_of(entry, "file_name", f"{self.name}, image {number}")
            if number in by_id:
                raise MaskError(f"{self.name} has two images {number}.", "one of each id", "Export it again.")
            by_id[number] = entry
        shapes = self._shapes_by_image(by_id, classes)
        folder = self._image_folder([entry["file_name"] for entry in entries], images)
        pictures = []
        for number, entry in by_id.items():
            drawing = _Drawing(shapes[number], self.notes, self.cut_holes)
            pictures.append(
                AnnotatedPicture(
                    image=_in_folder(folder, entry["file_name"]),
                    draw=drawing.draw,
                    where=f"{self.name}, image {number}",
                    size=self._size_of(entry, number),
                    side=side,
                )
            )
            if not shapes[number]:
                self.notes.add_met(
                    "pictures without an annotation that has an area, taken as background", entry["file_name"]
                )
        return pictures

    def _size_of(self, entry: dict[str, Any], number: int) -> Size | None:
        size = entry.get("height"), entry.get("width")
        if size == (None, None):
            return None
        if not all(type(side) is int and side > 0 for side in size):
            raise MaskError(
                f"{self.name}, image {number}: height {size[0]}, width {size[1]}.",
                "its size in pixels",
                "Export it again.",
            )
        return size  # type: ignore[return-value]

    def _image_folder(self, file_names: list[str], images: Path | None) -> Path:
        """The folder in which all photographs are found by the names of the file."""
        beside = self.path.parent
        above = beside.parent
        side = re.sub(r"^instances_", "", self.path.stem)
        folders = [beside, beside / "images", above, above / "images"]
        folders += [above / side, above / "images" / side, beside / side, beside / "images" / side]
        folders = [images] if images else folders
        missing = ""
        for folder in folders:
            first = next((name for name in file_names if not _in_folder(folder, name).is_file()), None)
            if first is None:
                return folder
            if not missing or first != file_names[0]:  # the message names the first that fails in the likeliest folder
                missing = first
        raise PairError(
            f'{self.name}: the photograph "{as_posix(missing)}" is not there.',
            f"all {len(file_names)} photographs in one folder, by the names that the file gives them",
            f'Correct images=FOLDER, which is "{name_of(images)}".'
            if images
            else "Name their folder by images=FOLDER.",
        )

    def _shapes_by_image(self, by_id: dict[int, dict[str, Any]], classes: list[str]) -> dict[int, list[_Shape]]:
        label_of = {
            number: 0 if is_background(name) else classes.index(name) for number, name in self.categories.items()
        }
        shapes: dict[int, list[_Shape]] = defaultdict(list)
        for index, annotation in enumerate(objects_of(self.contents, "annotations", self.name)):
            where = f"{self.name}, annotation {annotation.get('id', f'at place {index}')}"
            image = _id_of(annotation, "image_id", where)
            category = _id_of(annotation, "category_id", where)
            if image not in by_id:
                raise MaskError(
                    f"{where} is for image {image}, which is not in the file.", "its image", "Export it again."
                )
            if category not in label_of:
                raise MaskError(
                    f"{where} is of category {category}, which has no name.",
                    f"one of {', '.join(map(str, list(label_of)[:12]))}",
                    'Add it to "categories", or export it again.',
                )
            shape = self._shape(annotation, label_of[category], where)
            if shape is not None:
                shapes[image].append(shape)
        return shapes

    def _shape(self, annotation: dict[str, Any], label: int, where: str) -> _Shape | None:
        """One annotation, checked; None if it has no area."""
        segmentation = annotation.get("segmentation")
        crowd = annotation.get("iscrowd") in (1, True)
        if not segmentation:
            what = "key points" if annotation.get("keypoints") else "a box" if annotation.get("bbox") else "a name"
            self.notes.add_left_out(f"annotations that are only {what}, without an area", where)
            return None
        if isinstance(segmentation, dict):
            return _Shape(where, label, crowd, [], segmentation)
        if not isinstance(segmentation, list) or not all(isinstance(part, list) for part in segmentation):
            raise MaskError(
                f'{where}: its "segmentation" is neither a list of polygons nor run lengths.',
                "[[x1, y1, x2, y2, x3, y3, ...], ...] or {size, counts}",
                "Export it again.",
            )
        polygons = []
        for part in segmentation:
            numbers = numbers_of(part, where)
            if len(numbers) % 2:
                raise MaskError(
                    f"{where}: a polygon of {len(numbers)} numbers.",
                    "x and y of each corner: an even number",
                    "Export it again.",
                )
            if len(numbers) < 6:
                self.notes.add_left_out("polygons of fewer than three corners", where)
            else:
                polygons.append(numbers.reshape(-1, 2))
        return _Shape(where, label, crowd, polygons, None) if polygons else None


class _Drawing:
    """The annotations of one picture, to be drawn once its size is known."""

    def __init__(self, shapes: Sequence[_Shape], notes: Notes, cut_holes: bool):
        self.shapes = shapes
        self.notes = notes
        self.cut_holes = cut_holes

    def draw(self, size: Size) -> np.ndarray:
        labels = np.zeros(size, np.uint16)
        for shape in sorted(self.shapes, key=lambda shape: not shape.crowd):  # stable: the rest in the file's order
            region, enclosed = shape.region(size, self.cut_holes)
            if enclosed:
                done = "cut out as holes" if self.cut_holes else 'filled, as COCO has it; holes="cut" takes them out'
                self.notes.add_met(f"parts inside another part of their object ({done})", shape.where, enclosed)
            if any(lies_outside(polygon, size) for polygon in shape.polygons):
                self.notes.add_met("shapes that reach outside their picture, cut off there", shape.where)
            if shape.crowd:
                self.notes.add_met("crowd regions, ignored (255)", shape.where)
            paint(labels, region, IGNORED if shape.crowd else shape.label, self.notes, shape.where)
        return labels


def paint(labels: np.ndarray, region: Region, label: int, notes: Notes, where: str) -> None:
    """Draw a shape over a label map, and note whether it covers nothing, or something else."""
    if not region.inside.any():
        notes.add_left_out("shapes that cover no pixel's centre", where)
        return
    covered = region.paint(labels, label)
    if label == 0:
        notes.add_met(f'shapes of class "{BACKGROUND}", which clear what lies under them', where)
    elif covered:
        notes.add_met("shapes drawn over one of another class: the later one is on top", where)


def _id_of(entry: dict[str, Any], key: str, where: str) -> int:
    number = entry.get(key)
    if type(number) is not int:
        raise MaskError(f'{where}: "{key}" is {number!r}.', f'a whole number under "{key}"', "Export it again.")
    return number


def _in_folder(folder: Path, file_name: str) -> Path:
    """Where a photograph lies; of a path on the annotator's own machine only the name counts."""
    name = as_posix(file_name)
    return normal(folder / (name.rsplit("/", 1)[-1] if is_absolute(name) else name))
