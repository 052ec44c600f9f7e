"""Owns a training of the plain script with one fault: both its IoUs, and what the checks say. See 12_silent_bugs."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torch import Generator, nn
from torch.utils.data import DataLoader

from seglib.data.splits import Split
from seglib.device import seed_everything
from seglib.lesson.silent_bugs.bugs import script_with
from seglib.lesson.silent_bugs.preflight import (
    Pairs,
    overfits_two_images,
    own_masks_fit_best,
    same_normalization,
    same_score_in_any_batch_size,
    split_has_no_overlap,
    switches_train_and_eval,
    updates_every_parameter,
    zeroes_gradients,
)

SIZE = (120, 160)  # (height, width)


@dataclass(frozen=True)
class BugRun:
    """A training of the script: its model, the mean loss of each epoch, the IoUs that it prints, and the true one."""

    model: nn.Module
    losses: list[float]
    printed_ious: list[float]  # after every second epoch
    true_iou: float | None  # after the last epoch; None if the model was trained on the pictures that measure it


def train_with_bug(
    bug: str | None, files: Path, split: Split, *, seed: int = 0, epochs: int = 8, lr: float = 1e-3
) -> BugRun:
    """Train with the script, and measure at the end twice: as the script does, and as it should.

    Args:
        bug: of `BUGS`, or None.
        files: a folder of `images` and `masks`, both PNG, with the stems of `split`.
        split: which stems are trained on, and which are measured.
        seed: decides the order, the flips, dropout and the new layer.
        epochs: each of all training pictures, in batches of 4; measured after every second one.
        lr: of Adam.
    """
    script = script_with(bug)
    script_without_bug = script_with()
    seed_everything(seed)
    train_pairs, validation_pairs = load_pairs(script, files, split)
    dataloader = DataLoader(train_pairs, 4, shuffle=True, generator=Generator().manual_seed(seed))
    model, optimizer, scheduler = script.build(lr, epochs * len(dataloader))
    losses = []
    printed_ious = []
    for epoch in range(1, epochs + 1):
        losses.append(script.train_one_epoch(model, dataloader, optimizer, scheduler))
        if epoch % 2 == 0:
            printed_ious.append(script.evaluate(model, validation_pairs))
    right_pairs = script_without_bug.read_pairs(files, split.validation, SIZE)
    true_iou = None
    if split_has_no_overlap(train_pairs, right_pairs):
        true_iou = script_without_bug.evaluate(model, right_pairs)
    return BugRun(model, losses, printed_ious, true_iou)


def load_pairs(script: ModuleType, files: Path, split: Split) -> tuple[Pairs, Pairs]:
    """The training pairs and the validation pairs, as the script reads them.

    Args:
        script: of `script_with`.
        files, split: as in `train_with_bug`.
    """
    train_stems, validation_stems = script.train_val_split({"train": split.train, "validation": split.validation})
    return script.read_pairs(files, train_stems, SIZE), script.read_pairs(files, validation_stems, SIZE)


def run_checks(bug: str | None, files: Path, split: Split, run: BugRun) -> dict[str, bool]:
    """What each check of `preflight` says of the script with this bug: True for passed.

    Args:
        bug, files, split: as in `train_with_bug`.
        run: what `train_with_bug` returned for the same bug; some checks need a trained model.
    """
    script = script_with(bug)
    train_pairs, validation_pairs = load_pairs(script, files, split)
    seed_everything(0)
    return {
        "gradients cleared": zeroes_gradients(script, train_pairs),
        "every layer moves": updates_every_parameter(script, train_pairs),
        "modes switched": switches_train_and_eval(script, train_pairs),
        "the same pixels": same_normalization(script, train_pairs),
        "sides apart": split_has_no_overlap(train_pairs, validation_pairs),
        "any batches": same_score_in_any_batch_size(script, run.model, validation_pairs),
        "own masks": own_masks_fit_best(script, run.model, validation_pairs),
        "two by heart": overfits_two_images(script, train_pairs),
    }
