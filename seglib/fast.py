"""Owns the fast road from two files to a pair of bytes, which a cache may keep. Explained in 07_cuda."""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import io as torchvision_io
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from seglib.cache import Cache
from seglib.dataset import CustomDataset
from seglib.pictures import load_image, load_mask
from seglib.transforms import NOTES_SIZE, Size, check_size

# What an EXIF orientation says about the stored pixels (3, H, W).
_UPRIGHT: dict[int, Callable[[Tensor], Tensor]] = {
    2: lambda stored: stored.flip(-1),
    3: lambda stored: stored.flip(-2, -1),
    4: lambda stored: stored.flip(-2),
    5: lambda stored: stored.transpose(-2, -1),
    6: lambda stored: stored.rot90(-1, (-2, -1)),  # a quarter turn clockwise
    7: lambda stored: stored.flip(-2, -1).transpose(-2, -1),
    8: lambda stored: stored.rot90(1, (-2, -1)),
}


class FastDataset(CustomDataset):
    """`CustomDataset` at one size and in bytes; the engine normalises them on the device, by `finish`.

    The same pictures as with `image_transform` and `mask_transform`, within 2 of 255 steps, masks exactly; the same
    checks and errors. An image takes a quarter of the memory of floats, on its way through workers and to a GPU.

    Args:
        image_folder, mask_folder, classes: as in `CustomDataset`.
        size: (height, width) in pixels.
        joint_transform: called with image and mask together, as in `CustomDataset`, after the resizing.
        portrait: as in `image_transform`.
        cache_gib: from the second epoch on, pictures come from memory, up to so many GiB; 0 for none. A file that has
            changed is read anew. Subsets share the cache.

    Shape:
        `dataset[idx]` is an image, uint8 (3, height, width), and its mask, uint8: (1, height, width) of 0 and 1, or
        with `classes` (height, width) of labels. With a joint transform, whatever that returns.

    Raises:
        ShapeError: `size` is none.
        TrainingError: the cache has no room for a single picture.

    Example:
        >>> image, mask = FastDataset("data_samples/images", "data_samples/masks", (240, 320))[0]
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
        classes: Sequence[str] | None = None,
        portrait: bool = False,
        cache_gib: float = 0.0,
    ):
        check_size(size, portrait)
        super().__init__(image_folder, mask_folder, classes=classes)
        self.size, self.after = size, joint_transform
        self.cache = Cache(self.image_filenames, size, cache_gib) if cache_gib else None

    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        if not -len(self) <= idx < len(self):
            return super().__getitem__(idx)  # which says what is wrong
        name = self.image_filenames[idx]
        paths = self.image_folder / name, self.mask_folder / self.mask_filenames[idx]
        kept = None
        if self.cache and all(path.is_file() for path in paths):
            stamp = paths[0].stat().st_mtime_ns, paths[1].stat().st_mtime_ns
            kept = self.cache.get(name, stamp)  # (4, H, W)
        if kept is not None:
            pixels, labels = kept[:3], kept[3]  # (3, H, W), (H, W)
        else:
            image, mask = load_pixels(paths[0]), load_mask(paths[1], self.classes)
            if image.shape[-2:] != (mask.height, mask.width):
                return super().__getitem__(idx)  # which says what is wrong
            pixels, labels = F.resize(image, list(self.size), antialias=True), self._labels(mask)
            if self.cache:
                self.cache.put(name, stamp, torch.cat([pixels, labels[None]]))
        if self.after:
            return self.after(tv_tensors.Image(pixels), tv_tensors.Mask(labels))
        return pixels, labels[None] if self.classes is None else labels

    def _labels(self, mask: Image.Image) -> Tensor:
        """The mask at the size of the dataset, uint8 (height, width)."""
        labels = np.array(mask.resize(self.size[::-1], Image.Resampling.NEAREST))  # PIL wants (width, height)
        return torch.from_numpy(labels // 255 if self.classes is None else labels)


def load_pixels(path: str | os.PathLike[str]) -> Tensor:
    """`load_image` as a tensor, uint8 (3, H, W), upright; a JPEG of 8 bits takes a quicker road to the same pixels.

    Whatever is not plainly such a JPEG, and whatever fails on that road, goes to `load_image`, errors included.
    """
    try:
        data = Path(path).read_bytes()
        with Image.open(io.BytesIO(data)) as header:  # reads no pixels
            plain = header.format == "JPEG" and header.mode in ("RGB", "L")
            turn = header.getexif().get(0x0112, 1) if plain else 1
        if plain:
            # Deprecated since torchvision 0.29: once it is gone, this fails, and Pillow does the work, a little slower.
            stored = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            pixels = torchvision_io.decode_jpeg(stored, torchvision_io.ImageReadMode.RGB)
            return _UPRIGHT[turn](pixels) if turn in _UPRIGHT else pixels  # (3, H, W)
    except Exception:  # damaged in one way or another: Pillow decides, and says what it found
        pass
    return F.pil_to_tensor(load_image(path))
