"""What several test files share: tiny folders of pictures, and what every refusal of seglib must be like."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image
from torch import nn

from seglib.errors import SegError

HEIGHT, WIDTH = 48, 64
# No database, no chance, no clock: a property test gives the same answer on every machine and in every run.
quick = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def photograph(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    """A smooth picture that differs from its mirror images, so that every turn of it shows."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / width
    green = 255 * y / height
    blue = 127 + 120 * np.sin((x + 2 * y + 7 * seed) / 9)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def binary_mask(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    """0 and 255: a rectangle in a corner that no turn maps to itself."""
    mask = np.zeros((height, width), np.uint8)
    mask[2 : height // 2 - 3 + seed % 3, 3 : width // 3] = 255
    return Image.fromarray(mask)


def make_folders(root: Path, stems=("a", "b", "c"), image_suffix=".jpg", mask_suffix=".png") -> tuple[Path, Path]:
    """`root/images` and `root/masks`, with one picture and one mask for each stem."""
    images, masks = root / "images", root / "masks"
    images.mkdir(parents=True)
    masks.mkdir()
    for seed, stem in enumerate(stems):
        photograph(seed).save(images / f"{stem}{image_suffix}")
        binary_mask(seed).save(masks / f"{stem}{mask_suffix}")
    return images, masks


def snapshot(folder: Path) -> dict[str, object]:
    """Everything below a folder: names, and of each file its bytes (hashed) and its time."""
    return {
        path.relative_to(folder).as_posix(): (
            (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) if path.is_file() else None
        )
        for path in sorted(folder.rglob("*"))
    }


def check_message(error: SegError, *mentions: str, never: Path | None = None) -> None:
    """What, expected, how to fix; with forward slashes, and without the absolute path `never`."""
    message = str(error)
    assert error.found
    assert error.expected
    assert error.fix
    assert message == f"{error.found}\nExpected: {error.expected}\nFix: {error.fix}"
    for mention in mentions:
        assert mention in message
    assert "\\" not in message
    if never is not None:
        assert never.as_posix() not in message
        assert '"/' not in message


@contextlib.contextmanager
def refused(kind: type[SegError], folder: Path, *mentions: str) -> Iterator[None]:
    """The block must raise exactly this kind, say it well, name `mentions`, and change nothing below `folder`."""
    before = snapshot(folder)
    with pytest.raises(kind) as caught:
        yield
    assert caught.type is kind
    check_message(caught.value, *mentions, never=folder)
    assert snapshot(folder) == before


class TinyModel(nn.Module):
    """A model small enough to train in a test, with the output of a DeepLab: {"out": (N, C, H, W)}."""

    def __init__(self, num_classes: int = 1, width: int = 8):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, images):
        return {"out": self.classifier(self.backbone(images))}
