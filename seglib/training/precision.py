"""Owns what may happen in a training step beside the notes' five lines: precision, clipped gradients, a recorded step.

Explained in 08_cuda.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torchvision.models.segmentation import DeepLabV3

from seglib.errors import TrainingError
from seglib.training.cuda_graph import RecordedStep

Step = Callable[[Tensor, Tensor], Tensor]  # images and masks of a batch -> its loss, detached
PRECISIONS = ("float32", "bfloat16", "float16", "auto")


def set_precision(model: nn.Module, name: str) -> str:
    """Let the forward pass of a DeepLab compute in a precision, where that is safe; weights and outputs stay float32.

    The model is changed in place. Its parameters and their names stay, so optimizers and checkpoints see no difference.

    Args:
        model: a `DeepLabV3`, on the device that it is trained on. For "float32" any model.
        name: "float32", "bfloat16" or "float16". "auto" is the fastest that the device has units for: on a GPU
            bfloat16 (Ampere of 2020 or newer) or float16 (older ones, as Colab's T4), float32 anywhere else.

    Returns:
        The precision chosen. A model in float16 is trained with the step of `make_step`, which scales the loss.

    Raises:
        TrainingError: an unknown name, another model, or a device without units for it.

    Example:
        >>> set_precision(torch.nn.Linear(2, 1), "auto")  # on a CPU
        'float32'
    """
    device = next(model.parameters()).device
    if name not in PRECISIONS:
        raise TrainingError(f'precision = "{name}".', f"one of {', '.join(PRECISIONS)}", "Correct the name.")
    if name == "auto":
        name = _fastest(device)
    if name == "float32" and not isinstance(model, DeepLabV3):
        return name
    _require_units(model, device, name)
    model.__class__ = _CLASSES[name]
    return name


def precision_of(model: nn.Module) -> str:
    """The precision that `set_precision` has given a model; "float32" for any other model.

    Example:
        >>> precision_of(torch.nn.Linear(2, 1))
        'float32'
    """
    return next((name for name, kind in _CLASSES.items() if type(model) is kind), "float32")


def _fastest(device: torch.device) -> str:
    if device.type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"


def _require_units(model: nn.Module, device: torch.device, name: str) -> None:
    old = device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0)
    useless = (name == "bfloat16" and old) or (name == "float16" and device.type != "cuda")
    if not isinstance(model, DeepLabV3) or useless:
        raise TrainingError(
            f"precision={name} for a {type(model).__name__} on {device.type}.",
            "a DeepLabV3; for bfloat16 a CPU, or a GPU of 2020 or newer (no T4, no V100); for float16 a GPU",
            'precision="auto" takes what this device has units for.',
        )


class _Bfloat16DeepLab(DeepLabV3):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        with torch.autocast(images.device.type, torch.bfloat16):
            outputs = super().forward(images)
        return {name: output.float() for name, output in outputs.items()}


class _Float16DeepLab(DeepLabV3):
    loss_is_scaled = False  # `make_step` sees to it

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if self.training and torch.is_grad_enabled() and not self.loss_is_scaled:
            raise TrainingError(
                "This model computes in float16, and nothing scales its loss.",
                "a step that does: without it small gradients become 0, and the model learns nothing of them",
                "step=make_step(model, criterion, optimizer), or bfloat16 where the GPU has it.",
            )
        with torch.autocast(images.device.type, torch.float16):
            outputs = super().forward(images)
        return {name: output.float() for name, output in outputs.items()}


_CLASSES: dict[str, type[nn.Module]] = {
    "float32": DeepLabV3,
    "bfloat16": _Bfloat16DeepLab,
    "float16": _Float16DeepLab,
}


class TrainingStep:
    """The five lines of the notes, and around them what was asked for. Made by `make_step`.

    `scaler` is the `torch.amp.GradScaler` of a model in float16, and None for any other; a checkpoint keeps it.
    """

    def __init__(self, model: nn.Module, criterion: Callable, optimizer: Optimizer, clip_norm: float | None):
        self.model = model
        self.criterion = criterion
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        whole = getattr(model, "module", model)  # of DistributedDataParallel
        self.scaler = torch.amp.GradScaler() if precision_of(whole) == "float16" else None
        if self.scaler:
            whole.loss_is_scaled = True

    def __call__(self, images: Tensor, masks: Tensor) -> Tensor:
        """Images (N, 3, H, W) and masks on the model's device; the loss, a scalar, detached."""
        self.optimizer.zero_grad()
        outputs = self.model(images)["out"]
        loss = self.criterion(outputs, masks)
        if self.scaler:
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)  # gradients of their own size again: for the clipping
        else:
            loss.backward()
        if self.clip_norm:
            parameters = [tensor for group in self.optimizer.param_groups for tensor in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        if self.scaler:
            self.scaler.step(self.optimizer)  # leaves out a step whose gradients are infinite
            self.scaler.update()
        else:
            self.optimizer.step()
        return loss.detach()


def make_step(
    model: nn.Module,
    criterion: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    *,
    clip_norm: float | None = None,
    cuda_graph: bool = False,
) -> Step:
    """A training step for `train_one_epoch` that does more than the notes' five lines.

    Args:
        model: on its device; in float16 its loss is scaled.
        criterion: the loss.
        optimizer: its own, made after the model was moved.
        clip_norm: gradients whose norm, of all weights together, is above this are shortened to it. None leaves them.
        cuda_graph: record the step once as a CUDA graph and replay it: Python then starts one thing instead of a
            thousand. For small models and small pictures on a GPU, which wait for Python otherwise.

    Returns:
        step(images, masks) -> loss, detached.

    Raises:
        TrainingError: a norm that is not above 0; a CUDA graph without CUDA.
    """
    if clip_norm is not None and not clip_norm > 0:
        raise TrainingError(f"clip_norm = {clip_norm}", "a number above 0", "1.0 is usual; None clips nothing.")
    step = TrainingStep(model, criterion, optimizer, clip_norm)
    device = next(model.parameters()).device
    if not cuda_graph:
        return step
    if device.type != "cuda" or hasattr(model, "module"):
        raise TrainingError(
            f"cuda_graph=True on {device.type}{' in several processes' if hasattr(model, 'module') else ''}.",
            "one process, and a GPU with CUDA",
            "Leave it out: cuda_graph=False.",
        )
    return RecordedStep(step, optimizer)


def prepare_step(
    model: nn.Module,
    criterion: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    *,
    precision: str | None = None,
    clip_norm: float | None = None,
    compile: bool = False,
    cuda_graph: bool = False,
) -> Step | None:
    """Set the precision, compile the model, and make the step that `fit` needs; None if the notes' five lines will do.

    Arguments and errors are those of `fit`.
    """
    if precision:
        set_precision(model, precision)
    if compile:
        model.compile()
    if clip_norm is None and not cuda_graph and precision_of(getattr(model, "module", model)) != "float16":
        return None
    return make_step(model, criterion, optimizer, clip_norm=clip_norm, cuda_graph=cuda_graph)
