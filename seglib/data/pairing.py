"""Owns which image belongs to which mask: two folders in, pairs of paths out. Explained in 01_dataset."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from seglib.data.image_io import IMAGE_EXTENSIONS, UNREAD_EXTENSIONS
from seglib.errors import PairError, name_of

Unmasked = Literal["refuse", "background"]
Pair = tuple[Path, Path | None]  # an image and its mask; None: a picture of background, for which there is no mask


def stem_of(path: str | Path) -> str:
    """The name that image and mask share: `fruit_007` of `folder/fruit_007.jpg`."""
    return unicodedata.normalize("NFC", Path(path).stem)  # macOS may spell one and the same letter in two parts


@dataclass
class FoundPairs:
    """What two folders hold: the pairs by stem, and what has no partner."""

    pairs: dict[str, Pair]
    images_alone: list[Path]
    masks_alone: list[Path]
    passed_over: list[Path] = field(default_factory=list)  # pictures that do not end in the suffix that was given

    def complete(self) -> dict[str, Pair]:
        """The pairs; a `PairError` if anything is left without a partner."""
        if self.images_alone or self.masks_alone:
            raise _no_partner(self)
        return self.pairs


def pair_files(
    image_folder: str | os.PathLike[str],
    mask_folder: str | os.PathLike[str],
    *,
    mask_suffix: str = "",
    image_suffix: str = "",
    recursive: bool | None = None,
    unmasked: Unmasked = "refuse",
) -> list[Pair]:
    """Pair the images of one folder with the masks of another, by stem: `fruit_007.jpg` finds `fruit_007.png`.

    Args:
        image_folder: the photographs.
        mask_folder: the masks, one for each photograph. May be the same folder, where a suffix tells them apart.
        mask_suffix: how the stems of all masks end, as in `car_01_mask.png`; the rest is the stem. Other pictures of
            that folder are passed over.
        image_suffix: the same for the images.
        recursive: True looks into sub folders too; a stem is then `folder/name`. False passes over them. None passes
            over them only if they hold no picture.
        unmasked: what a photograph without a mask is: "refuse", an error, or "background", a picture without an object.

    Returns:
        (image, mask) paths, sorted by stem; the mask is None for a picture of background.

    Raises:
        PairError: a folder is missing or empty, a stem is there twice, pictures lie in sub folders, or files are left
            without a partner.
    """
    found = find_pairs(
        image_folder,
        mask_folder,
        mask_suffix=mask_suffix,
        image_suffix=image_suffix,
        recursive=recursive,
        unmasked=unmasked,
    )
    return list(found.complete().values())


def find_pairs(
    image_folder: str | os.PathLike[str],
    mask_folder: str | os.PathLike[str],
    *,
    mask_suffix: str = "",
    image_suffix: str = "",
    recursive: bool | None = None,
    unmasked: Unmasked = "refuse",
    faults: list[PairError] | None = None,
) -> FoundPairs:
    """As `pair_files`, and files without a partner are no error.

    Args:
        image_folder, mask_folder, mask_suffix, image_suffix, recursive, unmasked: as in `pair_files`.
        faults: gets the errors that are about single files, which are then left out; without it they are raised.
    """
    if unmasked not in ("refuse", "background"):
        raise PairError(
            f'unmasked = "{unmasked}"', '"refuse" or "background"', 'Say unmasked="background", or leave it out.'
        )
    image_folder = Path(image_folder)
    mask_folder = Path(mask_folder)
    same = _is_same_folder(image_folder, mask_folder)
    if same and not (mask_suffix or image_suffix):
        raise _one_folder(image_folder, recursive)
    image_files = _Folder(image_folder, image_suffix, recursive, faults, other=mask_folder)
    mask_files = _Folder(mask_folder, mask_suffix, recursive, faults, other=image_folder)
    images = image_files.by_stem(skip=mask_suffix if same else "")
    masks = mask_files.by_stem(skip=image_suffix if same else "")
    pairs: dict[str, Pair] = {stem: (images[stem], masks[stem]) for stem in sorted(images.keys() & masks.keys())}
    images_alone = [images[stem] for stem in sorted(images.keys() - masks.keys())]
    if unmasked == "background":
        pairs |= {stem: (images[stem], None) for stem in images.keys() - masks.keys()}
        pairs = dict(sorted(pairs.items()))
        images_alone = []
    masks_alone = [masks[stem] for stem in sorted(masks.keys() - images.keys())]
    passed_over = [] if same else [*image_files.passed_over, *mask_files.passed_over]
    return FoundPairs(pairs, images_alone, masks_alone, passed_over)


def files_by_stem(
    folder: str | os.PathLike[str], faults: list[PairError] | None = None, *, recursive: bool | None = None
) -> dict[str, Path]:
    """The pictures of one folder by stem, sorted; hidden files and files that are no pictures are passed over.

    Args:
        folder: to look into.
        faults: gets the errors that are about single files, which are then left out; without it they are raised.
        recursive: as in `pair_files`.
    """
    return _Folder(Path(folder), "", recursive, faults).by_stem()


def _is_same_folder(first: Path, second: Path) -> bool:
    return first.is_dir() and second.is_dir() and first.samefile(second)


class _Folder:
    """The pictures of one folder; `passed_over` are those that do not end in `suffix`."""

    def __init__(
        self,
        folder: Path,
        suffix: str,
        recursive: bool | None,
        faults: list[PairError] | None,
        *,
        other: Path | None = None,
    ):
        if not folder.is_dir():
            raise PairError(
                f'There is no folder "{_as_given(folder)}".',
                "a folder of pictures",
                "Correct the path. A relative path starts where the notebook or script runs.",
            )
        self.folder = folder
        self.suffix = suffix
        self.recursive = recursive
        self.faults = faults
        self.other = other.resolve() if other else None  # the folder of the masks may lie inside that of the images
        self.passed_over: list[Path] = []

    def by_stem(self, skip: str = "") -> dict[str, Path]:
        """Stem -> file. `skip`: a suffix of those that belong to the other side, where both share a folder."""
        files: dict[str, Path] = {}
        paths = list(self._paths())
        for path in paths:
            stem = stem_of(path)
            if self._is_passed_over(path, stem, skip):
                continue
            key = self._key(path)
            fault = _fault_of(path, key, files)
            if fault is None:
                files[key] = path
            elif self.faults is None:
                raise fault
            else:
                self.faults.append(fault)
        if self.recursive is None:
            self._refuse_sub_folders(files)
        if not files:
            raise self._nothing_found(paths)
        return files

    def _paths(self) -> Iterable[Path]:
        """All that looks like a picture, sorted; hidden names, and folders that are hidden, are passed over."""
        found = self.folder.rglob("*") if self.recursive else self.folder.iterdir()
        for path in sorted(found):
            parts = path.relative_to(self.folder).parts
            hidden = any(part.startswith(".") for part in parts)
            if hidden or self._is_of_other_side(path):
                continue
            if path.suffix.lower() in IMAGE_EXTENSIONS or path.suffix.lower() in UNREAD_EXTENSIONS:
                yield path

    def _is_of_other_side(self, path: Path) -> bool:
        """Whether the path lies in the other folder, and that folder inside this one."""
        if self.other is None or self.other == self.folder.resolve():
            return False
        return self.other in [path.resolve(), *path.resolve().parents] and self.other.is_relative_to(
            self.folder.resolve()
        )

    def _is_passed_over(self, path: Path, stem: str, skip: str) -> bool:
        """Whether the name says that the file belongs elsewhere."""
        if skip and stem.endswith(skip):
            return True
        if self.suffix and not (stem.endswith(self.suffix) and len(stem) > len(self.suffix)):
            self.passed_over.append(path)
            return True
        return False

    def _key(self, path: Path) -> str:
        relative = path.relative_to(self.folder)
        stem = stem_of(path).removesuffix(self.suffix)
        parents = [unicodedata.normalize("NFC", part) for part in relative.parts[:-1]]
        return "/".join([*parents, stem])

    def _refuse_sub_folders(self, files: dict[str, Path]) -> None:
        """Pictures in sub folders are neither read nor dropped unless the caller says which."""
        with_pictures = _sub_folders_with_pictures(self.folder, self.other)
        if with_pictures:
            beside = f" beside {len(files)} pictures" if files else " and no picture itself"
            raise PairError(
                f'"{_as_given(self.folder)}" holds sub folders with pictures{beside}: {_some(with_pictures)}.',
                "pictures in one folder, or the word to look into sub folders",
                "recursive=True reads them too, recursive=False passes over them.",
            )

    def _nothing_found(self, paths: Sequence[Path]) -> PairError:
        where = f'The folder "{_as_given(self.folder)}"'
        if self.suffix and paths:
            return PairError(
                f'{where} holds {len(paths)} pictures, and the name of none ends in "{self.suffix}".',
                f"names such as NAME{self.suffix}{paths[0].suffix}",
                f"Correct the suffix. The names end in {_some(_endings(map(stem_of, paths)))}.",
            )
        return PairError(
            f"{where} holds no picture.",
            "files ending in .jpg, .png, .tif or another that Pillow reads",
            "Correct the path, or put the pictures there.",
        )


def _sub_folders_with_pictures(folder: Path, other: Path | None) -> list[str]:
    """Names of the sub folders in which a picture lies, at any depth; without hidden ones and the other side's."""
    names = []
    for sub in sorted(folder.iterdir()):
        if not sub.is_dir() or sub.name.startswith(".") or sub.suffix.lower() in IMAGE_EXTENSIONS:
            continue
        if other is not None and (sub.resolve() == other or other.is_relative_to(sub.resolve())):
            continue
        if any(path.suffix.lower() in IMAGE_EXTENSIONS for path in sub.rglob("*")):
            names.append(sub.name)
    return names


