"""The ceiling: close to the slow way, each class of its own, and the setting at which it is high enough."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from benchmarks.ceiling import ceiling
from seglib.doctor.ceiling import best_ious, best_masks, choose_sample, class_ceilings
from seglib.doctor.measurements import Geometry, PairMeasurements, Reading
from seglib.doctor.proposals import ENOUGH, LOW, crop_for, find_prospects, same_scale

SMALL = Geometry((96, 128), None, 16)


def discs(radius: float, seed: int = 0) -> Image.Image:
    """A mask of 0 and 255, 128 wide and 96 high, with four discs."""
    rng = np.random.default_rng(seed)
    mask = Image.new("L", (128, 96))
    for _ in range(4):
        x, y = rng.uniform(radius, 128 - radius), rng.uniform(radius, 96 - radius)
        ImageDraw.Draw(mask).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return mask


def crack(seed: int = 0, width: int = 3) -> Image.Image:
    """A thin line from left to right, on a mask 256 wide and 192 high."""
    rng = np.random.default_rng(seed)
    mask = Image.new("L", (256, 192))
    points = [(x, 96 + 25 * rng.standard_normal()) for x in range(0, 257, 32)]
    ImageDraw.Draw(mask).line([(float(x), float(y)) for x, y in points], fill=255, width=width)
    return mask


def as_tensor(mask: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(mask) > 127).float()[None, None]


def test_the_cheap_way_is_a_little_below_600_steps():
    masks = torch.cat([as_tensor(discs(radius)) for radius in (5, 8, 12, 20)])
    slow = np.array([ceiling(mask, steps=600) for mask in masks])
    cheap = best_ious(masks, masks >= 0, stride=16).numpy()
    assert (cheap < slow + 0.01).all()
    assert (cheap > slow - 0.11).all()
    assert cheap.mean() > slow.mean() - 0.06


def test_it_draws_what_the_function_of_the_lesson_draws():
    masks = torch.cat([as_tensor(discs(radius)) for radius in (6, 10, 16)])
    drawn = torch.cat([best_masks(mask[None]) for mask in masks])
    target = masks > 0.5
    iou = (drawn & target).sum((1, 2, 3)) / (drawn | target).sum((1, 2, 3))
    assert best_ious(masks, target | ~target, stride=16) == pytest.approx(iou, abs=0.05)


def test_a_finer_grid_draws_better():
    mask = as_tensor(discs(5))
    coarse, fine = (best_ious(mask, mask >= 0, stride).item() for stride in (16, 8))
    assert coarse + 0.1 < fine


def test_ignored_pixels_cost_nothing():
    mask = as_tensor(discs(12))
    specks = mask.clone()
    specks[..., ::3, ::3] = 1  # too fine for any grid
    everywhere = mask >= 0
    assert best_ious(specks, everywhere, 16).item() < 0.7
    assert best_ious(specks, specks == mask, 16).item() > best_ious(mask, everywhere, 16).item() - 0.05


def test_an_empty_mask_is_no_division_by_zero():
    empty = torch.zeros(1, 1, 32, 32)
    assert best_ious(empty, empty == 0, 16).tolist() == [0]


def test_the_background_has_a_ceiling_too():
    thin_background = crack(width=4).point(lambda value: 255 - value)
    sample = choose_sample({"a": [0, 255]})
    found = class_ceilings(sample, lambda _: thin_background, Geometry((96, 128), None, 16), binary=True)
    assert found[0] < 0.4
    assert found[255] > 0.9


def test_in_class_masks_255_is_ignored_and_each_class_is_judged():
    labels = discs(20).point(lambda value: 1 if value else 0)
    speckled = labels.copy()
    for x in range(0, 128, 3):
        speckled.paste(255, (x, 0, x + 1, 96))
    sample = choose_sample({"a": [0, 1]})
    for mask in (labels, speckled):
        found = class_ceilings(sample, lambda _, mask=mask: mask, SMALL, binary=False)
        assert min(found.values()) > 0.8


def test_the_sample_is_bounded_and_spread_and_holds_each_class():
    holds = {f"{number:04}": [0, 1] if number % 100 == 0 else [0] for number in range(1000)}
    sample = choose_sample(holds, per_class=5)
    for label in (0, 1):
        stems = [stem for stem, labels in sample.labels.items() if label in labels]
        assert len(stems) == 5
        assert int(stems[-1]) - int(stems[0]) >= 900
    assert choose_sample({}).labels == {}


def prospects_of(masks: dict[str, Image.Image], folder, geometry: Geometry, classes=None):
    """What `find_prospects` makes of masks, without their pictures."""
    files, measurements, counts = {}, {}, np.zeros(256, np.int64)
    for stem, mask in masks.items():
        mask.save(folder / f"{stem}.png")
        files[stem] = (folder / f"{stem}.png", folder / f"{stem}.png")
        size = (mask.height, mask.width)
        measurements[stem] = PairMeasurements(size=size, mask_size=size, counts=np.array(mask.histogram()))
        counts += measurements[stem].counts
    reading = Reading(classes)
    pixels = {name: int(counts[label]) for label, name in reading.names.items()}
    return find_prospects(measurements, pixels, files, reading, geometry)


def test_thin_things_get_a_scale_at_which_they_can_be_drawn(tmp_path):
    found = prospects_of({f"crack{k}": crack(k) for k in range(6)}, tmp_path, Geometry((192, 256), None, 16))
    assert list(found.low) == ["object"]
    assert found.low["object"] < 0.5
    assert found.settings["scale"] in (2, 4)
    assert isinstance(found.settings["scale"], int)
    assert found.settings["crop"] == (192, 256)
    assert found.there["object"] > found.low["object"] + 0.1
    at_it = prospects_of({f"crack{k}": crack(k) for k in range(6)}, tmp_path, found.proposed)
    assert at_it.classes[1].ceiling == pytest.approx(found.there["object"], abs=0.02)


@pytest.mark.parametrize(("width", "scale"), [(5, 4), (6, 2)])  # at scale 2 the ceilings are 0.77 and 0.82
def test_a_proposal_is_looked_for_until_enough_is_within_reach(tmp_path, width, scale):
    cracks = {f"crack{k}": crack(k, width) for k in range(3)}
    found = prospects_of(cracks, tmp_path, Geometry((192, 256), None, 16))
    assert found.settings["scale"] == scale
    assert found.there["object"] >= ENOUGH
    half = prospects_of(cracks, tmp_path, Geometry((192, 256), scale / 2, 16))
    assert half.classes[1].ceiling < ENOUGH


def test_large_things_need_no_proposal(tmp_path):
    found = prospects_of({f"disc{k}": discs(20, k) for k in range(3)}, tmp_path, SMALL)
    assert found.low == {}
    assert found.proposed is None
    assert found.settings == {}


def test_a_large_picture_that_is_shrunk_is_enlarged_no_more_than_it_needs(tmp_path):
    large = {f"disc{k}": discs(8, k).resize((1024, 768), 0) for k in range(3)}
    found = prospects_of(large, tmp_path, Geometry((48, 64), None, 16))
    assert found.low
    scale = found.settings["scale"]
    assert scale < 1
    assert found.there["object"] >= LOW
    half = prospects_of(large, tmp_path, Geometry((64, 64), scale / 2, 16))
    assert half.classes[1].ceiling < LOW


def test_the_share_of_a_class_is_the_iou_of_calling_everything_so(tmp_path):
    labels = discs(20).point(lambda value: 1 if value else 0)
    labels.putpixel((0, 0), 2)
    found = prospects_of({"a": labels}, tmp_path, SMALL, ["background", "plate", "speck"])
    shares = [each.share for each in found.classes]
    assert sum(shares) == pytest.approx(1)
    values = np.asarray(labels)
    for label, each in enumerate(found.classes):
        all_so = (values == label).sum() / values.size  # intersection over union
        assert each.trivial_iou == each.share == pytest.approx(all_so)
    assert found.trivial_mean_iou == pytest.approx(max(shares) / 3)
    assert list(found.small) == ["speck"]
    assert found.settings["loss"] == "ce_dice"
    assert found.settings["class_weights"] == "balanced"


def test_a_class_that_no_mask_holds_has_no_ceiling(tmp_path):
    found = prospects_of({"a": Image.new("L", (128, 96))}, tmp_path, SMALL)
    assert [each.ceiling for each in found.classes] == [pytest.approx(1), None]


def test_crops_have_about_the_pixels_of_the_size_and_fit_into_the_picture():
    assert crop_for((240, 320), (320, 480), scale=2) == (256, 320)
    assert crop_for((240, 320), (100, 120), scale=2) == (192, 224)
    assert crop_for((240, 320), (10, 10), scale=1) == (32, 32)
    assert same_scale(Geometry((240, 320), None, 16), (960, 1280)).scale == 0.25
