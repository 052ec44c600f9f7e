"""Owns what a checkpoint holds, and which training may go on from it. Explained in 10_checkpoints."""

import contextlib
import errno
import json
import os
import platform
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from seglib.checkpoint_io import atomic_save, backup_path, load_or_backup
from seglib.errors import WeightsError
from seglib.losses import Loss, make_loss
from seglib.model import architecture_of, build_deeplab
from seglib.training.history import History

FORMAT = 1  # of the file; a file of another format is refused


class Checkpoint:
    """A training on disk: `save` after each epoch; after a stop `resume` restores all of it, bit for bit.

    Args:
        path: of the file, in a folder that exists; the version before it is kept as `NAME.before.pt`.
        model, criterion, optimizer, train_dataloader: the training.
        size: (height, width) of the training pictures, the scale to predict at later.
        classes: as in `CustomDataset`.
        scale: None if the pictures were stretched to `size`. A number if the model was trained on crops of pictures
            enlarged by so much: `predict` then works at that scale, in tiles.
        scheduler, scaler, stopping: what else changes while training; each has a `state_dict`.
        config: what has to be the same when the training goes on, in plain values.
        about: whatever else you want to find again, in plain values: options, the names in the split.

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
        *,
        size: tuple[int, int],
        classes: Sequence[str] | None = None,
        scale: float | None = None,
        scheduler: Any = None,
        scaler: Any = None,
        stopping: Any = None,
        config: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ):
        self.path = Path(path)
        self.config = dict(config or {})
        self.about = dict(about or {})
        self.dataloader = train_dataloader
        _check_folder_and_config(self.path, self.config | self.about)
        model = unwrap(model)
        # The names in the file are those of its format: "schedule" is the scheduler.
        parts = {"optimizer": optimizer, "schedule": scheduler, "scaler": scaler, "stopping": stopping}
        self.parts = {"model": model} | {name: part for name, part in parts.items() if part is not None}
        self.facts = training_facts(model, criterion)
        self.facts["classes"] = list(classes or [])
        self.facts["size"] = list(size)
        if scale is not None:  # files of pictures that were stretched look as they always have
            self.facts["scale"] = scale
        self.facts |= {name: type(part).__name__ if part is not None else "none" for name, part in parts.items()}
        self.facts["parameter groups"] = [len(group["params"]) for group in optimizer.param_groups]

    def save(self, history: History) -> bool:
        """Save the training as it stands; give it to `fit` as `on_epoch`.

        A full disk, or a folder without permission, prints a message and stops nothing.

        Returns:
            Whether it was saved. If not, the file is still that of an epoch before.
        """
        contents = {
            "format": FORMAT,
            "facts": self.facts,
            "config": self.config,
            "about": self.about | {"versions": library_versions()},
            "history": asdict(history),
            "states": {name: part.state_dict() for name, part in self.parts.items()},
            "loader": dataloader_state(self.dataloader),
            "random": rng_state(),
        }
        try:
            atomic_save(self.path, contents)
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
        if not self.path.exists() and not backup_path(self.path).exists():
            return History()
        contents, used = _read(self.path)
        saved = contents["states"]
        in_file = contents["facts"] | tensor_shapes(saved["model"])
        here = self.facts | tensor_shapes(self.parts["model"].state_dict())
        require_same_training(used.name, in_file, here)
        for name, part in self.parts.items():
            part.load_state_dict(saved[name])
        history = History(**contents["history"])
        if used != self.path:
            print(f"{self.path.name} is damaged or gone; going on from {used.name}, epoch {len(history.train_loss)}.")
            self._set_damaged_file_aside()
        set_dataloader_state(self.dataloader, contents["loader"])
        set_rng_state(contents["random"])  # last: whatever draws a number after it would change the training
        return history

    def _set_damaged_file_aside(self) -> None:
        """Rename the damaged file: the next `save` would otherwise keep it as the backup, in place of the whole one."""
        if self.path.exists():
            os.replace(self.path, self.path.with_name(f"{self.path.name}.damaged"))


def _check_folder_and_config(path: Path, config: Mapping[str, Any]) -> None:
    """Raise now what would otherwise be found out by the first `save`, after a whole epoch."""
    if not path.parent.is_dir():
        raise WeightsError(f"There is no folder {path.parent.name}.", "a folder to save in", "Make it first.")
    try:
        json.dumps(config)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"config: {error}.", "numbers, text, lists and dicts of them", "Use str().") from error


@dataclass(frozen=True)
class TrainedModel:
    """A model, and what one has to know to predict with it."""

    model: nn.Module
    criterion: Loss
    size: tuple[int, int]  # (height, width) of the training pictures
    classes: Sequence[str] | None = None
    history: History | None = None
    config: Mapping[str, Any] | None = None
    scale: float | None = None  # of crops, as in `Checkpoint`
    about: Mapping[str, Any] | None = None


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside `DataParallel`, `DistributedDataParallel` and `torch.compile`, which prefix its tensors' names.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> unwrap(nn.DataParallel(layer)) is layer
        True
    """
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif hasattr(model, "_orig_mod"):  # torch.compile
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


