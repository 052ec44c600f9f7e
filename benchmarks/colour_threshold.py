"""Can a fixed colour threshold find the fruit? If it could, there would be nothing to learn from our pictures.

We search for the box of colours that best says "fruit": one interval for each channel, the same for all pictures, in
RGB, HSV, Lab and YCbCr. The box is fitted on the very pictures on which it is scored, which favours it. Two stronger
attacks are reported beside it: the union of two boxes, and a table that answers for each of 32x32x32 colours by
itself, fitted on the training scenes and scored on the validation scenes.

    python benchmarks/colour_threshold.py        writes benchmarks/results/colour_threshold.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks.common.machine import machine

SPACES = ["RGB", "HSV", "Lab", "YCbCr"]
BINS = 64  # levels a channel while searching; the best boxes are then refined at 256
Box = list[tuple[int, int]]  # one (low, high) a channel, high not included; a hue interval may go past 256 and round


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """Turns sRGB (N, 3) uint8 into CIE Lab, each channel stretched to 0..255 (a and b: 128 is grey)."""
    linear = np.where(rgb <= 10.31475, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    f = np.cbrt(np.maximum(xyz / (0.9505, 1.0, 1.089), 0.008856))
    lab = np.stack([(116 * f[:, 1] - 16) * 2.55, 500 * (f[:, 0] - f[:, 1]) + 128, 200 * (f[:, 1] - f[:, 2]) + 128], 1)
    return np.clip(np.round(lab), 0, 255).astype(np.uint8)


def read_pixels(stems: list[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """({space: (N, 3) uint8}, (N,) bool fruit) over all pictures, 320x240 each, sampled without interpolation."""
    channels, fruit = {space: [] for space in SPACES}, []
    for stem in stems:
        image = ImageOps.exif_transpose(Image.open(ROOT / f"data_samples/images/{stem}.jpg")).convert("RGB")
        mask = Image.open(ROOT / f"data_samples/masks/{stem}.png")
        if image.size != mask.size:
            raise SystemExit(f"{stem}: image {image.size}, mask {mask.size}")
        size = (320, 240) if image.width > image.height else (240, 320)
        image, mask = image.resize(size, Image.Resampling.NEAREST), mask.resize(size, Image.Resampling.NEAREST)
        for space in ("RGB", "HSV", "YCbCr"):
            channels[space].append(np.asarray(image.convert(space)).reshape(-1, 3))
        channels["Lab"].append(to_lab(channels["RGB"][-1].astype(float)))
        fruit.append(np.asarray(mask).ravel() > 127)
    return {space: np.concatenate(parts) for space, parts in channels.items()}, np.concatenate(fruit)


def best_interval(
    fruit: np.ndarray, other: np.ndarray, total: float, wrap: bool, held=(0.0, 0.0)
) -> tuple[float, tuple[int, int]]:
    """The interval of one channel with the highest IoU, by trying every one.

    Args:
        fruit, other: (bins,) pixels of each level that pass all other channels.
        total: all fruit pixels there are.
        wrap: the channel is a circle (hue).
        held: (fruit, other) pixels that another box has already taken.
    """
    bins = len(fruit)
    sums = [np.concatenate([[0], np.cumsum(np.tile(h, 2) if wrap else h)]) for h in (fruit, other)]
    low, high = np.arange(bins)[:, None], np.arange(len(sums[0]))[None]
    hit, miss = (s[None, :] - s[:bins, None] for s in sums)
    possible = (high > low) & (high - low <= bins)
    score = np.where(possible, (hit + held[0]) / np.where(possible, total + miss + held[1], 1), -1)
    at = int(score.argmax())
    return float(score.flat[at]), (at // score.shape[1], at % score.shape[1])


def select(table: np.ndarray, box: Box, free: int) -> np.ndarray:
    """(bins,) the histogram of channel `free` inside the box of the two others. `table` is (bins, bins, bins)."""
    for axis in range(3):
        if axis != free:
            low, high = box[axis]
            table = table.take(np.arange(low, high) % table.shape[axis], axis)
    return table.sum(tuple(a for a in range(3) if a != free))


def climb(
    fruit: np.ndarray, other: np.ndarray, box: Box, total: float, hue: bool, held=(0.0, 0.0)
) -> tuple[float, Box]:
    """Sets one channel after the other to its best interval until none improves."""
    best = -1.0
    while True:
        for axis in range(3):
            score, interval = best_interval(
                select(fruit, box, axis), select(other, box, axis), total, hue and axis == 0, held
            )
            box = [*box[:axis], interval, *box[axis + 1 :]]
        if score <= best + 1e-9:
            return best, box
        best = score


def inside(pixels: np.ndarray, box: Box, scale: int = 1) -> np.ndarray:
    """(N,) bool: which of the (N, 3) pixels are in the box."""
    result = np.ones(len(pixels), bool)
    for axis, (low, high) in enumerate(box):
        allowed = np.zeros(256, bool)
        allowed[np.arange(low * scale, high * scale) % 256] = True
        result &= allowed[pixels[:, axis]]
    return result


def random_box(rng: np.random.Generator, pixels: np.ndarray) -> Box:
    """A box between two random quantiles of the fruit's colours, in each channel."""
    ends = np.sort(rng.uniform(0, 1, (3, 2)), axis=1)
    values = [np.quantile(pixels[:, axis], ends[axis]) for axis in range(3)]
    return [(int(low * BINS // 256), int(high * BINS // 256) + 1) for low, high in values]


def refine(pixels: np.ndarray, fruit: np.ndarray, boxes: list[Box], hue: bool) -> tuple[float, list[Box]]:
    """The same climb at 256 levels, on the pixels themselves, for one box or for the union of several."""
    best = -1.0
    while True:
        for k in range(len(boxes)):
            rest = np.zeros(len(fruit), bool)
            for other in boxes[:k] + boxes[k + 1 :]:
                rest |= inside(pixels, other)
            held = (float((rest & fruit).sum()), float((rest & ~fruit).sum()))
            for axis in range(3):
                opened = [*boxes[k][:axis], (0, 256), *boxes[k][axis + 1 :]]
                passing = inside(pixels, opened) & ~rest
                hits = np.bincount(pixels[passing & fruit, axis], minlength=256)
                misses = np.bincount(pixels[passing & ~fruit, axis], minlength=256)
                score, interval = best_interval(hits, misses, fruit.sum(), hue and axis == 0, held)
                boxes[k] = [*opened[:axis], interval, *opened[axis + 1 :]]
        if score <= best + 1e-9:
            return best, boxes
        best = score


def attack(space: str, pixels: np.ndarray, fruit: np.ndarray, restarts: int, rng: np.random.Generator) -> dict:
    """The best single box and the best union of two in one colour space."""
    hue, total, seen = space == "HSV", float(fruit.sum()), pixels[fruit][:: max(1, int(fruit.sum()) // 20000)]
    index = np.ravel_multi_index((pixels // (256 // BINS)).T, (BINS,) * 3)
    tables = [np.bincount(index[chosen], minlength=BINS**3).reshape((BINS,) * 3) for chosen in (fruit, ~fruit)]
    found = sorted((climb(*tables, random_box(rng, seen), total, hue) for _ in range(restarts)), reverse=True)
    pairs = []
    for _, first in [found[0], found[restarts // 8]] * (restarts // 16):
        boxes, score = [first, random_box(rng, seen)], -1.0
        while True:
            previous = score
            for k in (1, 0):
                taken = np.ix_(*(np.arange(low, high) % BINS for low, high in boxes[1 - k]))
                held = tuple(float(t[taken].sum()) for t in tables)
                left = [t.copy() for t in tables]
                for t in left:
                    t[taken] = 0
                score, boxes[k] = climb(*left, boxes[k], total, hue, held)
            if score <= previous + 1e-6:
                break
        pairs.append((score, boxes))
    fine = lambda box: [(low * 256 // BINS, high * 256 // BINS) for low, high in box]  # noqa: E731
    one, single = max(refine(pixels, fruit, [fine(box)], hue) for _, box in found[:3])
    two, double = refine(pixels, fruit, [fine(box) for box in max(pairs)[1]], hue)
    return {
        "single_box_iou": round(one, 4),
        "single_box": single[0],
        "two_boxes_iou": round(two, 4),
        "two_boxes": double,
    }


def lookup_table(pixels: np.ndarray, fruit: np.ndarray, train: np.ndarray) -> float:
    """Validation IoU of a table with its own answer for each of 32x32x32 RGB colours, fitted on `train` pixels."""
    index = np.ravel_multi_index((pixels // 8).T, (32,) * 3)
    hits, misses = (np.bincount(index[chosen & train], minlength=32**3) for chosen in (fruit, ~fruit))
    order = np.argsort(-(hits + 0.1) / (hits + misses + 1.0))
    # The IoU is highest when colours are taken in order of their share of fruit, up to some share.
    score = np.cumsum(hits[order]) / (hits.sum() + np.cumsum(misses[order]))
    says = np.zeros(32**3, bool)
    says[order[: int(score.argmax()) + 1]] = True
    predicted, target = says[index[~train]], fruit[~train]
    return float((predicted & target).sum() / (predicted | target).sum())


def main(restarts: int = 96) -> None:
    split = json.loads((ROOT / "data_samples/split.json").read_text())
    stems = split["train"] + split["validation"]
    start = time.perf_counter()
    channels, fruit = read_pixels(stems)
    train = np.arange(len(fruit)) < 320 * 240 * len(split["train"])
    rng = np.random.default_rng(0)
    spaces = {}
    for space in SPACES:
        spaces[space] = attack(space, channels[space], fruit, restarts, rng)
        print(space, spaces[space], flush=True)
    result = {"what": "best IoU of a fixed colour threshold, fitted and scored on all pictures", "machine": machine()}
    result |= {"pictures": len(stems), "restarts": restarts, "fruit_share_of_pixels": round(float(fruit.mean()), 4)}
    result["everything_is_fruit_iou"] = result["fruit_share_of_pixels"]
    for attack_name in ("single_box", "two_boxes"):
        name = max(SPACES, key=lambda space: spaces[space][f"{attack_name}_iou"])
        result[f"best_{attack_name}"] = {
            "space": name,
            "iou": spaces[name][f"{attack_name}_iou"],
            "box": spaces[name][attack_name],
        }
    result["lookup_table_validation_iou"] = round(lookup_table(channels["RGB"], fruit, train), 4)
    result |= {"spaces": spaces, "seconds": round(time.perf_counter() - start, 1)}
    (ROOT / "benchmarks/results").mkdir(exist_ok=True)
    (ROOT / "benchmarks/results/colour_threshold.json").write_text(json.dumps(result, indent=1) + "\n")
    print({key: result[key] for key in ("best_single_box", "best_two_boxes", "lookup_table_validation_iou", "seconds")})


if __name__ == "__main__":
    main()
