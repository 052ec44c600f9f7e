"""Owns the exercise checks of 02_transforms: normalise twice, undo it, flip a pair, resize a mask."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD, normalize
from seglib.lesson.common.exercise import Attempt, NotYet, describe, exercise, one_number

_MEAN = torch.tensor(IMAGENET_MEAN)
_STD = torch.tensor(IMAGENET_STD)


@exercise
def check_black_twice(my_black: Attempt) -> str:
    """Check `my_black()`: what the red of black becomes when it is normalised twice, to two places."""
    mean = IMAGENET_MEAN[0]
    std = IMAGENET_STD[0]
    once = (0 - mean) / std
    twice = _black_twice(0)
    answer = my_black(given="nothing")
    value = one_number(answer)
    if _near(value, twice):
        return f"({once:.2f} - 0.485) / 0.229 = {twice:.2f}. Twice, black lies far below all that the model has seen."
    typical = (
        (once, "that is black normalised once. Put it into the formula again, in place of the 0."),
        (2 * once, "that is twice the first result. The second call subtracts from the first result and divides it."),
        (once / std, "the second call divides by 0.229, and also subtracts the mean, before that."),
        (once - mean, "the second call subtracts the mean, and then also divides by 0.229."),
        (once / std - mean, "the order is turned round: subtract the mean first, then divide."),
        (0.0, "that is black undone, as it was. Both calls go the same way: subtract, divide."),
        (
            -twice,
            "the size is right and the sign is not: each call subtracts a mean from something that is 0 or below.",
        ),
        (_black_twice(1), "that is green, (.. - 0.456) / 0.224. Red has the first mean and the first deviation."),
        (_black_twice(2), "that is blue, (.. - 0.406) / 0.225. Red has the first mean and the first deviation."),
    )
    for wrong, hint in typical:
        if _near(value, wrong):
            raise NotYet(hint)
    raise NotYet(f"{value:.2f} is not it. Compute (0 - 0.485) / 0.229, and put the result in place of the 0.")


def _black_twice(channel: int) -> float:
    mean = IMAGENET_MEAN[channel]
    std = IMAGENET_STD[channel]
    return ((0 - mean) / std - mean) / std


def _near(value: float, wanted: float) -> bool:
    """Equal when one of them has been rounded to two places; the first result may have been rounded on the way."""
    return abs(value - wanted) <= 0.02


@exercise
def check_denormalize(my_denormalize: Attempt) -> str:
    """Check `my_denormalize(image)`: a normalised image (3, H, W) in, the same with values in [0, 1] out."""
    wanted = torch.linspace(0, 1, 60).view(3, 4, 5)
    shapes = (
        "the image is (3, 4, 5) and the mean has shape (3,): torch lines shapes up from the right, so the 3 meets the "
        "width. Give the mean the shape (3, 1, 1): mean.view(3, 1, 1)."
    )
    hints: dict[type[Exception], str] = {RuntimeError: shapes}
    image = _tensor(my_denormalize(normalize(wanted), given="an image of shape (3, 4, 5)", hints=hints), (3, 4, 5))
    mean = _MEAN.view(3, 1, 1)
    std = _STD.view(3, 1, 1)
    given = normalize(wanted)
    typical = (
        (given, "the image comes back unchanged: multiply by the standard deviation, then add the mean."),
        (normalize(given), "this normalises a second time. The inverse multiplies by std and adds the mean."),
        (
            (given + mean) * std,
            "the order is turned round. What was divided last is multiplied first: image * std + mean.",
        ),
        (given * std - mean, "the mean is taken away once more. normalize took it away: add it."),
        (given / std + mean, "divided by std once more. normalize divided by it: multiply."),
        (given * mean + std, "mean and standard deviation are exchanged: image * std + mean."),
        (wanted * 255, "these are values from 0 to 255. Stay in [0, 1], the range that ToTensor gave."),
    )
    for wrong, hint in typical:
        if torch.allclose(image, wrong, atol=1e-4):
            raise NotYet(hint)
    if not torch.allclose(image, wanted, atol=1e-4):
        worst = (image - wanted).abs().max().item()
        raise NotYet(
            f"some values are off by up to {worst:.2g}. normalize computes (image - mean) / std: solve it for image."
        )
    square = torch.linspace(0, 1, 36).view(3, 4, 3)  # a width of 3, onto which a mean of shape (3,) fits
    image = _tensor(my_denormalize(normalize(square), given="an image of shape (3, 4, 3)"), (3, 4, 3))
    if not torch.allclose(image, square, atol=1e-4):
        raise NotYet(f"right for a width of 5 and wrong for a width of 3: {shapes[shapes.index('torch') :]}")
    return "What was divided last is multiplied first."


@exercise
def check_joint_flip(my_flip: Attempt) -> str:
    """Check `my_flip(image, mask)`: image (3, H, W) and mask (H, W), either both mirrored left to right or neither."""
    image = torch.arange(36.0).view(3, 3, 4)
    mask = torch.arange(12).view(3, 4)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    try:
        seen = [_flip_once(my_flip, image, mask) for _ in range(64)]
    finally:
        torch.set_rng_state(state)
    alone = sum(one != other for one, other in seen)
    if alone and not any(other for _, other in seen):
        raise NotYet(
            f"of 64 calls {alone} mirrored the image and left the mask as it was. What moves pixels moves both."
        )
    if alone and not any(one for one, _ in seen):
        raise NotYet(
            f"of 64 calls {alone} mirrored the mask and left the image as it was. What moves pixels moves both."
        )
    if alone:
        raise NotYet(f"of 64 calls {alone} mirrored one of the two alone. Draw once, and use the result for both.")
    flipped = sum(one for one, _ in seen)
    if flipped in (0, 64):
        raise NotYet(f"{'none' if not flipped else 'all'} of 64 calls mirrored the pair. Draw: torch.rand(1) < 0.5.")
    if not 16 <= flipped <= 48:
        raise NotYet(f"{flipped} of 64 calls mirrored the pair. Every second is wanted: torch.rand(1) < 0.5.")
    return f"One draw for both; {flipped} of 64 pairs were mirrored."


def _flip_once(my_flip: Attempt, image: torch.Tensor, mask: torch.Tensor) -> tuple[bool, bool]:
    """Whether the image was mirrored, and whether the mask was; a NotYet if anything else happened to them."""
    pair = my_flip(image.clone(), mask.clone(), given="an image of shape (3, 3, 4) and a mask of shape (3, 4)")
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise NotYet(f"give back both, return image, mask; this is {describe(pair)}.")
    found = []
    for name, before, after in (("image", image, pair[0]), ("mask", mask, pair[1])):
        after = _tensor(after, tuple(before.shape))
        if torch.equal(after, before.flip(-2)) or torch.equal(after, before.flip(-1, -2)):
            raise NotYet(f"the {name} is upside down: the height is dimension -2, the width is -1. Use flip(-1).")
        if name == "image" and torch.equal(after, before.flip(0)):
            raise NotYet("the image's channels are turned round, blue for red: dimension 0. The width is -1: flip(-1).")
        if not torch.equal(after, before) and not torch.equal(after, before.flip(-1)):
            raise NotYet(
                f"the {name} is neither as it was nor its mirror image. before.flip(-1) mirrors left to right."
            )
        found.append(torch.equal(after, before.flip(-1)))
    return found[0], found[1]


@exercise
def check_resize_mask(my_resize: Attempt) -> str:
    """Check `my_resize(mask, size)`: a PIL mask and (height, width) in, a PIL mask of that size, no value new, out."""
    labels = np.zeros((8, 12), np.uint8)
    labels[2:6, 3:9] = 3
    labels[5:, 8:] = 1
    mask = Image.fromarray(labels)
    smaller = my_resize(mask.copy(), (5, 7), given="a mask 12 wide and 8 high, and size (5, 7)")
    if not isinstance(smaller, Image.Image):
        raise NotYet(f"a PIL image is wanted, as it came in; this is {describe(smaller)}.")
    if smaller.size == (5, 7):
        raise NotYet(
            "size (5, 7) means 5 high and 7 wide, and the result is 7 high and 5 wide: PIL's resize takes "
            "(width, height), so turn the two round."
        )
    if smaller.size != (7, 5):
        raise NotYet(
            f"size (5, 7) means 5 high and 7 wide; the result is {smaller.height} high and {smaller.width} wide."
        )
    strange = sorted(set(np.asarray(smaller).ravel().tolist()) - {0, 1, 3})
    if strange:
        raise NotYet(
            f"the mask holds 0, 1 and 3, and the result also {', '.join(map(str, strange))}. Mixing is PIL's default: "
            "say resample=Image.Resampling.NEAREST."
        )
    nearest = [np.asarray(mask.resize((w, h), Image.Resampling.NEAREST)) for h, w in ((5, 7), (16, 24))]
    larger = my_resize(mask.copy(), (16, 24), given="a mask 12 wide and 8 high, and size (16, 24)")
    if not all(np.array_equal(np.asarray(ours), one) for ours, one in zip((smaller, larger), nearest, strict=True)):
        raise NotYet(
            "no value is new, but labels lie elsewhere than the nearest old pixel says. Use Resampling.NEAREST."
        )
    return "Height first in, width first for PIL, and no value that was not there."


def _tensor(value: Any, shape: tuple[int, ...]) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise NotYet(f"a tensor of shape {shape} is wanted; this is {describe(value)}.")
    if tuple(value.shape) != shape:
        raise NotYet(f"the shape is {tuple(value.shape)}; it is to stay {shape}.")
    return value
