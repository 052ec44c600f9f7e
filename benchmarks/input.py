"""How fast does a pair of files become an entry of a batch: the notes' way, ours from files, ours from the cache?

One JPEG, 1600 wide and 1200 high, and its PNG mask become a part of a batch of four, (3, 960, 1280) and (1, 960, 1280).
All is timed on one core, as in one worker of a DataLoader.

- notes: PIL, Resize, ToTensor, Normalize, and the default collate, without any of seglib's checks.
- first: `ByteDataset` from the files, with every check, and `collate`. The batch leaves the loader as bytes.
- later: the same from its cache.
- first and later "with floats": and then `to_model_inputs`, which normalises, on the same core. In a training on a GPU
  the GPU does that, in microseconds.

Each round runs all of them, one after the other; the medians are of the ratios to the notes' way in the same round.
A second part runs whole epochs of a DataLoader with 0 and 2 workers, with one cache for all.

    python -m benchmarks.input [--rounds 21] [--epochs 3]        writes benchmarks/results/input.json
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.samples import sample_files
from benchmarks.common.timing import in_rounds, milliseconds
from seglib.data.byte_dataset import ByteDataset
from seglib.data.dataloaders import collate, make_loaders
from seglib.data.image_io import load_image, load_image_tensor, load_mask
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD, denormalize, to_model_inputs

FILE_SIZE = (1200, 1600)  # (height, width)
SIZE = (960, 1280)
BATCH = 4
Pair = tuple[Tensor, Tensor]


def write_files(folder: Path, count: int, size: tuple[int, int]) -> tuple[Path, Path]:
    """The first samples as JPEG and PNG of one size, landscape, as a camera of a few years ago gives them."""
    folders = folder / "images", folder / "masks"
    for each in folders:
        each.mkdir(parents=True)
    landscape = (pair for pair in sample_files() if pair[0].width > pair[0].height)
    for number, (image, mask) in zip(range(count), landscape, strict=False):
        image.resize(size[::-1], Image.Resampling.BICUBIC).save(folders[0] / f"{number:02}.jpg", quality=92)
        mask.resize(size[::-1], Image.Resampling.NEAREST).save(folders[1] / f"{number:02}.png")
    return folders


class NotesDataset(torch.utils.data.Dataset):
    """The notes' dataset and transforms, with nothing added: the files pair by their place in the sorted lists."""

    def __init__(self, image_folder: Path, mask_folder: Path, size: tuple[int, int]):
        self.images = sorted(image_folder.iterdir())
        self.masks = sorted(mask_folder.iterdir())
        self.transform = transforms.Compose(
            [transforms.Resize(size), transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
        )
        self.mask_transform = transforms.Compose(
            [transforms.Resize(size, InterpolationMode.NEAREST), transforms.ToTensor()]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, idx: int) -> Pair:
        image = Image.open(self.images[idx]).convert("RGB")
        mask = Image.open(self.masks[idx]).convert("L")
        return self.transform(image), self.mask_transform(mask)


def entries(notes: NotesDataset, plain: ByteDataset, cached: ByteDataset, rounds: int) -> dict:
    """Milliseconds of an entry each way, the ratios, and how far the results are apart."""
    places = range(min(BATCH, len(notes)))
    ways: dict[str, Callable[[], list[Tensor]]] = {
        "notes": lambda: default_collate([notes[idx] for idx in places]),
        "first": lambda: collate([plain[idx] for idx in places]),
        "later": lambda: collate([cached[idx] for idx in places]),
        "first with floats": lambda: list(to_model_inputs(*collate([plain[idx] for idx in places]))),
        "later with floats": lambda: list(to_model_inputs(*collate([cached[idx] for idx in places]))),
    }
    results = {name: way() for name, way in ways.items()}  # once unmeasured, which also fills the cache
    times = in_rounds(ways, rounds)
    images, masks = results["notes"]
    floats = [results["first with floats"], results["later with floats"]]
    apart = max(255 * (denormalize(ours) - denormalize(images)).abs().max().item() for ours, _ in floats)
    return {
        "milliseconds": {name: round(statistics.median(row[name] / len(places) for row in times), 2) for name in ways},
        "ratio": {
            name: round(statistics.median(row["notes"] / row[name] for row in times), 2) for name in list(ways)[1:]
        },
        "largest_difference_in_steps_of_255": round(apart, 2),
        "masks_equal": all(torch.equal(ours, masks) for _, ours in floats),
    }


def parts(plain: ByteDataset, image: Path, mask: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Where the milliseconds of a pair go, each part alone, the notes' way and ours."""
    size = plain.size
    pil = load_image(image)
    pixels = load_image_tensor(image)
    small_pil = pil.resize(size[::-1])
    floats = transforms.ToTensor()(small_pil)
    entry = [tensor[None] for tensor in plain[0]]
    works: dict[str, dict[str, Callable[[], object]]] = {
        "notes": {
            "decode": lambda: Image.open(image).convert("RGB"),
            "resize": lambda: transforms.Resize(size)(pil),
            "to tensor": lambda: transforms.ToTensor()(small_pil),
            "normalise": lambda: transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)(floats),
            "mask": lambda: transforms.ToTensor()(Image.open(mask).resize(size[::-1], Image.Resampling.NEAREST)),
        },
        "ours": {
            "decode": lambda: load_image_tensor(image),
            "resize": lambda: F.resize(pixels, list(size), antialias=True).contiguous(),
            "normalise": lambda: to_model_inputs(*entry),
            "mask": lambda: load_mask(mask).resize(size[::-1], Image.Resampling.NEAREST),
        },
    }
    return {
        way: {
            name: round(statistics.median(milliseconds(work) for _ in range(rounds)), 2) for name, work in row.items()
        }
        for way, row in works.items()
    }


def epochs(folders: tuple[Path, Path], size: tuple[int, int], count: int) -> list[dict]:
    """Seconds of each epoch of a loader, by way and number of workers; ours with one cache that all workers share."""
    rows = []
    for workers in (0, 2):
        cached = ByteDataset(*folders, size, cache_gib=4)
        sides = cached.subset(cached.stems[:-1]), cached.subset(cached.stems[-1:])
        loaders = {
            "notes": DataLoader(
                NotesDataset(*folders, size), BATCH, num_workers=workers, persistent_workers=workers > 0
            ),
            "ours": make_loaders(*sides, batch_size=BATCH, num_workers=workers)[0],
        }
        for way, loader in loaders.items():
            seconds = [round(seconds_a_picture(loader), 4) for _ in range(count)]
            rows.append({"way": way, "workers": workers, "seconds_a_picture_by_epoch": seconds})
            print(rows[-1], flush=True)
    return rows


def seconds_a_picture(loader: DataLoader) -> float:
    """Seconds of one epoch of loading, divided by its number of pictures."""
    begin = time.perf_counter()
    count = sum(len(images) for images, _ in loader)
    return (time.perf_counter() - begin) / count


def main() -> None:
    parser = option_parser(__doc__, "input")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--count", type=int, default=17, help="pictures")
    parser.add_argument("--file", type=int, nargs=2, default=FILE_SIZE, help="height width of the files")
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, help="height width of the entries")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file_size = tuple(arguments.file)
    size = tuple(arguments.size)
    with tempfile.TemporaryDirectory() as scratch:
        folders = write_files(Path(scratch), arguments.count, file_size)
        notes = NotesDataset(*folders, size)
        plain = ByteDataset(*folders, size)
        cached = ByteDataset(*folders, size, cache_gib=4)
        figures = {
            "rounds": arguments.rounds,
            "file": list(file_size),
            "size": list(size),
            "batch_size": min(BATCH, arguments.count),
            **entries(notes, plain, cached, arguments.rounds),
            "parts": parts(plain, notes.images[0], notes.masks[0], arguments.rounds),
            "epochs": epochs(folders, size, arguments.epochs),
        }
    write_record(
        arguments.out, "milliseconds from a JPEG and its PNG mask to an entry of a batch, on one core", figures
    )
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
