"""Owns the model: a DeepLabV3, its new last layer, and the weights it starts from. Explained in 04_model."""

import hashlib
import json
import os
from pathlib import Path

import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from seglib.errors import WeightsError

OUTPUT_STRIDE = {  # how many input pixels one cell of the coarse logits stands for, along each side
    "deeplabv3_mobilenet_v3_large": 16,
    "deeplabv3_resnet50": 8,
    "deeplabv3_resnet101": 8,
}
BUNDLED = "deeplabv3_mobilenet_v3_large"


def build_deeplab(
    name: str = BUNDLED,
    num_classes: int = 1,
    weights: str | os.PathLike[str] | None = "bundled",
    aux: bool = False,
    batchnorm_momentum: float | None = 0.1,
    verbose: bool = True,
) -> nn.Module:
    """A torchvision DeepLabV3 with `num_classes` output channels, and one printed line on the weights it starts from.

    The last layer is new whenever the weights were made for another number of classes; all others are pretrained.

    Args:
        name: one of `OUTPUT_STRIDE`.
        num_classes: 1 for object against background, otherwise the number of classes, the background included.
        weights: "bundled" (in the repository, MobileNetV3 only), "coco" (torchvision's, downloaded on first use),
            the path of a state dict, or None for random ones. Only "coco" ever touches the network.
        aux: with the auxiliary head, whose output is `["aux"]`.
        batchnorm_momentum: how fast running means follow. 0.1 suits a few hundred steps; None leaves torchvision's
            own (0.01 in MobileNetV3, made for very long training).
        verbose: print the line.

    Shape:
        `model(images)["out"]` of images (N, 3, H, W), normalised, is (N, num_classes, H, W).

    Raises:
        WeightsError: an unknown name; weights that are missing, damaged, not reachable, or of another model.

    Example:
        >>> model = build_deeplab(weights=None)
        deeplabv3_mobilenet_v3_large: random weights, nothing is pretrained.
    """
    if name not in OUTPUT_STRIDE:
        raise WeightsError(f'There is no model "{name}".', f"one of {', '.join(OUTPUT_STRIDE)}", "Correct the name.")
    # torchvision fetches an ImageNet backbone even for weights=None, unless weights_backbone is None too.
    model = get_model(name, weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=aux)
    line = f"{name}: random weights, nothing is pretrained."
    if weights is not None:
        state, source = _read_weights(name, weights)
        new = _load(model, state, source)
        line = f"{name}: {source}; {f'new: {new}' if new else 'every layer is pretrained'}."
    if batchnorm_momentum is not None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = batchnorm_momentum
    if verbose:
        print(line)
    return model.to(memory_format=torch.channels_last)  # the same numbers in an order that convolutions read faster


def bundled_path() -> Path:
    """Where the repository keeps the bundled weights; their story and SHA-256 are in the `.json` beside them."""
    return Path(__file__).parent.parent / "data_samples" / "weights" / f"{BUNDLED}.pt"


def _read_weights(name: str, weights: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], str]:
    """(state dict, what to call it) of one of the sources that `build_deeplab` knows."""
    if weights == "coco":
        return _read_coco(name), "torchvision's COCO weights"
    if weights != "bundled":
        return _read_file(Path(weights)), f"weights from {Path(weights).name}"
    if name != BUNDLED:
        raise WeightsError(
            f"No weights for {name} are bundled.",
            f"the name {BUNDLED}, or other weights",
            'weights="coco" downloads torchvision\'s; weights=None starts from random ones.',
        )
    path = bundled_path()
    try:
        story = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        sha256, source = story["sha256"], f"bundled weights, pretrained on {story['trained_on']}"
        right = hashlib.sha256(path.read_bytes()).hexdigest() == sha256  # before anything else looks into the file
    except (OSError, ValueError, KeyError, TypeError):
        sha256, source, right = "", "", False
    if not right:
        raise WeightsError(
            f"{path.name}, or the {path.stem}.json beside it, is missing or is not the file that was released.",
            f"both files, and SHA-256 {sha256 or 'as the second one states it'} of the first",
            "Restore them: git checkout -- data_samples/weights. They come with the repository: clone it whole.",
        )
    return _read_file(path), source


def _read_file(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise WeightsError(f"There are no weights at {path.name}.", "a state dict of torch.save", "Correct the path.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)  # refuses pickled code
    except Exception as error:
        raise WeightsError(
            f"{path.name} cannot be read as weights: it is damaged, or holds code.",
            "a state dict: names and tensors, nothing else",
            "Copy the file again, or save model.state_dict() instead of the model.",
        ) from error
    tensors = isinstance(state, dict) and all(isinstance(value, torch.Tensor) for value in state.values())
    if not tensors or not all(isinstance(key, str) for key in state):
        raise WeightsError(f"{path.name} holds no state dict.", "names and tensors", "Save model.state_dict().")
    return state


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
    """Copy every tensor that fits into the model, in place; returns in words what stays new, "" if nothing does."""
    own = model.state_dict()
    last_layers = {key for key in own if key.startswith(("classifier.4.", "aux_classifier.4."))}
    aux_head = {key for key in [*own, *state] if key.startswith("aux_classifier.")}
    fits = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    lost = (own.keys() - fits.keys() - last_layers - aux_head) | (state.keys() - own.keys() - aux_head)
    if lost:
        raise WeightsError(
            f"{source} do not fit this model: {len(lost)} tensors differ, {min(lost)} for one.",
            "weights of the same architecture",
            "Name the model that the weights were made for.",
        )
    model.load_state_dict(fits, strict=False)
    new = own.keys() - fits.keys()
    aux_is_new = "aux_classifier.0.weight" in new
    return " and ".join(["the last layer"] * ("classifier.4.weight" in new) + ["the auxiliary head"] * aux_is_new)
