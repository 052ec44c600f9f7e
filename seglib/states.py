"""Owns the states of a training beside its weights, and the facts that tell it from another. See 08_when_to_stop."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seglib.errors import WeightsError
from seglib.losses import Loss
from seglib.model import BUNDLED

_DEPTHS = {6: "deeplabv3_resnet50", 23: "deeplabv3_resnet101"}  # blocks in layer3 of the backbone


def facts_of(model: nn.Module, criterion: Loss) -> dict[str, Any]:
    """What a model is, and how its outputs are read, in plain values.

    The architecture is told from the names of the weights, so that a model which torchvision built is known as well.

    Example:
        >>> from seglib import build_deeplab, make_loss
        >>> facts = facts_of(build_deeplab(weights=None, verbose=False), make_loss("bce"))
        >>> facts["model"], facts["output channels"], facts["activation"], facts["threshold"]
        ('deeplabv3_mobilenet_v3_large', 1, 'sigmoid', 0.0)
    """
    state = model.state_dict()
    head = state.get("classifier.4.bias")  # the last layer of a DeepLab's head
    name = type(model).__name__
    if head is not None and "classifier.0.convs.0.0.weight" in state:
        blocks = sum(key.startswith("backbone.layer3.") and key.endswith(".conv1.weight") for key in state)
        name = _DEPTHS.get(blocks, BUNDLED)
    activation = getattr(criterion.activation, "func", criterion.activation)
    return {
        "model": name,
        "output channels": None if head is None else len(head),
        "auxiliary head": any(key.startswith("aux_classifier.") for key in state),
        "loss": criterion.name,
        "activation": activation.__name__.lstrip("_"),
        "threshold": criterion.threshold,
    }


def refuse_another(name: str, file: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """A `WeightsError` that names each fact in which the file `name` and the training here differ, if there is one."""
    keys = [key for key in {**file, **here} if file.get(key) != here.get(key)]
    if keys:
        shown = [f"{key}: {_plain(file.get(key))} in the file, {_plain(here.get(key))} here" for key in keys[:6]]
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


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The shape of each tensor of a state dict, by its name: facts for `refuse_another`."""
    return {name: list(tensor.shape) or "a number" for name, tensor in state.items()}


def loader_state(loader: Any) -> dict[str, Any]:
    """What decides the coming batches: the epoch of our loaders, and the generator that a plain one may have."""
    generator = getattr(loader, "generator", None)
    return {
        "epoch": getattr(getattr(loader, "sampler", None), "epoch", None),
        "generator": generator.get_state() if generator is not None else None,
    }


def set_loader_state(loader: Any, state: Mapping[str, Any]) -> None:
    """The next epoch of the loader is the one that came after `state`."""
    if state["epoch"] is not None:
        loader.sampler.epoch = state["epoch"]
    if state["generator"] is not None and getattr(loader, "generator", None) is not None:
        loader.generator.set_state(state["generator"])


def random_state() -> dict[str, Any]:
    """Where every random generator stands: Python's, NumPy's, torch's, and that of each GPU."""
    kind, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Draw the numbers that came after `state` once more. A GPU that was not there then keeps its own.

    Example:
        >>> state = random_state()
        >>> first = torch.rand(2)
        >>> set_random_state(state)
        >>> bool((first == torch.rand(2)).all())
        True
    """
    random.setstate(state["python"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
