"""Owns the reading of masks in the layout of Pascal VOC, and of CVAT's "Segmentation mask 1.1", which is the same.

Explained in 13_your_own_data.

`SegmentationClass` holds a PNG for each photograph of `JPEGImages`, `ImageSets/Segmentation` lists of names. In VOC a
pixel's number in the palette is its label; 255, the border around objects, is ignored. CVAT stores colours, and says in
`labelmap.txt` which colour is which class.
"""

import re
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from seglib.data.formats.source import (
    IGNORED,
    AnnotatedPicture,
    Notes,
    Size,
    Source,
    background_first,
    is_background,
    pictures_in,
    read_label_picture,
    read_text,
    side_of,
)
from seglib.data.mask_tables import Colour, read_table
from seglib.errors import MaskError, PairError, SplitError, name_of

MASK_FOLDERS = ("SegmentationClass", "SegmentationClassPNG")  # the second is labelme2voc's
IMAGE_FOLDERS = ("JPEGImages", "images", "Images")
IGNORE_NAMES = ("ignore", "__ignore__")
BORDER = (224, 224, 192)  # the colour of VOC's 255
VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def voc_roots(source: Path) -> list[Path]:
    """The folders in the layout of VOC: the folder itself, or those one or two levels below, as VOCdevkit/VOC2012."""
    if not source.is_dir():
        return []
    for pattern in ("", "*", "*/*"):
        folders = sorted(source.glob(pattern)) if pattern else [source]
        found = [folder for folder in folders if _mask_folder(folder) is not None]
        if found:
            return found
    return []


def _mask_folder(root: Path) -> Path | None:
    return next((root / name for name in MASK_FOLDERS if any((root / name).glob("*.png"))), None) or next(
        (root / name for name in MASK_FOLDERS if any((root / name).rglob("*.png"))), None
    )


def read_voc(source: Path, *, images: Path | None = None, classes: list[str] | None = None) -> Source:
    """Read masks in the layout of VOC or of CVAT.

    Args:
        source: the folder that holds SegmentationClass, or one above it.
        images: the folder of the photographs, if the export has none: CVAT leaves them out unless asked.
        classes: names of the labels 0, 1, ..., where no file of the export states them.

    Raises:
        PairError: no or several such folders; a listed mask, or the photograph of a mask, is not there.
        SplitError: a name is on two lists.
        MaskError: a mask that is no label picture; colours or numbers without a name.
    """
    roots = voc_roots(source)
    if len(roots) != 1:
        raise PairError(
            f'"{name_of(source)}" holds {len(roots)} folders in the layout of VOC.',
            "one folder with SegmentationClass, a PNG for each picture in it",
            "Name the one that you want as the source." if roots else "Correct the path.",
        )
    root = roots[0]
    notes = Notes()
    names = _LabelNames(root, classes, notes)
    masks = _masks_by_name(root)
    photographs = _photographs_by_name(root, images)
    pictures = []
    for name, side in _names_and_sides(root, masks, notes).items():
        if name not in photographs:
            raise PairError(
                f'The photograph of "{name_of(masks[name])}" is not there.',
                f'a picture "{name}" in {"images" if images else "JPEGImages"}',
                "Correct images=FOLDER." if images else "Copy it there, or name the photographs by images=FOLDER.",
            )
        where = f'"{name_of(masks[name])}"'
        draw = partial(_draw, masks[name], names)
        pictures.append(AnnotatedPicture(photographs[name], draw, where, side=side))
    kind = "CVAT (layout of VOC, labelmap.txt)" if names.colours else "VOC"
    return Source(kind, names.classes, pictures, notes)


# Lists


def _masks_by_name(root: Path) -> dict[str, Path]:
    folder = _mask_folder(root)
    assert folder is not None, "voc_roots finds only folders that have one"
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.png"))}


def _photographs_by_name(root: Path, images: Path | None) -> dict[str, Path]:
    folder = images or next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), None)
    if folder is None or not folder.is_dir():
        raise PairError(
            f'"{name_of(folder)}" is no folder.' if folder else f'"{name_of(root)}" holds masks, but no photographs.',
            "the photographs in JPEGImages, or in a folder of their own",
            "Name their folder by images=FOLDER. CVAT exports them too if you ask it to save images.",
        )
    found: dict[str, Path] = {}
    for place in [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]:
        for stem, path in pictures_in(place).items():
            found[(path.relative_to(folder).parent / stem).as_posix()] = path
    return found


