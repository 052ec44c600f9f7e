"""Owns the guard against a loss of NaN or infinity: it restores the last good weights. See 07_training_loop."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seglib.errors import TrainingError

OnStep = Callable[[int, int, float], None]


class DivergenceGuard:
    """Checks the loss of each training step; if it is NaN or infinite, it restores the last good weights and raises.

    Good weights are those that gave the last finite loss. Running means of BatchNorm are restored too: a picture that
    holds NaN spoils them as well.

    On a GPU, reading the loss would make Python wait in each step. So operations on the GPU keep the weights, and the
    loss is copied to pinned memory asynchronously. The error may therefore come some steps late, at the latest when the
    epoch ends. The restored weights, and the step that the error names, are right all the same. On a CPU the error
    comes in the step itself.

    Args:
        model: whose weights are kept, in as much memory again. It has to stay on its device.
        optimizer: knows the learning rate, for the error.
        on_step: called in each step, before the weights change, with the epoch, the step, both from 1, and the mean
            loss of the epoch so far (on a GPU the last one that has arrived; 0 at first). May raise KeyboardInterrupt.
        epoch: how many epochs are done already. `run_epochs` counts on; a loop of your own may.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> guard = DivergenceGuard(model, torch.optim.SGD(model.parameters(), lr=0.1))
        >>> guard.check_step(torch.tensor(0.25))  # a finite loss: nothing happens
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, on_step: OnStep | None = None, epoch: int = 0):
        tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
        self.weights = [tensor for tensor in tensors if tensor.is_floating_point()]  # the model's own memory
        self.last_good = [tensor.clone() for tensor in self.weights]
        self.optimizer = optimizer
        self.on_step = on_step
        self.epoch = epoch
        self.last_loss = 0.0  # the last loss that has arrived in the host's memory
        self.start_epoch()

    def start_epoch(self) -> None:
        """Call before the first step of each epoch."""
        self.learning_rates: list[float] = []  # one for each step
        self.finite_steps: Tensor | float = 0.0
        self.pinned_loss = torch.tensor(self.last_loss)

    def check_step(self, mean_loss: Tensor) -> None:
        """Call in each step, after the forward pass and before the weights change.

        Args:
            mean_loss: of the epoch so far, a scalar on the model's device. If one loss is NaN, so is every later mean.

        Raises:
            TrainingError: the loss is NaN or infinite; says in which step, and at which learning rate.
        """
        if not self.learning_rates and mean_loss.is_cuda:
            self.pinned_loss = self.pinned_loss.pin_memory()  # a GPU can write there while Python goes on
        self.learning_rates.append(max(group["lr"] for group in self.optimizer.param_groups))
        finite = mean_loss.isfinite()
        self.finite_steps = self.finite_steps + finite
        for last_good, weights in zip(self.last_good, self.weights, strict=True):
            torch.where(finite, weights, last_good, out=last_good)
        self.pinned_loss.copy_(mean_loss, non_blocking=mean_loss.is_cuda)
        self.last_loss = self.check(self.pinned_loss.item())
        if self.on_step:
            self.on_step(self.epoch, len(self.learning_rates), self.last_loss)

    def check(self, loss: float, where: str = "") -> float:
        """Return the loss if it is finite. If not, restore the last good weights, and raise.

        Args:
            loss: a number of Python.
            where: words for the error if it was not measured in a training step.

        Raises:
            TrainingError: the loss is NaN or infinite.
        """
        if not math.isfinite(loss):
            for last_good, weights in zip(self.last_good, self.weights, strict=True):
                weights.copy_(last_good)
            step = len(self.learning_rates) if where else int(self.finite_steps) + 1  # int() waits for a GPU
            epoch = f"epoch {self.epoch}, " if self.epoch else ""
            lr = self.learning_rates[step - 1]
            check_finite(loss, f" in {epoch}step {step}, at a learning rate of {lr:.3g}{where}")
        return loss


def check_finite(loss: float, where: str = "") -> float:
    """Return the loss, or raise a `TrainingError` if it is NaN or infinite; `where` says in words when it became so.

    Example:
        >>> check_finite(0.25)
        0.25
    """
    if not math.isfinite(loss):
        raise TrainingError(
            f"The loss became {loss}{where}.",
            "a finite number",
            "Most often the learning rate is too high: try a tenth of it. Else look for NaN or infinity in the images "
            "and masks of that batch, on a GPU also for mask values that are no labels, and for a division by 0 in a "
            "loss of your own. In a training the model has its last good weights back; make a new optimizer for it.",
        )
    return loss
