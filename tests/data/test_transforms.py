import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms as v1
from torchvision import tv_tensors

from seglib.data.dataset import CustomDataset
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD, denormalize, normalize
from seglib.data.transforms import (
    class_mask_transform,
    image_transform,
    joint_transform,
    mask_transform,
    resize_labels,
    scaled_size,
)
from seglib.errors import MaskError, ShapeError
from tests.support.helpers import binary_mask, check_message, make_folders, photograph, quick

CLASSES = ["background", "apple", "lemon", "banana"]
sides = st.integers(1, 70)
sizes = st.tuples(sides, sides)  # (height, width)
wide_sizes = sizes.map(lambda size: tuple(sorted(size)))  # higher than wide is refused, see below
wide_sizes_from_8 = st.tuples(st.integers(8, 70), st.integers(8, 70)).map(lambda size: tuple(sorted(size)))
seeds = st.integers(0, 2**32 - 1)


def label_map(seed, size, labels) -> np.ndarray:
    """Random patches of labels: blocks of 3, so that resizing has edges to spoil."""
    height, width = size
    blocks = np.random.default_rng(seed).choice(labels, (height // 3 + 1, width // 3 + 1))
    return blocks.repeat(3, 0).repeat(3, 1)[:height, :width].astype(np.uint8)


def tv_pair(image: Image.Image, mask: np.ndarray):
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    return tv_tensors.Image(pixels), tv_tensors.Mask(torch.from_numpy(mask.copy()))


# The notes' two


def test_the_defaults_are_the_size_of_the_notes():
    assert image_transform()(Image.new("RGB", (8, 6))).shape == (3, 960, 1280)
    assert mask_transform()(Image.new("L", (8, 6))).shape == (1, 960, 1280)
    assert class_mask_transform()(Image.new("L", (8, 6))).shape == (960, 1280)


def test_size_is_height_then_width():
    assert image_transform((20, 30))(photograph()).shape == (3, 20, 30)


def test_the_image_is_normalised_as_imagenet():
    grey = Image.new("RGB", (8, 8), (255, 0, 51))
    channels = image_transform((4, 4))(grey)
    wanted = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    assert channels.dtype == torch.float32
    assert channels.mean(dim=(1, 2)).tolist() == pytest.approx(wanted, abs=1e-5)
    assert channels.std(dim=(1, 2)).max() < 1e-6


def test_the_constants_are_imagenets_in_the_order_red_green_blue():
    assert IMAGENET_MEAN == (0.485, 0.456, 0.406)
    assert IMAGENET_STD == (0.229, 0.224, 0.225)


def pixel_under_each_centre(labels: np.ndarray, new: tuple[int, int]) -> np.ndarray:
    """The old pixel in which the centre of each new one lies, by exact fractions."""
    places = [
        [int((Fraction(number) + Fraction(1, 2)) * old / wanted) for number in range(wanted)]
        for old, wanted in zip(labels.shape, new, strict=True)
    ]
    return labels[np.ix_(*places)]


@quick
@given(seed=seeds, old=sizes, new=wide_sizes)
def test_a_binary_mask_copies_one_old_pixel_for_each_new_one(seed, old, new):
    mask = Image.fromarray(label_map(seed, old, [0, 255]))
    resized = mask_transform(new)(mask)
    assert (resized.shape, resized.dtype) == ((1, *new), torch.float32)
    wanted = pixel_under_each_centre(np.array(mask), new) / 255
    assert np.array_equal(resized[0].numpy(), wanted)
    assert set(resized.unique().tolist()) <= {0.0, 1.0}


@quick
@given(seed=seeds, old=sizes, new=wide_sizes)
def test_a_class_mask_never_gains_a_label(seed, old, new):
    labels = label_map(seed, old, [0, 1, 2, 3, 255])
    resized = class_mask_transform(new)(Image.fromarray(labels))
    assert (resized.shape, resized.dtype) == (new, torch.int64)
    wanted = pixel_under_each_centre(labels, new)
    assert np.array_equal(resized.numpy(), wanted)
    assert set(resized.unique().tolist()) <= set(labels.ravel().tolist())


@pytest.mark.parametrize("size", [(48, 64), (24, 32), (96, 128)])
def test_image_and_mask_are_resized_onto_the_same_place(size):
    mask = binary_mask()
    picture = Image.merge("RGB", [mask] * 3)
    seen = denormalize(image_transform(size)(picture))[0] > 0.5
    inside = mask_transform(size)(mask)[0] > 0
    assert (seen ^ inside).float().mean() < 0.03  # the edges alone


@pytest.mark.parametrize("make", [image_transform, mask_transform, class_mask_transform, joint_transform])
@pytest.mark.parametrize("size", [240, (240,), (240, 320, 3), (0, 320), (240, -1), (240.0, 320), "240", None])
def test_a_size_that_is_not_height_and_width_is_refused(make, size):
    with pytest.raises(ShapeError) as caught:
        make(size, *([True] if make is joint_transform else []))
    check_message(caught.value, repr(size), "(height, width)")


def test_transforms_can_be_pickled():
    for transform in (image_transform((4, 4)), mask_transform((4, 4)), class_mask_transform((4, 4))):
        picture = photograph() if transform is image_transform else binary_mask().convert("L")
        picture = picture.convert("RGB") if "Normalize" in repr(transform) else picture
        assert torch.equal(pickle.loads(pickle.dumps(transform))(picture), transform(picture))
    for classes in (None, CLASSES):
        for train in (True, False):
            pickle.loads(pickle.dumps(joint_transform((4, 4), train, classes)))


# normalize and denormalize


@quick
@given(seed=seeds, batch=st.sampled_from([(), (1,), (3,)]), size=sizes)
def test_denormalize_is_the_inverse_of_normalize(seed, batch, size):
    image = torch.rand((*batch, 3, *size), generator=torch.Generator().manual_seed(seed))
    there = normalize(image)
    assert there.shape == image.shape
    assert torch.allclose(denormalize(there), image, atol=1e-6)
    assert torch.allclose(normalize(denormalize(image)), image, atol=1e-5)


def test_normalize_agrees_with_the_transform_of_the_notes():
    picture = photograph()
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
    assert torch.allclose(normalize(pixels), image_transform((picture.height, picture.width))(picture), atol=1e-6)


def test_normalize_changes_nothing_in_place():
    image = torch.rand(3, 4, 4)
    before = image.clone()
    denormalize(normalize(image))
    assert torch.equal(image, before)


@pytest.mark.parametrize("change", [normalize, denormalize])
@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, 4, 4, dtype=torch.uint8),  # the standard deviation would become 0
        torch.zeros(1, 4, 4),  # would spread to three channels
        torch.zeros(4, 4, 3),
        torch.zeros(4, 4),
    ],
    ids=["uint8", "one channel", "channels last", "no channel"],
)
def test_normalize_refuses_what_would_broadcast_or_become_infinite(change, image):
    with pytest.raises(ShapeError) as caught:
        change(image)
    check_message(caught.value, str(tuple(image.shape)), "float")


