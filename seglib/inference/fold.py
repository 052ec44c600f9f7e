"""Owns a copy of a model for prediction alone, in which BatchNorm is part of the convolutions. See 11_predict."""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.segmentation.deeplabv3 import ASPPPooling

# The forwards that run all parts one after the other. That of torchvision's pooling does so, and then enlarges.
IN_ORDER = (nn.Sequential.forward, ASPPPooling.forward)


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """A copy of a model, in evaluation mode, without the BatchNorms that follow a convolution in a `Sequential`.

    In evaluation mode BatchNorm multiplies each channel by a number and adds another one. A convolution can do that
    itself, with other weights, so a pass over the whole of the activations is saved. The outputs differ by rounding.
    That the one follows the other is known only of a `Sequential` without a forward of its own. A part with hooks is
    left alone: they may change what passes, or, as `weight_norm`, the weights. A model that calls the parts of a plain
    `Sequential` by itself, in another order, cannot be told apart: do not fold such a one.

    Args:
        model: stays as it is. It is given back itself, in evaluation mode, if there is nothing to fold.

    Example:
        >>> import torch
        >>> layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> folded = fold_batchnorm(layers)
        >>> images = torch.rand(1, 3, 8, 8)
        >>> type(folded[1]).__name__, torch.allclose(folded(images), layers(images), atol=1e-6)
        ('Identity', True)
    """
    model.eval()
    if not any(pairs_in(part) for part in model.modules()):
        return model
    folded = copy.deepcopy(model)
    for part in list(folded.modules()):
        for conv_name, norm_name in pairs_in(part):
            conv = part.get_submodule(conv_name)
            norm = part.get_submodule(norm_name)
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            setattr(part, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(part, norm_name, nn.Identity())
    return folded


def pairs_in(part: nn.Module) -> list[tuple[str, str]]:
    """Names of a convolution and of the BatchNorm that runs right after it, for each such pair in a `Sequential`."""
    if not isinstance(part, nn.Sequential) or type(part).forward not in IN_ORDER:
        return []
    children = list(part.named_children())
    return [
        (name, next_name)
        for (name, child), (next_name, next_child) in zip(children, children[1:], strict=False)
        if type(child) is nn.Conv2d and type(next_child) is nn.BatchNorm2d and next_child.track_running_stats
        if not _has_hooks(child) and not _has_hooks(next_child)
    ]


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