def library_versions() -> dict[str, str]:
    """The versions of what a training depends on, by name; a library that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for name in ("seglib", "torch", "torchvision", "pillow", "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def load_trained(path: str | os.PathLike[str]) -> TrainedModel:
    """The model of a checkpoint, on the CPU, with its best weights if an `EarlyStopping` kept them.

    Raises:
        WeightsError: no whole file of a DeepLab is there, or it holds code.
    """
    contents, used = _read(Path(path))
    if used != Path(path):
        print(f"{Path(path).name} is damaged or gone; this is {used.name}.")
    facts = contents["facts"]
    saved = contents["states"]
    criterion = make_loss(facts["loss"])
    model = build_deeplab(
        facts["model"], facts["output channels"], weights=None, aux=facts["auxiliary head"], verbose=False
    )
    model.load_state_dict(saved.get("stopping", {}).get("weights") or saved["model"])
    require_same_training(used.name, facts, facts | training_facts(model, criterion))
    height, width = facts["size"]
    return TrainedModel(
        model,
        criterion,
        size=(height, width),
        classes=facts["classes"] or None,
        history=History(**contents["history"]),
        config=contents["config"],
        scale=facts.get("scale"),
        about=contents.get("about"),
    )


def _read(path: Path) -> tuple[dict[str, Any], Path]:
    contents, used = load_or_backup(path)
    if contents.get("format") != FORMAT:
        raise WeightsError(
            f"{used.name} is no checkpoint of this seglib.",
            "a file of Checkpoint.save",
            "A file of weights alone goes to build_deeplab(weights=path).",
        )
    return contents, used


def training_facts(model: nn.Module, criterion: Loss) -> dict[str, Any]:
    """Which model and which loss a training has, and how its outputs become masks, in plain values.

    The architecture is found from the names of the weights, so a model that torchvision built is recognised too.

    Example:
        >>> from seglib import build_deeplab, make_loss
        >>> facts = training_facts(build_deeplab(weights=None, verbose=False), make_loss("bce"))
        >>> facts["model"], facts["output channels"], facts["activation"], facts["threshold"]
        ('deeplabv3_mobilenet_v3_large', 1, 'sigmoid', 0.0)
    """
    state = model.state_dict()
    head = state.get("classifier.4.bias")  # the last layer of a DeepLab's head
    name = architecture_of(state) or type(model).__name__
    activation = getattr(criterion.activation, "func", criterion.activation)
    return {
        "model": name,
        "output channels": None if head is None else len(head),
        "auxiliary head": any(key.startswith("aux_classifier.") for key in state),
        "loss": criterion.name,
        "activation": activation.__name__.lstrip("_"),
        "threshold": criterion.threshold,
    }


def require_same_training(name: str, in_file: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise a `WeightsError` if the facts of the file `name` differ from those of the training here; names each."""
    keys = [key for key in {**in_file, **here} if in_file.get(key) != here.get(key)]
    if keys:
        shown = [f"{key}: {_plain(in_file.get(key))} in the file, {_plain(here.get(key))} here" for key in keys[:6]]
        more = [f"and {len(keys) - 6} more"] if len(keys) > 6 else []
        raise WeightsError(
            f"{name} belongs to another training.\n  " + "\n  ".join(shown + more),
            "the same model, classes, loss and parts of the training",
            "Make these as they were, or save under another name to begin a new training.",
        )


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def tensor_shapes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The shape of each tensor of a state dict, by its name, to compare with `require_same_training`."""
    return {name: list(tensor.shape) or "a number" for name, tensor in state.items()}


def dataloader_state(loader: Any) -> dict[str, Any]:
    """What decides the next batches: the epoch of a `SeededSampler`, and the generator of a plain `DataLoader`."""
    generator = getattr(loader, "generator", None)
    return {
        "epoch": getattr(getattr(loader, "sampler", None), "epoch", None),
        "generator": generator.get_state() if generator is not None else None,
    }


def set_dataloader_state(loader: Any, state: Mapping[str, Any]) -> None:
    """Let the next epoch of the loader be the one that came after `state`."""
    if state["epoch"] is not None:
        loader.sampler.epoch = state["epoch"]
    if state["generator"] is not None and getattr(loader, "generator", None) is not None:
        loader.generator.set_state(state["generator"])


def rng_state() -> dict[str, Any]:
    """The state of every random generator: Python's, NumPy's, torch's, that of each GPU, and that of a Mac's."""
    kind, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Let every generator draw the numbers again that came after `state`.

    Where the number of GPUs has changed, their generators are left as they are.

    Example:
        >>> state = rng_state()
        >>> first = torch.rand(2)
        >>> set_rng_state(state)
        >>> bool((first == torch.rand(2)).all())
        True
    """
    random.setstate(state["python"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
    if state.get("mps") is not None and torch.backends.mps.is_available():  # older files have no state for it
        torch.mps.set_rng_state(state["mps"])