# The joint one


@pytest.mark.parametrize("train", [False, True])
def test_joint_shapes_and_dtypes(train):
    image, mask = joint_transform((24, 32), train)(*tv_pair(photograph(), np.array(binary_mask()) // 255))
    assert (type(image), image.shape, image.dtype) == (torch.Tensor, (3, 24, 32), torch.float32)
    assert (type(mask), mask.shape, mask.dtype) == (torch.Tensor, (1, 24, 32), torch.float32)
    image, mask = joint_transform((24, 32), train, CLASSES)(*tv_pair(photograph(), label_map(0, (48, 64), [0, 1, 3])))
    assert (type(mask), mask.shape, mask.dtype) == (torch.Tensor, (24, 32), torch.int64)


@quick
@given(seed=seeds, old=sizes, new=wide_sizes)
def test_joint_without_training_is_what_the_two_of_the_notes_do(seed, old, new):
    labels = label_map(seed, old, [0, 1, 2, 255])
    picture = photograph(seed % 7, *old)
    image, mask = joint_transform(new, train=False, classes=CLASSES)(*tv_pair(picture, labels))
    assert torch.equal(mask, class_mask_transform(new)(Image.fromarray(labels)))
    # Pillow and torch round their pixels differently: two grey values of 255 at most
    assert (denormalize(image) - denormalize(image_transform(new)(picture))).abs().max() <= 2.5 / 255
    binary = labels % 2
    _, mask = joint_transform(new, train=False)(*tv_pair(picture, binary))
    assert torch.equal(mask, mask_transform(new)(Image.fromarray(binary * 255)))


@quick
@given(seed=seeds, new=wide_sizes_from_8)
def test_joint_training_gains_no_label_but_255_and_is_right_in_size(seed, new):
    labels = label_map(seed, (48, 64), [0, 2, 3])
    torch.manual_seed(seed)
    image, mask = joint_transform(new, train=True, classes=CLASSES)(*tv_pair(photograph(), labels))
    assert image.shape == (3, *new)
    assert mask.shape == new
    assert set(mask.unique().tolist()) <= {0, 2, 3, 255}
    pixels = denormalize(image)
    assert -1e-5 <= pixels.min() <= pixels.max() <= 1 + 1e-5
    _, mask = joint_transform(new, train=True)(*tv_pair(photograph(), labels % 2))
    assert set(mask.unique().tolist()) <= {0.0, 1.0, 255.0}


def test_what_a_crop_adds_is_black_and_ignored():
    torch.manual_seed(0)
    transform = joint_transform((48, 64), train=True)
    white = Image.new("RGB", (64, 48), "white")
    padded = 0
    for _ in range(20):
        image, mask = transform(*tv_pair(white, np.ones((48, 64), np.uint8)))
        outside = mask[0] == 255
        padded += bool(outside.any())
        assert set(mask.unique().tolist()) <= {1.0, 255.0}
        brightness = denormalize(image).mean(dim=0)
        if outside.any():
            assert brightness[outside].max() < brightness[~outside].min()
    assert 3 < padded < 20  # scales below 1 need padding, those above do not


def planted(top, left, height=24, width=24):
    """A white dot on black, in image and mask at once."""
    mask = np.zeros((192, 256), np.uint8)
    mask[top : top + height, left : left + width] = 1
    return tv_pair(Image.fromarray(np.stack([mask * 255] * 3, axis=-1)), mask)


def centre(where: torch.Tensor) -> torch.Tensor:
    return where.nonzero().double().mean(dim=0)


@quick
@given(seed=seeds, top=st.integers(0, 168), left=st.integers(0, 232), train=st.booleans())
def test_a_dot_in_the_image_and_in_the_mask_stay_together(seed, top, left, train):
    torch.manual_seed(seed)
    image, mask = joint_transform((48, 64), train)(*planted(top, left))
    inside = mask[0] == 1
    if inside.sum() < 9:  # cropped away
        return
    grey = image.mean(dim=0)
    seen = grey > (grey.max() + grey.min()) / 2
    assert (centre(seen) - centre(inside)).abs().max() <= 1
    assert (seen & inside).sum() / (seen | inside).sum() > 0.5


@pytest.mark.parametrize("train", [False, True])
def test_the_mask_is_not_shifted_against_the_image_on_average(train):
    """Torch's "nearest" copies the upper left of the 4x4 pixels that become one: 0.375 of a pixel askew."""
    torch.manual_seed(1)
    transform = joint_transform((48, 64), train)
    shifts = []
    for number in range(40):
        image, mask = transform(*planted(60 + number % 7, 80 + number % 11, 62, 74))
        inside = mask[0] == 1
        if torch.cat([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).any() or (mask == 255).any():
            continue  # cut off by the crop, or padded: the centre of what is left says nothing
        grey = image.mean(dim=0).double()
        grey = (grey - grey.min()) / (grey.max() - grey.min())
        rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
        weighted = torch.stack([(grey * rows).sum() / grey.sum(), (grey * columns).sum() / grey.sum()])
        shifts.append(weighted - centre(inside))
    assert len(shifts) > 10
    assert torch.stack(shifts).mean(dim=0).abs().max() < 0.2


def test_training_differs_from_picture_to_picture_and_follows_the_seed():
    transform = joint_transform((24, 32), train=True)
    pair = tv_pair(photograph(), np.array(binary_mask()) // 255)

    def run():
        torch.manual_seed(5)
        return [transform(*pair) for _ in range(4)]

    first, second = run(), run()
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0][0], first[1][0])


def test_about_half_of_the_training_pictures_are_mirrored():
    torch.manual_seed(0)
    transform = joint_transform((24, 32), train=True)
    pair = tv_pair(
        Image.fromarray(np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None], (48, 1, 3))),
        np.zeros((48, 64), np.uint8),
    )
    mirrored = 0
    for _ in range(60):
        image, mask = transform(*pair)
        known = (mask[0] == 0).double()
        half = (image.mean(dim=0) * known)[:, :16].sum() / known[:, :16].sum()
        other = (image.mean(dim=0) * known)[:, 16:].sum() / known[:, 16:].sum()
        mirrored += bool(half > other)
    assert 15 < mirrored < 45


