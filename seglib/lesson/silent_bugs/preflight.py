"""Owns checks that a training script passes before anybody believes its figures. See 12_silent_bugs.

A script is anything with three functions: `build(lr, steps)` makes a new model with its optimizer and schedule,
`train_one_epoch(model, batches, optimizer, scheduler)` gives the mean loss, `evaluate(model, pairs, batch_size)` the
IoU. `batches` is a DataLoader, `model(images)["out"]` are outputs (N, 1, H, W). With two more, as in `plain_script`,
more is checked: `read_pairs(folder, stems, size)`, which reads `images/STEM.png` and `masks/STEM.png`, a mask of 0 and
255, and `fit`.

Each check gives the number that it measured. Most of them train nothing: they hand the script an `AnswerReader`.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader

from seglib.device import seed_everything
from seglib.errors import SegError
from seglib.lesson.common.exercise import describe_error
from seglib.training.checkpoint import rng_state, set_rng_state

Pairs = Any  # a list of (image (3, H, W), normalised or not, mask (1, H, W) of 0.0 and 1.0)
LOGITS = (-8.0, 8.0)  # what a model is to give for background and object, if it is sure; after MSE that is (0, 1)
STEPS = 8  # of a check that trains the script's own model: a warm-up from 0 has begun, four batches added up are a step
CPU = torch.device("cpu")


class NothingToCheckError(Exception):
    """A check had nothing to look at; says why. That is neither good nor bad."""


class AnswerReader(nn.Module):
    """A "model" that reads the answer off the picture: red is the object, blue is not. It notes what it is given.

    Args:
        outputs: what it gives for blue and for red; what lies between the colours gets what lies between.

    Shape:
        images (N, 3, H, W), normalised or not; `["out"]` (N, 1, H, W), and `["aux"]` the same.
    """

    def __init__(self, outputs: tuple[float, float] = LOGITS):
        super().__init__()
        self.background, self.object = outputs
        self.weight = nn.Parameter(torch.ones(()))  # 1: it changes nothing
        self.modes: list[bool] = []  # training mode, at each call
        self.images: list[Tensor] = []  # what came in, at each call

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Note what comes in, and answer; see the class."""
        self.modes.append(self.training)
        self.images.append(images.detach().clone())
        difference = images[:, :1] - images[:, 2:]  # red minus blue, (N, 1, H, W)
        redness = difference / difference.abs().max().clamp(min=1e-6)  # -1 to 1
        middle = (self.background + self.object) / 2
        weight = self.weight.to(images.device)
        outputs = middle + weight * redness * (self.object - self.background) / 2
        return {"out": outputs, "aux": outputs}


def red_on_blue(mask: Tensor) -> Tensor:
    """The picture that is its own mask: (1, H, W) of 0.0 and 1.0 gives (3, H, W), red on the object and blue beside."""
    return torch.cat([mask, torch.zeros_like(mask), 1 - mask])


# Checks of the script with its own model: a few steps, or none


def weights_in_common(script: Any) -> int:
    """Build twice. How many weight tensors are in both models? Each has to have its own: the checks change them."""
    first, second = [script.build(1e-3, 1)[0] for _ in range(2)]
    known = {id(weight) for weight in first.parameters()}
    return sum(id(weight) in known for weight in second.parameters())


def gradients_not_cleared(script: Any, pairs: Pairs, lr: float = 1e-3) -> int:
    """Set every gradient to NaN after the first step. How many weight tensors, or their gradients, hold NaN at the end?

    Raises:
        NothingToCheckError: no batch came after that step.
    """
    model, optimizer, scheduler = script.build(lr, STEPS)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    batches_seen: list[int] = []
    seen_before: list[int] = []

    def fill(*_: Any) -> None:
        if not seen_before:
            seen_before.append(len(batches_seen))
            for weight in weights:
                weight.grad = torch.full_like(weight, torch.nan)

    model.register_forward_pre_hook(lambda *_: batches_seen.append(1))
    optimizer.register_step_post_hook(fill)
    script.train_one_epoch(model, _batches(pairs[:2], STEPS), optimizer, scheduler)
    if not seen_before or seen_before[0] == len(batches_seen):
        raise NothingToCheckError(f"in {STEPS} batches, no step is followed by another batch")
    return sum(bool(weight.isnan().any() or _of_gradient(weight).isnan().any()) for weight in weights)


