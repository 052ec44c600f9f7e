"""Owns the drawing of a DeepLab in 04_model: the shape and a picture of what comes out of each of its parts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from torch import Tensor, nn

from seglib.data.normalization import denormalize
from seglib.inference.overlay import to_picture
from seglib.inference.palette import BLUE, ORANGE
from seglib.lesson.common.figures import new_figure, styled

# Below 0 orange, 0 white, above 0 blue.
SIGNED = LinearSegmentedColormap.from_list("signed", [ORANGE, "white", BLUE])


@dataclass(frozen=True)
class Stage:
    """What comes out of one part of a model: shape (C, H, W), and a picture of it, (H, W) or (H, W, 3).

    A picture (H, W) is the mean size of the numbers over all channels. Where there is one channel it is the number
    itself, with its sign: above 0 is fruit.
    """

    part: str
    name: str
    shape: tuple[int, ...]
    picture: np.ndarray
    parameters: int


@dataclass(frozen=True)
class _Step:
    """Modules that run one after the other; without any, the step is the model's own output called `name`."""

    part: str
    name: str
    modules: list[nn.Module]


def stages(model: nn.Module, image: Tensor) -> list[Stage]:
    """Send one image through a DeepLab, and keep by forward hooks what comes out of each of its parts.

    Args:
        model: of `build_deeplab`; its mode and its weights stay as they are.
        image: (3, H, W), normalised.

    Returns:
        The image, then the stages in the order of the forward pass. Each parameter is counted in one of them; blocks of
        the backbone whose outputs have one size are one stage.
    """
    steps = list(_steps_of(model))
    kept: dict[int, tuple[tuple[int, ...], np.ndarray]] = {}

    def keep_as(number: int) -> Callable:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            kept[number] = _shape_and_picture(output)

        return hook

    hooks = [
        step.modules[-1].register_forward_hook(keep_as(number)) for number, step in enumerate(steps) if step.modules
    ]
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
    for number, step in enumerate(steps):
        shape, picture = kept[number] if step.modules else _shape_and_picture(outputs[step.name])
        parameters = sum(weight.numel() for module in step.modules for weight in module.parameters())
        found.append(Stage(step.part, step.name, shape, picture, parameters))
    return _merge_equal_sizes(found)


def _steps_of(model: Any) -> Iterator[_Step]:
    """The steps of a DeepLab's forward pass, in their order."""
    for name, block in model.backbone.named_children():
        yield _Step("backbone", name, [block])
    for branch in model.classifier[0].convs:
        yield _Step("ASPP", _branch_name(branch), [branch])
    yield _Step("classifier", "joined", [model.classifier[0].project])
    yield from _steps_of_head("classifier", list(model.classifier)[1:], "out")
    if model.aux_classifier is not None:
        yield from _steps_of_head("auxiliary head", list(model.aux_classifier), "aux")


def _branch_name(branch: Any) -> str:
    if not isinstance(branch[0], nn.Conv2d):
        return "whole picture"
    rate = branch[0].dilation[0]
    return "1x1 window" if rate == 1 else f"3x3, rate {rate}"


def _steps_of_head(part: str, layers: list[nn.Module], output: str) -> Iterator[_Step]:
    yield _Step(part, "3x3 window", layers[:-1])
    yield _Step(part, "last layer", layers[-1:])
    yield _Step(part, output, [])


def _shape_and_picture(output: Tensor) -> tuple[tuple[int, ...], np.ndarray]:
    """Of the first of a batch: (C, H, W), and (H, W): the mean absolute value of many channels, or the only one."""
    # Computed inside the hook: the block after this one may write into the same memory.
    channels = output[0].float()  # (C, H, W)
    picture = channels[0] if len(channels) == 1 else channels.abs().mean(dim=0)
    return tuple(output.shape[1:]), picture.cpu().numpy().copy()


def _merge_equal_sizes(found: list[Stage]) -> list[Stage]:
    """Make one stage of the blocks of the backbone whose outputs have one size; its picture is that of the last."""

    def size_or_name(stage: Stage) -> tuple[str, Any]:
        return stage.part, stage.shape[1:] if stage.part == "backbone" else stage.name

    height = found[0].shape[1]
    merged = []
    for (part, _), group in groupby(found, size_or_name):
        members = list(group)
        last = members[-1]
        name = last.name
        if part == "backbone" and name != "image":
            name = f"1/{height // last.shape[1]}"
        parameters = sum(member.parameters for member in members)
        merged.append(Stage(part, name, last.shape, last.picture, parameters))
    return merged


@styled
def draw_stages(found: Sequence[Stage]) -> Figure:
    """Draw a model: a row for each part, a picture for each stage with its shape below, arrows from input to output.

    Args:
        found: of `stages`.
    """
    rows = [list(group) for _, group in groupby(found, lambda stage: stage.part)]
    image_height = found[0].shape[1]
    figure, axes = new_figure(len(rows), max(map(len, rows)), 7.4, 1.62 * len(rows))
    for axes_of_row, row in zip(axes, rows, strict=True):
        for axis in axes_of_row:
            axis.set(xticks=[], yticks=[], visible=False)
        for axis, stage in zip(axes_of_row, row, strict=False):
            _draw_stage(axis, stage)
        axes_of_row[0].set_ylabel(_row_label(row[0], image_height), fontsize=10.5)
        if row[0].part != "ASPP":  # its branches all read the same input; elsewhere a stage reads the one before it
            _draw_arrows(figure, axes_of_row[: len(row)])
    return figure


def _draw_stage(axis: Axes, stage: Stage) -> None:
    axis.set_visible(True)
    if stage.shape[0] == 1:  # with its sign: white is 0
        limit = max(float(np.abs(stage.picture).max()), 1e-6)
        axis.imshow(stage.picture, vmin=-limit, vmax=limit, cmap=SIGNED, interpolation="nearest", aspect="auto")
    else:
        axis.imshow(stage.picture, vmin=0, cmap="cividis", interpolation="nearest", aspect="auto")
    title = f"['{stage.name}']" if stage.name in ("out", "aux") else stage.name
    axis.set_title(title, fontsize=10.5, pad=3)
    axis.set_xlabel(str(stage.shape), fontsize=10.5, labelpad=2)


def _row_label(first: Stage, image_height: int) -> str:
    """The part that a row shows, and what it reads: the stage of the backbone that has the size of its first stage."""
    source = f"reads 1/{image_height // first.shape[1]}"
    reads = {"ASPP": f", each\n{source}", "classifier": "\nreads all five", "auxiliary head": f"\n{source}"}
    return first.part + reads.get(first.part, "")


def _draw_arrows(figure: Figure, axes_of_row: Sequence[Axes]) -> None:
    for left, right in pairwise(axes_of_row):
        arrow = ConnectionPatch(
            (1, 0.5), (0, 0.5), left.transAxes, right.transAxes, arrowstyle="-|>", color="black", mutation_scale=9
        )
        figure.add_artist(arrow)
