"""What the pretraining looks at: pictures and labels of one size, from one seed, scenes mixed in by their share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tools.assets import procedural
from tools.assets.stream import CLASS_NAMES, Stream

SIZE = (24, 32)


@pytest.fixture
def scenes(tmp_path: Path) -> list[Path]:
    """One scene: the first thing in stripes, 8 pixels wide, over the background."""
    labels = np.zeros((48, 64), np.uint8)
    labels[:, np.arange(64) // 8 % 2 == 1] = 1
    Image.fromarray(labels).save(tmp_path / "00000.png")
    Image.fromarray(np.stack([labels * 200] * 3, axis=2)).save(tmp_path / "00000.jpg")
    return [tmp_path / "00000.jpg"]


def test_pairs_have_the_size_and_type_that_cross_entropy_asks_for():
    for image, labels in Stream(0, 4, SIZE, seed=3):
        assert image.shape == (3, *SIZE)
        assert image.dtype == torch.float32
        assert labels.shape == SIZE
        assert labels.dtype == torch.int64


def test_each_procedural_picture_is_shown_twice_and_once_unaltered():
    assert len(list(Stream(0, 5, SIZE, seed=3))) == len(Stream(0, 5, SIZE, seed=3)) == 10
    assert len(list(Stream(0, 5, SIZE, seed=3, alter=False))) == 5


def test_the_same_seed_gives_the_same_stream_and_another_start_does_not():
    first, again, later = (list(Stream(start, 3, SIZE, seed=3)) for start in (0, 0, 3))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0][0], later[0][0])


def test_scenes_make_up_their_share_and_have_labels_of_their_own(scenes: list[Path]):
    stream = Stream(0, 4, SIZE, seed=3, scenes=scenes, scenes_share=0.5)
    labels = [labels for _, labels in stream]
    first_of_scenes = len(procedural.CLASS_NAMES)
    assert len(labels) == len(stream) == 16
    assert sum(bool((one == first_of_scenes).any()) for one in labels) == 8
    assert max(int(one.max()) for one in labels) < len(CLASS_NAMES)


def test_image_and_labels_of_a_scene_stay_together(scenes: list[Path]):
    stream = Stream(0, 4, SIZE, seed=3, scenes=scenes, scenes_share=0.5)
    for image, labels in stream:
        if (labels == len(procedural.CLASS_NAMES)).any():
            bright = image.mean(0) > (image.mean(0).min() + image.mean(0).max()) / 2
            assert (bright == (labels > 0)).float().mean() > 0.9