def layers_that_stay(script: Any, pairs: Pairs, lr: float = 1e-3) -> int:
    """Take eight steps. How many weight tensors are exactly as they were, though a gradient came to them?"""
    model, optimizer, scheduler = script.build(lr, STEPS)
    reached = _names_reached(model)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    script.train_one_epoch(model, _batches(pairs[:2], STEPS), optimizer, scheduler)
    return sum(name in reached and torch.equal(before[name], weight) for name, weight in model.named_parameters())


def layers_without_gradient(script: Any, pairs: Pairs, lr: float = 1e-3) -> int:
    """Train on one batch. To how many weight tensors does no gradient come?"""
    model, optimizer, scheduler = script.build(lr, 1)
    reached = _names_reached(model)
    script.train_one_epoch(model, _batches(pairs[:2], 1), optimizer, scheduler)
    return len(list(model.parameters())) - len(reached)


def share_pretrained(script: Any) -> float:
    """Build the model with two seeds. What share of its weights is equal? Random ones differ."""
    models = []
    with _random_numbers_kept():
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


def highest_rate(script: Any, device: torch.device = CPU, lr: float = 1e-3, steps: int = 16) -> float:
    """Take all steps that the schedule was built for. The highest rate, as a share of the one asked for."""
    _, optimizer, scheduler = script.build(lr, steps)
    rates = []
    reader = AnswerReader()
    optimizer.param_groups[0]["params"].append(reader.weight)  # a GradScaler wants a gradient in its optimizer
    reader.register_forward_pre_hook(lambda *_: rates.append(max(group["lr"] for group in optimizer.param_groups)))
    script.train_one_epoch(reader, _batches(_rectangles(2, device), steps), optimizer, scheduler)
    return max(rates) / lr


def iou_of_two_by_heart(script: Any, pairs: Pairs, lr: float = 1e-3, *, steps: int = 40) -> float:
    """Train on two pictures alone. What IoU do these two have afterwards?"""
    model, optimizer, scheduler = script.build(lr, steps)
    script.train_one_epoch(model, _batches(pairs[:2], steps), optimizer, scheduler)
    return script.evaluate(model, pairs[:2], batch_size=2)


def _batches(pairs: Pairs, count: int) -> DataLoader:
    """All these pairs as one batch, `count` times."""
    return DataLoader(pairs * count, batch_size=len(pairs))


def _names_reached(model: nn.Module) -> set[str]:
    """The names of the weights to which a gradient comes: the set grows while the model is trained."""
    reached: set[str] = set()
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            weight.register_hook(lambda gradient, name=name: reached.add(name))
    return reached


def _of_gradient(weight: Tensor) -> Tensor:
    return torch.zeros(()) if weight.grad is None else weight.grad