# What a reader gets wrong


@pytest.mark.parametrize("make", [image_transform, mask_transform, class_mask_transform, joint_transform])
def test_width_before_height_is_refused_and_portrait_is_possible(make):
    arguments = [True] if make is joint_transform else []
    with pytest.raises(ShapeError) as caught:
        make((1280, 960), *arguments)
    check_message(caught.value, "(1280, 960)", "960 wide and 1280 high", "(960, 1280)", "portrait=True")
    for size, portrait in (((1280, 960), True), ((960, 1280), True), ((960, 1280), False), ((96, 96), False)):
        make(size, *arguments, portrait=portrait)


def test_portrait_gives_the_size_that_was_asked_for():
    assert image_transform((64, 48), portrait=True)(photograph()).shape == (3, 64, 48)
    assert mask_transform((64, 48), portrait=True)(binary_mask()).shape == (1, 64, 48)
    image, mask = joint_transform((64, 48), True, portrait=True)(*tv_pair(photograph(), np.zeros((48, 64), np.uint8)))
    assert (image.shape, mask.shape) == ((3, 64, 48), (1, 64, 48))


@pytest.mark.parametrize("size", [(960, 1280), (240, 320)])
def test_the_sizes_of_the_lessons_take_portrait_pictures_too(size):
    """The notes resize all pictures to one size; five of our samples are portrait."""
    assert image_transform(size)(photograph(height=64, width=48)).shape == (3, *size)


