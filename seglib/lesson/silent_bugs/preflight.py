"""Owns checks that a training script passes before anybody believes its figures. See 12_silent_bugs.

A script is anything with three functions: `build(lr, steps)` gives model, optimizer and schedule,
`train_one_epoch(model, batches, optimizer, scheduler)` the mean loss, `evaluate(model, pairs, batch_size)` the IoU.
`model(images)["out"]` are outputs (N, 1, H, W). With two more, as in `plain_script`, more is checked:
`read_pairs(folder, stems, size)`, which reads `images/STEM.png` and `masks/STEM.png`, and `fit`.

Each check gives the number that it measured. Most of them train nothing: they hand the script an `AnswerReader`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn, optim
from torch.utils.data import default_collate

from seglib.device import pick_device, seed_everything
from seglib.lesson.common.exercise import describe_error

Pairs = Any  # a list of (image (3, H, W) in [0, 1], mask (1, H, W) of 0.0 and 1.0)
LOGITS = (-8.0, 8.0)  # what a model is to give for background and object, if it is sure; after MSE that is (0, 1)


class AnswerReader(nn.Module):
    """A "model" that reads the answer off the picture: red is the object, blue is not. It notes what it is given.

    Args:
        outputs: what it gives for blue and for red; what lies between the colours gets what lies between.

    Shape:
        images (N, 3, H, W), normalised or not; `["out"]` (N, 1, H, W).
    """

    def __init__(self, outputs: tuple[float, float] = LOGITS):
        super().__init__()
        self.background, self.object = outputs
        self.weight = nn.Parameter(torch.ones((), device=pick_device()))  # 1: it changes nothing
        self.modes: list[bool] = []  # training mode, at each call
        self.images: list[Tensor] = []  # what came in, at each call

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Note what comes in, and answer; see the class."""
        self.modes.append(self.training)
        self.images.append(images.detach().clone())
        difference = images[:, :1] - images[:, 2:]  # red minus blue, (N, 1, H, W)
        redness = difference / difference.abs().max().clamp(min=1e-6)  # -1 to 1
        middle = (self.background + self.object) / 2
        return {"out": middle + self.weight * redness * (self.object - self.background) / 2}


def red_on_blue(mask: Tensor) -> Tensor:
    """The picture that is its own mask: (1, H, W) of 0.0 and 1.0 gives (3, H, W), red on the object and blue beside."""
    return torch.cat([mask, torch.zeros_like(mask), 1 - mask])


# Checks of the script with its own model: one step, or none


def gradients_not_cleared(script: Any, pairs: Pairs) -> int:
    """Set every gradient to NaN and take a step. How many weight tensors hold a NaN afterwards?"""
    model, optimizer, scheduler = script.build(1e-3, 1)
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, torch.nan)
    script.train_one_epoch(model, [default_collate(pairs[:2])], optimizer, scheduler)
    return sum(not weight.isfinite().all() for weight in model.parameters())


