"""A training small enough to run to its end many times; with chance in the data, dropout, BatchNorm, a schedule."""

from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from seglib.data.dataloaders import make_loaders
from seglib.device import pick_device, seed_everything
from seglib.losses import make_loss
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.checkpoint import Checkpoint
from seglib.training.early_stopping import EarlyStopping
from seglib.training.history import History
from seglib.training.loop import fit

CPU = pick_device("cpu")


class Squares:
    """Pictures of noise with a bright square each, drawn anew by torch's chance whenever one is asked for."""

    def __init__(self, count: int, size: tuple[int, int] = (8, 10)):
        self.count, self.size = count, size

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, idx: int) -> tuple[Tensor, Tensor]:
        mask = torch.zeros(1, *self.size)  # (1, H, W)
        mask[:, 2 : 4 + idx % 3, 2:6] = 1
        return torch.randn(3, *self.size) + 2 * mask, mask


class Net(nn.Module):
    """Three layers, among them dropout and BatchNorm, that give back what a DeepLab does."""

    def __init__(self, channels: int = 1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, channels, 1)
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"out": self.layers(images)}


def training(folder: Path, loss: str = "bce", optimizer: str = "adamw", patience: int = 0, **others) -> SimpleNamespace:
    """All parts of a training, freshly made and always the same, and its checkpoint in `folder`."""
    seed_everything(0)
    made = SimpleNamespace(model=Net(), criterion=make_loss(loss), history=History())
    made.train, made.validation = make_loaders(Squares(6), [Squares(4)[idx] for idx in range(4)], batch_size=2)
    made.optimizer = make_optimizer(made.model, optimizer, lr=0.05)
    made.scheduler = make_scheduler(made.optimizer, "poly", steps=6 * 3, warmup=2)
    made.stopping = EarlyStopping(made.model, patience) if patience else None
    parts = {"scheduler": made.scheduler, "stopping": made.stopping, "size": (8, 10)} | others
    made.checkpoint = Checkpoint(folder / "run.pt", made.model, made.criterion, made.optimizer, made.train, **parts)
    return made


def go_on(made: SimpleNamespace, epochs: int, on_epoch=None) -> History:
    """Train until so many epochs are done, saving after each."""
    made.history = fit(
        made.model,
        made.train,
        made.validation,
        made.criterion,
        made.optimizer,
        epochs=epochs,
        device=CPU,
        scheduler=made.scheduler,
        on_epoch=on_epoch or made.checkpoint.save,
        stopping=made.stopping,
        history=made.history,
    )
    return made.history


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether every tensor of two models is the same, bit for bit."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
