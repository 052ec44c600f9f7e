"""Owns the trainings of 14_many_gpus: eleven photographs by one process, by two, and by two with mistakes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seglib.data.dataloaders import make_loaders
from seglib.data.dataset import CustomDataset
from seglib.data.splits import read_split
from seglib.data.transforms import image_transform, joint_transform, mask_transform
from seglib.losses import make_loss
from seglib.metrics import confusion_matrix, iou
from seglib.model import build_deeplab
from seglib.training import distributed
from seglib.training.loop import evaluate

SAMPLES = Path("../data_samples")  # from the folder of the notebooks

RIGHT = ("one process", "two processes")
MISTAKES = ("no exchange", "mean of means", "one order for all epochs", "all load everything")
EPOCHS = 25
COUNT = 11  # in batches of 4, 4 and 3: the last is not even


def loaders_of(samples: Path, size: tuple[int, int] = (48, 64)) -> tuple[DataLoader, DataLoader]:
    """The loaders of one process: eleven photographs in batches of 4, and six validation pictures.

    Args:
        samples: the folder of the samples.
        size: (height, width) of the pictures.
    """
    split = read_split(samples / "split.json")
    folders = (samples / "images", samples / "masks")
    varied = CustomDataset(*folders, joint_transform=joint_transform(size, train=True))
    plain = CustomDataset(*folders, joint_transform=joint_transform(size, train=False))
    return make_loaders(varied.subset(split.train[:COUNT]), plain.subset(split.validation[:6]), batch_size=4)


def two_epochs(model: nn.Module, replica: nn.Module, train_dataloader: Iterable, criterion: Any) -> Tensor:
    """Train in evaluation mode, so that BatchNorm and dropout stand still; all weights in one row.

    Args:
        model: gives its weights.
        replica: the model, or DistributedDataParallel around it.
        train_dataloader: the batches of this process.
        criterion: the loss.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    replica.eval()
    for _ in range(2):
        for images, masks in train_dataloader:
            optimizer.zero_grad()
            loss = criterion(replica(images)["out"], masks)
            loss.backward()
            optimizer.step()
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def same_training(folder: Path, samples: Path = SAMPLES) -> None:
    """Train a DeepLab in each process alone, by all together, and by all with each its own loss.

    Process 0 writes into same.pt: for each of the three the weights after the training, and the confusion matrix and
    the loss on the validation pictures before it.

    Args:
        folder: for that file.
        samples: the folder of the samples.
    """
    with distributed.process_group() as device:
        criterion = make_loss("bce_dice")
        losses = {"alone": criterion, "together": distributed.global_batch_loss(criterion, 2), "own losses": criterion}
        found = {}
        for name, loss in losses.items():
            torch.manual_seed(0)
            model = build_deeplab(verbose=False).to(device)
            train_dataloader, validation_dataloader = loaders_of(samples)
            if name == "alone":
                score = evaluate(model, validation_dataloader, criterion, device)
                weights = two_epochs(model, model, train_dataloader, loss)
            else:
                own_pictures = distributed.shard_loader(validation_dataloader, whole_batches=True)
                score = distributed.evaluate_sharded(model, own_pictures, criterion, device)
                replica = distributed.to_ddp(model, device)
                weights = two_epochs(model, replica, distributed.shard_loader(train_dataloader), loss)
            found[name] = (weights.cpu(), score.matrix, score.loss)
        if distributed.rank() == 0:
            torch.save(found, folder / "same.pt")


def tiny_stacks(samples: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Eleven training and five validation pictures, 32 wide and 24 high: images (N, 3, H, W), masks (N, 1, H, W)."""
    size = (24, 32)
    pictures = CustomDataset(samples / "images", samples / "masks", image_transform(size), mask_transform(size))
    split = read_split(samples / "split.json")
    stacks = {}
    for side, stems in (("training", split.train[:COUNT]), ("validation", split.validation[2:7])):
        part = pictures.subset(stems)
        pairs = [part[idx] for idx in range(len(part))]
        stacks[side] = (torch.stack([image for image, _ in pairs]), torch.stack([mask for _, mask in pairs]))
    return stacks


def small_training(kind: str, stacks: dict[str, tuple[Tensor, Tensor]], rank: int) -> dict[str, Any]:
    """Train two convolutions by two processes, as they should or with a mistake; the exchange is written by hand.

    Args:
        kind: one of `RIGHT` and `MISTAKES`.
        stacks: of `tiny_stacks`.
        rank: of this process.

    Returns:
        Of this process: the mean loss of each epoch, the number of pictures computed, all weights in one row, and the
        outputs for the validation pictures.
    """
    images, masks = stacks["training"]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 1, 5, padding=2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    losses = []
    computed = 0
    for epoch in range(EPOCHS):
        seed = 0 if kind == "one order for all epochs" else epoch
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        total_loss = 0.0
        count = 0
        for batch in order.split(4):
            own = batch if kind in ("one process", "all load everything") else batch[rank::2]
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(model(images[own]), masks[own])
            loss.backward()
            if kind not in ("one process", "no exchange"):
                equal = kind in ("mean of means", "all load everything")
                share = 1 / 2 if equal else len(own) / len(batch)
                for weight in model.parameters():
                    assert weight.grad is not None
                    weight.grad *= share
                    dist.all_reduce(weight.grad)
            optimizer.step()
            total_loss += loss.item() * len(own)
            count += len(own)
        losses.append(total_loss / count)
        computed += count
    weights = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    outputs = model(stacks["validation"][0]).detach()
    return {"losses": losses, "computed": computed, "weights": weights, "outputs": outputs}


def mistakes(folder: Path, samples: Path = SAMPLES) -> None:
    """`small_training` of each kind, in two processes. Process 0 writes into trained.pt what both have found.

    Args:
        folder: for that file.
        samples: the folder of the samples.
    """
    dist.init_process_group("gloo")
    stacks = tiny_stacks(samples)
    rank = dist.get_rank()
    trained = {}
    for kind in RIGHT + MISTAKES:
        results: list[Any] = [None, None]
        dist.all_gather_object(results, small_training(kind, stacks, rank))
        trained[kind] = results
    if rank == 0:
        torch.save(trained, folder / "trained.pt")
    dist.destroy_process_group()


def distances(trained: dict[str, list[dict[str, Any]]]) -> dict[str, tuple[float, float]]:
    """Of each kind the largest difference of a weight: to one process, and between the two processes."""
    reference = trained["one process"][0]["weights"]
    found = {}
    for kind, (first, second) in trained.items():
        to_one = (first["weights"] - reference).abs().max().item()
        found[kind] = (to_one, (first["weights"] - second["weights"]).abs().max().item())
    return found


def fruit_iou(outputs: Tensor, numbers: Sequence[int], samples: Path = SAMPLES) -> float:
    """The IoU of the fruit over some of the five validation pictures; a number that comes twice counts twice.

    Args:
        outputs: of `small_training`, logits (5, 1, H, W).
        numbers: of the pictures, from 0.
        samples: the folder of the samples.
    """
    _, masks = tiny_stacks(samples)["validation"]
    matrices = [confusion_matrix((outputs[number] > 0).long(), masks[number].long()) for number in numbers]
    return iou(torch.stack(matrices).sum(dim=0))[1].item()
