"""Owns the prediction of a whole folder, in batches and without overwriting files. Explained in 11_predict."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from seglib.data.image_io import to_rgb_image
from seglib.data.pairing import files_by_stem
from seglib.data.transforms import image_transform
from seglib.errors import ImageError, PairError, SegError, name_of
from seglib.inference.predict import model_input_size, model_outputs, outputs_to_prediction
from seglib.training.checkpoint import TrainedModel

EXISTING = ("refuse", "skip", "overwrite")


def predict_folder(
    trained: TrainedModel,
    image_folder: str | os.PathLike[str],
    mask_folder: str | os.PathLike[str],
    *,
    existing: str = "refuse",
    batch_size: int = 8,
) -> list[Path]:
    """Draw the masks of all pictures of a folder, in batches, and write each as a PNG: `fruit_007.png`.

    Args:
        trained: as in `predict`.
        image_folder: pictures of any sizes.
        mask_folder: another folder; made if it is not there.
        existing: what to do where a mask is already: "refuse" to begin, "skip" the picture, or "overwrite" the mask.
        batch_size: how many pictures of one size the model sees at once.

    Returns:
        The masks that were written: 0 and 255 for one object, labels for several classes, as `CustomDataset` reads.

    Raises:
        PairError: no picture is there; both folders are one; masks are there already. Nothing was written then.
        ImageError: some pictures cannot be read, and are named; the masks of all others are written.
    """
    masks = _masks_to_write(Path(image_folder), Path(mask_folder), existing)
    errors: list[SegError] = []

    def load(path: Path) -> ModelInput | SegError:
        try:
            image = to_rgb_image(path)
        except SegError as error:
            return error
        size = (image.height, image.width)
        pixels = image_transform(model_input_size(size, trained.size), portrait=True)(image)
        return ModelInput(path, size, pixels)

    def write(output: ModelOutput) -> Path:
        mask = outputs_to_prediction(trained, output.outputs, output.size).mask
        return _write(mask * 255 if len(output.outputs) == 1 else mask, masks[output.path])

    with ThreadPoolExecutor(2) as pool:  # these threads decode and write while the model computes
        inputs = _map_ahead(pool, load, tqdm(masks, unit="picture"), 2 * batch_size)
        batches = _batches_of_one_size(inputs, batch_size, errors)
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
    """One picture as the model sees it: pixels (3, h, w), normalised; `size` is its own (height, width)."""

    path: Path
    size: tuple[int, int]
    pixels: Tensor


@dataclass(frozen=True)
class ModelOutput:
    """The raw outputs (C, h, w) of one picture; `size` is the (height, width) that its mask will have."""

    path: Path
    size: tuple[int, int]
    outputs: Tensor


def _outputs(trained: TrainedModel, batches: Iterable[list[ModelInput]]) -> Iterator[ModelOutput]:
    for batch in batches:
        outputs = model_outputs(trained, torch.stack([one.pixels for one in batch]))  # (N, C, h, w)
        for one, its_outputs in zip(batch, outputs, strict=True):
            yield ModelOutput(one.path, one.size, its_outputs)


def _masks_to_write(image_folder: Path, mask_folder: Path, existing: str) -> dict[Path, Path]:
    """Each picture and the mask that it gets; a `PairError` where a file could be lost."""
    if existing not in EXISTING:
        raise PairError(f'existing = "{existing}"', f"one of {', '.join(EXISTING)}", "Correct the word.")
    masks = {path: mask_folder / f"{stem}.png" for stem, path in files_by_stem(image_folder).items()}
    if mask_folder.resolve() == image_folder.resolve():
        raise PairError(
            f'The masks would go into the folder of the pictures, "{name_of(image_folder)}".',
            "two folders: a mask has the name of its picture, and could replace it",
            "Name another mask_folder; it is made.",
        )
    there = [mask for mask in masks.values() if mask.exists()]
    if there and existing == "refuse":
        raise PairError(
            f"{len(there)} of {len(masks)} masks are there already, {name_of(there[0])} for one.",
            "a folder without them: whoever drew them may want to keep them",
            'Name another mask_folder, or say existing="skip" or existing="overwrite".',
        )
    mask_folder.mkdir(parents=True, exist_ok=True)
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


def _batches_of_one_size(
    inputs: Iterable[ModelInput | SegError], batch_size: int, errors: list[SegError]
) -> Iterator[list[ModelInput]]:
    """Batches of pictures that the model sees at one size. Errors among the inputs go to `errors`.

    A folder of many sizes gives smaller batches: at most eight batches of pictures are kept waiting in memory.
    """
    waiting: dict[Any, list[ModelInput]] = {}
    for one in inputs:
        if isinstance(one, SegError):
            errors.append(one)
            continue
        shape = one.pixels.shape
        waiting.setdefault(shape, []).append(one)
        if len(waiting[shape]) == batch_size:
            yield waiting.pop(shape)
        elif sum(map(len, waiting.values())) > 8 * batch_size:
            yield waiting.pop(max(waiting, key=lambda each: len(waiting[each])))
    yield from waiting.values()


def _write(mask: Tensor, path: Path) -> Path:
    # Under another name until it is whole: existing="skip" would take half a mask for a whole one.
    part = path.with_name(path.name + ".part")
    Image.fromarray(mask.numpy()).save(part, "PNG")
    os.replace(part, path)
    return path
