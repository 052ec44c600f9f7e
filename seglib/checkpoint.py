"""Owns what a checkpoint holds, and which training may go on from it. Explained in 08_when_to_stop."""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from seglib import states
from seglib.errors import WeightsError
from seglib.losses import Loss, make_loss
from seglib.model import build_deeplab
from seglib.storage import one_before, read_file, replace_file
from seglib.watch import History


class Checkpoint:
    """A training on disk: `save` after each epoch, `resume` after a stop, and it goes on as if nothing had been.

    Args:
        path: of the file, in a folder that exists; the one before it is kept as `NAME.before.pt`.
        model, criterion, optimizer, train_dataloader: the training.
        size: (height, width) of the training pictures, the scale to predict at later.
        classes: as in `CustomDataset`.
        schedule, scaler, stopping: what else changes while training; each has a `state_dict`.
        config: whatever you want to find again, in plain values.

    Raises:
        WeightsError: the folder is not there, or the config is more than plain values.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: nn.Module,
        criterion: Loss,
        optimizer: torch.optim.Optimizer,
        train_dataloader: Any,
        size: tuple[int, int],
        classes: Sequence[str] | None = None,
        schedule: Any = None,
        scaler: Any = None,
        stopping: Any = None,
        config: Mapping[str, Any] | None = None,
    ):
        self.path, self.config, self.loader = Path(path), dict(config or {}), train_dataloader
        if not self.path.parent.is_dir():  # now, and not after the first epoch
            raise WeightsError(f"There is no folder {self.path.parent.name}.", "a folder to save in", "Make it first.")
        try:
            json.dumps(self.config)
        except (TypeError, ValueError) as error:
            raise WeightsError(f"config: {error}.", "numbers, text, lists and dicts of them", "Use str().") from error
        parts = {"optimizer": optimizer, "schedule": schedule, "scaler": scaler, "stopping": stopping}
        self.parts = {"model": model} | {name: part for name, part in parts.items() if part is not None}
        self.facts = states.facts_of(model, criterion) | {"classes": list(classes or []), "size": list(size)}
        self.facts |= {name: type(part).__name__ if part is not None else "none" for name, part in parts.items()}
        self.facts["parameter groups"] = [len(group["params"]) for group in optimizer.param_groups]

    def save(self, history: History) -> bool:
        """Save the training as it stands; give it to `fit` as `on_epoch`. A full disk is told, and stops nothing.

        Returns:
            Whether it was saved. If not, the file is still that of an epoch before.
        """
        contents = {"format": 1, "facts": self.facts, "config": self.config, "history": asdict(history)}
        contents["states"] = {name: part.state_dict() for name, part in self.parts.items()}
        contents |= {"loader": states.loader_state(self.loader), "random": states.random_state()}
        try:
            replace_file(self.path, contents)
        except OSError as error:
            why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or type(error).__name__
            found = f"{self.path.name} was not saved after epoch {len(history.train_loss)}: {why}."
            expected = "a folder with space, and the permission to write"
            fix = "Make space. The training goes on, the last file is untouched, and the next epoch tries again."
            tqdm.write(str(WeightsError(found, expected, fix)))
            return False
        return True

    def resume(self) -> History:
        """Put every part of the training into the state of the file; give what comes back to `fit` as `history`.

        Returns:
            The history so far; an empty one if nothing was saved yet, and then nothing is touched.

        Raises:
            WeightsError: no whole file is left, or it belongs to another training; says in what the two differ.
        """
        if not self.path.exists() and not one_before(self.path).exists():
            return History()
        contents, used = _read(self.path)
        saved, history = contents["states"], History(**contents["history"])
        own = self.facts | states.shapes_of(self.parts["model"].state_dict())
        states.refuse_another(used.name, contents["facts"] | states.shapes_of(saved["model"]), own)
        for name, part in self.parts.items():
            part.load_state_dict(saved[name])
        if used != self.path:
            print(f"{self.path.name} is damaged or gone; going on from {used.name}, epoch {len(history.train_loss)}.")
            if self.path.exists():  # out of the way, or the next save would keep it as the one before
                os.replace(self.path, self.path.with_name(f"{self.path.name}.damaged"))
        states.set_loader_state(self.loader, contents["loader"])
        states.set_random_state(contents["random"])  # last: nothing after it draws a number
        return history


@dataclass(frozen=True)
class Trained:
    """A model, and what one has to know to predict with it."""

    model: nn.Module
    criterion: Loss
    size: tuple[int, int]  # (height, width) of the training pictures
    classes: Sequence[str] | None = None
    history: History | None = None
    config: Mapping[str, Any] | None = None


def load_trained(path: str | os.PathLike[str]) -> Trained:
    """The model of a checkpoint, on the CPU, with its best weights if an `EarlyStopping` kept them.

    Raises:
        WeightsError: no whole file of a DeepLab is there, or it holds code.
    """
    contents, used = _read(Path(path))
    if used != Path(path):
        print(f"{Path(path).name} is damaged or gone; this is {used.name}.")
    facts, saved = contents["facts"], contents["states"]
    criterion = make_loss(facts["loss"])
    model = build_deeplab(facts["model"], facts["output channels"], None, facts["auxiliary head"], verbose=False)
    model.load_state_dict(saved.get("stopping", {}).get("weights") or saved["model"])
    states.refuse_another(used.name, facts, facts | states.facts_of(model, criterion))
    height, width = facts["size"]
    history = History(**contents["history"])
    return Trained(model, criterion, (height, width), facts["classes"] or None, history, contents["config"])


def _read(path: Path) -> tuple[dict[str, Any], Path]:
    contents, used = read_file(path)
    if contents.get("format") != 1:
        raise WeightsError(
            f"{used.name} is no checkpoint of this seglib.",
            "a file of Checkpoint.save",
            "A file of weights alone goes to build_deeplab(weights=path).",
        )
    return contents, used
