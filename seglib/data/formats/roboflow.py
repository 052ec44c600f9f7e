"""Owns the reading of Roboflow's "Semantic Segmentation Masks". Explained in 13_your_own_data.

Roboflow's COCO export is read by coco.py, its YOLO export by yolo.py.

Each of the folders train, valid and test holds `x.jpg` beside `x_mask.png`, and `_classes.csv`, which says what the
numbers of the masks are called.
"""

from functools import partial
from pathlib import Path

import numpy as np

from seglib.data.formats.source import (
    AnnotatedPicture,
    Notes,
    Size,
    Source,
    is_background,
    pictures_in,
    read_label_picture,
    read_text,
    side_of,
)
from seglib.data.mask_tables import read_table
from seglib.errors import MaskError, PairError, SegError, name_of

TABLE = "_classes.csv"
ENDING = "_mask"


def roboflow_folders(source: Path) -> list[Path]:
    """The folders of the export, the folder itself or those right below: `_classes.csv` there names pixel values."""
    if not source.is_dir():
        return []
    return [folder for folder in [source, *sorted(source.iterdir())] if folder.is_dir() and _has_table(folder)]


def _has_table(folder: Path) -> bool:
    path = folder / TABLE
    try:
        return path.is_file() and "pixel value" in read_text(path).split("\n", 1)[0].lower()
    except SegError:
        return False


def read_roboflow(source: Path) -> Source:
    """Read Roboflow's semantic segmentation masks.

    Args:
        source: the folder of the export, or one of its folders train, valid and test.

    Raises:
        PairError: no such folder; a photograph without its mask, or a mask without its photograph.
        MaskError: a table or a mask that cannot be right.
    """
    folders = roboflow_folders(source)
    if not folders:
        raise PairError(
            f'"{name_of(source)}" holds no {TABLE}.',
            'a table "Pixel Value, Class" beside the masks',
            "Correct the path.",
        )
    tables = {folder: _names_of_values(folder / TABLE) for folder in folders}
    table = tables[folders[0]]
    for folder in folders:
        if tables[folder] != table:
            raise MaskError(
                f'"{folders[0].name}/{TABLE}" and "{folder.name}/{TABLE}" differ.',
                "the same classes in each folder",
                "Export all folders from one version of the project.",
            )
    values = sorted(table, key=lambda value: (not is_background(table[value]), value))
    if not is_background(table[values[0]]) and values[0] != 0:
        raise MaskError(
            f'"{name_of(folders[0] / TABLE)}" names no background.', 'a line "0, background"', "Add this line."
        )
    pictures = []
    for folder in folders:
        pictures += _pictures_of(folder, {value: label for label, value in enumerate(values)})
    return Source("Roboflow masks", [table[value] for value in values], pictures, Notes())


def _names_of_values(path: Path) -> dict[int, str]:
    """`_classes.csv`: the name of each pixel value."""
    table = {row.key: row.name for row in read_table(path).rows if isinstance(row.key, int) and row.name}
    if len(set(table.values())) < len(read_table(path).rows) or not all(0 <= value <= 255 for value in table):
        raise MaskError(
            f'"{name_of(path)}" has a line without a pixel value from 0 to 255, or a name twice.',
            'lines such as "0, background", each value and each name once',
            "Correct the line, or export it again.",
        )
    return table


def _pictures_of(folder: Path, label_of: dict[int, int]) -> list[AnnotatedPicture]:
    """The photographs of one folder with their masks."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    masks = {path.stem.removesuffix(ENDING): path for path in files if path.name.endswith(f"{ENDING}.png")}
    photographs = {stem: path for stem, path in pictures_in(folder).items() if not path.name.endswith(f"{ENDING}.png")}
    alone = sorted(photographs.keys() ^ masks.keys())
    if alone:
        named = photographs.get(alone[0]) or masks[alone[0]]
        raise PairError(
            f'{len(alone)} files of "{folder.name}" have no partner; the first is "{name_of(named)}".',
            f"for each photograph x.jpg a mask x{ENDING}.png",
            "Export it again, or move these files away.",
        )
    side = side_of(folder.name)
    return [
        AnnotatedPicture(
            photographs[stem], partial(_draw, masks[stem], label_of), f'"{name_of(masks[stem])}"', side=side
        )
        for stem in sorted(photographs)
    ]


def _draw(path: Path, label_of: dict[int, int], size: Size) -> np.ndarray:
    mask = read_label_picture(path)
    pixels = np.asarray(mask)
    if mask.mode == "RGB":
        if (pixels != pixels[..., :1]).any():
            raise MaskError(
                f'"{name_of(path)}" is in colour.', f"grey, with the pixel values of {TABLE}", "Export it again."
            )
        pixels = pixels[..., 0]
    values, inverse = np.unique(pixels.astype(np.uint8), return_inverse=True)
    unknown = [value for value in values.tolist() if value not in label_of]
    if unknown:
        raise MaskError(
            f'"{name_of(path)}" holds the values {", ".join(map(str, unknown[:6]))}, which {TABLE} does not name.',
            f"one of {', '.join(map(str, sorted(label_of)[:12]))}",
            f"Add them to {TABLE}, or export it again.",
        )
    labels = np.array([label_of[value] for value in values.tolist()], np.uint16)
    return labels[inverse].reshape(pixels.shape)
