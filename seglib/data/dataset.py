"""Owns `CustomDataset`: folders in, (image, mask) pairs out. Explained in 01_dataset."""

import copy
import functools
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from seglib.data.image_io import IGNORE_INDEX, check_classes, load_image, load_mask
from seglib.data.mask_values import make_mask_values
from seglib.data.pairing import Unmasked, find_pairs
from seglib.errors import MaskError, PairError, name_of


class CustomDataset(torch.utils.data.Dataset):
    """The notes' dataset: photographs and their masks as (image, mask) pairs, paired by stem.

    Args:
        image_folder: the photographs.
        mask_folder: the masks, one for each photograph, of the same stem and size.
        transform: called with each PIL image; None leaves it as it is.
        mask_transform: called with each PIL mask, whose values are those of the file; None leaves it as it is.
        joint_transform: called with image and mask together, as tv_tensors (`Image` uint8 (3, H, W) and `Mask` uint8
            (H, W), with 1 for the object of a binary mask): whatever moves pixels must move both. Instead of the two.
        classes: None for binary masks; names, the background's first, for masks of class labels.
        mask_suffix, image_suffix, recursive, unmasked: how files are found and paired, as in `pair_files`.
        ignore, palette, relabel, invert: how the values of mask files become labels, as in `make_mask_values`.
        max_pixels: of one picture; None is Pillow's own bound.

    Shape:
        `dataset[idx]` is whatever the transforms return; without any, two PIL images, "RGB" and "L".

    Raises:
        PairError: when made, if the folders do not pair up.
        ImageError, MaskError: when indexed, if that pair cannot be right, or if the transforms invent labels.
        IndexError: the index is out of range.

    Example:
        >>> dataset = CustomDataset("data_samples/images", "data_samples/masks")
        >>> len(dataset), dataset.image_filenames[7]
        (48, 'fruit_007.jpg')
    """

    def __init__(
        self,
        image_folder: str | os.PathLike[str],
        mask_folder: str | os.PathLike[str],
        transform: Callable | None = None,
        mask_transform: Callable | None = None,
        *,
        joint_transform: Callable | None = None,
        classes: Sequence[str] | None = None,
        mask_suffix: str = "",
        image_suffix: str = "",
        recursive: bool | None = None,
        unmasked: Unmasked = "refuse",
        ignore: int | Sequence[int] | None = None,
        palette: str | os.PathLike[str] | Mapping[Any, Any] | None = None,
        relabel: Mapping[int, int] | None = None,
        invert: bool = False,
        max_pixels: int | None = None,
    ):
        if joint_transform and (transform or mask_transform):
            raise PairError(
                "joint_transform was given together with transform or mask_transform.",
                "either the two of the notes, or a joint one that does all of their work",
                "Leave out transform and mask_transform.",
            )
        self.image_folder = Path(image_folder)
        self.mask_folder = Path(mask_folder)
        self.transform = transform
        self.mask_transform = mask_transform
        self.joint_transform = joint_transform
        self.classes = check_classes(classes)
        self.mask_values = make_mask_values(
            ignore=ignore, palette=palette, relabel=relabel, invert=invert, classes=self.classes
        )
        self.max_pixels = max_pixels or own_bound()
        pairs = find_pairs(
            image_folder,
            mask_folder,
            mask_suffix=mask_suffix,
            image_suffix=image_suffix,
            recursive=recursive,
            unmasked=unmasked,
        ).complete()
        self.stems = list(pairs)  # the names that image and mask share, in order
        # Relative to the two folders; "" for a picture of background that has no mask.
        self.image_filenames = [self._name_in(self.image_folder, image) for image, _ in pairs.values()]
        self.mask_filenames = [self._name_in(self.mask_folder, mask) for _, mask in pairs.values()]

    @staticmethod
    def _name_in(folder: Path, path: Path | None) -> str:
        return path.relative_to(folder).as_posix() if path else ""

    def subset(self, stems: Sequence[str]) -> "CustomDataset":
        """The same dataset with these pictures only, in this order; a name that is not there is a `PairError`."""
        position = {stem: idx for idx, stem in enumerate(self.stems)}
        unknown = [stem for stem in stems if stem not in position]
        if unknown:
            raise PairError(
                f'No picture of "{name_of(self.image_folder)}" is called {", ".join(map(str, unknown))}.',
                f"stems such as {', '.join(self.stems[:3])}" if self.stems else "nothing: it is empty",
                "Correct the names: a stem is the file's name without its suffix.",
            )
        part = copy.copy(self)
        part.stems = list(stems)
        part.image_filenames = [self.image_filenames[position[stem]] for stem in stems]
        part.mask_filenames = [self.mask_filenames[position[stem]] for stem in stems]
        return part

    def count_pixels(self) -> dict[str, int]:
        """How many pixels of each class all masks hold, ignored ones left out; reads the masks only.

        Raises:
            ImageError, MaskError: a mask cannot be right.

        Example:
            >>> list(CustomDataset("data_samples/images", "data_samples/masks").subset(["fruit_007"]).count_pixels())
            ['background', 'object']
        """
        counts = np.zeros(256, np.int64)
        for idx, name in enumerate(self.mask_filenames):
            if name:  # a picture of background without a mask adds nothing
                counts += np.array(self._load_mask(idx, (1, 1)).histogram()[:256])
        names = {0: "background", IGNORE_INDEX: "object"} if self.classes is None else dict(enumerate(self.classes))
        return {name: int(counts[label]) for label, name in names.items()}

    def __len__(self) -> int:
        return len(self.image_filenames)

    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        if not -len(self) <= idx < len(self):
            raise IndexError(f"picture {idx} of {len(self)}: the last one is {len(self) - 1}")
        image_path = self.image_folder / self.image_filenames[idx]
        mask_path = self.mask_folder / self.mask_filenames[idx]
        image = load_image(image_path, max_pixels=self.max_pixels)
        mask = self._load_mask(idx, image.size)
        check_same_size(image.size, mask.size, image_path, mask_path)
        values = [value for value, count in enumerate(mask.histogram()) if count]
        image, mask = self._transform(image, mask)
        if isinstance(mask, torch.Tensor):
            check_transformed_mask(mask, values, binary=self.classes is None, path=mask_path)
            self._check_object_is_one(mask, mask_path)
        return image, mask

    def _load_mask(self, idx: int, size: tuple[int, int]) -> Image.Image:
        """The mask of a picture; background of this (width, height), where there is none."""
        if not self.mask_filenames[idx]:
            return Image.new("L", size)
        path = self.mask_folder / self.mask_filenames[idx]
        return load_mask(path, self.classes, values=self.mask_values, max_pixels=self.max_pixels)

    def _transform(self, image: Any, mask: Any) -> tuple[Any, Any]:
        """What the transforms make of a PIL image and a PIL mask."""
        if self.joint_transform:
            from torchvision import tv_tensors  # here, so that `import seglib` stays quick

            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (3, H, W)
            labels = np.array(mask)  # (H, W)
            if self.classes is None:
                labels = labels // 255  # 255 is the object here; from here on it may mean "ignore"
            return self.joint_transform(tv_tensors.Image(pixels), tv_tensors.Mask(torch.from_numpy(labels)))
        image = self.transform(image) if self.transform else image
        mask = self.mask_transform(mask) if self.mask_transform else mask
        return image, mask

    def _check_object_is_one(self, mask: torch.Tensor, mask_path: Path) -> None:
        if self.classes is None and not self.joint_transform and (mask == IGNORE_INDEX).any():
            raise MaskError(
                f'The object of "{name_of(mask_path)}" is still 255 after mask_transform.',
                "1.0: to losses and metrics 255 means ignore, and nothing would be learned about the object",
                "End mask_transform with ToTensor, which divides by 255, or use seglib's mask_transform.",
            )


