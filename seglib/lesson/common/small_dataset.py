"""Owns small copies of the samples."""

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
        seed: decides how far, and how bright.

    Returns:
        A pair of the same size, cropped and enlarged again; the mask by nearest.
    """
    rng = np.random.default_rng(seed)
    width, height = image.size
    left, top = int(rng.integers(0, width // 25 + 1)), int(rng.integers(0, height // 25 + 1))
    box = (left, top, left + width - width // 25, top + height - height // 25)
    brighter = ImageEnhance.Brightness(image.resize(image.size, Image.Resampling.BILINEAR, box))
    return brighter.enhance(rng.uniform(0.9, 1.1)), mask.resize(mask.size, Image.Resampling.NEAREST, box)


def write_small(
    dataset: CustomDataset, folder: Path, twins: bool = False, size: tuple[int, int] = SIZE
) -> CustomDataset:
    """Write the pictures of a dataset without transforms into a folder, small; with `twins`, each one's twin too.

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
        pair = dataset[number]
        shots = {stem: pair} | ({f"{stem}_twin": near_twin(*pair, seed=number)} if twins else {})
        for name, (image, mask) in shots.items():
            # PNG for both: each pixel comes back as it was.
            image.resize(size[::-1], Image.Resampling.BILINEAR).save(folder / "images" / f"{name}.png")
            mask.resize(size[::-1], Image.Resampling.NEAREST).save(folder / "masks" / f"{name}.png")
    return CustomDataset(folder / "images", folder / "masks", image_transform(size), mask_transform(size))
