"""Owns what happens to image and mask between file and model: size, dtype, range. Explained in 02_transforms."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms, tv_tensors
from torchvision.transforms import v2

from seglib.data.image_io import IGNORE_INDEX
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from seglib.errors import ShapeError

Size = tuple[int, int]  # (height, width) in pixels
NOTES_SIZE: Size = (960, 1280)  # the notes' "1280x960"
FOCUS = 1 / 3  # of the crops of enlarged pictures that are laid over an object
PADDING = {tv_tensors.Mask: IGNORE_INDEX, "others": 0}  # where a crop reaches over the edge


def image_transform(size: Size = NOTES_SIZE, portrait: bool = False) -> Callable:
    """The notes' `transform`: resize, to tensor, normalise.

    Args:
        size: (height, width) in pixels.
        portrait: allow a size higher than wide; without it, that is taken for (width, height), an error.

    Shape:
        PIL "RGB" in, float32 (3, height, width) out, normalised: about -2.1 to 2.6.

    Example:
        >>> from PIL import Image
        >>> image_transform((240, 320))(Image.new("RGB", (1280, 960))).shape
        torch.Size([3, 240, 320])
    """
    check_size(size, portrait)
    steps = [transforms.Resize(size), transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    return transforms.Compose(steps)


def mask_transform(size: Size = NOTES_SIZE, portrait: bool = False) -> Callable:
    """The notes' `mask_transform` for binary masks; each new pixel copies one old pixel, so no value is invented.

    Shape:
        PIL "L" of 0 and 255 in, float32 (1, height, width) of 0.0 and 1.0 out.

    Example:
        >>> from PIL import Image
        >>> mask_transform((2, 2))(Image.new("L", (4, 4), 255)).unique()
        tensor([1.])
    """
    check_size(size, portrait)
    return transforms.Compose([functools.partial(resize_mask, size=size), transforms.ToTensor()])


def class_mask_transform(size: Size = NOTES_SIZE, portrait: bool = False) -> Callable:
    """As `mask_transform`, for masks of class labels, which must stay whole numbers.

    Shape:
        PIL "L" of labels in, int64 (height, width) of the same labels out.
    """
    check_size(size, portrait)
    return transforms.Compose([functools.partial(resize_mask, size=size), transforms.PILToTensor(), _labels])


def joint_transform(
    size: Size,
    train: bool,
    classes: Sequence[str] | None = None,
    portrait: bool = False,
    *,
    as_bytes: bool = False,
    scale: float | None = None,
) -> Callable:
    """Image and mask through the same scale, crop and flip; colour for the image only.

    Args:
        size: (height, width) of what comes out. Each picture is stretched to it, whatever its shape, as by the notes'
            Resize; `predict` does the same.
        train: True changes each picture at random (scale 0.7 to 1.5, colour, crop, flip); False only resizes.
        classes, portrait: as in `CustomDataset` and `image_transform`.
        as_bytes: image and mask stay uint8; `to_model_inputs` then makes of them what is said below.
        scale: instead of stretching, enlarge each picture by so much, in its own shape. Training pictures are then
            crops of `size`, a third of them laid over an object; with train=False, whole pictures come out, each of its
            own size.

    Shape:
        In: image uint8 (3, H, W), mask uint8 (H, W), both tv_tensors.
        Out: image float32 (3, height, width), normalised; mask float32 (1, height, width) of 0.0 and 1.0, or int64
        (height, width) of labels. Where a crop reaches over the edge, the image is black and the mask is 255: ignored.
    """
    check_size(size, portrait)
    scales = (0.7, 1.5) if train else (1.0, 1.0)
    resize: Callable = _enlarged_crop if train and scale is not None else _rescale
    steps: list[Callable] = [functools.partial(resize, size=size, scales=scales, enlarge=scale)]
    if train:
        steps += [
            v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),  # hue would cost more than these three
            v2.RandomCrop(size, pad_if_needed=True, fill=PADDING),
            v2.RandomHorizontalFlip(),
        ]
    dtypes = {tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.float32 if classes is None else torch.int64}
    if not as_bytes:  # Normalize leaves masks alone
        steps += [v2.ToDtype(dtypes | {"others": None}, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    return v2.Compose([*steps, v2.ToPureTensor(), *([_add_channel] if classes is None else [])])


def _rescale(
    image: Tensor, mask: Tensor, size: Size, scales: tuple[float, float], enlarge: float | None
) -> tuple[Tensor, Tensor]:
    """Resize both to `size`, or in their own shape if `enlarge` is given, times one random scale.

    By hand, for v2.ScaleJitter takes (width, height) for the size.
    """
    factor = _random_factor(scales)
    height, width = size
    if enlarge is not None:
        height, width = scaled_size((image.shape[-2], image.shape[-1]), enlarge)
    new = scaled_size((height, width), factor)
    return v2.functional.resize(image, list(new)), tv_tensors.Mask(resize_labels(mask, new))


def _random_factor(scales: tuple[float, float]) -> float:
    low, high = scales
    return low + (high - low) * torch.rand(()).item() if low < high else low


def _enlarged_crop(
    image: Tensor, mask: Tensor, size: Size, scales: tuple[float, float], enlarge: float
) -> tuple[Tensor, Tensor]:
    """Cut the same random piece out of both, and enlarge it to `size`: by `enlarge`, times one random scale.

    To enlarge the whole picture and to cut then would give nearly the same (the piece is rounded to whole pixels, and
    knows nothing of what lies around it), and cost many times as much. `v2.RandomCrop` then finds nothing left to do.
    """
    factor = enlarge * _random_factor(scales)
    piece = (max(1, round(size[0] / factor)), max(1, round(size[1] / factor)))
    box = _box_over_object(mask, piece) if torch.rand(()) < FOCUS else None
    if box:
        image, mask = v2.functional.crop(image, *box), v2.functional.crop(mask, *box)
    else:
        image, mask = v2.RandomCrop(piece, pad_if_needed=True, fill=PADDING)(image, mask)
    return v2.functional.resize(image, list(size)), tv_tensors.Mask(resize_labels(mask, size))


def _box_over_object(mask: Tensor, piece: Size) -> tuple[int, int, int, int] | None:
    """Top, left, height and width of a piece that has a random pixel of an object at a random place in it.

    Of which class the pixel is, is drawn among those in the picture but the background, so that small and rare ones
    are seen too. nnU-Net (Isensee et al. 2021) does so for a third of its pieces. None if there is no object, or if
    the piece does not fit into the picture.
    """
    present = mask.unique()
    present = present[(present != 0) & (present != IGNORE_INDEX)]
    if not len(present) or piece[0] > mask.shape[-2] or piece[1] > mask.shape[-1]:
        return None
    label = present[torch.randint(len(present), ())]
    pixels = (mask == label).nonzero()  # (number, 2): row and column
    row, column = pixels[torch.randint(len(pixels), ())].tolist()
    top = _start_around(row, piece[0], mask.shape[-2])
    left = _start_around(column, piece[1], mask.shape[-1])
    return top, left, *piece


def _start_around(pixel: int, length: int, whole: int) -> int:
    """Where a piece of `length` begins that has a pixel at a random place in it, and stays inside the `whole`."""
    start = pixel - int(torch.randint(length, ()))
    return min(max(0, start), whole - length)


def scaled_size(size: Size, scale: float) -> Size:
    """(height, width) times a number, in whole pixels, at least 1.

    Example:
        >>> scaled_size((480, 321), 0.5)
        (240, 160)
    """
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def check_size(size: Size, portrait: bool = False) -> None:
    """Raise a `ShapeError` unless `size` is (height, width) in pixels, and not higher than wide unless `portrait`."""
    if not (isinstance(size, tuple | list) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)):
        raise ShapeError(
            f"size = {size!r}",
            "(height, width), two whole numbers of pixels; the notes' 1280x960 is (960, 1280)",
            "Give both. A single number would keep each picture's shape, and pictures of two shapes make no batch.",
        )
    if size[0] > size[1] and not portrait:
        raise ShapeError(
            f"size = {tuple(size)} is {size[1]} wide and {size[0]} high, a size for portrait pictures.",
            f"(height, width): for pictures {size[0]} wide and {size[1]} high that is {(size[1], size[0])}",
            "Exchange the two numbers. If most of your pictures are higher than wide, add portrait=True.",
        )


def _labels(mask: Tensor) -> Tensor:
    return mask[0].long()  # (1, H, W) -> (H, W)


def _add_channel(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return image, mask[None]  # (H, W) -> (1, H, W), the shape of the model's output


def resize_labels(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a mask: each new pixel copies the one old pixel that lies under its centre.

    Pillow's nearest means the same, and differs by a pixel here and there where a centre lies on a border: it adds up
    fractions, and they are rounded. Torch's "nearest" copies the upper left one of those that a new pixel covers, and
    so moves the mask against its image by up to half a new pixel.

    Args:
        mask: of any dtype.
        size: (height, width) in pixels.

    Shape:
        (..., H, W) in, (..., height, width) of the same dtype out.

    Example:
        >>> resize_labels(torch.tensor([[0, 0, 3, 3]]), (1, 8))
        tensor([[0, 0, 0, 0, 3, 3, 3, 3]])
    """
    # The centre of new pixel i lies at (i + 1/2) * old / new. Computed in whole numbers, so without rounding errors.
    rows, columns = (
        (torch.arange(new, device=mask.device) * 2 + 1) * old // (2 * new)
        for new, old in zip(size, mask.shape[-2:], strict=True)
    )
    return mask.index_select(-2, rows).index_select(-1, columns)  # (..., height, width)


def resize_mask(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`resize_labels` for a PIL mask of mode "L"; `size` is (height, width) in pixels."""
    return Image.fromarray(resize_labels(torch.from_numpy(np.array(mask)), size).numpy())