def own_bound() -> int | None:
    """No bound on pixels, if Pillow's was lifted in this process: workers that are started anew do not know of it."""
    return sys.maxsize if Image.MAX_IMAGE_PIXELS is None else None


def check_same_size(image_size: tuple[int, int], mask_size: tuple[int, int], image_path: Path, mask_path: Path) -> None:
    """Raise a `MaskError` unless the two sizes, each (width, height) in pixels, are one and the same."""
    if image_size != mask_size:
        raise MaskError(
            f'"{name_of(image_path)}" is {image_size[0]} wide and {image_size[1]} high, but its mask '
            f'"{name_of(mask_path)}" is {mask_size[0]} wide and {mask_size[1]} high.',
            "a mask of the size of its image, as it is seen upright",
            "Export the mask again at the size of the image, or check that the two belong together.",
        )


def check_transformed_mask(mask: torch.Tensor, before: Collection[int], *, binary: bool, path: Path) -> None:
    """Raise a `MaskError` if the transforms of a mask have made a value that its file does not hold.

    Args:
        mask: what came out of the transforms, of any shape and dtype.
        before: the values that the file holds.
        binary: the object may have become 1.
        path: the file, for the message.

    Raises:
        MaskError: `mask` holds another value than those before and 255, which a crop may have added.
    """
    legal = sorted({0, 1, IGNORE_INDEX} if binary else {*before, IGNORE_INDEX})
    right = functools.reduce(torch.logical_or, (mask == value for value in legal))  # torch.isin takes ten times as long
    if right.all():
        return
    strange = mask[~right].unique()
    shown = ", ".join(f"{value:.3g}" for value in strange[:4].tolist())
    more = f" and {len(strange) - 4} more" if len(strange) > 4 else ""
    fix = "Resize masks by nearest: mask_transform and joint_transform do."
    if not binary:
        fix = "Resize masks by nearest, and never divide labels by 255, as ToTensor does: use class_mask_transform."
    raise MaskError(
        f'The transforms gave "{name_of(path)}" values that its file does not hold: {shown}{more}.',
        "0 and 1 only, and 255 for ignore" if binary else f"its labels: {', '.join(map(str, legal))}",
        fix,
    )