SMALL = (24, 32)
RIGHT = [
    ("the notes' two", {"transform": image_transform(SMALL), "mask_transform": mask_transform(SMALL)}),
    ("joint", {"joint_transform": joint_transform(SMALL, train=True)}),
    ("joint, no training", {"joint_transform": joint_transform(SMALL, train=False)}),
]


@pytest.mark.parametrize("given", [given for _, given in RIGHT], ids=[name for name, _ in RIGHT])
def test_the_dataset_takes_what_the_right_transforms_give(given, tmp_path):
    for image, mask in CustomDataset(*make_folders(tmp_path), **given):
        assert (image.shape, mask.shape) == ((3, *SMALL), (1, *SMALL))


@pytest.mark.parametrize("how", [v1.InterpolationMode.BILINEAR, v1.InterpolationMode.BICUBIC])
@pytest.mark.parametrize("to", [v1.ToTensor, v1.PILToTensor])
def test_the_dataset_refuses_a_mask_with_values_in_between(how, to, tmp_path):
    dataset = CustomDataset(*make_folders(tmp_path), mask_transform=v1.Compose([v1.Resize((25, 33), how), to()]))
    with pytest.raises(MaskError) as caught:
        dataset[0]
    check_message(caught.value, '"masks/a.png"', "nearest", never=tmp_path)


