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

    Each step begins with a copy of all weights, and the copies of the last steps are kept. On a CPU the loss is known
    when the step ends, and the error comes in the step itself. On a GPU, reading the loss at once would leave the GPU
    without work. So the loss is copied to pinned memory while Python goes on, and it is looked at when the next step
    but one begins: the GPU then still has a whole step to do. The error comes that much later, or when the epoch ends.
    The restored weights, and the step that the error names, are right all the same.

    Args:
        model: whose weights are kept, twice on a CPU, three times on a GPU. It has to stay on its device.
        optimizer: knows the learning rate, for the error.
        on_step: called after each step with the epoch, the step, both from 1, and the mean loss of the epoch so far
            (on a GPU the last one that has arrived; 0 at first). May raise KeyboardInterrupt.
        epoch: how many epochs are done already. `run_epochs` counts on; a loop of your own may.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> guard = DivergenceGuard(model, torch.optim.SGD(model.parameters(), lr=0.1))
        >>> guard.keep_weights()
        >>> guard.check_step(torch.tensor(0.25))  # a finite loss: nothing happens
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, on_step: OnStep | None = None, epoch: int = 0):
        tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
        self.weights = [tensor for tensor in tensors if tensor.is_floating_point()]  # the model's own memory
        self.on_gpu = bool(self.weights) and self.weights[0].is_cuda
        # Of each of the last steps: the weights that it began with, its loss, and a mark that the loss has arrived.
        self.copies = [[tensor.clone() for tensor in self.weights] for _ in range(3 if self.on_gpu else 2)]
        self.losses = [torch.zeros((), pin_memory=self.on_gpu) for _ in self.copies]  # a GPU can write there by itself
        self.arrived = [torch.cuda.Event() if self.on_gpu else None for _ in self.copies]
        self.optimizer = optimizer
        self.on_step = on_step
        self.epoch = epoch
        self.last_loss = 0.0  # the last loss that was looked at
        self.steps = 0  # of all epochs
        self.start_epoch()

    def start_epoch(self) -> None:
        """Call before the first step of each epoch."""
        self.learning_rates: list[float] = []  # one for each step
        self.steps_before = self.steps
        self.checked = self.steps  # the losses of all steps before this one were looked at

    def keep_weights(self) -> None:
        """Call at the beginning of each step.

        Raises:
            TrainingError: the loss of an earlier step is NaN or infinite; says in which step, at which learning rate.
        """
        self._look_at_losses(before=self.steps - 1)
        self.learning_rates.append(max(float(group["lr"]) for group in self.optimizer.param_groups))
        torch._foreach_copy_(self.copies[self.steps % len(self.copies)], self.weights)
        self.steps += 1

    def check_step(self, mean_loss: Tensor) -> None:
        """Call at the end of each step.

        Args:
            mean_loss: of the epoch so far, a scalar on the model's device. If one loss is NaN, so is every later mean.

        Raises:
            TrainingError: as `keep_weights`.
        """
        slot = (self.steps - 1) % len(self.copies)
        self.losses[slot].copy_(mean_loss.detach(), non_blocking=mean_loss.is_cuda)
        if event := self.arrived[slot]:
            event.record()
        if not self.on_gpu:
            self._look_at_losses(before=self.steps)
        if self.on_step:
            self.on_step(self.epoch, len(self.learning_rates), self.last_loss)

    def _look_at_losses(self, before: int) -> None:
        """Look at the losses of all steps before number `before`, waiting for those that are still on their way."""
        while self.checked < before:
            slot = self.checked % len(self.copies)
            if event := self.arrived[slot]:
                event.synchronize()
            self.last_loss = self.losses[slot].item()
            if not math.isfinite(self.last_loss):
                self._fail(self.last_loss, self.checked)
            self.checked += 1

    def check(self, loss: float, where: str = "") -> float:
        """Return the mean loss of an epoch if it is finite. If not, restore the last good weights, and raise.

        Args:
            loss: a number of Python.
            where: words for the error if it was not measured in a training step.

        Raises:
            TrainingError: the loss is NaN or infinite.
        """
        if not where:
            self._look_at_losses(before=self.steps)
        if not math.isfinite(loss):
            self._fail(loss, self.steps, where)
        return loss

    def _fail(self, loss: float, step: int, where: str = "") -> None:
        """Restore the weights that the step before number `step` began with, and raise; the first is number 0."""
        torch._foreach_copy_(self.weights, self.copies[(step - 1) % len(self.copies)])
        number = step - self.steps_before + (0 if where else 1)
        epoch = f"epoch {self.epoch}, " if self.epoch else ""
        lr = self.learning_rates[number - 1]
        check_finite(loss, f" in {epoch}step {number}, at a learning rate of {lr:.3g}{where}")


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
            "and masks of that batch, and for a division by 0 in a loss of your own. In a training the model has its "
            "last good weights back; make a new optimizer for it.",
        )
    return loss
