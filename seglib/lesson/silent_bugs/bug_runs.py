"""Owns a training of the plain script with one fault: what it prints, and what is true. See 12_silent_bugs."""

from dataclasses import dataclass
from pathlib import Path

from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader

from seglib.data.splits import Split
from seglib.device import seed_everything
from seglib.lesson.silent_bugs.bugs import script_with
from seglib.lesson.silent_bugs.preflight import Pairs, pictures_on_both_sides

SIZE = (120, 160)  # (height, width)


@dataclass(frozen=True)
class BugRun:
    """A training of the script: its model, the mean loss of each epoch, the IoUs that it prints, and the true ones."""

    model: nn.Module  # with the last weights
    losses: list[float]
    printed_ious: list[float]  # after every second epoch
    true_iou: float | None  # of the last weights; None if the model was trained on the pictures that measure it
    best_true_iou: float | None  # of the weights that the script kept as the best


def train_with_bug(
    bug: str | None, files: Path, split: Split, *, seed: int = 0, epochs: int = 8, lr: float = 1e-3
) -> BugRun:
    """Train with the script, and measure at the end twice: as the script does, and as it should.

    Args:
        bug: of `ALL_BUGS`, or None.
        files: a folder of `images` and `masks`, both PNG, with the stems of `split`.
        split: which stems are trained on, and which are measured.
        seed: decides the order, the flips, dropout and the new layer.
        epochs: each of all training pictures, in batches of 4; measured after every second one.
        lr: of Adam.
    """
    script = script_with(bug)
    seed_everything(seed)
    train_pairs, validation_pairs = load_pairs(bug, files, split)
    dataloader = DataLoader(train_pairs, 4, shuffle=True, generator=Generator().manual_seed(seed))
    model, optimizer, scheduler = script.build(lr, epochs * len(dataloader))
    losses, scores, kept = script.fit(model, dataloader, validation_pairs, optimizer, scheduler, epochs=epochs)
    right_pairs = script_with().read_pairs(files, split.validation, SIZE)
    if pictures_on_both_sides(train_pairs, right_pairs):
        return BugRun(model, losses, scores, None, None)
    last = {name: weight.clone() for name, weight in model.state_dict().items()}
    true_iou = _measured(model, last, right_pairs)
    best_true_iou = _measured(model, kept, right_pairs) if kept else None
    model.load_state_dict(last)
    return BugRun(model, losses, scores, true_iou, best_true_iou)


def load_pairs(bug: str | None, files: Path, split: Split) -> tuple[Pairs, Pairs]:
    """The training pairs and the validation pairs, as the script with this bug reads them."""
    stems = {"train": split.train, "validation": split.validation}
    return script_with(bug).load_pairs(files, stems, SIZE)


def _measured(model: nn.Module, weights: dict[str, Tensor], right_pairs: Pairs) -> float:
    """The IoU of these weights, measured by the script without a fault."""
    model.load_state_dict(weights)
    return script_with().evaluate(model, right_pairs)
