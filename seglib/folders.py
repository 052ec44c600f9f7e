"""Owns the prediction of a whole folder: batches, and files that are never lost by it. Explained in 09_predict."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from seglib.checkpoint import Trained
from seglib.errors import ImageError, PairError, SegError, name_of
from seglib.files import files_by_stem
from seglib.photos import to_photograph, working_size
from seglib.predict import model_outputs, read_outputs
from seglib.transforms import image_transform

EXISTING = ("refuse", "skip", "overwrite")
Ready = tuple[Path, tuple[int, int], Tensor]  # a file, the (height, width) of its picture, and that as a model sees it


def predict_folder(
    trained: Trained,
    image_folder: str | os.PathLike[str],
    mask_folder: str | os.PathLike[str],
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
    todo = _what_to_do(Path(image_folder), Path(mask_folder), existing)
    unread: list[SegError] = []

    def ready(path: Path) -> Ready | SegError:
        try:
            photo = to_photograph(path)
        except SegError as error:
            return error
        size = (photo.height, photo.width)
        return path, size, image_transform(working_size(size, trained.size), portrait=True)(photo)

    def finish(done: tuple[Path, tuple[int, int], Tensor]) -> Path:
        path, size, outputs = done
        mask = read_outputs(trained, outputs, size).mask
        return _write(mask * 255 if len(outputs) == 1 else mask, todo[path])

    def outputs_of(batches: Iterable[list[Ready]]) -> Iterator[tuple[Path, tuple[int, int], Tensor]]:
        for batch in batches:
            paths, sizes, images = zip(*batch, strict=True)
            yield from zip(paths, sizes, model_outputs(trained, torch.stack(images)), strict=True)

    with ThreadPoolExecutor(2) as pool:  # while the model computes, these decode what comes and write what is done
        coming = _ahead(pool, ready, tqdm(todo, unit="picture"), 2 * batch_size)
        batches = _of_one_size(coming, batch_size, unread)
        written = sorted(_ahead(pool, finish, outputs_of(batches), 2 * batch_size))
    if unread:
        raise ImageError(
            f"{len(unread)} of {len(todo)} pictures were not read. " + " ".join(error.found for error in unread[:5]),
            "complete pictures; the masks of the others are written",
            'Mend or remove these, and call again with existing="skip".',
        )
    return written


def _what_to_do(image_folder: Path, mask_folder: Path, existing: str) -> dict[Path, Path]:
    """Each picture and the mask that it gets; a `PairError` where a file could be lost."""
    if existing not in EXISTING:
        raise PairError(f'existing = "{existing}"', f"one of {', '.join(EXISTING)}", "Correct the word.")
    todo = {path: mask_folder / f"{stem}.png" for stem, path in files_by_stem(image_folder).items()}
    if mask_folder.resolve() == image_folder.resolve():
        raise PairError(
            f'The masks would go into the folder of the pictures, "{name_of(image_folder)}".',
            "two folders: a mask has the name of its picture, and could replace it",
            "Name another mask_folder; it is made.",
        )
    there = [mask for mask in todo.values() if mask.exists()]
    if there and existing == "refuse":
        raise PairError(
            f"{len(there)} of {len(todo)} masks are there already, {name_of(there[0])} for one.",
            "a folder without them: whoever drew them may want to keep them",
            'Name another mask_folder, or say existing="skip" or existing="overwrite".',
        )
    mask_folder.mkdir(parents=True, exist_ok=True)
    return {path: mask for path, mask in todo.items() if existing != "skip" or mask not in there}


def _ahead(pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterable[Any], count: int) -> Iterator[Any]:
    """`work` of each item, in order, with `count` of them under way: as the pool's own `map`, but not all at once."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _of_one_size(ready: Iterable[Any], batch_size: int, unread: list[SegError]) -> Iterator[list[Ready]]:
    """Batches of pictures that the model sees at one size; a folder of many sizes gives smaller ones."""
    waiting: dict[Any, list[Ready]] = {}
    for one in ready:
        if isinstance(one, SegError):
            unread.append(one)
            continue
        shape = one[2].shape
        waiting.setdefault(shape, []).append(one)
        if len(waiting[shape]) == batch_size:
            yield waiting.pop(shape)
        elif sum(map(len, waiting.values())) > 8 * batch_size:  # memory has an end
            yield waiting.pop(max(waiting, key=lambda each: len(waiting[each])))
    yield from waiting.values()


def _write(mask: Tensor, path: Path) -> Path:
    part = path.with_name(path.name + ".part")  # half a mask would look like a whole one to "skip"
    Image.fromarray(mask.numpy()).save(part, "PNG")
    os.replace(part, path)
    return path
