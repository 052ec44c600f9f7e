"""What two processes do in tests/training/test_distributed.py: under torchrun, each writes into a file what it found.

torchrun --nproc-per-node=2 tests/support/two_processes.py everything FOLDER
"""

import datetime
import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from seglib.data.dataloaders import make_loaders
from seglib.device import seed_everything
from seglib.errors import TrainingError
from seglib.losses import make_loss
from seglib.training.distributed import (
    all_gather,
    average_batchnorm_statistics,
    evaluate_sharded,
    first_to_report,
    global_batch_loss,
    global_mean_loss,
    process_group,
    rank,
    shard_loader,
    to_ddp,
    world_size,
)
from seglib.training.loop import train_one_epoch
from tests.support.helpers import TinyModel

COUNT, BATCH = 11, 4  # batches of 4, 4 and 3: the last is not even


class Numbered:
    """Pictures that torch's chance draws, the first pixel their number; some pixels of the mask are to be ignored."""

    def __init__(self, count: int = COUNT, classes: bool = False):
        self.count, self.classes = count, classes

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, idx: int) -> tuple[Tensor, Tensor]:
        mask = torch.zeros(1, 6, 8)
        mask[:, 1 : 3 + idx % 3, 2:6] = 1
        mask[:, 0, : idx % 5] = 255  # more in some pictures than in others
        image = torch.randn(3, 6, 8) + mask.clamp(max=1)
        image[0, 0, 0] = idx
        return image, mask[0].long() if self.classes else mask


def frozen(model: nn.Module) -> nn.Module:
    """BatchNorm that looks at no batch, whatever mode the model is in."""
    for norm in [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]:
        norm.eval()
        norm.train = lambda mode=True, norm=norm: norm
    return model


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


def trained(loss: str, device: torch.device, epochs: int = 3) -> dict:
    """Train a tiny model whose BatchNorm is frozen, by all processes there are; its weights, losses and score."""
    classes = loss == "cross_entropy"
    seed_everything(0)
    model = frozen(TinyModel(num_classes=2 if classes else 1))
    loaders = make_loaders(Numbered(classes=classes), Numbered(5, classes), batch_size=BATCH)
    shares, criterion = (shard_loader(loaders[0]), shard_loader(loaders[1], whole_batches=True)), make_loss(loss)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    replica, of_all = to_ddp(model, device), global_batch_loss(criterion, -(-BATCH // world_size()))
    losses, evaluations = [], []
    for _ in range(epochs):
        own = train_one_epoch(replica, shares[0], of_all, optimizer, device)
        losses.append(global_mean_loss(own, shares[0]))
        evaluations.append(evaluate_sharded(model, shares[1], criterion, device))
    return {
        "weights": weights_of(model),
        "losses": losses,
        "validation losses": [each.loss for each in evaluations],
        "matrices": [each.matrix for each in evaluations],
    }


def seen(workers: int) -> list[list[list[int]]]:
    """The numbers of the pictures of each batch of this process, for two epochs, and a pixel that chance has drawn."""
    loader = shard_loader(make_loaders(Numbered(), Numbered(5), batch_size=BATCH, num_workers=workers, seed=3)[0])
    return [
        [[(int(image[0, 0, 0]), round(image[1, 2, 3].item(), 6)) for image in images] for images, _ in loader]
        for _ in range(2)
    ]


class Says(nn.Module):
    """A model whose answer is a number."""

    def __init__(self):
        super().__init__()
        self.number = nn.Parameter(torch.tensor(0.5))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"out": self.number * images[:, :1]}


def stopped_by_nan(device: torch.device) -> str:
    """What this process says if a picture of process 1 holds NaN."""
    pictures = torch.ones(2, 3, 2, 2)
    pictures[:, :, 0, 0] = float("nan") if rank() == 1 else 1.0
    model = Says()
    replica, criterion = to_ddp(model, device), global_batch_loss(make_loss("mse"), 2)
    try:
        train_one_epoch(
            replica, [(pictures, torch.ones(2, 1, 2, 2))], criterion, torch.optim.SGD(model.parameters(), 0.1), device
        )
    except TrainingError as error:
        return str(error)
    return "went on"


def statistics_of(device: torch.device) -> list[float]:
    """Running mean of a BatchNorm, before and after the processes average it, when process 1 sees brighter pictures."""
    norm = nn.BatchNorm2d(1, momentum=1.0)
    replica = to_ddp(nn.Sequential(nn.Conv2d(1, 1, 1), norm), device)
    with torch.no_grad():
        replica.module[0].weight.fill_(1.0)
        replica.module[0].bias.fill_(0.0)
    replica(torch.full((2, 1, 2, 2), 1.0 + 6 * rank()))
    before = norm.running_mean.item()
    average_batchnorm_statistics(replica.module)
    return [before, norm.running_mean.item()]


def dropped() -> list[float]:
    """Which numbers dropout leaves, seeded as the command line seeds each process."""
    from seglib.cli.train import _seed

    _seed(0, epoch=1, process=rank())
    return nn.functional.dropout(torch.ones(12)).tolist()


def few(device: torch.device) -> dict:
    """One validation picture, so that process 1 has none."""
    loader = shard_loader(make_loaders(Numbered(4), Numbered(1), batch_size=BATCH)[1], whole_batches=True)
    seed_everything(0)
    evaluation = evaluate_sharded(TinyModel(), loader, make_loss("bce"), device)
    return {"pixels": int(evaluation.matrix.sum()), "loss": evaluation.loss, "batches": len(loader)}


def everything(device: torch.device) -> dict:
    return {
        "seen": seen(0),
        "seen by workers": seen(1),
        **{loss: trained(loss, device) for loss in ("mse", "bce", "dice", "bce_dice", "cross_entropy")},
        "nan": stopped_by_nan(device) if world_size() > 1 else "",
        "statistics": statistics_of(device) if world_size() > 1 else [],
        "dropout": dropped(),
        "few": few(device),
        "first": first_to_report(),
    }


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    with process_group("cpu", datetime.timedelta(seconds=5 if what == "silent" else 60)) as device:
        if what == "everything":
            torch.save(everything(device), folder / f"{rank()}.pt")
        elif rank() == 1 and what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif rank() == 1:  # silent
            time.sleep(60)
            (folder / "woke.txt").write_text("nobody has ended this process")
        else:
            if what == "killed":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun would end it before it can speak
            try:
                all_gather("are you there?")
            except RuntimeError as error:
                (folder / "torch.txt").write_text(str(error))
                raise


if __name__ == "__main__":
    try:
        main()
    except TrainingError as error:
        Path(sys.argv[2], "said.txt").write_text(str(error))
        sys.exit(2)
