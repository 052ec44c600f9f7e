"""What does each step between file and model cost, for one pair of 1280x960, and which order of steps is cheapest?

All is timed on one core, as in one worker of a DataLoader. The speed of a machine changes with what else it does, so
the orders are compared within a round: each round runs all of them once, one after the other, and the median over the
rounds is taken of the *ratios* to the first order of its group.

    python -m benchmarks.transform_cost [--rounds 51]        writes benchmarks/results/transform_cost.json
"""

import json
import statistics
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from benchmarks.common.results import option_parser, write_record
from benchmarks.common.samples import SAMPLES
from benchmarks.common.timing import in_rounds
from seglib.data.image_io import load_image, load_mask
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD, denormalize
from seglib.data.transforms import resize_labels

IMAGE = SAMPLES / "images" / "fruit_004.jpg"
MASK = SAMPLES / "masks" / "fruit_004.png"
SIZE = (240, 320)  # (height, width)
to_tensor = transforms.ToTensor()
normalise = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
resize = transforms.Resize(SIZE)  # of a PIL image
resize_tensor = v2.Resize(SIZE, antialias=True)


def colours(image: Tensor) -> Tensor:
    """Brightness, contrast and saturation, by fixed amounts, so that two orders can be compared."""
    return F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(image, 1.2), 1.2), 0.8)


def steps() -> dict[str, Callable[[], object]]:
    """Each step alone, on what it gets in practice: 1280 wide and 960 high, or SIZE."""
    image = load_image(IMAGE)
    pixels = F.pil_to_tensor(image)
    labels = F.pil_to_tensor(load_mask(MASK))[0] // 255
    floats = to_tensor(image)
    small_image = resize(image)
    small_pixels = resize_tensor(pixels)
    small_floats = to_tensor(small_image)
    return {
        "read the image": lambda: load_image(IMAGE),
        "read the mask": lambda: load_mask(MASK),
        "resize the image": lambda: resize(image),
        "resize the mask": lambda: resize_labels(labels, SIZE),
        "to tensor": lambda: to_tensor(image),
        "to tensor, resized": lambda: to_tensor(small_image),
        "normalise": lambda: normalise(floats),
        "normalise, resized": lambda: normalise(small_floats),
        "flip both": lambda: (pixels.flip(-1), labels.flip(-1)),
        "three colour changes": lambda: colours(pixels),
        "three colour changes, resized": lambda: colours(small_pixels),
        "hue": lambda: F.adjust_hue(pixels, 0.02),
        "hue, resized": lambda: F.adjust_hue(small_pixels, 0.02),
    }


def orders(image: Image.Image) -> list[dict[str, Callable[[], Tensor]]]:
    """Two groups of orders of the same work; each gives float32 (3, height, width), normalised."""

    def to_float(pixels: Tensor) -> Tensor:
        return F.to_dtype(pixels, torch.float32, scale=True)

    pixels = F.pil_to_tensor(image)
    notes = {
        "resize, to tensor, normalise (the notes)": lambda: normalise(to_tensor(resize(image))),
        "bytes to a tensor, resize, to float, normalise": lambda: normalise(
            to_float(resize_tensor(F.pil_to_tensor(image)))
        ),
        "to tensor, resize, normalise": lambda: normalise(resize_tensor(to_tensor(image))),
        "to tensor, normalise, resize": lambda: resize_tensor(normalise(to_tensor(image))),
    }
    varied = {
        "resize, colours, normalise (joint_transform)": lambda: normalise(to_float(colours(resize_tensor(pixels)))),
        "colours, resize, normalise": lambda: normalise(to_float(resize_tensor(colours(pixels)))),
    }
    return [notes, varied]


def median_of(times: list[dict[str, float]], name: str, divided_by: str | None = None) -> float:
    """Of one work over all rounds: its milliseconds, or their ratio to those of another work in the same round."""
    return round(statistics.median(each[name] / (each[divided_by] if divided_by else 1) for each in times), 2)


def compare(works: dict[str, Callable[[], Tensor]], rounds: int) -> list[dict[str, object]]:
    """For each order its milliseconds, its ratio to the first one, and how far its result is off, in steps of 255."""
    times = in_rounds(works, rounds + 1)[1:]  # the first round warms up
    first = next(iter(works))
    wanted = denormalize(works[first]())
    return [
        {
            "order": name,
            "milliseconds": median_of(times, name),
            "ratio": median_of(times, name, divided_by=first),
            "largest_difference": round(255 * (denormalize(work()) - wanted).abs().max().item(), 1),
        }
        for name, work in works.items()
    ]


def main() -> None:
    parser = option_parser(__doc__, "transform_cost")
    parser.add_argument("--rounds", type=int, default=51)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = load_image(IMAGE)
    times = in_rounds(steps(), arguments.rounds + 1)[1:]  # the first round warms up
    figures = {
        "rounds": arguments.rounds,
        "size": list(SIZE),
        "steps": {name: median_of(times, name) for name in times[0]},
        "orders": [row for works in orders(image) for row in compare(works, arguments.rounds)],
    }
    what = f"milliseconds for one pair, {image.width} wide and {image.height} high, on one core"
    write_record(arguments.out, what, figures)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
