"""Outlines against edges: right masks fit best where they are, wrong ones are found, sloppy ones pass."""

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from seglib.data.dataset import CustomDataset
from seglib.doctor.alignment import TURNS, alignment_scores, describe_misalignment, edges_of, outline_of, thumbnail

DATASET = CustomDataset("data_samples/images", "data_samples/masks")
PAIRS = [DATASET[idx] for idx in range(48)]
THUMBS = [thumbnail(image) for image, _ in PAIRS]
LANDSCAPES = [idx for idx, (image, _) in enumerate(PAIRS) if image.size == (1280, 960)]


def verdicts(change) -> list[str]:
    """What is said of each sample, once its mask is changed."""
    return [
        describe_misalignment(thumb, thumbnail(change(mask))) for thumb, (_, mask) in zip(THUMBS, PAIRS, strict=True)
    ]


def moved(mask: Image.Image, right: int, down: int) -> Image.Image:
    there = Image.new("L", mask.size)
    there.paste(mask, (right, down))
    return there


def grown(mask: Image.Image) -> Image.Image:
    return mask.filter(ImageFilter.BoxBlur(8)).point(lambda value: 255 * (value > 0))


def shrunk(mask: Image.Image) -> Image.Image:
    return mask.filter(ImageFilter.BoxBlur(8)).point(lambda value: 255 * (value == 255))


def rounded(mask: Image.Image) -> Image.Image:
    return mask.filter(ImageFilter.GaussianBlur(30)).point(lambda value: 255 * (value > 127))


@pytest.mark.parametrize("change", [lambda mask: mask, grown, shrunk, rounded, lambda mask: moved(mask, 8, 0)])
def test_no_false_alarm_for_48_right_masks_drawn_well_or_sloppily(change):
    assert verdicts(change) == [""] * 48


def test_masks_drawn_far_too_large_are_reported():
    words = verdicts(lambda mask: mask.filter(ImageFilter.BoxBlur(16)).point(lambda value: 255 * (value > 0)))
    assert 25 <= sum(map(bool, words)) <= 37


@pytest.mark.parametrize(
    ("change", "words"), [(ImageOps.mirror, "mirrored left for right"), (lambda m: m.rotate(180), "turned by half")]
)
def test_every_mirrored_mask_is_found_and_named(change, words):
    assert verdicts(change) == [words] * 48


def test_masks_upside_down_are_found_but_for_a_symmetric_scene():
    assert sum(words == "upside down" for words in verdicts(ImageOps.flip)) >= 46


@pytest.mark.parametrize(
    ("right", "down", "side"), [(64, 0, "too far right"), (-64, 0, "left"), (0, 64, "down"), (0, -64, "up")]
)
def test_a_shift_by_64_pixels_is_found_with_its_side(right, down, side):
    words = verdicts(lambda mask: moved(mask, right, down))
    assert all(words)
    assert sum(word.endswith(side) for word in words) >= 45
    assert sum(word[0] in "4567" for word in words if "too far" in word) >= 44  # per cent


def test_the_mask_of_another_picture_is_found():
    following = [*LANDSCAPES[1:], LANDSCAPES[0]]
    words = [
        describe_misalignment(THUMBS[a], thumbnail(PAIRS[b][1])) for a, b in zip(LANDSCAPES, following, strict=True)
    ]
    assert all(words)
    assert sum(word == "elsewhere" for word in words) > 0.8 * len(words)


def test_noise_does_not_hide_the_place():
    noise = np.random.default_rng(0).normal(0, 0.05, (96, 96, 1))
    thumbs = [thumb + noise[: thumb.shape[0], : thumb.shape[1]] for thumb in THUMBS]
    words = [describe_misalignment(thumb, thumbnail(mask)) for thumb, (_, mask) in zip(thumbs, PAIRS, strict=True)]
    assert sum(map(bool, words)) <= 1


def test_the_fit_is_a_multiple_of_chance_and_highest_in_its_place():
    for thumb, (_, mask) in zip(THUMBS, PAIRS, strict=True):
        places = alignment_scores(edges_of(thumb), outline_of(thumbnail(mask)))
        assert places.mean() == pytest.approx(1)
        assert places.argmax() == 0
        assert places[0, 0] > 2.5


def test_layers_of_classes_count_their_inner_borders_too():
    one = np.zeros((20, 30), np.float32)
    one[5:15, 5:25] = 1
    left, right = one.copy(), one.copy()
    left[:, 15:] = right[:, :15] = 0
    apart = outline_of(np.stack([left, right], axis=-1))
    assert apart[:, 8:12, 14:16].sum() > 0.05
    assert outline_of(one)[:, 8:12, 14:16].sum() == 0


@pytest.mark.parametrize("empty", ["picture", "mask"])
def test_where_there_is_nothing_to_compare_nothing_is_said(empty):
    thumb, mask = np.full((24, 32, 3), 0.5, np.float32), np.zeros((24, 32), np.float32)
    if empty == "picture":
        mask[4:9, 5:12] = 1
    else:
        thumb = THUMBS[0][:24, :32]
    assert describe_misalignment(thumb, mask) == ""


def test_a_thumbnail_keeps_the_shape_of_its_picture():
    assert thumbnail(Image.new("RGB", (1280, 960))).shape == (72, 96, 3)
    assert thumbnail(Image.new("L", (5, 500))).shape == (96, 1)
    assert set(TURNS) == {"mirrored left for right", "upside down", "turned by half"}
