"""Can a fixed colour threshold find the fruit? If it could, there would be nothing to learn from our pictures.

We search for the box of colours that best says "fruit": one interval for each channel, the same for all pictures, in
RGB, HSV, Lab and YCbCr. The box is fitted on the very pictures on which it is scored, which favours it. Two stronger
attacks are reported beside it: the union of two boxes, and a table that answers for each of 32x32x32 colours by
itself, fitted on the training scenes and scored on the validation scenes.

    python -m benchmarks.colour_threshold        writes benchmarks/results/colour_threshold.json
"""

import time
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.common.results import results_path, write_record
from benchmarks.common.samples import SAMPLES
from seglib.data.image_io import load_image, load_mask
from seglib.data.splits import read_split

SPACES = ["RGB", "HSV", "Lab", "YCbCr"]
BINS = 64  # levels a channel while searching; the best boxes are then refined at 256
Box = list[tuple[int, int]]  # one (low, high) a channel, high not included; a hue interval may go past 256 and round


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """Turns sRGB (N, 3), 0 to 255, into CIE Lab, each channel stretched to 0..255 (a and b: 128 is grey)."""
    linear = np.where(rgb <= 10.31475, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    f = np.cbrt(np.maximum(xyz / (0.9505, 1.0, 1.089), 0.008856))
    lab = np.stack([(116 * f[:, 1] - 16) * 2.55, 500 * (f[:, 0] - f[:, 1]) + 128, 200 * (f[:, 1] - f[:, 2]) + 128], 1)
    return np.clip(np.round(lab), 0, 255).astype(np.uint8)


class Held(NamedTuple):
    """How many pixels, of fruit and of anything else, another box has already taken."""

    fruit: float
    other: float


NOTHING_HELD = Held(0.0, 0.0)


def read_pixels(stems: list[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """({space: (N, 3) uint8}, (N,) bool fruit) over all pictures, 320x240 each, sampled without interpolation."""
    channels: dict[str, list[np.ndarray]] = {space: [] for space in SPACES}
    fruit = []
    for stem in stems:
        image = load_image(SAMPLES / "images" / f"{stem}.jpg")
        mask = load_mask(SAMPLES / "masks" / f"{stem}.png")
        if image.size != mask.size:
            raise SystemExit(f"{stem}: image {image.size}, mask {mask.size}")
        size = (320, 240) if image.width > image.height else (240, 320)
        image = image.resize(size, Image.Resampling.NEAREST)
        mask = mask.resize(size, Image.Resampling.NEAREST)
        for space in ("RGB", "HSV", "YCbCr"):
            channels[space].append(np.asarray(image.convert(space)).reshape(-1, 3))
        channels["Lab"].append(to_lab(channels["RGB"][-1].astype(float)))
        fruit.append(np.asarray(mask).ravel() > 127)
    return {space: np.concatenate(parts) for space, parts in channels.items()}, np.concatenate(fruit)


def best_interval(
    fruit: np.ndarray, other: np.ndarray, total: float, *, circular: bool, held: Held = NOTHING_HELD
) -> tuple[float, tuple[int, int]]:
    """The interval of one channel with the highest IoU, by trying every one.

    Args:
        fruit, other: (bins,) pixels of each level that pass all other channels.
        total: all fruit pixels there are.
        circular: the channel is a circle, as the hue is; an interval may go past its end.
        held: what another box has already taken.
    """
    bins = len(fruit)
    fruit_sums, other_sums = (
        np.concatenate([[0], np.cumsum(np.tile(histogram, 2) if circular else histogram)])
        for histogram in (fruit, other)
    )
    low = np.arange(bins)[:, None]
    high = np.arange(len(fruit_sums))[None]
    hit = fruit_sums[None, :] - fruit_sums[:bins, None]  # (low, high): the pixels between the two
    miss = other_sums[None, :] - other_sums[:bins, None]
    possible = (high > low) & (high - low <= bins)
    score = np.where(possible, (hit + held.fruit) / np.where(possible, total + miss + held.other, 1), -1)
    best = int(score.argmax())
    return float(score.flat[best]), (best // score.shape[1], best % score.shape[1])


def select(table: np.ndarray, box: Box, free: int) -> np.ndarray:
    """(bins,) the histogram of channel `free` inside the box of the two others. `table` is (bins, bins, bins)."""
    for axis in range(3):
        if axis != free:
            low, high = box[axis]
            table = table.take(np.arange(low, high) % table.shape[axis], axis)
    return table.sum(tuple(a for a in range(3) if a != free))


def climb(
    tables: list[np.ndarray], box: Box, total: float, *, has_hue: bool, held: Held = NOTHING_HELD
) -> tuple[float, Box]:
    """Sets one channel after the other to its best interval until none improves.

    Args:
        tables: of fruit and of anything else, the number of pixels of each colour, (bins, bins, bins).
        box: to begin with.
        total: all fruit pixels there are.
        has_hue: the first channel is a hue.
        held: what another box has already taken.
    """
    best = -1.0
    while True:
        for axis in range(3):
            fruit, other = (select(table, box, axis) for table in tables)
            score, interval = best_interval(fruit, other, total, circular=has_hue and axis == 0, held=held)
            box = [*box[:axis], interval, *box[axis + 1 :]]
        if score <= best + 1e-9:
            return best, box
        best = score


def inside(pixels: np.ndarray, box: Box) -> np.ndarray:
    """(N,) bool: which of the (N, 3) pixels are in the box."""
    result = np.ones(len(pixels), bool)
    for axis, (low, high) in enumerate(box):
        allowed = np.zeros(256, bool)
        allowed[np.arange(low, high) % 256] = True
        result &= allowed[pixels[:, axis]]
    return result


def random_box(rng: np.random.Generator, pixels: np.ndarray) -> Box:
    """A box between two random quantiles of the fruit's colours, in each channel."""
    ends = np.sort(rng.uniform(0, 1, (3, 2)), axis=1)
    values = [np.quantile(pixels[:, axis], ends[axis]) for axis in range(3)]
    return [(int(low * BINS // 256), int(high * BINS // 256) + 1) for low, high in values]


def refine(pixels: np.ndarray, fruit: np.ndarray, boxes: list[Box], has_hue: bool) -> tuple[float, list[Box]]:
    """The same climb at 256 levels, on the pixels themselves, for one box or for the union of several."""
    best = -1.0
    while True:
        for k in range(len(boxes)):
            score = refine_one(pixels, fruit, boxes, k, has_hue=has_hue)
        if score <= best + 1e-9:
            return best, boxes
        best = score


def refine_one(pixels: np.ndarray, fruit: np.ndarray, boxes: list[Box], k: int, *, has_hue: bool) -> float:
    """Sets each channel of box `k`, in place, to its best interval; the IoU of the union of all boxes."""
    rest = np.zeros(len(fruit), bool)
    for other in boxes[:k] + boxes[k + 1 :]:
        rest |= inside(pixels, other)
    held = Held(float((rest & fruit).sum()), float((rest & ~fruit).sum()))
    for axis in range(3):
        opened = [*boxes[k][:axis], (0, 256), *boxes[k][axis + 1 :]]
        passing = inside(pixels, opened) & ~rest
        hits = np.bincount(pixels[passing & fruit, axis], minlength=256)
        misses = np.bincount(pixels[passing & ~fruit, axis], minlength=256)
        score, interval = best_interval(hits, misses, fruit.sum(), circular=has_hue and axis == 0, held=held)
        boxes[k] = [*opened[:axis], interval, *opened[axis + 1 :]]
    return score


def climb_in_turns(tables: list[np.ndarray], boxes: list[Box], total: float, has_hue: bool) -> tuple[float, list[Box]]:
    """Sets two boxes in turns, each to the best for what the other one leaves, until their union improves no more."""
    score = -1.0
    while True:
        previous = score
        for k in (1, 0):
            taken = np.ix_(*(np.arange(low, high) % BINS for low, high in boxes[1 - k]))
            held = Held(*(float(table[taken].sum()) for table in tables))
            left = [table.copy() for table in tables]
            for table in left:
                table[taken] = 0
            score, boxes[k] = climb(left, boxes[k], total, has_hue=has_hue, held=held)
        if score <= previous + 1e-6:
            return score, boxes


def at_256_levels(box: Box) -> Box:
    return [(low * 256 // BINS, high * 256 // BINS) for low, high in box]


def attack(space: str, pixels: np.ndarray, fruit: np.ndarray, restarts: int, rng: np.random.Generator) -> dict:
    """The best single box and the best union of two in one colour space."""
    has_hue = space == "HSV"
    total = float(fruit.sum())
    seen = pixels[fruit][:: max(1, int(fruit.sum()) // 20000)]
    index = np.ravel_multi_index((pixels // (256 // BINS)).T, (BINS,) * 3)
    tables = [np.bincount(index[chosen], minlength=BINS**3).reshape((BINS,) * 3) for chosen in (fruit, ~fruit)]
    climbs = [climb(tables, random_box(rng, seen), total, has_hue=has_hue) for _ in range(restarts)]
    singles = sorted(climbs, reverse=True)
    pairs = []
    for _, first in [singles[0], singles[restarts // 8]] * (restarts // 16):
        pairs.append(climb_in_turns(tables, [first, random_box(rng, seen)], total, has_hue))
    one, single = max(refine(pixels, fruit, [at_256_levels(box)], has_hue) for _, box in singles[:3])
    two, double = refine(pixels, fruit, [at_256_levels(box) for box in max(pairs)[1]], has_hue)
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
    is_fruit = np.zeros(32**3, bool)
    is_fruit[order[: int(score.argmax()) + 1]] = True
    predicted = is_fruit[index[~train]]
    target = fruit[~train]
    return float((predicted & target).sum() / (predicted | target).sum())


def best_of(spaces: dict[str, dict], boxes: str) -> dict:
    """The colour space in which `boxes`, "single_box" or "two_boxes", reach the highest IoU."""
    space = max(SPACES, key=lambda space: spaces[space][f"{boxes}_iou"])
    return {"space": space, "iou": spaces[space][f"{boxes}_iou"], "box": spaces[space][boxes]}


def main(restarts: int = 96) -> None:
    split = read_split(SAMPLES / "split.json")
    stems = split.train + split.validation
    begin = time.perf_counter()
    channels, fruit = read_pixels(stems)
    train = np.arange(len(fruit)) < 320 * 240 * len(split.train)
    rng = np.random.default_rng(0)
    spaces = {}
    for space in SPACES:
        spaces[space] = attack(space, channels[space], fruit, restarts, rng)
        print(space, spaces[space], flush=True)
    share = round(float(fruit.mean()), 4)
    figures = {
        "pictures": len(stems),
        "restarts": restarts,
        "fruit_share_of_pixels": share,
        "everything_is_fruit_iou": share,
        "best_single_box": best_of(spaces, "single_box"),
        "best_two_boxes": best_of(spaces, "two_boxes"),
        "lookup_table_validation_iou": round(lookup_table(channels["RGB"], fruit, train), 4),
        "spaces": spaces,
        "seconds": round(time.perf_counter() - begin, 1),
    }
    what = "best IoU of a fixed colour threshold, fitted and scored on all pictures"
    write_record(results_path("colour_threshold"), what, figures)
    print({key: figures[key] for key in ("best_single_box", "best_two_boxes", "lookup_table_validation_iou")})


if __name__ == "__main__":
    main()