@contextlib.contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Let all random numbers go on afterwards as if nothing had been drawn inside the block."""
    state = rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


# Checks with a model that reads the answer: no training


def loss_on_own_masks(script: Any, own_pairs: Pairs, outputs: tuple[float, float] = LOGITS) -> float:
    """Train on pictures that are their own masks, with a model that reads them, and with one that reads the opposite.

    Returns:
        The share of the first loss in both together: 0 where all is right, 1 where it is the other way round, and about
        the share of wrong pixels between. So the scale of the loss does not matter.
    """
    losses = []
    for answers in (outputs, outputs[::-1]):
        reader = AnswerReader(answers)
        losses.append(script.train_one_epoch(reader, _batches(own_pairs, 8), *_standing(reader)))
    return losses[0] / (losses[0] + losses[1])


def iou_on_own_masks(script: Any, own_pairs: Pairs, outputs: tuple[float, float] = LOGITS) -> float:
    """Measure a model that reads the answer on such pictures."""
    return script.evaluate(AnswerReader(outputs), own_pairs, batch_size=2)


def error_of_known_iou(script: Any, outputs: tuple[float, float] = LOGITS, device: torch.device = CPU) -> float:
    """Seven pictures with masks that are partly wrong, so that the right IoU is known. The largest error of three."""
    pairs = _rectangles(7, device)
    both_sides = [(image, (mask + mask.flip(-1)).clamp(max=1)) for image, mask in pairs]  # twice as much as is red
    rows = torch.arange(24, device=device).view(-1, 1) % 2
    every_second_row = [(image, mask * rows) for image, mask in pairs]  # half as much as is red
    wrong_pairs = every_second_row[:1] + pairs[1:5] + both_sides[5:]
    object_drawn = torch.stack([mask for _, mask in pairs]) > 0
    object_there = torch.stack([mask for _, mask in wrong_pairs]) > 0
    right = ((object_drawn & object_there).sum() / (object_drawn | object_there).sum()).item()
    middle = sum(outputs) / 2  # the threshold
    little = (outputs[1] - outputs[0]) / 80
    weak = AnswerReader((middle - little, middle + little))  # just below and just above it
    return max(abs(script.evaluate(weak, wrong_pairs, batch_size=size) - right) for size in (6, 4, 2))


def wrong_modes(script: Any, device: torch.device = CPU) -> int:
    """Measure, train, and both once more. In how many of these four is the model in the wrong mode?"""
    reader = AnswerReader()
    pairs = _rectangles(2, device)
    wrong = 0
    for _ in range(2):
        script.evaluate(reader, pairs, batch_size=2)
        wrong += any(reader.modes)
        reader.modes.clear()
        script.train_one_epoch(reader, _batches(pairs, 1), *_standing(reader))
        wrong += not all(reader.modes)
        reader.modes.clear()
    return wrong


def pixels_apart(script: Any, device: torch.device = CPU) -> float:
    """Give both functions two pictures of one colour. How far apart, per channel, is what the model gets?"""
    colour = torch.tensor([0.8, 0.5, 0.2], device=device).view(3, 1, 1)
    pairs = [(colour.expand(3, 24, 32), torch.zeros(1, 24, 32, device=device))] * 2
    means = []
    for side in ("training", "validation"):
        reader = AnswerReader()
        for _ in range(64):  # the mean of many, since training may change colours at random
            if side == "training":
                script.train_one_epoch(reader, _batches(pairs, 1), *_standing(reader))
            else:
                script.evaluate(reader, pairs, batch_size=2)
        means.append(torch.cat(reader.images).mean((0, 2, 3)))  # (3,)
    return (means[0] - means[1]).abs().max().item()


def spread_of_pixels(script: Any, pairs: Pairs) -> float:
    """The standard deviation of the pixels that the model gets in training. Normalised ones have about 1."""
    reader = AnswerReader()
    script.train_one_epoch(reader, _batches(pairs[:8], 1), *_standing(reader))
    return torch.cat(reader.images).std().item()


def changed_pixels(script: Any, pairs: Pairs) -> int:
    """Measure twice. How many of the numbers that the model gets differ, in whatever order they come?"""
    reader = AnswerReader()
    for _ in range(2):
        script.evaluate(reader, pairs[:2], batch_size=2)
    first, second = torch.cat(reader.images).chunk(2)
    return int((first.flatten().sort().values != second.flatten().sort().values).sum())


def error_of_best_weights(script: Any, outputs: tuple[float, float] = LOGITS, device: torch.device = CPU) -> float:
    """Let a model become worse with each batch. How far is the IoU of the weights that were kept from the best one?

    Raises:
        NothingToCheckError: the script has no `fit`, or the IoU that it gives does not fall.
    """
    if not hasattr(script, "fit"):
        raise NothingToCheckError("the script has no `fit`")
    reader = AnswerReader(outputs)

    def become_worse(*_: Any) -> None:
        if torch.is_grad_enabled():  # in training, whatever the mode
            reader.weight.data.sub_(0.05)  # below 0 after 20 batches: then it answers the opposite

    reader.register_forward_pre_hook(become_worse)
    pairs = _rectangles(2, device)
    _, scores, best_weights = script.fit(reader, _batches(pairs, 4), pairs, *_standing(reader), epochs=8)
    if max(scores) == min(scores):
        raise NothingToCheckError(f"the IoU does not fall though the model becomes worse: {scores}")
    reader.load_state_dict(best_weights)
    return abs(max(scores) - script.evaluate(reader, pairs, batch_size=2))


# Checks of the pictures themselves


def sizes_that_differ(own_pairs: Pairs, size: tuple[int, int]) -> int:
    """How many of the pictures and masks that the script read are not `size`, (height, width)?"""
    return sum(tuple(part.shape[-2:]) != size for pair in own_pairs for part in pair)


def sides_apart(train_pairs: Pairs, validation_pairs: Pairs) -> float:
    """How far are the colours of validation pictures from those of training pictures, in the channel that differs most?

    1 if the means are one standard deviation apart, or if one standard deviation is twice the other.
    """
    means = []
    spreads = []
    for pairs in (train_pairs, validation_pairs):
        mean = torch.stack([image.mean((1, 2)) for image, _ in pairs]).mean(0)  # (3,)
        square = torch.stack([(image**2).mean((1, 2)) for image, _ in pairs]).mean(0)
        means.append(mean)
        spreads.append((square - mean**2).clamp(min=1e-12).sqrt())
    distance = (means[0] - means[1]).abs() / torch.maximum(*spreads)
    doublings = (spreads[0] / spreads[1]).log2().abs()
    return torch.maximum(distance, doublings).max().item()


def pictures_on_both_sides(train_pairs: Pairs, validation_pairs: Pairs, limit: float = 0.04) -> int:
    """How many validation pictures are training pictures too, as they are or mirrored? Compared when very small.

    Two are one if their pixels differ by less than `limit` of the standard deviation of all.
    """
    known = torch.stack([_thumbnail(image) for image, _ in train_pairs])  # (N, 3, 12, 16)
    found = 0
    for image, _ in validation_pairs:
        small = _thumbnail(image)
        ways = [small, small.flip(-1), small.flip(-2), small.flip(-1, -2)]
        nearest = min((known - way).abs().mean((1, 2, 3)).min().item() for way in ways)
        found += nearest < limit * known.std().item()
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


def _rectangles(count: int, device: torch.device) -> Pairs:
    """Pictures of 32 by 24 that are their own masks: each has a rectangle of another width, left of the middle."""
    pairs = []
    for number in range(count):
        mask = torch.zeros(1, 24, 32, device=device)
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
    """What a check measured, and where a script without a fault lies; NaN if it stopped, or had nothing to look at.

    `error` are the words of an error of the script, `unchecked` the reason why there was nothing to look at.
    """

    name: str
    value: float
    low: float
    high: float
    error: str = ""
    unchecked: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value is inside; NaN is not."""
        return self.low <= self.value <= self.high

    @property
    def failed(self) -> bool:
        """Whether there is something to look at: a value outside, or an error."""
        return not self.passed and not self.unchecked

    def __str__(self) -> str:
        if self.unchecked:
            return f"{self.name:23}      not checked: {self.unchecked}"
        wanted = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        line = f"{self.name:23} {self.value:8.3f}   wanted {wanted}"
        if self.failed:
            line += f"   <- look here {self.error or RIGHT_TOO.get(self.name, '')}"
        return line.rstrip()


