"""Owns the drawing of a DeepLab: what comes out of each of its parts, made by the model itself. See 04_model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from torch import Tensor, nn

from seglib.data.normalization import denormalize
from seglib.inference.overlay import to_picture
from seglib.lesson.common.figures import new_figure, styled


@dataclass(frozen=True)
class Stage:
    """What comes out of one part of a model: shape (C, H, W), and a picture of it, (H, W) or (H, W, 3)."""

    part: str
    name: str
    shape: tuple[int, ...]
    picture: np.ndarray
    parameters: int


def stages(model: nn.Module, image: Tensor) -> list[Stage]:
    """Send one image through a DeepLab, and note by forward hooks what comes out of each of its parts.

    Args:
        model: of `build_deeplab`; its mode and its weights stay as they are.
        image: (3, H, W), normalised.

    Returns:
        The image, then the stages in the order of the forward pass. Each parameter is counted in one of them; blocks of
        the backbone whose outputs have one size are one stage.
    """
    plan, seen, hooks = list(_plan(model)), {}, []
    for number, (_, _, modules) in enumerate(plan):
        for module in modules[-1:]:
            hooks.append(module.register_forward_hook(lambda m, i, o, number=number: seen.update({number: _look(o)})))
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            outputs = model.eval()(image[None])
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    found = [Stage("backbone", "image", tuple(image.shape), to_picture(denormalize(image)), 0)]
    for number, (part, name, modules) in enumerate(plan):
        shape, picture = seen[number] if modules else _look(outputs[name])
        count = sum(weight.numel() for module in modules for weight in module.parameters())
        found.append(Stage(part, name, shape, picture, count))
    return list(_one_a_size(found))


def _plan(model: Any) -> Iterator[tuple[str, str, list[nn.Module]]]:
    """(part, name, modules) of each stage; its output is that of the last module, or the model's own of that name."""
    for name, block in model.backbone.named_children():
        yield "backbone", name, [block]
    for branch in model.classifier[0].convs:
        rate = branch[0].dilation[0] if isinstance(branch[0], nn.Conv2d) else 0
        yield "ASPP", {0: "whole picture", 1: "1x1 window"}.get(rate, f"3x3, rate {rate}"), [branch]
    yield "classifier", "joined", [model.classifier[0].project]
    heads = {"classifier": ([*model.classifier][1:], "out"), "auxiliary head": ([*(model.aux_classifier or [])], "aux")}
    for part, (layers, key) in heads.items():
        if layers:
            yield part, "3x3 window", layers[:-1]
            yield part, "last layer", [layers[-1]]
            yield part, key, []


def _look(output: Tensor) -> tuple[tuple[int, ...], np.ndarray]:
    # At once, not later: the block after this one may write into the same memory.
    return tuple(output.shape[1:]), output[0].float().abs().mean(dim=0).cpu().numpy()  # (C, H, W), (H, W)


def _one_a_size(found: list[Stage]) -> Iterator[Stage]:
    height = found[0].shape[1]
    for (part, _), group in groupby(found, lambda s: (s.part, s.shape[1:] if s.part == "backbone" else s.name)):
        *_, last = members = list(group)
        name = f"1/{height // last.shape[1]}" if part == "backbone" and last.name != "image" else last.name
        yield Stage(part, name, last.shape, last.picture, sum(member.parameters for member in members))


@styled
def draw_stages(found: Sequence[Stage]) -> Figure:
    """Draw a model: a row for each part, a picture for each stage, its shape below, arrows the way the numbers flow.

    Args:
        found: of `stages`.
    """
    rows = [list(group) for _, group in groupby(found, lambda stage: stage.part)]
    figure, axes = new_figure(len(rows), max(map(len, rows)), 7.4, 1.62 * len(rows))
    for line, row in zip(axes, rows, strict=True):
        for axis in line:
            axis.set(xticks=[], yticks=[], visible=False)
        for axis, stage in zip(line, row, strict=False):
            axis.set_visible(True)
            axis.imshow(stage.picture, vmin=0, cmap="cividis", interpolation="nearest", aspect="auto")
            axis.set_title(f"['{stage.name}']" if stage.name in ("out", "aux") else stage.name, fontsize=10.5, pad=3)
            axis.set_xlabel(str(stage.shape), fontsize=10.5, labelpad=2)
        source = f"reads 1/{found[0].shape[1] // row[0].shape[1]}"
        reads = {"ASPP": f", each\n{source}", "classifier": "\nreads all five", "auxiliary head": f"\n{source}"}
        line[0].set_ylabel(row[0].part + reads.get(row[0].part, ""), fontsize=10.5)
        if row[0].part != "ASPP":  # its branches stand side by side; elsewhere one stage reads the one before
            for left, right in pairwise(line[: len(row)]):
                ends = (1, 0.5), (0, 0.5), left.transAxes, right.transAxes
                figure.add_artist(ConnectionPatch(*ends, arrowstyle="-|>", color="black", mutation_scale=9))
    return figure
