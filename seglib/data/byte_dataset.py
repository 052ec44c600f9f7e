"""Owns `ByteDataset`: images and masks as bytes, kept in memory from the second epoch on. Explained in 08_cuda."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from seglib.data.dataset import CustomDataset, check_same_size
from seglib.data.image_io import load_image_tensor
from seglib.data.shared_cache import SharedCache
from seglib.data.transforms import NOTES_SIZE, Size, check_size, resize_labels


class ByteDataset(CustomDataset):
    """`CustomDataset` at one size and in bytes; the training loop normalises them on the device.

    Images are those of `image_transform` within 2 of 255 steps, masks those of `mask_transform` exactly. Checks and
    errors are the same. An image takes a quarter of the memory of floats, in the workers and on its way to a GPU.

    Args:
        image_folder, mask_folder: as in `CustomDataset`.
        size: (height, width) in pixels.
        joint_transform: called with image and mask together, as in `CustomDataset`, after the resizing.
        portrait: as in `image_transform`.
        cache_gib: from the second epoch on, pictures come from memory, up to so many GiB; 0 for none. A file that has
            changed is read anew. Subsets share the cache.
        reading: `classes`, `mask_suffix`, `ignore` and so on, as in `CustomDataset`.

    Shape:
        `dataset[idx]` is an image, uint8 (3, height, width), and its mask, uint8: (1, height, width) of 0 and 1, or
        with `classes` (height, width) of labels. With a joint transform, whatever that returns.

    Raises:
        ShapeError: `size` is none.
        TrainingError: the cache has no room for a single picture.

    Example:
        >>> image, mask = ByteDataset("data_samples/images", "data_samples/masks", (240, 320))[0]
        >>> image.dtype, tuple(image.shape), tuple(mask.shape)
        (torch.uint8, (3, 240, 320), (1, 240, 320))
    """

    def __init__(
        self,
        image_folder: str | os.PathLike[str],
        mask_folder: str | os.PathLike[str],
        size: Size = NOTES_SIZE,
        *,
        joint_transform: Callable | None = None,
        portrait: bool = False,
        cache_gib: float = 0.0,
        **reading: Any,
    ):
        check_size(size, portrait)
        super().__init__(image_folder, mask_folder, **reading)
        self.size = size
        self.transform_after_resize = joint_transform
        self.cache = SharedCache(self.image_filenames, size, cache_gib) if cache_gib else None

    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        if not -len(self) <= idx < len(self):
            return super().__getitem__(idx)  # raises the error that says what is wrong
        pixels, labels = self._read(idx)  # (3, H, W), (H, W)
        if self.transform_after_resize:
            return self.transform_after_resize(tv_tensors.Image(pixels), tv_tensors.Mask(labels))
        return pixels, labels[None] if self.classes is None else labels

    def _read(self, idx: int) -> tuple[Tensor, Tensor]:
        """Image and labels at the size of the dataset, uint8 (3, H, W) and (H, W), from the cache or from the files."""
        name = self.image_filenames[idx]
        image_path = self.image_folder / name
        mask_path = self.mask_folder / self.mask_filenames[idx]
        modified = None
        if self.cache and image_path.is_file() and mask_path.is_file():
            modified = image_path.stat().st_mtime_ns, mask_path.stat().st_mtime_ns
            cached = self.cache.get(name, modified)  # (4, H, W)
            if cached is not None:
                return cached[:3], cached[3]
        pixels, labels = self._decode(idx)
        if self.cache and modified:
            self.cache.put(name, modified, torch.cat([pixels, labels[None]]))
        return pixels, labels

    def _decode(self, idx: int) -> tuple[Tensor, Tensor]:
        image_path = self.image_folder / self.image_filenames[idx]
        mask_path = self.mask_folder / self.mask_filenames[idx]
        image = load_image_tensor(image_path, max_pixels=self.max_pixels)
        size = (image.shape[-1], image.shape[-2])  # (width, height)
        mask = self._load_mask(idx, size)
        check_same_size(size, mask.size, image_path, mask_path)
        return F.resize(image, list(self.size), antialias=True), self._labels(mask)

    def _labels(self, mask: Image.Image) -> Tensor:
        """The mask at the size of the dataset, uint8 (height, width)."""
        labels = resize_labels(torch.from_numpy(np.array(mask)), self.size)
        return labels // 255 if self.classes is None else labels