# Name of a check -> the lowest and the highest value of a script without a fault.
LIMITS = {
    "weights in common": (0, 0),
    "gradients not cleared": (0, 0),
    "layers that stay": (0, 0),
    "layers without gradient": (0, 0),
    "share pretrained": (0.5, 1),
    "highest rate": (0.5, 20),
    "wrong modes": (0, 0),
    "pixels apart": (0, 0.8),
    "spread of pixels": (0.1, 2.5),
    "changed pixels": (0, 0),
    "wrong sizes": (0, 0),
    "own masks: loss": (0, 0.02),
    "own masks: IoU": (0.95, 1),
    "error of a known IoU": (0, 0.001),
    "error of best weights": (0, 0.001),
    "sides apart": (0, 1),
    "on both sides": (0, 0),
    "two by heart: IoU": (0.6, 1),
}
# Name of a check -> the scripts without a fault that it finds too.
RIGHT_TOO = {
    "layers that stay": "(right if the steps are too small for float32, as those of SGD: ask for a higher lr)",
    "layers without gradient": "(right if you froze them, or if the loss leaves out an auxiliary head)",
    "share pretrained": "(right if you load no weights, or those of a backbone)",
    "highest rate": "(right if the warm-up is longer than 16 steps, or the schedule is called outside)",
    "wrong modes": "(right if your main loop calls train() and eval())",
    "pixels apart": "(right if training changes colours by a lot)",
    "own masks: loss": "(right with label smoothing, or if pictures are sometimes gray, mixed or turned)",
    "error of a known IoU": "(right if you print another measure on purpose, such as a mean over pictures)",
    "sides apart": "(right if the two sides were photographed in other light)",
    "two by heart: IoU": "(right if a model without pretraining, or a low rate, needs more than 40 steps)",
}


