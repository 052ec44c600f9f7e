"""Owns which image belongs to which mask: two folders in, pairs of paths out. Explained in 01_dataset."""

import os
import unicodedata
from pathlib import Path

from seglib.errors import PairError, name_of

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# Pictures of kinds that are not read. They are refused by name: passing over them would drop them in silence.
UNREAD_SUFFIXES = (".arw", ".avif", ".cr2", ".cr3", ".dng", ".gif", ".heic", ".heif", ".jfif", ".jxl", ".nef")


def stem_of(path: str | Path) -> str:
    """The name that image and mask share: `fruit_007` of `folder/fruit_007.jpg`."""
    return unicodedata.normalize("NFC", Path(path).stem)  # macOS may spell one and the same letter in two parts


def files_by_stem(folder: str | os.PathLike[str], faults: list[PairError] | None = None) -> dict[str, Path]:
    """The pictures of one folder by stem, sorted; hidden files and files that are no pictures are passed over.

    Args:
        folder: to look into, not further down.
        faults: gets the errors that are about single files, which are then left out; without it they are raised.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PairError(
            f'There is no folder "{_as_given(folder)}".',
            "a folder of pictures",
            "Correct the path. A relative path starts where the notebook or script runs.",
        )
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES + UNREAD_SUFFIXES:
            continue
        fault = _fault_of(path, files)
        if fault is None:
            files[stem_of(path)] = path
        elif faults is None:
            raise fault
        else:
            faults.append(fault)
    if not files:
        raise PairError(
            f'The folder "{_as_given(folder)}" holds no picture.',
            f"files ending in {', '.join(IMAGE_SUFFIXES)}",
            "Correct the path, or put the pictures there. Pictures in folders further down are not looked for.",
        )
    return files


def _fault_of(path: Path, files: dict[str, Path]) -> PairError | None:
    """Why this file cannot be used beside those found before; None if it can."""
    if path.suffix.lower() in UNREAD_SUFFIXES:
        return PairError(
            f'"{name_of(path)}" is a picture of a kind that seglib does not read.',
            f"files ending in {', '.join(IMAGE_SUFFIXES)}",
            "Convert it: photographs to JPEG, masks to PNG. Or move it out of the folder.",
        )
    if path.is_dir():
        return PairError(
            f'"{name_of(path)}" has the name of a picture, but is a folder.',
            "a file",
            "Move the pictures inside it up, or rename the folder.",
        )
    stem = stem_of(path)
    if stem in files:
        return PairError(
            f'"{name_of(files[stem])}" and "{name_of(path)}" have the same stem, "{stem}".',
            "one picture of each stem in a folder",
            "Rename or move one of the two: we cannot know which of them the other folder's file belongs to.",
        )
    return None


def _as_given(folder: Path) -> str:
    """A relative path whole, of an absolute one only the end, which is the same on every machine."""
    return name_of(folder) if folder.is_absolute() else folder.as_posix()


def pair_files(image_folder: str | os.PathLike[str], mask_folder: str | os.PathLike[str]) -> list[tuple[Path, Path]]:
    """Pair the images of one folder with the masks of another, by stem: `fruit_007.jpg` finds `fruit_007.png`.

    Args:
        image_folder: the photographs.
        mask_folder: the masks, one for each photograph.

    Returns:
        (image, mask) paths, sorted by stem.

    Raises:
        PairError: a folder is missing or empty, a stem is there twice, or files are left without a partner
            (all of them are named).
    """
    images = files_by_stem(image_folder)
    masks = files_by_stem(mask_folder)
    images_alone = [name_of(images[stem]) for stem in sorted(images.keys() - masks.keys())]
    masks_alone = [name_of(masks[stem]) for stem in sorted(masks.keys() - images.keys())]
    if images_alone or masks_alone:
        parts = []
        if images_alone:
            parts.append(f"Images without a mask ({len(images_alone)}): {', '.join(images_alone)}.")
        if masks_alone:
            parts.append(f"Masks without an image ({len(masks_alone)}): {', '.join(masks_alone)}.")
        raise PairError(
            "\n".join(parts),
            "for each image a mask of the same stem, and for each mask an image",
            "Add or rename the missing partners, or move these files out of the folder.",
        )
    return [(images[stem], masks[stem]) for stem in sorted(images)]
