"""Pictures of one scene are found in many disguises; different things of one kind are not taken for one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglib.data.dataset import CustomDataset
from seglib.data.splits import Split
from seglib.doctor import examine
from seglib.doctor.near_twins import SIDE, find_same_scenes, grid_of
from seglib.doctor.rules import SPOILS, check_near_twins
from seglib.lesson.common.small_dataset import near_twin


@pytest.fixture(scope="module")
def samples() -> dict[str, Image.Image]:
    dataset = CustomDataset("data_samples/images", "data_samples/masks")
    return {stem: dataset[number][0].resize((320, 240)) for number, stem in enumerate(dataset.stems)}


def cropped(picture: Image.Image, share: float, seed: int) -> Image.Image:
    """A part of the frame, somewhere in it, enlarged to the old size."""
    left, top = np.random.default_rng(seed).uniform(0, 1 - share, 2) * picture.size
    width, height = picture.width * share, picture.height * share
    return picture.resize(picture.size, Image.Resampling.BILINEAR, (left, top, left + width, top + height))


def copies_found(samples, change, every: int = 4) -> tuple[int, int, int]:
    """How many copies there are, how many are found, and how many pairs are found that are none."""
    copies = {f"copy_of_{stem}": change(samples[stem], k) for k, stem in enumerate(samples) if k % every == 0}
    grids = {stem: grid_of(picture) for stem, picture in {**samples, **copies}.items()}
    pairs = {(one.first, one.second) for one in find_same_scenes(grids).twins}
    right = {(name.removeprefix("copy_of_"), name) for name in copies}
    return len(copies), len(pairs & right), len(pairs - right)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture, k: picture,
        lambda picture, k: near_twin(picture, picture.convert("L"), k)[0],
        lambda picture, k: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda picture, k: picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        lambda picture, k: picture.transpose(Image.Transpose.ROTATE_90),
        lambda picture, k: picture.transpose(Image.Transpose.ROTATE_180),
        lambda picture, k: picture.transpose(Image.Transpose.ROTATE_270),
        lambda picture, k: picture.resize((200, 100)),
        lambda picture, k: cropped(picture, 0.9, k),
        lambda picture, k: cropped(picture, 0.8, k),
        lambda picture, k: cropped(picture, 0.7, k),
    ],
)
def test_every_copy_is_found_and_nothing_else(samples, change):
    count, found, wrong = copies_found(samples, change)
    assert (found, wrong) == (count, 0)


def test_the_limit_that_the_docstring_states_crops_below_two_thirds_are_mostly_missed(samples):
    count, found, wrong = copies_found(samples, lambda picture, k: cropped(picture, 0.6, k))
    assert found < count / 2
    assert wrong == 0


def test_of_the_samples_no_two_are_one_scene(samples):
    scenes = find_same_scenes({stem: grid_of(picture) for stem, picture in samples.items()})
    assert scenes.twins == []
    assert not scenes.of_one_kind
    assert scenes.recordings == {}  # fruit_000, fruit_001, ... are numbered, and are no frames


def eye(seed: int) -> tuple[Image.Image, Image.Image]:
    """A picture through a fundus camera, with a spot of its own, and the mask of the spot."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:240, :320]
    inside = (x - 160 - rng.uniform(-3, 3)) ** 2 + (y - 120 - rng.uniform(-3, 3)) ** 2 < 110**2
    picture = np.zeros((240, 320, 3))
    picture[inside] = np.array([170, 80, 40]) * rng.uniform(0.8, 1.1)
    spot = (x - rng.uniform(90, 230)) ** 2 + (y - rng.uniform(70, 170)) ** 2 < 18**2
    picture[spot] = [230, 200, 120]
    picture += rng.normal(0, 4, picture.shape)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)), Image.fromarray((spot * 255).astype(np.uint8))


def test_sixteen_different_eyes_are_no_twins_and_the_measure_says_that_it_cannot_tell(tmp_path: Path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    stems = [f"f{number:02}" for number in range(16)]
    for number, stem in enumerate(stems):
        image, mask = eye(number)
        image.save(tmp_path / "images" / f"{stem}.jpg", quality=95)
        mask.save(tmp_path / "masks" / f"{stem}.png")
    folders = tmp_path / "images", tmp_path / "masks"
    report = examine(*folders, split=Split(stems[:12], stems[12:]), progress=False)
    assert report.of("twins apart") == report.of("twins") == report.of("recordings apart") == []
    assert report.of("one kind") == ["most pairs"]
    assert report.fit


def test_a_copied_file_is_found_even_among_eyes():
    grids = {f"eye {number:02}": grid_of(eye(number)[0]) for number in range(16)}
    grids["copy"] = grids["eye 03"]
    assert [one[:2] for one in find_same_scenes(grids).twins] == [("eye 03", "copy")]


def recording(picture: Image.Image, frames: int = 12) -> list[Image.Image]:
    """A camera that moves over a scene, a fiftieth of its width from frame to frame."""
    step = picture.width / 50
    boxes = [(k * step, 40, k * step + picture.width / 2, 160) for k in range(frames)]
    return [picture.resize((160, 120), Image.Resampling.BILINEAR, box) for box in boxes]


def test_frames_of_recordings_are_grouped_by_name_and_told_as_one_each(samples):
    grids = {}
    for name, picture in zip("abcd", list(samples.values()), strict=False):
        for number, frame in enumerate(recording(picture)):
            grids[f"{name}_{number:03}"] = grid_of(frame)
    scenes = find_same_scenes(grids)
    assert {name: len(stems) for name, stems in scenes.recordings.items()} == dict.fromkeys("abcd", 12)
    stems = list(grids)
    random = Split(stems[::2], stems[1::2])
    (finding,) = check_near_twins(scenes, random)
    assert (finding.kind, finding.severity) == ("recordings apart", SPOILS)
    assert finding.names == [f"{name}_000 to {name}_011" for name in "abcd"]
    assert 'group_by="recording"' in finding.fix
    assert check_near_twins(scenes, Split(stems[:24], stems[24:])) == []


def test_names_without_a_number_leave_the_frames_as_twins(samples):
    frames = recording(next(iter(samples.values())), frames=4)
    others = list(samples.values())[1:9]
    grids = {f"frame {letter}": grid_of(frame) for letter, frame in zip("wxyz", frames, strict=True)}
    grids |= {f"other {letter}": grid_of(picture) for letter, picture in zip("abcdefgh", others, strict=True)}
    scenes = find_same_scenes(grids)
    assert scenes.recordings == {}
    assert {("frame w", "frame x"), ("frame x", "frame y"), ("frame y", "frame z")} <= {t[:2] for t in scenes.twins}


def test_plain_pictures_and_very_few_pictures_are_no_twins():
    plain = {f"p{grey}": np.full((SIDE, SIDE, 3), grey, np.uint8) for grey in range(100, 110)}
    assert find_same_scenes(plain).twins == []
    assert find_same_scenes({}).twins == find_same_scenes({"a": plain["p100"]}).twins == []


def test_two_pictures_are_enough_for_twins(samples):
    stem, picture = next(iter(samples.items()))
    found = find_same_scenes({stem: grid_of(picture), "twin": grid_of(near_twin(picture, picture.convert("L"), 1)[0])})
    assert [one[:2] for one in found.twins] == [(stem, "twin")]
