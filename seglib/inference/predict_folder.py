"""Owns the prediction of a whole folder, in batches and without overwriting files. Explained in 11_predict."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seglib.data.image_io import load_image
from seglib.data.pairing import files_by_stem
from seglib.data.transforms import image_transform, scaled_size
from seglib.errors import ImageError, PairError, SegError, name_of
from seglib.inference.fold import fold_batchnorm
from seglib.inference.overlay import overlay
from seglib.inference.palette import SKY_BLUE, class_colours
from seglib.inference.predict import model_outputs, outputs_in_tiles, outputs_to_prediction
from seglib.progress import progress_bar
from seglib.training.checkpoint import TrainedModel

EXISTING = ("refuse", "skip", "overwrite")
RUN_LENGTHS = 3  # zlib's Z_RLE: a mask is long runs of one value, and to look for other repetitions only costs time


def predict_folder(
    trained: TrainedModel,
    image_folder: str | os.PathLike[str],
    mask_folder: str | os.PathLike[str],
    *,
    existing: str = "refuse",
    batch_size: int = 8,
    recursive: bool | None = None,
    overlay_folder: str | os.PathLike[str] | None = None,
    probability_folder: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
) -> list[Path]:
    """Draw the masks of all pictures of a folder, in batches, and write each as a PNG: `fruit_007.png`.

    Args:
        trained: as in `predict`.
        image_folder: pictures of any sizes.
        mask_folder: another folder; made if it is not there.
        existing: what to do where a mask is already: "refuse" to begin, "skip" the picture, or "overwrite" the mask.
        batch_size: how many pictures the model sees at once.
        recursive: as in `pair_files`; masks lie in sub folders of the same names.
        overlay_folder: if given, each mask drawn over its photograph goes there, as a JPEG.
        probability_folder: if given, the probabilities go there: float16 (C, H, W) in [0, 1], as NumPy's `.npy`.
        max_pixels: as in `load_image`.

    Returns:
        The masks that were written: 0 and 255 for one object, labels for several classes, as `CustomDataset` reads.

    Raises:
        PairError: no picture is there; two folders are one; masks are there already. Nothing was written then.
        ImageError: some pictures cannot be read, and are named; the masks of all others are written.
    """
    folders = [Path(folder) for folder in (mask_folder, overlay_folder, probability_folder) if folder is not None]
    masks = _masks_to_write(Path(image_folder), folders, existing, recursive)
    errors: list[SegError] = []

    def load(path: Path) -> ModelInput | SegError:
        try:
            image = load_image(path, max_pixels=max_pixels)
        except SegError as error:
            return error.with_traceback(None)  # it would keep the picture in memory
        return _as_the_model_sees(trained, path, image)

    def write(output: ModelOutput) -> Path:
        mask_path = masks[output.path]
        wanted = probability_folder is not None
        prediction = outputs_to_prediction(trained, output.outputs, output.size, probabilities=wanted)
        place = mask_path.relative_to(folders[0])
        if probability_folder is not None and prediction.probabilities is not None:
            numbers = prediction.probabilities.numpy().astype(np.float16)
            _write(lambda file: np.save(file, numbers), Path(probability_folder) / place.with_suffix(".npy"))
        if overlay_folder is not None:
            drawn = _overlay(load_image(output.path, max_pixels=max_pixels), prediction.mask, len(output.outputs))
            _write(lambda file: drawn.save(file, "JPEG", quality=90), Path(overlay_folder) / place.with_suffix(".jpg"))
        mask = prediction.mask * 255 if len(output.outputs) == 1 else prediction.mask
        picture = Image.fromarray(mask.numpy())
        _write(
            lambda file: picture.save(file, "PNG", compress_type=RUN_LENGTHS), mask_path
        )  # last: "skip" looks for it
        return mask_path

    trained = replace(trained, model=fold_batchnorm(trained.model))
    with ThreadPoolExecutor(2) as pool:  # these threads decode and write while the model computes
        inputs = _map_ahead(pool, load, progress_bar(masks, unit="picture"), 2 * batch_size)
        batches = _batches(inputs, batch_size if trained.scale is None else 1, errors)
        written = sorted(_map_ahead(pool, write, _outputs(trained, batches), 2 * batch_size))
    if errors:
        raise ImageError(
            f"{len(errors)} of {len(masks)} pictures were not read. " + " ".join(error.found for error in errors[:5]),
            "complete pictures; the masks of the others are written",
            'Mend or remove these, and call again with existing="skip".',
        )
    return written


@dataclass(frozen=True)
class ModelInput:
    """One picture as the model sees it: normalised pixels (3, h, w), or an image to be cut into tiles."""

    path: Path
    size: tuple[int, int]  # (height, width) of the picture, which its mask will have
    pixels: Tensor | Image.Image


@dataclass(frozen=True)
class ModelOutput:
    """The raw outputs (C, h, w) of one picture; `size` is the (height, width) that its mask will have."""

    path: Path
    size: tuple[int, int]
    outputs: Tensor


def _as_the_model_sees(trained: TrainedModel, path: Path, image: Image.Image) -> ModelInput:
    size = (image.height, image.width)
    if trained.scale is None:
        return ModelInput(path, size, image_transform(trained.size, portrait=True)(image))
    enlarged = scaled_size(size, trained.scale)
    return ModelInput(path, size, image.resize(enlarged[::-1], Image.Resampling.BILINEAR))


def _outputs(trained: TrainedModel, batches: Iterable[list[ModelInput]]) -> Iterator[ModelOutput]:
    for batch in batches:
        if trained.scale is None:
            pixels = [one.pixels for one in batch if isinstance(one.pixels, Tensor)]
            outputs = model_outputs(trained, torch.stack(pixels))  # (N, C, h, w)
        else:
            images = [one.pixels for one in batch if isinstance(one.pixels, Image.Image)]
            outputs = torch.stack([outputs_in_tiles(trained, image) for image in images])
        for one, its_outputs in zip(batch, outputs, strict=True):
            yield ModelOutput(one.path, one.size, its_outputs)


def _overlay(image: Image.Image, mask: Tensor, channels: int) -> Image.Image:
    return Image.fromarray(overlay(image, mask, SKY_BLUE if channels == 1 else class_colours(channels)))


def _masks_to_write(image_folder: Path, folders: list[Path], existing: str, recursive: bool | None) -> dict[Path, Path]:
    """Each picture and the mask that it gets; a `PairError` where a file could be lost. The folders are made."""
    if existing not in EXISTING:
        raise PairError(f'existing = "{existing}"', f"one of {', '.join(EXISTING)}", "Correct the word.")
    mask_folder = folders[0]
    masks = {
        path: mask_folder / f"{stem}.png" for stem, path in files_by_stem(image_folder, recursive=recursive).items()
    }
    places = [folder.resolve() for folder in (image_folder, *folders)]
    if len(set(places)) < len(places):
        raise PairError(
            f'The masks, or what goes with them, would go into the folder of the pictures, "{name_of(image_folder)}".',
            "folders of their own: a mask has the name of its picture, and could replace it",
            "Name another folder; it is made.",
        )
    there = [mask for mask in masks.values() if mask.exists()]
    if there and existing == "refuse":
        raise PairError(
            f"{len(there)} of {len(masks)} masks are there already, {name_of(there[0])} for one.",
            "a folder without them: whoever drew them may want to keep them",
            'Name another folder for the masks, or say existing="skip" or existing="overwrite".',
        )
    for folder in folders:
        for mask in masks.values():
            (folder / mask.relative_to(mask_folder)).parent.mkdir(parents=True, exist_ok=True)
    return {path: mask for path, mask in masks.items() if existing != "skip" or mask not in there}


def _map_ahead(pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterable[Any], count: int) -> Iterator[Any]:
    """`work(item)` for each item, in order, at most `count` of them under way; `pool.map` would start all at once."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _batches(
    inputs: Iterable[ModelInput | SegError], batch_size: int, errors: list[SegError]
) -> Iterator[list[ModelInput]]:
    """Batches of pictures. Errors among the inputs go to `errors`."""
    batch: list[ModelInput] = []
    for one in inputs:
        if isinstance(one, SegError):
            errors.append(one)
            continue
        batch.append(one)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(save: Callable[[Any], object], path: Path) -> None:
    # Under another name until it is whole: existing="skip" would take half a mask for a whole one.
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        save(file)
    os.replace(part, path)


if __name__ == "__main__":
    raise SystemExit("Type: python -m seglib predict --help")