def run_preflight(
    script: Any,
    train_pairs: Any,
    validation_pairs: Any,
    *,
    outputs: tuple[float, float] = LOGITS,
    size: tuple[int, int] | None = None,
    lr: float = 1e-3,
    two_by_heart: bool = True,
) -> list[Result]:
    """Every check, the quick ones first; of a script whose `build` does not work, or makes no new model, one alone.

    Random numbers go on afterwards as if nothing had been drawn.

    Args:
        script: see the head of this module; a module, or any object with these functions.
        train_pairs, validation_pairs: a list or a dataset of pairs as the script's functions get them, so on a GPU
            only if those functions do not move them. Of all validation pictures, and of eight training pictures or
            more.
        outputs: what a model that is sure gives for background and object: logits, or (0, 1) after MSE.
        size: (height, width) that was asked for; None: that of the first mask.
        lr: what `build` is asked for, where the script's own model is trained.
        two_by_heart: whether to train for 40 steps too, the only check that takes longer than seconds.

    Raises:
        SegError: the pairs are not of the kind that is wanted.
    """
    train_pairs = _as_list(train_pairs)
    validation_pairs = _as_list(validation_pairs)
    device = train_pairs[0][0].device
    if size is not None:  # masks of the right size, whatever the script made of them
        right = [(image, F.interpolate(mask[None], size)[0]) for image, mask in train_pairs[:4]]
    else:
        right = train_pairs[:4]
    small = [_smaller(image, mask) for image, mask in train_pairs[:2]]

    def wrong_sizes() -> int:
        if not hasattr(script, "read_pairs"):
            raise NothingToCheckError("without `read_pairs`, nothing that your dataset does is looked at")
        height, width = right[0][1].shape[-2:]
        return sizes_that_differ(own_pairs_of(script, right), (height, width))

    checks: dict[str, Callable[[], float]] = {
        "gradients not cleared": lambda: gradients_not_cleared(script, small, lr),
        "layers that stay": lambda: layers_that_stay(script, small, lr),
        "layers without gradient": lambda: layers_without_gradient(script, small, lr),
        "share pretrained": lambda: share_pretrained(script),
        "highest rate": lambda: highest_rate(script, device, lr),
        "wrong modes": lambda: wrong_modes(script, device),
        "pixels apart": lambda: pixels_apart(script, device),
        "spread of pixels": lambda: spread_of_pixels(script, train_pairs),
        "changed pixels": lambda: changed_pixels(script, train_pairs),
        "wrong sizes": wrong_sizes,
        "own masks: loss": lambda: loss_on_own_masks(script, own_pairs_of(script, right), outputs),
        "own masks: IoU": lambda: iou_on_own_masks(script, own_pairs_of(script, right), outputs),
        "error of a known IoU": lambda: error_of_known_iou(script, outputs, device),
        "error of best weights": lambda: error_of_best_weights(script, outputs, device),
        "sides apart": lambda: sides_apart(train_pairs, validation_pairs),
        "on both sides": lambda: pictures_on_both_sides(train_pairs, validation_pairs),
    }
    if two_by_heart:
        checks["two by heart: IoU"] = lambda: iou_of_two_by_heart(script, train_pairs, lr)
    with _random_numbers_kept():
        first = _result_of("weights in common", lambda: weights_in_common(script))
        if first.failed:  # the other checks would train the model that somebody still needs
            return [first]
        return [first, *(_result_of(name, check) for name, check in checks.items())]


def _result_of(name: str, check: Callable[[], float]) -> Result:
    try:
        return Result(name, float(check()), *LIMITS[name])
    except NothingToCheckError as reason:
        return Result(name, float("nan"), *LIMITS[name], unchecked=str(reason))
    except Exception as error:  # of the script: one that stops is to be looked at too, and the other checks go on
        return Result(name, float("nan"), *LIMITS[name], error=describe_error(error))


def _as_list(pairs: Any) -> list[tuple[Tensor, Tensor]]:
    """The pairs of a list or a dataset, if they are of the kind that the checks need."""
    found = [pairs[number] for number in range(len(pairs))]
    for number, (image, mask) in enumerate(found):
        is_image = image.ndim == 3 and len(image) == 3 and image.is_floating_point()
        is_mask = mask.shape == (1, *image.shape[1:]) and mask.is_floating_point()
        if not (is_image and is_mask and ((mask == 0) | (mask == 1)).all()):
            raise SegError(
                f"Pair {number} is an image {tuple(image.shape)} of {image.dtype} and a mask {tuple(mask.shape)} of "
                f"{mask.dtype}, from {mask.min().item():g} to {mask.max().item():g}.",
                "an image (3, H, W) of floats, and a mask (1, H, W) of 0.0 and 1.0",
                "Give the checks pairs of that kind, and convert them in your functions if those need another.",
            )
    return found


def _smaller(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Half as large, and cut to sizes that divide by 32: most models take those."""
    height, width = (max(32, side // 64 * 32) for side in mask.shape[-2:])
    return image[:, ::2, ::2][:, :height, :width], mask[:, ::2, ::2][:, :height, :width]
