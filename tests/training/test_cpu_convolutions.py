"""Leaving out what lies on padding changes neither outputs, nor gradients, nor the names of the weights."""

import copy

import pytest
import torch
from torch import nn

from seglib import build_deeplab
from seglib.training.cpu_convolutions import MiddleTapConv2d, skip_padding


@pytest.mark.parametrize("size", [(96, 128), (240, 320)])  # maps of 6x8 and 15x20: all three rates, and two
def test_a_model_computes_the_same_in_less(size):
    torch.manual_seed(0)
    plain = build_deeplab(weights=None, verbose=False).eval()  # batch averages would magnify what is rounded
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(0.05)  # so that signals do not fade out on the way
    short = copy.deepcopy(plain)
    skip_padding(short)
    images = torch.randn(2, 3, *size)
    outputs = {}
    for name, model in (("plain", plain), ("short", short)):
        outputs[name] = model(images)["out"]
        outputs[name].square().mean().backward()
    assert outputs["plain"].std() > 1e-3
    assert torch.allclose(outputs["plain"], outputs["short"], rtol=1e-3, atol=1e-5)
    assert list(plain.state_dict()) == list(short.state_dict())
    for branch in (1, 2, 3):
        gradients = [model.classifier[0].convs[branch][0].weight.grad for model in (plain, short)]
        assert gradients[0].abs().max() > 0
        assert torch.allclose(*gradients, rtol=1e-2, atol=1e-3 * gradients[0].abs().max().item())


def test_windows_of_another_kind_stay_as_they_are():
    kinds = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=0, dilation=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, stride=2),
        nn.Conv2d(4, 4, 3, padding=1),
    )
    skip_padding(kinds)
    assert not any(isinstance(kind, MiddleTapConv2d) for kind in kinds)
