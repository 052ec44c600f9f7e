"""Owns the memory and the operations of a training step, counted on the model without computing it. See 08_cuda."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from seglib.inference.palette import BLUE, GREEN, ORANGE, SKY_BLUE
from seglib.lesson.common.figures import new_figure, styled
from seglib.model import build_deeplab

GIB = 2**30
CARDS = (8, 15, 24, 80)  # GiB that are free on a small gaming card, a T4 in Colab, a large gaming card, an A100
PART_COLOURS = {"weights": BLUE, "gradients": ORANGE, "Adam": GREEN, "activations": SKY_BLUE}


@dataclass(frozen=True)
class StepMemory:
    """Bytes of a training step in float32: three parts that every batch needs, and one that grows with the batch."""

    weights: int
    gradients: int
    adam: int
    activations_per_image: int

    def parts(self, batch: int) -> dict[str, int]:
        """The four parts in bytes, by name."""
        activations = batch * self.activations_per_image
        return {"weights": self.weights, "gradients": self.gradients, "Adam": self.adam, "activations": activations}

    def total(self, batch: int) -> int:
        """All parts together, in bytes."""
        return sum(self.parts(batch).values())

    def largest_batch(self, gib: float) -> int:
        """How many pictures fit into `gib` GiB; 0 or 1 means none in training mode, because the ASPP needs two."""
        free = int(gib * GIB) - self.total(0)
        return max(0, free // self.activations_per_image)


def step_memory(name: str, size: tuple[int, int]) -> StepMemory:
    """Count what a training step of a DeepLab keeps, in float32, with Adam.

    Nothing is computed: on torch's device "meta" tensors have a shape and no numbers, so a large picture costs nothing.

    Args:
        name: as in `build_deeplab`.
        size: (height, width) of a picture.
    """
    model = build_deeplab(name, weights=None, verbose=False).to("meta").train()
    with_two = saved_bytes(model, torch.empty(2, 3, *size, device="meta"))
    with_three = saved_bytes(model, torch.empty(3, 3, *size, device="meta"))
    weights = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    gradients = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    return StepMemory(
        weights=weights,
        gradients=gradients,
        adam=2 * gradients,  # two running means for each weight
        activations_per_image=with_three - with_two,
    )


def saved_bytes(model: nn.Module, images: Tensor) -> int:
    """Bytes that the forward pass of a model, and a loss, save for the backward pass; weights are not counted.

    torch calls a hook for each tensor that it saves. A tensor that is saved twice counts once. On the device "meta"
    the count is the same as on a CPU.

    Args:
        model: maps images to {"out": (N, C, H, W)}.
        images: (N, 3, H, W) float32, on the model's device.
    """
    weights = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    saved: dict[int, Any] = {}  # address of a storage -> the storage

    def count_storage(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            saved[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count_storage, lambda tensor: tensor):
        (model(images)["out"] ** 2).mean()
    return sum(storage.nbytes() for storage in saved.values())


def operations(name: str, size: tuple[int, int]) -> float:
    """Floating-point operations (FLOPs) of one picture's forward and backward pass, counted on the device "meta".

    Each output number of a convolution is a sum of as many products as one of its filters has weights. The backward
    pass takes as many products for the gradient of the weights, and as many for the gradient of the input. The first
    layer needs no gradient of its input, the picture. (torch's own FlopCounterMode takes grouped convolutions for
    dense ones in the backward pass.)

    Args:
        name: as in `build_deeplab`.
        size: (height, width) of the picture.

    Returns:
        Multiplications and additions together, each counted as one.
    """
    model = build_deeplab(name, weights=None, verbose=False).to("meta").train()
    products: list[float] = []  # of one picture, one entry for each convolution

    def count_products(layer: nn.Module, inputs: object, output: Tensor) -> None:
        products.append(output.numel() / 2 * layer.weight[0].numel())  # type: ignore[index]

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count_products)
    model(torch.empty(2, 3, *size, device="meta"))  # two pictures, because of the ASPP
    multiplications = 3 * sum(products) - products[0]
    return 2 * multiplications  # and as many additions


@styled
def memory_bars(
    memories: Mapping[str, StepMemory],
    batches: Sequence[int],
    cards: Sequence[int] = CARDS,
    *,
    measured: Mapping[str, Mapping[int, float]] | None = None,
) -> Figure:
    """Draw the parts on top of each other, a bar for each batch size, with a line where each card is full.

    Args:
        memories: title of a panel -> what a step keeps there.
        batches: numbers of pictures.
        cards: GiB of each; drawn where they are within reach.
        measured: title of a panel -> pictures in a batch -> GiB that a GPU had in use at most; drawn as diamonds.
    """
    figure, (panels,) = new_figure(1, len(memories), 8.0, 3.8)
    places = list(range(len(batches)))
    for panel, (axes, (title, memory)) in enumerate(zip(panels, memories.items(), strict=True)):
        bottom = [0.0] * len(batches)
        for part, colour in PART_COLOURS.items():
            heights = [memory.parts(batch)[part] / GIB for batch in batches]
            label = None if panel else part  # one legend for all panels
            axes.bar(places, heights, 0.55, bottom=bottom, color=colour, label=label)
            bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
        peaks = {batch: gib for batch, gib in (measured or {}).get(title, {}).items() if batch in batches}
        top = 1.15 * max(bottom + list(peaks.values()))
        if peaks:
            marks = [batches.index(batch) for batch in peaks]
            axes.plot(marks, list(peaks.values()), "D", color="black", markersize=7, label="measured peak")
        for card in cards:
            if card <= top:
                axes.axhline(card, color="black", linestyle="--", linewidth=1)
                # Right of the axes, where there is no bar.
                axes.annotate(
                    f"{card} GiB", (len(batches) - 0.45, card), va="center", fontsize=10, annotation_clip=False
                )
        axes.set_xticks(places, [str(batch) for batch in batches])
        axes.set(title=title, xlabel="pictures in a batch", ylabel="GiB", ylim=(0, top))
        axes.set_xlim(-0.5, len(batches) - 0.5)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return figure