@pytest.mark.parametrize(
    ("steps", "mention"),
    [
        ([v1.Resize((25, 33)), v1.PILToTensor()], "1, 2"),  # between 0 and 3; both are classes, neither is in the file
        ([v1.ToTensor()], "0.0118"),  # 3 / 255
    ],
)
def test_the_dataset_refuses_class_labels_that_the_file_does_not_hold(steps, mention, tmp_path):
    images, masks = make_folders(tmp_path, stems=("a",))
    labels = np.zeros((48, 64), np.uint8)
    labels[10:30, 20:40] = 3
    Image.fromarray(labels).save(masks / "a.png")
    with pytest.raises(MaskError) as caught:
        CustomDataset(images, masks, mask_transform=v1.Compose(steps), classes=CLASSES)[0]
    check_message(caught.value, f": {mention}", "its labels: 0, 3, 255", never=tmp_path)
    assert CustomDataset(images, masks, None, class_mask_transform(SMALL), classes=CLASSES)[0][1].unique().tolist() == [
        0,
        3,
    ]
    joint = joint_transform(SMALL, train=True, classes=CLASSES)
    assert {*CustomDataset(images, masks, joint_transform=joint, classes=CLASSES)[0][1].unique().tolist()} <= {
        0,
        3,
        255,
    }


@quick
@given(seed=st.integers(0, 2**32 - 1), old=sizes, new=sizes)
def test_resizing_copies_the_pixel_under_the_centre_as_pillow_does(seed, old, new):
    labels = np.random.default_rng(seed).integers(0, 256, old).astype(np.uint8)
    resized = resize_labels(torch.from_numpy(labels), new)
    wanted = torch.from_numpy(np.array(Image.fromarray(labels).resize(new[::-1], Image.Resampling.NEAREST)))
    middles = [(torch.arange(n) * 2 + 1) * o % (2 * n) for o, n in zip(old, new, strict=True)]
    clear = (middles[0] != 0)[:, None] & (middles[1] != 0)  # a centre on an edge between two may take either
    assert resized.dtype == torch.uint8
    assert resized.shape == new
    assert torch.equal(resized[clear], wanted[clear])


@quick
@given(seed=st.integers(0, 2**32 - 1), size=sizes, factor=st.integers(1, 4))
def test_larger_by_a_whole_number_and_back_is_where_we_started(seed, size, factor):
    labels = torch.randint(0, 256, size, generator=torch.Generator().manual_seed(seed))
    larger = resize_labels(labels, (size[0] * factor, size[1] * factor))
    assert torch.equal(larger, labels.repeat_interleave(factor, 0).repeat_interleave(factor, 1))
    assert torch.equal(resize_labels(larger, size), labels)


