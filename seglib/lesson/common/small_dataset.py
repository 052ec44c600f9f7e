"""Owns small copies of the sample photographs, with or without near-twins. See 03_dataloader."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from seglib.data.dataset import CustomDataset
from seglib.data.transforms import image_transform, mask_transform

SIZE = (120, 160)  # (height, width)


def near_twin(image: Image.Image, mask: Image.Image, seed: int) -> tuple[Image.Image, Image.Image]:
    """The same scene a second later: the camera has moved by up to 4 % of the frame, the light changed by up to 10 %.

    Args:
        image: PIL "RGB".
        mask: PIL "L" of the same size.
        seed: decides how far the camera moves, and how bright it gets.

    Returns:
        A pair of the same size: both cropped by 4 % and enlarged again, the mask by nearest.
    """
    rng = np.random.default_rng(seed)
    width, height = image.size
    margin_x = width // 25
    margin_y = height // 25
    left = int(rng.integers(0, margin_x + 1))
    top = int(rng.integers(0, margin_y + 1))
    box = (left, top, left + width - margin_x, top + height - margin_y)
    moved = image.resize(image.size, Image.Resampling.BILINEAR, box)
    twin = ImageEnhance.Brightness(moved).enhance(rng.uniform(0.9, 1.1))
    return twin, mask.resize(mask.size, Image.Resampling.NEAREST, box)


def write_small(
    dataset: CustomDataset, folder: Path, twins: bool = False, size: tuple[int, int] = SIZE
) -> CustomDataset:
    """Write the pairs of a dataset without transforms into a folder, small; with `twins`, each one's near-twin too.

    Args:
        dataset: gives PIL pairs; a portrait is squeezed into `size` like the others.
        folder: gets `images` and `masks`; a twin is called like its picture, with `_twin` at the end.
        twins: whether each picture gets one.
        size: (height, width) in pixels.

    Returns:
        The dataset of what was written, with the notes' two transforms.
    """
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number, stem in enumerate(dataset.stems):
        pairs = {stem: dataset[number]}
        if twins:
            pairs[f"{stem}_twin"] = near_twin(*pairs[stem], seed=number)
        for name, (image, mask) in pairs.items():
            # PNG for both: each pixel comes back as it was.
            image.resize(size[::-1], Image.Resampling.BILINEAR).save(folder / "images" / f"{name}.png")
            mask.resize(size[::-1], Image.Resampling.NEAREST).save(folder / "masks" / f"{name}.png")
    return CustomDataset(folder / "images", folder / "masks", image_transform(size), mask_transform(size))
