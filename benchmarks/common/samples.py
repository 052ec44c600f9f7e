"""Owns the pictures that benchmarks measure on: the samples of the repository, as they are or shrunk once."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common.results import ROOT
from seglib.data.dataset import CustomDataset
from seglib.lesson.common.small_dataset import write_small

SAMPLES = ROOT / "data_samples"


def sample_files(samples: Path = SAMPLES) -> CustomDataset:
    """All photographs with their masks, as PIL images."""
    return CustomDataset(samples / "images", samples / "masks")


@contextlib.contextmanager
def shrunk_copies(files: CustomDataset, size: tuple[int, int]) -> Iterator[Path]:
    """A temporary folder with `images` and `masks` of one size, (height, width).

    Decoding a photograph 1280 wide in each epoch would take a third of a training at 320 wide.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "small"
        write_small(files, folder, size=size)
        yield folder