@quick
@given(seed=seeds, old=sizes, new=sizes)
def test_all_ways_to_resize_a_mask_agree_in_each_pixel(seed, old, new):
    labels = label_map(seed, old, [0, 255])
    wanted = pixel_under_each_centre(labels, new) // 255
    assert np.array_equal(resize_labels(torch.from_numpy(labels), new).numpy() // 255, wanted)
    assert np.array_equal(mask_transform(new, portrait=True)(Image.fromarray(labels))[0].numpy(), wanted)
    joint = joint_transform(new, train=False, portrait=True)(*tv_pair(photograph(0, *old), labels // 255))
    assert np.array_equal(joint[1][0].numpy(), wanted)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_with_a_scale_pictures_keep_their_shape_and_training_sees_crops_of_them(scale):
    size = (32, 40)
    image, mask = joint_transform(size, train=False, scale=scale)(
        *tv_pair(photograph(), np.array(binary_mask()) // 255)
    )
    assert image.shape[1:] == mask.shape[1:] == scaled_size((48, 64), scale)
    for seed in range(10):
        torch.manual_seed(seed)
        image, mask = joint_transform(size, train=True, scale=scale)(
            *tv_pair(photograph(), np.array(binary_mask()) // 255)
        )
        assert image.shape == (3, *size)
        assert mask.shape == (1, *size)
        assert set(mask.unique().tolist()) <= {0.0, 1.0, 255.0}
    # At scale 0.5 the picture is smaller than the crop: the rest is ignored. At 2 it never is.
    assert (255.0 in mask) == (scale == 0.5)


def crops_of(picture, labels, number=300, **arguments):
    """Training crops of a picture that shows its labels: (number, 3, H, W) bytes and (number, H, W) labels."""
    transform = joint_transform((32, 40), train=True, classes=CLASSES, as_bytes=True, **arguments)
    crops = [transform(*tv_pair(picture, labels)) for _ in range(number)]
    return torch.stack([image for image, _ in crops]), torch.stack([mask for _, mask in crops])


def test_a_third_of_the_crops_of_enlarged_pictures_lies_over_an_object_and_rare_classes_get_their_share():
    labels = np.zeros((400, 500), np.uint8)
    labels[50:60, 50:60] = 1  # small
    labels[200:390, 300:490] = 2  # large
    labels[0] = 255
    torch.manual_seed(0)
    _, masks = crops_of(Image.new("RGB", (500, 400)), labels, scale=2.0)
    small, large = ((masks == label).flatten(1).any(1).float().mean().item() for label in (1, 2))
    assert 1 / 6 - 0.06 < small < 1 / 6 + 0.08  # half of a third; by chance alone it would be 0.4 %
    assert large > 1 / 6 + 0.08  # by chance about 0.2


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_image_and_mask_of_an_enlarged_crop_show_the_same_place(scale):
    labels = label_map(1, (120, 160), [0, 1, 2, 3]).repeat(8, 0).repeat(8, 1)[:120, :160]
    picture = Image.fromarray((labels * 80).astype(np.uint8)).convert("RGB")
    torch.manual_seed(0)
    images, masks = crops_of(picture, labels, 40, scale=scale)
    order = [images[:, 0][masks == label].float().mean() for label in range(4)]
    assert order == sorted(order)
    assert order[0] < 20
    assert order[3] - order[0] > 100
    for image, mask in zip(images, masks, strict=True):  # in each crop: brighter where the label is higher
        for low, high in ((0, 1), (1, 2), (2, 3)):
            if (mask == low).sum() > 50 and (mask == high).sum() > 50:
                assert image[0][mask == low].float().median() < image[0][mask == high].float().median()


@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_without_an_object_gives_crops_too(value):
    torch.manual_seed(0)
    _, masks = crops_of(photograph(0, 120, 160), np.full((120, 160), value, np.uint8), 20, scale=1.0)
    assert masks.unique().tolist() == [value]


def test_an_enlarged_crop_is_enlarged_by_the_scale():
    """A grid of lines 10 pixels apart: at scale 3, times 0.7 to 1.5, they lie 21 to 45 apart."""
    labels = np.zeros((200, 200), np.uint8)
    labels[::10] = 1
    transform = joint_transform((240, 320), train=True, classes=CLASSES, as_bytes=True, scale=3.0)
    apart = []
    torch.manual_seed(0)
    for _ in range(40):
        _, mask = transform(*tv_pair(Image.new("RGB", (200, 200)), labels))
        column = (mask[:, 100] == 1).numpy().astype(int)
        starts = np.flatnonzero(np.diff(column) == 1)
        if len(starts) > 1:
            apart.append(np.diff(starts).mean())
    assert 20 < min(apart) < 26
    assert 38 < max(apart) < 47
