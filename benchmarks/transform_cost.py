"""What does each step between file and model cost, for one pair of 1280x960, and which order of steps is cheapest?

All is timed on one core, as in one worker of a DataLoader. Times drift with the machine and with what else it does, so
the orders are compared within a round: each round runs all of them once, one after the other, and the median over the
rounds is taken of the *ratios* to the first order of its group.

    python benchmarks/transform_cost.py [rounds]        writes benchmarks/results/transform_cost.json
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

ROOT = Path(__file__).absolute().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from benchmarks.common.machine import machine
from seglib.data.image_io import load_image, load_mask
from seglib.data.normalization import IMAGENET_MEAN, IMAGENET_STD, denormalize
from seglib.data.transforms import resize_labels

STEM, SIZE = "fruit_004", (240, 320)  # SIZE is (height, width)
IMAGE, MASK = ROOT / f"data_samples/images/{STEM}.jpg", ROOT / f"data_samples/masks/{STEM}.png"
to_tensor, normalise = transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
resize = transforms.Resize(SIZE)  # of a PIL image
resize_tensor = v2.Resize(SIZE, antialias=True)


def colours(image: Tensor) -> Tensor:
    """Brightness, contrast and saturation, by fixed amounts, so that two orders can be compared."""
    return F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(image, 1.2), 1.2), 0.8)


def steps() -> dict[str, Callable[[], object]]:
    """Each step alone, on what it gets in practice: 1280 wide and 960 high, or SIZE."""
    image, mask = load_image(IMAGE), load_mask(MASK)
    pixels, labels, floats = F.pil_to_tensor(image), F.pil_to_tensor(mask)[0] // 255, to_tensor(image)
    small_image, small_pixels = resize(image), resize_tensor(pixels)
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


def milliseconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begin)


def in_rounds(works: dict[str, Callable[[], object]], rounds: int) -> list[dict[str, float]]:
    """The milliseconds of each work, round by round; the first round warms up and does not count."""
    return [{name: milliseconds(work) for name, work in works.items()} for _ in range(rounds + 1)][1:]


def compared(works: dict[str, Callable[[], Tensor]], rounds: int) -> list[dict[str, object]]:
    """For each order its milliseconds, its ratio to the first one, and how far its result is off, in steps of 255."""
    times, first = in_rounds(works, rounds), next(iter(works))
    wanted = denormalize(works[first]())
    return [
        {
            "order": name,
            "milliseconds": round(statistics.median(each[name] for each in times), 2),
            "ratio": round(statistics.median(each[name] / each[first] for each in times), 2),
            "largest_difference": round(255 * (denormalize(work()) - wanted).abs().max().item(), 1),
        }
        for name, work in works.items()
    ]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 51
    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = load_image(IMAGE)
    alone = in_rounds(steps(), rounds)
    result = {
        "what": f"milliseconds for one pair, {image.width} wide and {image.height} high, on one core",
        "machine": machine(),
        "rounds": rounds,
        "size": list(SIZE),
        "steps": {name: round(statistics.median(each[name] for each in alone), 2) for name in alone[0]},
        "orders": [row for works in orders(image) for row in compared(works, rounds)],
    }
    print(json.dumps(result, indent=1))
    path = ROOT / "benchmarks" / "results" / "transform_cost.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
