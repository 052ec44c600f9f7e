"""Owns the model: a DeepLabV3, its new last layer, and the weights it starts from. Explained in 04_model."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model, get_model_weights
from torchvision.models.segmentation.deeplabv3 import ASPPPooling

from seglib.checkpoint_io import load_tensors
from seglib.errors import TrainingError, WeightsError

# Output stride: how many input pixels one cell of the coarse logits stands for, along each side.
OUTPUT_STRIDE = {"deeplabv3_mobilenet_v3_large": 16, "deeplabv3_resnet50": 8, "deeplabv3_resnet101": 8}
BUNDLED_MODEL = "deeplabv3_mobilenet_v3_large"


def output_stride(name: str) -> int:
    """The output stride of a model, in pixels; a `WeightsError` for an unknown name.

    Example:
        >>> output_stride("deeplabv3_resnet50")
        8
    """
    if name not in OUTPUT_STRIDE:
        raise WeightsError(f'There is no model "{name}".', f"one of {', '.join(OUTPUT_STRIDE)}", "Correct the name.")
    return OUTPUT_STRIDE[name]


def build_deeplab(
    name: str = BUNDLED_MODEL,
    num_classes: int = 1,
    weights: str | os.PathLike[str] | None = "bundled",
    *,
    aux: bool = False,
    batchnorm_momentum: float | None = 0.1,
    verbose: bool = True,
) -> nn.Module:
    """A torchvision DeepLabV3 with `num_classes` output channels, and one printed line on the weights it starts from.

    The last layer is new whenever the weights were made for another number of classes; all others are pretrained.

    Args:
        name: one of `OUTPUT_STRIDE`.
        num_classes: 1 for object against background, otherwise the number of classes, the background included.
        weights: "bundled" (part of seglib, for MobileNetV3 only), "coco" (torchvision's, downloaded on first use), the
            path of a state dict or of a checkpoint, or None for random ones. Only "coco" needs the network.
        aux: with the auxiliary head, whose output is `["aux"]`.
        batchnorm_momentum: weight of the newest batch in running means. None leaves torchvision's own, 0.01 in
            MobileNetV3: measured better after 10 epochs, and equal after 40 (04_model).
        verbose: print the line.

    Shape:
        `model(images)["out"]` of images (N, 3, H, W), normalised, is (N, num_classes, H, W); N > 1 in training mode.

    Raises:
        WeightsError: an unknown name; weights that are missing, damaged, not reachable, or of another model.
        TrainingError: less than one class; from the model itself, a batch of one in training mode.

    Example:
        >>> model = build_deeplab(weights=None)
        deeplabv3_mobilenet_v3_large: random weights, nothing is pretrained.
    """
    output_stride(name)  # raises for an unknown name
    if num_classes < 1:
        raise TrainingError(f"num_classes={num_classes} leaves no output.", "1 or more", "For one object, 1 is enough.")
    # torchvision fetches an ImageNet backbone even for weights=None, unless weights_backbone is None too.
    model = get_model(name, weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=aux)
    start = "random weights, nothing is pretrained"
    if weights is not None:
        state, source = _read_weights(name, weights)
        start = _load(model, state, source)
    if batchnorm_momentum is not None:
        _set_batchnorm_momentum(model, batchnorm_momentum)
    model.register_forward_pre_hook(_refuse_a_batch_of_one)
    if verbose:
        print(f"{name}: {start}.")
    return model.to(memory_format=torch.channels_last)  # the same numbers in an order that convolutions read faster


def _set_batchnorm_momentum(model: nn.Module, momentum: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum


def _refuse_a_batch_of_one(model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    # Torch would raise too, but only after the backbone's running means have changed, and without saying what to do.
    alone = model.training and inputs and len(inputs[0]) == 1
    if alone and any(isinstance(part, ASPPPooling) and part[2].training for part in model.modules()):
        raise TrainingError(
            "This training batch holds one picture, and the ASPP pools it to one pixel: no spread to normalise by.",
            "two pictures or more in training mode",
            "Use drop_last=True or another batch_size. To predict, call model.eval() first.",
        )


def bundled_weights_path() -> Path:
    """Where the bundled weights lie; what they were trained on and their SHA-256 are in the `.json` beside them."""
    return Path(__file__).parent / "weights" / f"{BUNDLED_MODEL}.pt"


def _read_weights(name: str, weights: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], str]:
    """(state dict, what to call it) of one of the sources that `build_deeplab` knows."""
    if weights == "coco":
        return _read_coco(name), "torchvision's COCO weights"
    if weights != "bundled":
        return _read_file(Path(weights)), f"weights from {Path(weights).name}"
    if name != BUNDLED_MODEL:
        found = f"{name} has no bundled weights."
        raise WeightsError(found, f"the name {BUNDLED_MODEL}", 'Try weights="coco", or None.')
    path = bundled_weights_path()
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        sha256 = about["sha256"]
        source = f"bundled weights, pretrained on {about['trained_on']}"
        right = hashlib.sha256(path.read_bytes()).hexdigest() == sha256  # before the file is unpacked
    except (OSError, ValueError, KeyError, TypeError):
        sha256 = ""
        source = ""
        right = False
    if not right:
        raise WeightsError(
            f"{path.name}, or the {path.stem}.json beside it, is missing or is not the file that was released.",
            f"both files, and SHA-256 {sha256 or 'as the second one states it'} of the first",
            "In a clone, git checkout -- seglib/weights restores them; else install seglib again. Without them: "
            'weights="coco", downloaded once, or weights=None.',
        )
    return _read_file(path), source


def _read_file(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise WeightsError(f"There are no weights at {path.name}.", "a state dict of torch.save", "Correct the path.")
    state = state_dict_in(load_tensors(path))
    tensors = isinstance(state, dict) and all(isinstance(value, torch.Tensor) for value in state.values())
    if not tensors or not all(isinstance(key, str) for key in state):
        raise WeightsError(f"{path.name} holds no state dict.", "names and tensors", "Save model.state_dict().")
    return state


# Where training scripts put the weights, and what wrappers of a model put before each name.
_KEYS_OF_STATE = ("model", "state_dict", "model_state_dict", "model_state")
_PREFIXES = ("module.", "_orig_mod.", "model.")


def state_dict_in(contents: Any) -> Any:
    """The state dict of a model in what a training script has saved: a checkpoint of seglib, or of another script.

    Prefixes of `DataParallel`, `DistributedDataParallel`, `torch.compile` and Lightning are taken away. Of a checkpoint
    of seglib it is that of the best epoch. Whatever else is returned as it is.

    Example:
        >>> state_dict_in({"epoch": 3, "model": {"module.weight": torch.zeros(1)}})
        {'weight': tensor([0.])}
    """
    if not isinstance(contents, Mapping):
        return contents
    states = contents.get("states")
    if isinstance(states, Mapping):  # of seglib.training.checkpoint
        stopping = states.get("stopping")
        best = stopping.get("weights") if isinstance(stopping, Mapping) else None
        contents = best or states.get("model", states)
    for key in _KEYS_OF_STATE:
        if isinstance(contents.get(key), Mapping):
            contents = contents[key]
    names = list(contents)
    for prefix in _PREFIXES * 2:
        if names and all(isinstance(name, str) and name.startswith(prefix) for name in names):
            contents = {name.removeprefix(prefix): value for name, value in contents.items()}
            names = list(contents)
    return contents


def _read_coco(name: str) -> dict[str, torch.Tensor]:
    try:
        return get_model_weights(name).DEFAULT.get_state_dict(progress=False, check_hash=True)
    except Exception as error:  # no network, a server's error, a download that broke off, a damaged file on disk
        raise WeightsError(
            f"torchvision's weights for {name} could not be downloaded or read.",
            f"a network connection on first use, and a whole file in {Path(torch.hub.get_dir()).name}/checkpoints",
            'Connect, delete that file and try again; or use weights="bundled", which needs no network.',
        ) from error


def _load(model: nn.Module, state: dict[str, torch.Tensor], source: str) -> str:
    """Copy every tensor that fits into the model, in place; returns a sentence on what the model starts from."""
    own = model.state_dict()
    fits = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    differ = {key for key in {*own, *state} - fits.keys() if not key.startswith("aux_classifier.")}
    lost = differ - {"classifier.4.weight", "classifier.4.bias"}  # these two may differ
    if lost:
        raise WeightsError(
            f"{source} do not fit this model: {len(lost)} tensors differ, {min(lost)} for one.",
            "weights of the same architecture",
            f"Name the model that the weights were made for{_likely_model(state)}.",
        )
    model.load_state_dict(fits, strict=False)
    parts = {"classifier.4.weight": "the last layer", "aux_classifier.0.weight": "the auxiliary head"}
    new_parts = " and ".join(part for key, part in parts.items() if key in own and key not in fits)
    return f"{source}; new: {new_parts}" if new_parts else f"{source}; every layer is pretrained"


# How many blocks layer3 of the backbone has -> the model.
_BLOCKS_IN_LAYER3 = {6: "deeplabv3_resnet50", 23: "deeplabv3_resnet101"}


def architecture_of(state: Mapping[str, Any]) -> str | None:
    """The name of the DeepLab that a state dict belongs to, found from the names of its tensors; None if it is none.

    Example:
        >>> architecture_of(build_deeplab(weights=None, verbose=False).state_dict())
        'deeplabv3_mobilenet_v3_large'
    """
    if "classifier.0.convs.0.0.weight" not in state or "classifier.4.bias" not in state:
        return None
    blocks = sum(key.startswith("backbone.layer3.") and key.endswith(".conv1.weight") for key in state)
    return _BLOCKS_IN_LAYER3.get(blocks, BUNDLED_MODEL)


def _likely_model(state: Mapping[str, Any]) -> str:
    name = architecture_of(state)
    return f': model="{name}"' if name else ", or those of a DeepLabV3"
