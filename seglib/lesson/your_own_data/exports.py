"""Owns eight little folders of 13_your_own_data: the same photographs and masks, as eight tools leave them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from seglib.data.dataset import CustomDataset

FRUIT = ("background", "apple", "lemon", "banana")
STEMS = ("fruit_000", "fruit_002", "fruit_005")
SIZE = (240, 320)  # (height, width)
# Of each label, and of 255: black, red, yellow, blue, and the colour of VOC's border.
COLOURS = {0: (0, 0, 0), 1: (220, 30, 30), 2: (240, 220, 60), 3: (40, 80, 200), 255: (224, 224, 192)}

# stem -> image "RGB" and its class mask "L": 0 to 3, and 255 for the border
Pairs = Mapping[str, tuple[Image.Image, Image.Image]]


def small_class_pairs(samples: Path) -> dict[str, tuple[Image.Image, Image.Image]]:
    """Three of the samples with their class masks, 320 wide and 240 high, by stem."""
    dataset = CustomDataset(samples / "images", samples / "class_masks", classes=FRUIT).subset(STEMS)
    pairs = {}
    for number, stem in enumerate(STEMS):
        image, mask = dataset[number]
        size = SIZE[::-1]
        pairs[stem] = image.resize(size, Image.Resampling.BILINEAR), mask.resize(size, Image.Resampling.NEAREST)
    return pairs


def write_exports(samples: Path, root: Path) -> list[Path]:
    """Write the eight folders below `root`, each with the same three photographs; returns them in order."""
    pairs = small_class_pairs(samples)
    folders = []
    for name, write in WRITERS.items():
        folder = root / name
        write(pairs, folder)
        folders.append(folder)
    return folders


def binary(mask: Image.Image) -> Image.Image:
    """A class mask as 0 and 255; its border, 255 there, belongs to the fruit."""
    return mask.point(lambda value: 255 * (value > 0))


def coloured(mask: Image.Image) -> Image.Image:
    """A class mask in `COLOURS`, "RGB"."""
    return with_palette(mask).convert("RGB")


def with_palette(mask: Image.Image) -> Image.Image:
    """A class mask as a palette image: the numbers stay, and a table says in which colour each is shown."""
    table = np.zeros((256, 3), np.uint8)
    for label, colour in COLOURS.items():
        table[label] = colour
    picture = mask.copy()
    picture.putpalette(table.flatten().tolist())  # makes it mode "P"
    return picture


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jpg":
        image.save(path, quality=92)
    else:
        image.save(path)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_suffix(pairs: Pairs, folder: Path) -> None:
    """images/x.jpg and masks/x_mask.png, 0 and 255."""
    for stem, (image, mask) in pairs.items():
        _save(image, folder / "images" / f"{stem}.jpg")
        _save(binary(mask), folder / "masks" / f"{stem}_mask.png")


def write_together(pairs: Pairs, folder: Path) -> None:
    """x.jpg and x_mask.png in one folder, 0 and 255."""
    for stem, (image, mask) in pairs.items():
        _save(image, folder / f"{stem}.jpg")
        _save(binary(mask), folder / f"{stem}_mask.png")


def write_two_colours(pairs: Pairs, folder: Path) -> None:
    """images/x.jpg and masks/x.png, red on black."""
    for stem, (image, mask) in pairs.items():
        _save(image, folder / "images" / f"{stem}.jpg")
        _save(coloured(mask.point(lambda value: int(value > 0))), folder / "masks" / f"{stem}.png")


def _write_lists(pairs: Pairs, folder: Path) -> None:
    *train, last = pairs
    _write_text(folder / "ImageSets" / "Segmentation" / "train.txt", "".join(f"{stem}\n" for stem in train))
    _write_text(folder / "ImageSets" / "Segmentation" / "val.txt", f"{last}\n")


def write_voc(pairs: Pairs, folder: Path) -> None:
    """JPEGImages, SegmentationClass with palette images, ImageSets with lists of names."""
    for stem, (image, mask) in pairs.items():
        _save(image, folder / "JPEGImages" / f"{stem}.jpg")
        _save(with_palette(mask), folder / "SegmentationClass" / f"{stem}.png")
    _write_lists(pairs, folder)


def write_cvat(pairs: Pairs, folder: Path) -> None:
    """The layout of VOC, with masks in colour, and labelmap.txt; what nobody can say is background here."""
    lines = ["# label:color_rgb:parts:actions"]
    lines += [f"{name}:{','.join(map(str, COLOURS[label]))}::" for label, name in enumerate(FRUIT)]
    for stem, (image, mask) in pairs.items():
        _save(image, folder / "JPEGImages" / f"{stem}.jpg")
        _save(coloured(_without_border(mask)), folder / "SegmentationClass" / f"{stem}.png")
    _write_lists(pairs, folder)
    _write_text(folder / "labelmap.txt", "\n".join(lines) + "\n")


def _without_border(mask: Image.Image) -> Image.Image:
    return mask.point(lambda value: value if value < len(FRUIT) else 0)


def polygons(mask: Image.Image) -> list[tuple[str, np.ndarray]]:
    """The outlines of a class mask, as a tool keeps them: the name of the class, and corners (N, 2) of x and y.

    Patches of fewer than 30 pixels are left out, and holes are filled. Corners lie between pixels; the upper left
    corner of the picture is (0, 0).
    """
    labels = np.asarray(mask)
    shapes = []
    for label, name in enumerate(FRUIT[1:], 1):
        padded = np.pad((labels == label).astype(float), 1)
        for line in Figure().subplots().contour(padded, [0.5]).allsegs[0]:
            corners = np.asarray(line, float)[:-1] - 0.5  # the padding is one pixel, a pixel's centre lies at 0.5
            x, y = corners.T
            signed_area = 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
            if signed_area >= 30:  # holes run the other way round
                shapes.append((name, corners.round(1)))
    return sorted(shapes, key=lambda shape: -_area(shape[1]))  # small ones last: they lie on top


def _area(corners: np.ndarray) -> float:
    x, y = corners.T
    return 0.5 * abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))))


def write_coco(pairs: Pairs, folder: Path) -> None:
    """images/x.jpg and one JSON for all: images, annotations with polygons, categories."""
    contents: dict[str, list[Any]] = {"images": [], "annotations": []}
    contents["categories"] = [{"id": label, "name": name} for label, name in enumerate(FRUIT[1:], 1)]
    for number, (stem, (image, mask)) in enumerate(pairs.items(), 1):
        _save(image, folder / "images" / f"{stem}.jpg")
        sizes = {"width": image.width, "height": image.height}
        contents["images"].append({"id": number, "file_name": f"{stem}.jpg", **sizes})
        for name, corners in polygons(mask):
            low, high = corners.min(axis=0), corners.max(axis=0)
            contents["annotations"].append(
                {
                    "id": len(contents["annotations"]) + 1,
                    "image_id": number,
                    "category_id": FRUIT.index(name),
                    "segmentation": [corners.flatten().tolist()],
                    "area": round(_area(corners), 1),
                    "bbox": [*low.tolist(), *(high - low).round(1).tolist()],
                    "iscrowd": 0,
                }
            )
    _write_text(folder / "annotations" / "instances_default.json", json.dumps(contents))


def write_labelme(pairs: Pairs, folder: Path) -> None:
    """x.jpg beside x.json with its shapes."""
    for stem, (image, mask) in pairs.items():
        _save(image, folder / f"{stem}.jpg")
        shapes = [
            {"label": name, "points": corners.tolist(), "shape_type": "polygon"} for name, corners in polygons(mask)
        ]
        contents = {"shapes": shapes, "imagePath": f"{stem}.jpg", "imageHeight": image.height}
        _write_text(folder / f"{stem}.json", json.dumps(contents | {"imageWidth": image.width}))


def write_roboflow(pairs: Pairs, folder: Path) -> None:
    """Folders train and valid, each with x.jpg, x_mask.png and _classes.csv."""
    *train, last = pairs
    table = "Pixel Value, Class\n" + "".join(f"{label}, {name}\n" for label, name in enumerate(FRUIT))
    for side, stems in (("train", train), ("valid", [last])):
        for stem in stems:
            image, mask = pairs[stem]
            _save(image, folder / side / f"{stem}.jpg")
            _save(_without_border(mask), folder / side / f"{stem}_mask.png")
        _write_text(folder / side / "_classes.csv", table)


WRITERS: dict[str, Callable[[Pairs, Path], None]] = {
    "suffix": write_suffix,
    "together": write_together,
    "colours": write_two_colours,
    "voc": write_voc,
    "cvat": write_cvat,
    "coco": write_coco,
    "labelme": write_labelme,
    "roboflow": write_roboflow,
}