def _fault_of(path: Path, stem: str, files: dict[str, Path]) -> PairError | None:
    """What is wrong with a file that looks like a picture, before it is opened."""
    if path.is_dir():
        return PairError(
            f'"{name_of(path)}" has the name of a picture, but is a folder.',
            "a file",
            "Move the pictures inside it up, or rename the folder.",
        )
    if path.suffix.lower() in UNREAD_EXTENSIONS:
        return PairError(
            f'"{name_of(path)}" is a picture of a kind that seglib does not read.',
            "JPEG, PNG, TIFF, or another kind that Pillow reads",
            "Convert it: photographs to JPEG, masks to PNG. Or move it out of the folder.",
        )
    if stem in files:
        return PairError(
            f'"{name_of(files[stem])}" and "{name_of(path)}" have the same stem, "{stem}".',
            "one picture of each stem in a folder",
            "Rename or move one of the two: we cannot know which of them the other folder's file belongs to. If one is "
            'the mask and its name ends otherwise, give that ending, as in mask_suffix="_mask".',
        )
    return None


def _as_given(folder: Path) -> str:
    """A relative path whole, of an absolute one only the end, which is the same on every machine."""
    return name_of(folder) if folder.is_absolute() else folder.as_posix()


def _some(names: Sequence[str], count: int = 5) -> str:
    """The first few of many names."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


# Files without a partner: is there an ending that explains it?


def _no_partner(found: FoundPairs) -> PairError:
    """The error for files without a partner. It names the ending that all masks or images share, if there is one."""
    images = [name_of(path) for path in found.images_alone]
    masks = [name_of(path) for path in found.masks_alone]
    lines = []
    if images:
        lines.append(f"Images without a mask ({len(images)}): {_some(images, 8)}.")
    if masks:
        lines.append(f"Masks without an image ({len(masks)}): {_some(masks, 8)}.")
    suffixes = common_suffixes(map(stem_of, found.images_alone), map(stem_of, found.masks_alone))
    if suffixes:
        image_suffix, mask_suffix, count = suffixes
        said = [f'image_suffix="{image_suffix}"'] if image_suffix else []
        said += [f'mask_suffix="{mask_suffix}"'] if mask_suffix else []
        endings = [f'images end in "{image_suffix}"'] if image_suffix else []
        endings += [f'masks end in "{mask_suffix}"'] if mask_suffix else []
        return PairError(
            "\n".join(lines),
            "for each image a mask of the same stem",
            f"{' '.join(said)} pairs {count} of them: their {' and their '.join(endings)}.",
        )
    fix = "Add or rename the missing partners, or move these files out of the folder."
    if images and not masks:
        fix += ' If a picture without a mask shows background only, say so: unmasked="background".'
    return PairError("\n".join(lines), "for each image a mask of the same stem, and for each mask an image", fix)


def common_suffixes(images: Iterable[str], masks: Iterable[str]) -> tuple[str, str, int] | None:
    """The endings by which image and mask stems differ, if one pair of endings explains two thirds of the masks.

    Args:
        images, masks: stems without a partner.

    Returns:
        (ending of the images, ending of the masks, how many pairs they make), or None.

    Example:
        >>> common_suffixes(["car_1", "car_2"], ["car_1_mask", "car_2_mask"])
        ('', '_mask', 2)
        >>> common_suffixes(["1_sat", "2_sat"], ["1_mask", "2_mask"])
        ('_sat', '_mask', 2)
    """
    images = sorted(images)
    masks = sorted(masks)
    if not images or not masks:
        return None
    votes: Counter[tuple[str, str]] = Counter()
    merged = sorted([(stem, "image") for stem in images] + [(stem, "mask") for stem in masks])
    for (first, side), (second, other_side) in zip(merged, merged[1:], strict=False):
        if side != other_side:
            image, mask = (first, second) if side == "image" else (second, first)
            votes[_endings_of_pair(image, mask)] += 1
    for (image_suffix, mask_suffix), _ in votes.most_common(5):
        left = {stem.removesuffix(image_suffix) for stem in images if stem.endswith(image_suffix)} - {""}
        right = {stem.removesuffix(mask_suffix) for stem in masks if stem.endswith(mask_suffix)} - {""}
        count = len(left & right)
        # One pair alone proves nothing: "cat" and "cat_2" are two pictures.
        if count >= 2 and 3 * count >= 2 * min(len(images), len(masks)):
            return image_suffix, mask_suffix, count
    return None


def _endings_of_pair(image: str, mask: str) -> tuple[str, str]:
    """What two names end in after their common beginning; a word is not cut: (`_image`, `_inverse`)."""
    length = len(os.path.commonprefix([image, mask]))
    if length not in (len(image), len(mask)):
        length = max((match.start() for match in re.finditer(r"[^A-Za-z0-9]", image[:length])), default=length)
    return image[length:], mask[length:]


def _one_folder(folder: Path, recursive: bool | None) -> PairError:
    """The error for one folder that was given twice, with the endings that its names have."""
    stems = [stem_of(path) for path in _Folder(folder, "", recursive or False, [])._paths()]
    endings = _endings(stems)
    example = next((ending for ending in endings if "mask" in ending or "label" in ending), "_mask")
    seen = f" Its names end in {_some(endings)}." if endings else ""
    return PairError(
        f'Both folders are one, "{_as_given(folder)}".{seen}',
        "a folder of images and a folder of masks; or one folder, and the ending that tells a mask",
        f'Give the ending of the masks, as in mask_suffix="{example}".',
    )


def _endings(stems: Iterable[str]) -> list[str]:
    """What follows the last separator in each stem, if at least two stems share it; the most frequent first."""
    by_rest = defaultdict(list)
    for stem in stems:
        tail = re.search(r"[^A-Za-z0-9][A-Za-z]+$", stem)
        if tail:
            by_rest[tail.group()].append(stem)
    frequent = [ending for ending, those in by_rest.items() if len(those) > 1]
    return sorted(frequent, key=lambda ending: (-len(by_rest[ending]), ending))