def layers_that_stay(script: Any, pairs: Pairs) -> int:
    """Take a step. How many weight tensors are exactly as they were?"""
    model, optimizer, scheduler = script.build(1e-3, 1)
    before = [weight.detach().clone() for weight in model.parameters()]
    script.train_one_epoch(model, [default_collate(pairs[:2])], optimizer, scheduler)
    return sum(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def share_pretrained(script: Any) -> float:
    """Build the model with two seeds. What share of its weights is equal? Random ones differ."""
    models = []
    for seed in (0, 1):
        seed_everything(seed)
        models.append(script.build(1e-3, 1)[0])
    equal = 0
    count = 0
    for first, second in zip(models[0].parameters(), models[1].parameters(), strict=True):
        if first.ndim > 1:  # biases and BatchNorm begin alike in any model
            equal += (first == second).sum().item()
            count += first.numel()
    return equal / count


def highest_rate(script: Any, steps: int = 16) -> float:
    """Take all steps that the schedule was built for. The highest rate, as a share of the one asked for."""
    _, optimizer, scheduler = script.build(1e-3, steps)
    rates = []
    reader = AnswerReader()
    reader.register_forward_pre_hook(lambda *_: rates.append(max(group["lr"] for group in optimizer.param_groups)))
    script.train_one_epoch(reader, [default_collate(_rectangles())] * steps, optimizer, scheduler)
    return max(rates) / 1e-3


def iou_of_two_by_heart(script: Any, pairs: Pairs, *, steps: int = 40) -> float:
    """Train on two pictures alone. What IoU do these two have afterwards?"""
    model, optimizer, scheduler = script.build(1e-3, steps)
    script.train_one_epoch(model, [default_collate(pairs[:2])] * steps, optimizer, scheduler)
    return script.evaluate(model, pairs[:2], batch_size=2)


# Checks with a model that reads the answer: no training


def loss_on_own_masks(script: Any, own_pairs: Pairs, outputs: tuple[float, float] = LOGITS) -> float:
    """Train on pictures that are their own masks, with a model that reads them. What loss is left?"""
    reader = AnswerReader(outputs)
    batch = default_collate(own_pairs)
    return script.train_one_epoch(reader, [batch] * 8, *_standing(reader))


def iou_on_own_masks(script: Any, own_pairs: Pairs, outputs: tuple[float, float] = LOGITS) -> float:
    """Measure the same model on such pictures."""
    return script.evaluate(AnswerReader(outputs), own_pairs, batch_size=2)


def error_of_known_iou(script: Any, outputs: tuple[float, float] = LOGITS) -> float:
    """Seven pictures with masks that are partly wrong, so that the right IoU is known. The largest error of three."""
    pairs = _rectangles(7)
    both_sides = [(image, (mask + mask.flip(-1)).clamp(max=1)) for image, mask in pairs]  # twice as much as is red
    wrong_pairs = pairs[:5] + both_sides[5:]
    object_drawn = torch.stack([mask for _, mask in pairs]) > 0
    object_there = torch.stack([mask for _, mask in wrong_pairs]) > 0
    right = ((object_drawn & object_there).sum() / (object_drawn | object_there).sum()).item()
    middle = sum(outputs) / 2  # the threshold
    little = (outputs[1] - outputs[0]) / 80
    weak = AnswerReader((middle - little, middle + little))  # just below and just above it
    return max(abs(script.evaluate(weak, wrong_pairs, batch_size=size) - right) for size in (6, 4, 2))


def wrong_modes(script: Any) -> int:
    """Measure, train, and both once more. In how many of these four is the model in the wrong mode?"""
    reader = AnswerReader()
    pairs = _rectangles()
    wrong = 0
    for _ in range(2):
        script.evaluate(reader, pairs, batch_size=2)
        wrong += any(reader.modes)
        reader.modes.clear()
        script.train_one_epoch(reader, [default_collate(pairs)], *_standing(reader))
        wrong += not all(reader.modes)
        reader.modes.clear()
    return wrong


def pixels_apart(script: Any) -> float:
    """Give both functions two pictures of one colour. How far apart, per channel, is what the model gets?"""
    colour = torch.tensor([0.8, 0.5, 0.2], device=pick_device()).view(3, 1, 1)
    pairs = [(colour.expand(3, 24, 32), torch.zeros(1, 24, 32, device=colour.device))] * 2
    means = []
    for side in ("training", "validation"):
        reader = AnswerReader()
        for _ in range(16):  # the mean of many, since training may change colours at random
            if side == "training":
                script.train_one_epoch(reader, [default_collate(pairs)], *_standing(reader))
            else:
                script.evaluate(reader, pairs, batch_size=2)
        means.append(torch.cat(reader.images).mean((0, 2, 3)))  # (3,)
    return (means[0] - means[1]).abs().max().item()


def spread_of_pixels(script: Any, pairs: Pairs) -> float:
    """The standard deviation of the pixels that the model gets in training. Normalised ones have about 1."""
    reader = AnswerReader()
    script.train_one_epoch(reader, [default_collate(pairs[:8])], *_standing(reader))
    return torch.cat(reader.images).std().item()


def changed_pixels(script: Any, pairs: Pairs) -> int:
    """Measure twice. How many of the numbers that the model gets differ?"""
    reader = AnswerReader()
    for _ in range(2):
        script.evaluate(reader, pairs[:2], batch_size=2)
    first, second = torch.cat(reader.images).chunk(2)
    return (first != second).sum().item()


def error_of_best_weights(script: Any) -> float:
    """Let a model become worse and worse. How far is the IoU of the weights that were kept from the best one?"""
    reader = AnswerReader()
    pairs = _rectangles()
    upwards = optim.SGD(reader.parameters(), lr=0.0025, maximize=True)  # away from what is right
    standing = optim.lr_scheduler.LambdaLR(upwards, lambda step: 1.0)
    reader.weight.data.fill_(0.1)
    _, scores, best_weights = script.fit(reader, [default_collate(pairs)] * 4, pairs, upwards, standing, epochs=8)
    reader.load_state_dict(best_weights)
    return abs(max(scores) - script.evaluate(reader, pairs, batch_size=2))


# Checks of the pictures themselves


def sizes_that_differ(own_pairs: Pairs, size: tuple[int, int]) -> int:
    """How many of the pictures and masks that were read are not `size`, (height, width)?"""
    return sum(tuple(part.shape[-2:]) != size for pair in own_pairs for part in pair)


def pictures_on_both_sides(train_pairs: Pairs, validation_pairs: Pairs, limit: float = 0.01) -> int:
    """How many validation pictures are training pictures too, as they are or mirrored? Compared when very small."""
    known = torch.stack([_thumbnail(image) for image, _ in train_pairs])  # (N, 3, 12, 16)
    found = 0
    for image, _ in validation_pairs:
        small = _thumbnail(image)
        ways = [small, small.flip(-1), small.flip(-2), small.flip(-1, -2)]
        found += min((known - way).abs().mean((1, 2, 3)).min().item() for way in ways) < limit
    return found


def _thumbnail(image: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(image, (12, 16))


def own_mask_files(folder: Path, masks: list[Tensor], size: tuple[int, int]) -> list[str]:
    """Write pictures that are their own masks, at twice `size`, as a script reads them; returns the stems."""
    stems = [f"own_{number}" for number in range(len(masks))]
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for stem, mask in zip(stems, masks, strict=True):
        large = F.interpolate(mask[None], (2 * size[0], 2 * size[1]))[0].cpu()  # (1, 2 H, 2 W), by nearest
        picture = (255 * red_on_blue(large)).byte().permute(1, 2, 0)  # (2 H, 2 W, 3)
        Image.fromarray(picture.numpy()).save(folder / "images" / f"{stem}.png")
        Image.fromarray((255 * large[0]).byte().numpy().astype(np.uint8)).save(folder / "masks" / f"{stem}.png")
    return stems


def own_pairs_of(script: Any, pairs: Pairs) -> Pairs:
    """Pictures that are the masks of `pairs`: read from files by the script if it can, else made here."""
    masks = [mask for _, mask in pairs]
    if not hasattr(script, "read_pairs"):
        return [(red_on_blue(mask), mask) for mask in masks]
    size = tuple(masks[0].shape[-2:])
    with tempfile.TemporaryDirectory() as scratch:
        stems = own_mask_files(Path(scratch), masks, size)
        return script.read_pairs(Path(scratch), stems, size)


def _rectangles(count: int = 2) -> Pairs:
    """Pictures of 32 by 24 that are their own masks: each has a rectangle of another width, left of the middle."""
    pairs = []
    for number in range(count):
        mask = torch.zeros(1, 24, 32, device=pick_device())
        mask[:, 4:16, 2 : 5 + number] = 1
        pairs.append((red_on_blue(mask), mask))
    return pairs


def _standing(reader: AnswerReader) -> tuple[optim.Optimizer, Any]:
    """An optimizer and a schedule that move nothing."""
    optimizer = optim.SGD(reader.parameters(), lr=0.0)
    return optimizer, optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


# All together


@dataclass(frozen=True)
class Result:
    """What a check measured, and where a script without a fault lies; NaN and the words of an error if it stopped."""

    name: str
    value: float
    low: float
    high: float
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value is inside; NaN is not."""
        return self.low <= self.value <= self.high

    def __str__(self) -> str:
        wanted = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        mark = "" if self.passed else "   <- look here"
        return f"{self.name:22} {self.value:8.3f}   wanted {wanted}{mark} {self.error}".rstrip()


# Name of a check -> the lowest and the highest value of a script without a fault.
LIMITS = {
    "gradients not cleared": (0, 0),
    "layers that stay": (0, 0),
    "share pretrained": (0.5, 1),
    "highest rate": (0.5, 2),
    "wrong modes": (0, 0),
    "pixels apart": (0, 0.5),
    "spread of pixels": (0.4, 2.5),
    "changed pixels": (0, 0),
    "wrong sizes": (0, 0),
    "own masks: loss": (0, 0.1),
    "own masks: IoU": (0.95, 1),
    "error of a known IoU": (0, 0.001),
    "error of best weights": (0, 0.001),
    "on both sides": (0, 0),
    "two by heart: IoU": (0.6, 1),
}


def run_preflight(
    script: Any,
    train_pairs: Pairs,
    validation_pairs: Pairs,
    *,
    outputs: tuple[float, float] = LOGITS,
    size: tuple[int, int] | None = None,
    two_by_heart: bool = True,
) -> list[Result]:
    """Every check that the script has the functions for, the quick ones first.

    Args:
        script: see the head of this module; a module, or any object with these functions.
        train_pairs, validation_pairs: as the script reads them, on its device.
        outputs: what a model that is sure gives for background and object: logits, or (0, 1) after MSE.
        size: (height, width) that was asked for; None: that of the first mask.
        two_by_heart: whether to train for 40 steps too, the only check that takes longer than seconds.
    """
    if size is not None:  # masks of the right size, whatever the script made of them
        right = [(image, F.interpolate(mask[None], size)[0]) for image, mask in train_pairs[:4]]
    else:
        right = train_pairs[:4]
    own_pairs = own_pairs_of(script, right)
    small_pairs = [(image[:, ::2, ::2], mask[:, ::2, ::2]) for image, mask in train_pairs[:2]]
    checks: dict[str, Callable[[], float]] = {
        "gradients not cleared": lambda: gradients_not_cleared(script, small_pairs),
        "layers that stay": lambda: layers_that_stay(script, small_pairs),
        "share pretrained": lambda: share_pretrained(script),
        "highest rate": lambda: highest_rate(script),
        "wrong modes": lambda: wrong_modes(script),
        "pixels apart": lambda: pixels_apart(script),
        "spread of pixels": lambda: spread_of_pixels(script, train_pairs),
        "changed pixels": lambda: changed_pixels(script, train_pairs),
        "wrong sizes": lambda: sizes_that_differ(own_pairs, tuple(right[0][1].shape[-2:])),
        "own masks: loss": lambda: loss_on_own_masks(script, own_pairs, outputs),
        "own masks: IoU": lambda: iou_on_own_masks(script, own_pairs, outputs),
        "error of a known IoU": lambda: error_of_known_iou(script, outputs),
        "on both sides": lambda: pictures_on_both_sides(train_pairs, validation_pairs),
    }
    if hasattr(script, "fit"):
        checks["error of best weights"] = lambda: error_of_best_weights(script)
    if two_by_heart:
        checks["two by heart: IoU"] = lambda: iou_of_two_by_heart(script, train_pairs)
    return [_result_of(name, check) for name, check in checks.items()]


def _result_of(name: str, check: Callable[[], float]) -> Result:
    try:
        return Result(name, float(check()), *LIMITS[name])
    except Exception as error:  # of the script: one that stops is to be looked at too, and the other checks go on
        return Result(name, float("nan"), *LIMITS[name], error=describe_error(error))
