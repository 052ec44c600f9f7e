"""Owns what 04_model measures of one trained model: with its stored averages, and with those of a batch."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglib.metrics import confusion_matrix, iou

Pairs = Sequence[tuple[Tensor, Tensor]]
Company = Sequence[Tensor]  # for each picture (N, 3, H, W), the others of its batch

BATCH_SIZE = 4


def in_training_mode(model: nn.Module, *, dropout: bool = False) -> nn.Module:
    """A copy in training mode; dropout is off, unless it is asked for, so that the same batch gives the same masks."""
    twin = copy.deepcopy(model).train()
    for part in twin.modules():
        if isinstance(part, nn.Dropout):
            part.train(dropout)
    return twin


@torch.no_grad()
def averages_from(model: nn.Module, images: Tensor) -> nn.Module:
    """A copy in evaluation mode whose BatchNorm averages are taken anew: plain means over batches of these images.

    Args:
        model: its weights stay as they are.
        images: (N, 3, H, W), normalised; more than one in the last batch of 4.
    """
    twin = in_training_mode(model)
    for part in twin.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None  # torch then takes the plain mean over all batches
    device = next(twin.parameters()).device
    for batch in images.split(BATCH_SIZE):
        twin(batch.to(device))
    return twin.eval()


@torch.no_grad()
def iou_in_company(model: nn.Module, pairs: Pairs, company: Company) -> float:
    """IoU of fruit over all pixels, each picture predicted in a batch with others, of which nothing else is used.

    Args:
        model: as it is, in whatever mode; outputs above 0 are fruit.
        pairs: images (3, H, W) and masks (1, H, W) of 0.0 and 1.0.
        company: for each picture (N, 3, H, W), the others of its batch; N may be 0.
    """
    device = next(model.parameters()).device
    predicted = []
    for (image, _), others in zip(pairs, company, strict=True):
        batch = torch.cat([image[None], others]).to(device)
        predicted.append((model(batch)["out"][0] > 0).cpu())  # (1, H, W)
    masks = torch.stack([mask for _, mask in pairs])
    return iou(confusion_matrix(torch.stack(predicted).long(), masks.long()))[1].item()


def strangers(count: int, images: Tensor, generator: torch.Generator) -> Company:
    """Three of these images at random, for each of `count` pictures."""
    return [images[torch.randperm(len(images), generator=generator)[: BATCH_SIZE - 1]] for _ in range(count)]


def neighbours(images: Tensor, generator: torch.Generator) -> Company:
    """Three of these images at random, for each of them, but never itself."""
    orders = [torch.randperm(len(images), generator=generator) for _ in images]
    return [images[order[order != number][: BATCH_SIZE - 1]] for number, order in enumerate(orders)]


def compare_modes(
    model: nn.Module, train_pairs: Pairs, validation_pairs: Pairs, draws: int = 8
) -> dict[str, float | list[float]]:
    """IoU on the validation pictures in each of the ways that 04_model compares, and on the training pictures in two.

    Args:
        model: trained; it stays as it is.
        train_pairs, validation_pairs: images (3, H, W), normalised, and masks (1, H, W) of 0.0 and 1.0.
        draws: how often company is drawn at random; such a way has a list, one IoU a draw.

    Returns:
        Way -> IoU. "stored" is evaluation mode; "taken anew" and "of validation" are evaluation mode with averages
        over the training and over the validation pictures; all others are training mode.
    """
    train_images = torch.stack([image for image, _ in train_pairs])
    images = torch.stack([image for image, _ in validation_pairs])
    count = len(images)
    nobody = [images[:0]] * count
    stored = copy.deepcopy(model).eval()
    batch = in_training_mode(model)
    as_left = in_training_mode(model, dropout=True)
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)  # dropout draws from torch's own generator
    beside = [neighbours(images, generator) for _ in range(draws)]
    beside_training = [strangers(count, train_images, generator) for _ in range(draws)]
    training_beside = [neighbours(train_images, generator) for _ in range(draws)]

    def drawn(twin: nn.Module, pairs: Pairs, companies: Sequence[Company]) -> list[float]:
        return [round(iou_in_company(twin, pairs, company), 4) for company in companies]

    return {
        "stored": round(iou_in_company(stored, validation_pairs, nobody), 4),
        "taken anew": round(iou_in_company(averages_from(model, train_images), validation_pairs, nobody), 4),
        "of validation": round(iou_in_company(averages_from(model, images), validation_pairs, nobody), 4),
        "as left": drawn(as_left, validation_pairs, beside),
        "validation pictures": drawn(batch, validation_pairs, beside),
        "training pictures": drawn(batch, validation_pairs, beside_training),
        "copy of itself": round(iou_in_company(batch, validation_pairs, list(images.split(1))), 4),
        "stored, on training pictures": round(
            iou_in_company(stored, train_pairs, [train_images[:0]] * len(train_images)), 4
        ),
        "training pictures, on training pictures": drawn(batch, train_pairs, training_beside),
    }