def _names_and_sides(root: Path, masks: dict[str, Path], notes: Notes) -> dict[str, str | None]:
    """The pictures that the lists name, with their sides; without lists all that have a mask."""
    lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
    if not lists:
        return dict.fromkeys(masks)
    sides = _sides_of_lists(lists)
    for name in [name for name in sides if name not in masks]:
        if sides[name] != "test":
            raise PairError(
                f'The lists of ImageSets/Segmentation name "{name}", which has no mask.',
                "a PNG in SegmentationClass for each name",
                "Export the masks again, or take the name off the list.",
            )
        notes.add_left_out("names on the list of test pictures that have no mask", name)
        del sides[name]
    for name in masks:
        if name not in sides:
            notes.add_left_out("masks that no list of ImageSets/Segmentation names", name_of(masks[name]))
    return sides


def _sides_of_lists(lists: list[Path]) -> dict[str, str | None]:
    """The names of all lists; the side is None for those of trainval (both) and of CVAT's default (no split) alone."""
    sides: dict[str, str | None] = {}
    for path in lists:
        side = side_of(path.stem)
        for name in _names_of_list(path):
            if side and sides.get(name) not in (None, side):
                raise SplitError(
                    f'"{name}" is on two lists of ImageSets/Segmentation, {sides[name]} and {side}.',
                    "each picture on one",
                    "Correct the lists: a picture that was trained on proves nothing.",
                )
            sides[name] = side or sides.get(name)
    return sides


def _names_of_list(path: Path) -> list[str]:
    """One name a line; CVAT puts names with blanks between quotes."""
    return [line.strip().strip('"') for line in read_text(path).splitlines() if line.strip()]


# Labels


