"""Owns what happens to image and mask between file and model: size, dtype, range. Explained in 02_transforms."""

import functools
from collections.abc import Callable, Sequence

import torch
from torchvision import transforms, tv_tensors
from torchvision.transforms import InterpolationMode, v2

from seglib.errors import ShapeError
from seglib.pictures import IGNORE_INDEX

# Red, green, blue, of ImageNet's training pictures in [0, 1] (torchvision's docs)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
NOTES_SIZE = (960, 1280)  # (height, width): the notes' "1280x960"


def image_transform(size: tuple[int, int] = NOTES_SIZE) -> Callable:
    """The notes' `transform`: resize, to tensor, normalise.

    Args:
        size: (height, width) in pixels.

    Shape:
        PIL "RGB" in, float32 (3, height, width) out, normalised: about -2.1 to 2.6.

    Example:
        >>> from PIL import Image
        >>> image_transform((240, 320))(Image.new("RGB", (1280, 960))).shape
        torch.Size([3, 240, 320])
    """
    check_size(size)
    return transforms.Compose(
        [transforms.Resize(size), transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    )


def mask_transform(size: tuple[int, int] = NOTES_SIZE) -> Callable:
    """The notes' `mask_transform` for binary masks; each new pixel copies one old pixel, so no value is invented.

    Shape:
        PIL "L" of 0 and 255 in, float32 (1, height, width) of 0.0 and 1.0 out.

    Example:
        >>> from PIL import Image
        >>> mask_transform((2, 2))(Image.new("L", (4, 4), 255)).unique()
        tensor([1.])
    """
    check_size(size)
    return transforms.Compose([transforms.Resize(size, InterpolationMode.NEAREST), transforms.ToTensor()])


def class_mask_transform(size: tuple[int, int] = NOTES_SIZE) -> Callable:
    """As `mask_transform`, for masks of class labels, which must stay whole numbers.

    Shape:
        PIL "L" of labels in, int64 (height, width) of the same labels out.
    """
    check_size(size)
    return transforms.Compose([transforms.Resize(size, InterpolationMode.NEAREST), transforms.PILToTensor(), _labels])


def joint_transform(size: tuple[int, int], train: bool, classes: Sequence[str] | None = None) -> Callable:
    """Image and mask through the same flip, scale and crop; colour for the image only.

    Args:
        size: (height, width) of what comes out.
        train: True changes each picture at random (flip, scale 0.7 to 1.5, crop, colour); False only resizes.
        classes: None for binary masks, names for class masks, as in `CustomDataset`.

    Shape:
        In: image uint8 (3, H, W), mask uint8 (H, W), both tv_tensors.
        Out: image float32 (3, height, width), normalised; mask float32 (1, height, width) of 0.0 and 1.0, or int64
        (height, width) of labels. Where a crop reaches over the edge, the image is black and the mask is 255,
        which losses and metrics ignore.
    """
    check_size(size)
    steps: list[Callable] = [functools.partial(_rescale, size=size, scales=(0.7, 1.5) if train else (1.0, 1.0))]
    if train:
        steps += [
            v2.RandomCrop(size, pad_if_needed=True, fill={tv_tensors.Mask: IGNORE_INDEX, "others": 0}),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.03),
        ]
    mask_dtype = torch.float32 if classes is None else torch.int64
    steps += [
        v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: mask_dtype, "others": None}, scale=True),
        v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),  # the image only
        v2.ToPureTensor(),
    ]
    return v2.Compose([*steps, _add_channel] if classes is None else steps)


def _rescale(
    image: torch.Tensor, mask: torch.Tensor, size: tuple[int, int], scales: tuple[float, float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Resize both to `size` times one random scale. By hand, for v2.ScaleJitter takes (width, height) for the size."""
    low, high = scales
    scale = low + (high - low) * torch.rand(()).item() if low < high else low
    new = [max(1, round(side * scale)) for side in size]
    # v2.Resize would copy the upper left one of the old pixels that meet, and so shift the mask against the image by
    # up to half a pixel; "exact" copies the middle one, as Pillow does in mask_transform.
    labels = v2.functional.resize_image(mask[None], new, InterpolationMode.NEAREST_EXACT)[0]  # (H, W)
    return v2.functional.resize(image, new), tv_tensors.Mask(labels)


def check_size(size: tuple[int, int]) -> None:
    """Raise a `ShapeError` unless `size` is (height, width), two whole numbers of pixels above 0."""
    if not (isinstance(size, tuple | list) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)):
        raise ShapeError(
            f"size = {size!r}",
            "(height, width), two whole numbers of pixels; the notes' 1280x960 is (960, 1280)",
            "Give both. A single number would keep each picture's shape, and pictures of two shapes make no batch.",
        )


def _labels(mask: torch.Tensor) -> torch.Tensor:
    return mask[0].long()  # (1, H, W) -> (H, W)


def _add_channel(image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return image, mask[None]  # (H, W) -> (1, H, W), the shape of the model's output


def normalize(image: torch.Tensor) -> torch.Tensor:
    """Pixels in [0, 1], (3, H, W) or (N, 3, H, W), to ImageNet's mean 0 and standard deviation 1 in each channel."""
    return (image - _channels(IMAGENET_MEAN, image)) / _channels(IMAGENET_STD, image)


def denormalize(image: torch.Tensor) -> torch.Tensor:
    """The inverse of `normalize`, for plotting: float32 (3, H, W) or (N, 3, H, W) back to [0, 1].

    Example:
        >>> image = torch.rand(3, 4, 4)
        >>> bool(torch.allclose(denormalize(normalize(image)), image, atol=1e-6))
        True
    """
    return image * _channels(IMAGENET_STD, image) + _channels(IMAGENET_MEAN, image)


def _channels(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    if not like.is_floating_point() or like.ndim < 3 or like.shape[-3] != 3:
        raise ShapeError(
            f"image is {tuple(like.shape)} {like.dtype}",
            "float, (3, H, W) or (N, 3, H, W)",
            "image / 255 turns bytes into floats, image.permute(2, 0, 1) brings the channels to the front.",
        )
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(3, 1, 1)
