"""Owns the watch that ends a training whose loss is no number, and the record of one. Explained in 06_training_loop."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from seglib.errors import TrainingError

OnStep = Callable[[int, int, float], None]


@dataclass
class History:
    """How a training went, one entry an epoch; `plot_history` of `seglib.lesson` draws it."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_iou: list[float] = field(default_factory=list)
    stopped: str = ""  # where somebody stopped it, as in "epoch 3, step 5"; "" if it ran to its end

    def add(self, train_loss: float, validation_loss: float, validation_iou: float) -> None:
        """Enter one whole epoch; whoever stopped before it, the training has gone on."""
        self.stopped = ""
        self.train_loss.append(train_loss)
        self.validation_loss.append(validation_loss)
        self.validation_iou.append(validation_iou)


class Watch:
    """Stands beside a training and, when the loss is no longer a number, puts the last good weights back.

    Good weights are those that gave the last finite loss; running means count as weights here, for a picture that
    holds NaN spoils them too. Nobody waits for a GPU: it keeps the weights by itself and sends its loss to a mailbox in
    the host's memory. So there the error may come some steps late, at the end of the epoch at the latest; the weights,
    and the step that it names, are right all the same. On a CPU it comes at once.

    Args:
        model: whose weights are kept, in as much memory again. It stays where it is.
        optimizer: knows the learning rate.
        on_step: called in each step, before the weights move, with the epoch, the step, both from 1, and the mean loss
            of the epoch so far (from a GPU, the last that has come; at first 0). May raise KeyboardInterrupt to stop.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> watch = Watch(model, torch.optim.SGD(model.parameters(), lr=0.1))
        >>> watch.step(torch.tensor(0.25))  # fine
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, on_step: OnStep | None = None, epoch: int = 0):
        tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
        self.live = [tensor for tensor in tensors if tensor.is_floating_point()]  # the model's own memory
        self.kept = [tensor.clone() for tensor in self.live]
        self.optimizer, self.on_step = optimizer, on_step
        self.epoch, self.told = epoch, 0.0  # fit counts epochs, a loop of your own may; the last loss that has come
        self.begin()

    def begin(self) -> None:
        """Call before the first step of each epoch."""
        self.rates: list[float] = []  # the learning rate of each step
        self.good_steps: Tensor | float = 0.0
        self.mailbox = torch.tensor(self.told)

    def step(self, mean_loss: Tensor) -> None:
        """Call in each step, after the forward pass and before the weights move.

        Args:
            mean_loss: of the epoch so far, a scalar on the model's device. Once it is no number, it stays none.

        Raises:
            TrainingError: it is no number. Says when, at which learning rate, and why that happens.
        """
        if not self.rates and mean_loss.is_cuda:
            self.mailbox = self.mailbox.pin_memory()  # a GPU can write there while the host goes on
        self.rates.append(max(group["lr"] for group in self.optimizer.param_groups))
        good = mean_loss.isfinite()
        self.good_steps = self.good_steps + good
        for kept, live in zip(self.kept, self.live, strict=True):
            torch.where(good, live, kept, out=kept)
        self.mailbox.copy_(mean_loss, non_blocking=mean_loss.is_cuda)
        self.told = self.check(self.mailbox.item())
        if self.on_step:
            self.on_step(self.epoch, len(self.rates), self.told)

    def check(self, loss: float, where: str = "") -> float:
        """Give the loss back if it is a finite number. If not, put the last good weights back, and raise.

        Args:
            loss: known to the host.
            where: it was measured, in words; nothing for a training step.
        """
        if not math.isfinite(loss):
            for kept, live in zip(self.kept, self.live, strict=True):
                live.copy_(kept)
            step = len(self.rates) if where else int(self.good_steps) + 1  # here a GPU is waited for
            epoch = f"epoch {self.epoch}, " if self.epoch else ""
            check_finite(loss, f" in {epoch}step {step}, at a learning rate of {self.rates[step - 1]:.3g}{where}")
        return loss


def check_finite(loss: float, where: str = "") -> float:
    """Give the loss back, or raise a `TrainingError` if it is NaN or infinite; `where` it became so, in words.

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


def mean_over_images(total_loss: Tensor, count: int, watch: Watch | None = None, where: str = "") -> float:
    """The sum of the losses of all images, divided by their number; a `TrainingError` if there is none, or not finite.

    Args:
        total_loss: a scalar on any device.
        count: of images.
        watch, where: as in `Watch.check`.
    """
    if not count:
        raise TrainingError(
            "The dataloader gave no batch.",
            "at least one picture",
            "Check the dataset's length, and drop_last: it drops the only batch of a small dataset.",
        )
    mean = (total_loss / count).item()
    return watch.check(mean, where) if watch else check_finite(mean, where)


def on_bar(bar: tqdm, on_step: OnStep | None) -> OnStep:
    """An `on_step` that shows epoch and running loss on the bar, and then asks the one that was given."""

    def tell(epoch: int, step: int, loss: float) -> None:
        bar.set_postfix(epoch=epoch, loss=f"{loss:.3f}", refresh=False)
        bar.update()
        if on_step:
            on_step(epoch, step, loss)

    return tell