class _LabelNames:
    """What the numbers or the colours of the masks mean."""

    def __init__(self, root: Path, classes: list[str] | None, notes: Notes):
        self.notes = notes
        self.colours: dict[Colour, int] = {}  # colour -> label; empty without labelmap.txt
        self.order: list[int] = []  # label of each line of labelmap.txt, or of each number
        label_map, name_list = root / "labelmap.txt", root / "class_names.txt"
        if label_map.is_file():
            self._read_label_map(label_map)
        else:
            self.classes = self._names_of_numbers(root, name_list, classes)
            self.order = list(range(len(self.classes)))

    def _read_label_map(self, path: Path) -> None:
        rows = [(row.name, row.key) for row in read_table(path).rows]
        wrong = [name or key for name, key in rows if not name or isinstance(key, int)]
        names = [name for name, _ in rows]
        if wrong or len(set(names)) < len(names):
            raise MaskError(
                f'"{name_of(path)}" gives no colour to a class, or two: {wrong[0] if wrong else "a name twice"}.',
                "a line name:r,g,b:: for each class",
                "Correct the line, or export it again.",
            )
        border = {name for name, key in rows if key == BORDER or name in IGNORE_NAMES}
        black = next((name for name, key in rows if key == (0, 0, 0)), None)
        background = next((name for name in names if is_background(name)), black)
        objects = [name for name in names if name != background and name not in border]
        self.classes = [background, *objects] if background else background_first(objects)
        for name, key in rows:
            label = IGNORED if name in border else self.classes.index(name)
            self.order.append(label)
            if isinstance(key, tuple):
                self.colours[key] = label
        self.colours.setdefault((0, 0, 0), 0)  # CVAT's background, if no class has its colour
        self.colours.setdefault(BORDER, IGNORED)

    def _names_of_numbers(self, root: Path, name_list: Path, classes: list[str] | None) -> list[str]:
        if name_list.is_file():
            names = [line.strip() for line in read_text(name_list).splitlines() if line.strip()]
            return [name for name in names if name not in IGNORE_NAMES]  # labelme2voc's -1
        if classes:
            return list(classes)
        if re.fullmatch(r"VOC\d{4}", root.name) or (root / "ImageSets" / "Main" / "aeroplane_train.txt").is_file():
            self.notes.add_met("folders without a list of names: those of Pascal VOC itself are taken", name_of(root))
            return list(VOC_CLASSES)
        raise MaskError(
            f'"{name_of(root)}" does not say what its labels are called: there is no labelmap.txt.',
            "labelmap.txt, with a line name:r,g,b:: for each class, or class_names.txt, or the names as an argument",
            'Name labels 0, 1, ... in their order: classes=["background", "cat"].',
        )

    def labels_of(self, mask: Image.Image, where: str) -> np.ndarray:
        """The label map (H, W) of a mask."""
        if mask.mode == "1":
            mask = mask.convert("L") if self.colours else Image.fromarray(np.asarray(mask).astype(np.uint8))
        pixels = np.asarray(mask)
        if mask.mode == "RGB":
            return self._of_colours(pixels, where)
        numbers, inverse = np.unique(pixels, return_inverse=True)
        if self.colours and mask.mode == "P":
            palette = np.array(mask.getpalette("RGB"), np.uint8).reshape(-1, 3)
            if numbers.max() < len(palette):
                labels = self._of_colours(palette[numbers][None], where)[0]
                return labels[inverse].reshape(pixels.shape)
        labels = self._of_numbers(numbers.tolist(), where)
        return labels[inverse].reshape(pixels.shape)

    def _of_colours(self, pixels: np.ndarray, where: str) -> np.ndarray:
        """Labels of RGB pixels (H, W, 3)."""
        codes = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)  # (H, W)
        found, inverse = np.unique(codes, return_inverse=True)
        known = self.colours or {colour: number for number, colour in enumerate(voc_palette())}
        labels = []
        for code in found.tolist():
            colour = (code >> 16, code >> 8 & 255, code & 255)
            if colour not in known:
                named = "labelmap.txt" if self.colours else "the palette of VOC, and there is no labelmap.txt"
                raise MaskError(
                    f"{where} holds the colour {','.join(map(str, colour))}, which is not in {named}.",
                    f"one of {len(known)} colours, unsmoothed",
                    f"Add a line name:{','.join(map(str, colour))}:: to labelmap.txt, or export the masks again.",
                )
            labels.append(known[colour])
        numbers = np.array(labels) if self.colours else self._of_numbers(labels, where)
        return numbers.astype(np.uint16)[inverse].reshape(codes.shape)

    def _of_numbers(self, numbers: list[int], where: str) -> np.ndarray:
        """Labels of numbers: places in the list of names, or greys that labelmap.txt names as colours."""
        greys = {number: self.colours.get((number, number, number)) for number in numbers}
        places = {number: self.order[number] if number < len(self.order) else None for number in numbers}
        places = {number: IGNORED if number == 255 else label for number, label in places.items()}
        if self.colours and None not in greys.values():
            if None not in places.values() and greys != places:
                raise MaskError(
                    f"{where} is grey: its numbers may be colours of labelmap.txt, or places in its list.",
                    "a mask in colours, or numbers that have one reading",
                    "Export the masks again, in colours.",
                )
            places = greys
        unnamed = [number for number, label in places.items() if label is None]
        if unnamed:
            raise MaskError(
                f"{where} holds the labels {', '.join(map(str, unnamed[:6]))}, which have no name.",
                f"0 to {len(self.order) - 1} ({', '.join(self.classes[:6])}, ...), and 255 for ignore",
                "Add the missing names to labelmap.txt, or export the masks again.",
            )
        return np.array([places[number] for number in numbers], np.uint16)


def voc_palette() -> list[Colour]:
    """The 256 colours of VOC's masks.

    Example:
        >>> voc_palette()[1], voc_palette()[255]
        ((128, 0, 0), (224, 224, 192))
    """
    return [_voc_colour(number) for number in range(256)]


def _voc_colour(number: int) -> Colour:
    """Bits 0, 3 and 6 of the number are the highest bits of red, 1, 4 and 7 of green, 2 and 5 of blue."""
    colour = [0, 0, 0]
    for bit in range(8):
        colour[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return colour[0], colour[1], colour[2]


def _draw(path: Path, names: _LabelNames, size: Size) -> np.ndarray:
    where = f'"{name_of(path)}"'
    labels = names.labels_of(read_label_picture(path), where)
    ignored = int((labels == IGNORED).any())
    if ignored:
        names.notes.add_met("masks with pixels of label 255 or of VOC's border colour, ignored", where)
    return labels
