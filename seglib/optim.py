"""Owns the optimizer, its parameter groups and its learning-rate schedule. Explained in 06_optimizer."""

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LinearLR, LRScheduler, PolynomialLR, SequentialLR

from seglib.errors import TrainingError

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
SCHEDULES = ("constant", "poly", "cosine")


def make_optimizer(
    model: nn.Module, name: str = "adam", lr: float = 1e-5, head_lr: float | None = None, weight_decay: float = 0.0
) -> Optimizer:
    """An optimizer by its name; the defaults are the notes' Adam at 1e-5.

    Args:
        model: its parameters that require gradients are the ones that move.
        name: "adam", "adamw", or "sgd" (with momentum 0.9).
        lr: the learning rate, above 0.
        head_lr: the learning rate of everything but the backbone; None gives it `lr` too.
        weight_decay: how strongly weights are pulled towards 0.

    Raises:
        TrainingError: an unknown name, a learning rate that is not above 0, or nothing to train.

    Example:
        >>> make_optimizer(nn.Linear(2, 1)).param_groups[0]["lr"]
        1e-05
    """
    if name not in OPTIMIZERS:
        raise TrainingError(f'There is no optimizer "{name}".', f"one of {', '.join(OPTIMIZERS)}", "Correct the name.")
    if not lr > 0 or (head_lr is not None and not head_lr > 0):
        raise TrainingError(f"lr = {lr}, head_lr = {head_lr}", "learning rates above 0", "1e-5 is the notes' choice.")
    groups = list(parameter_groups(model, lr, head_lr))
    if not groups:
        raise TrainingError(
            "No parameter of the model requires a gradient.",
            "at least one to train",
            "model.requires_grad_(True) lets all of them move.",
        )
    options = {"momentum": 0.9} if name == "sgd" else {}
    optimizer = OPTIMIZERS[name](groups, lr=lr, weight_decay=weight_decay, **options)
    if all(tensor.is_cuda for group in optimizer.param_groups for tensor in group["params"]):
        make_fused(optimizer)
    return optimizer


def make_fused(optimizer: Optimizer) -> None:
    """Let an Adam, AdamW or SGD change all weights by a few large kernels, in place; what it has learned so far stays.

    On a GPU it then never makes Python wait, not even with a `GradScaler`.
    """
    for group in optimizer.param_groups:
        group["fused"] = True
        group["foreach"] = False
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if "step" in state:  # a fused optimizer counts its steps on the device
                state["step"] = torch.as_tensor(state["step"], dtype=torch.float32, device=parameter.device)
    vars(optimizer)["_step_supports_amp_scaling"] = (
        True  # as the optimizers set it themselves where they are made fused
    )


def parameter_groups(model: nn.Module, lr: float, head_lr: float | None = None) -> Iterator[dict]:
    """The backbone at `lr` and the rest at `head_lr`, as groups for a torch optimizer; one group if they agree.

    Example:
        >>> [group["lr"] for group in parameter_groups(nn.ModuleDict({"backbone": nn.Linear(2, 2)}), lr=0.1)]
        [0.1]
    """
    moving = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    backbone = [parameter for name, parameter in moving.items() if name.startswith("backbone.")]
    head = [parameter for name, parameter in moving.items() if not name.startswith("backbone.")]
    if head_lr is None or head_lr == lr:
        backbone, head = [*backbone, *head], []
    for parameters, rate in ((backbone, lr), (head, head_lr)):
        if parameters:
            yield {"params": parameters, "lr": rate}


def make_scheduler(optimizer: Optimizer, name: str, steps: int, warmup: int = 0) -> LRScheduler:
    """A learning-rate scheduler that is stepped once after each optimizer step and ends after `steps` of them.

    Args:
        optimizer: whose learning rates it changes.
        name: "constant", "poly" (power 0.9, torchvision's reference) or "cosine".
        steps: all steps of the training, above `warmup`.
        warmup: how many of them rise from a hundredth of the rate to the rate.

    Raises:
        TrainingError: an unknown name, or no steps left after the warm-up.

    Example:
        >>> make_scheduler(make_optimizer(nn.Linear(2, 1), lr=0.5), "cosine", steps=10).get_last_lr()
        [0.5]
    """
    steps_after_warmup = steps - warmup
    if name not in SCHEDULES or warmup < 0 or steps_after_warmup < 1:
        raise TrainingError(
            f'schedule "{name}" over {steps} steps, {warmup} of them warm-up',
            f"one of {', '.join(SCHEDULES)}, and more steps than warm-up",
            "steps is len(train_dataloader) * epochs.",
        )
    scheduler: LRScheduler
    if name == "constant":
        scheduler = LambdaLR(optimizer, lambda step: 1.0)
    elif name == "poly":
        scheduler = PolynomialLR(optimizer, total_iters=steps_after_warmup, power=0.9)
    else:
        # CosineAnnealingLR would rise again in a training that goes on after the last step.
        scheduler = LambdaLR(optimizer, lambda step: (1 + math.cos(math.pi * min(step / steps_after_warmup, 1))) / 2)
    if not warmup:
        return scheduler
    return SequentialLR(optimizer, [LinearLR(optimizer, 0.01, 1.0, warmup), scheduler], milestones=[warmup])
