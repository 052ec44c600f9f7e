"""Pictures with more pixels than Pillow opens: allowed by an argument, which workers that are started anew get too."""

import zlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.transforms import joint_transform
from seglib.errors import ImageError
from tests.support.helpers import make_folders


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two ordinary pairs, and one that is black, 13,400 pixels wide and high: 180 million in a file of 22 kB."""
    images, masks = make_folders(tmp_path, stems=("a", "b"))
    side = 13400

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    head = side.to_bytes(4) * 2 + bytes([1, 0, 0, 0, 0])  # one bit a pixel
    rows = zlib.compress(bytes(1 + (side + 7) // 8) * side)
    for folder in (images, masks):
        (folder / "giant.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
        )
    return images, masks


def load_all(folders: tuple[Path, Path], **options: object) -> None:
    dataset = CustomDataset(*folders, joint_transform=joint_transform((48, 64), train=False), **options)
    loader = make_loaders(dataset.subset(["giant"]), dataset.subset(["a"]), num_workers=1)[0]
    loader.multiprocessing_context = torch.multiprocessing.get_context("spawn")  # as on Windows and macOS
    for images, _ in loader:
        assert images.shape == (1, 3, 48, 64)


def test_a_giant_is_refused_with_the_argument_that_allows_it(folders):
    with pytest.raises(ImageError, match="max_pixels=179560000"):
        load_all(folders)


def test_the_argument_reaches_workers(folders):
    load_all(folders, max_pixels=179560000)


def test_a_bound_that_was_lifted_in_this_process_is_lifted_in_its_workers(folders, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    load_all(folders)
