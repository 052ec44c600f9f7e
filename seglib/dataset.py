"""Owns `CustomDataset`: folders in, (image, mask) pairs out. Explained in 01_dataset."""

import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import tv_tensors

from seglib.errors import MaskError, PairError, name_of
from seglib.files import pair_files, stem_of
from seglib.labels import check_labels
from seglib.pictures import IGNORE_INDEX, load_image, load_mask


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
    ):
        if joint_transform and (transform or mask_transform):
            raise PairError(
                "joint_transform was given together with transform or mask_transform.",
                "either the two of the notes, or a joint one that does all of their work",
                "Leave out transform and mask_transform.",
            )
        self.image_folder, self.mask_folder = Path(image_folder), Path(mask_folder)
        self.transform, self.mask_transform, self.joint_transform = transform, mask_transform, joint_transform
        self.classes = classes
        pairs = pair_files(image_folder, mask_folder)
        self.image_filenames = [image.name for image, _ in pairs]
        self.mask_filenames = [mask.name for _, mask in pairs]

    @property
    def stems(self) -> list[str]:
        """The names that image and mask share, in order."""
        return [stem_of(name) for name in self.image_filenames]

    def subset(self, stems: Sequence[str]) -> "CustomDataset":
        """The same dataset with these pictures only, in this order; a name that is not there is a `PairError`."""
        position = {stem: idx for idx, stem in enumerate(self.stems)}
        if unknown := [stem for stem in stems if stem not in position]:
            raise PairError(
                f'No picture of "{name_of(self.image_folder)}" is called {", ".join(map(str, unknown))}.',
                f"stems such as {', '.join(self.stems[:3])}" if self.stems else "nothing: it is empty",
                "Correct the names: a stem is the file's name without its suffix.",
            )
        part = copy.copy(self)
        part.image_filenames = [self.image_filenames[position[stem]] for stem in stems]
        part.mask_filenames = [self.mask_filenames[position[stem]] for stem in stems]
        return part

    def __len__(self) -> int:
        return len(self.image_filenames)

    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        if not -len(self) <= idx < len(self):
            raise IndexError(f"picture {idx} of {len(self)}: the last one is {len(self) - 1}")
        image_path = self.image_folder / self.image_filenames[idx]
        mask_path = self.mask_folder / self.mask_filenames[idx]
        image, mask = load_image(image_path), load_mask(mask_path, self.classes)  # type: tuple[Any, Any]
        if image.size != mask.size:
            raise MaskError(
                f'"{name_of(image_path)}" is {image.width} wide and {image.height} high, but its mask '
                f'"{name_of(mask_path)}" is {mask.width} wide and {mask.height} high.',
                "a mask of the size of its image, as it is seen upright",
                "Export the mask again at the size of the image, or check that the two belong together.",
            )
        values = [value for value, count in enumerate(mask.histogram()) if count]
        if self.joint_transform:
            labels = np.array(mask)
            if self.classes is None:
                labels = labels // 255  # 255 is the object here; from here on it may mean "ignore"
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (3, H, W)
            image, mask = self.joint_transform(tv_tensors.Image(pixels), tv_tensors.Mask(torch.from_numpy(labels)))
        if self.transform:
            image = self.transform(image)
        if self.mask_transform:
            mask = self.mask_transform(mask)
        if isinstance(mask, torch.Tensor):
            check_labels(mask, values, self.classes is None, mask_path)
            if self.classes is None and not self.joint_transform and (mask == IGNORE_INDEX).any():
                raise MaskError(
                    f'The object of "{name_of(mask_path)}" is still 255 after mask_transform.',
                    "1.0: to losses and metrics 255 means ignore, and nothing would be learned about the object",
                    "End mask_transform with ToTensor, which divides by 255, or use seglib's mask_transform.",
                )
        return image, mask
