"""Owns the cures for imbalance that 05_loss compares, and how the last bias is set from the share of fruit."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from seglib.lesson.common.short_training import Pairs
from seglib.losses import Loss, make_loss

WEIGHTS = (2.0, 4.3)  # 4.3 pixels of background for each of fruit in the training masks: both then weigh the same
GAMMA = 2.0


def weighted_bce(pos_weight: float) -> Loss:
    """BCE in which a pixel of fruit counts `pos_weight` times. For masks without 255."""

    def function(logits: Tensor, masks: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, masks, pos_weight=logits.new_tensor(pos_weight))

    return Loss(f"bce, pos_weight {pos_weight:g}", function, torch.sigmoid, 0.0)


def focal(alpha: float = -1.0) -> Loss:
    """Focal loss, gamma 2: BCE times the square of the probability that is missing. For masks without 255.

    Args:
        alpha: weight of fruit, beside 1 - alpha for background; -1 for none of both.
    """

    def function(logits: Tensor, masks: Tensor) -> Tensor:
        return sigmoid_focal_loss(logits, masks, alpha=alpha, gamma=GAMMA, reduction="mean")

    return Loss("focal" if alpha < 0 else f"focal, alpha {alpha:g}", function, torch.sigmoid, 0.0)


def fruit_share(pairs: Pairs) -> float:
    """Which share of all pixels of the masks is fruit; masks (1, H, W) of 0.0 and 1.0."""
    return torch.stack([mask for _, mask in pairs]).mean().item()


def start_at_share(model: nn.Module, share: float) -> None:
    """Set the bias of a DeepLab's last layer, with one output, to the logit of `share`."""
    last_layer: Any = model.get_submodule("classifier.4")
    with torch.no_grad():
        last_layer.bias.fill_(math.log(share / (1 - share)))


CURES = {
    "bce": make_loss("bce"),
    "bce, bias set": make_loss("bce"),
    **{loss.name: loss for loss in (*map(weighted_bce, WEIGHTS), focal(), focal(0.25))},
    "dice": make_loss("dice"),
}
