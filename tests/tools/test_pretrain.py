"""What is stored of a pretraining: nothing that it never touched."""

import torch
from torch import nn

from seglib.model import build_deeplab
from tools.assets.pretrain import average, forget_the_untrained


def test_taps_that_saw_only_padding_are_forgotten_and_nothing_changes():
    model = build_deeplab(weights=None, verbose=False).eval()
    images = torch.randn(1, 3, 96, 160)
    with torch.inference_mode():
        before = model(images)["out"]
        forget_the_untrained(model, [[64, 96], [96, 160]])  # maps of up to 10 cells; the dilations are 12, 24, 36
        after = model(images)["out"]
    assert torch.allclose(after, before, rtol=0, atol=1e-5)
    middle = [[False, False, False], [False, True, False], [False, False, False]]
    assert used_taps(model) == [middle] * 3


def test_taps_that_were_trained_are_kept():
    model = build_deeplab(weights=None, verbose=False)
    forget_the_untrained(model, [[240, 320]])  # maps 20 cells wide
    assert [taps[0][0] for taps in used_taps(model)] == [True, False, False]


def test_the_average_lies_in_the_middle():
    torch.manual_seed(0)
    model = nn.BatchNorm2d(3)
    other = nn.BatchNorm2d(3)
    other.running_mean += 4
    other.num_batches_tracked += 7
    before = other.state_dict()
    average(model, before)
    assert model.running_mean.tolist() == [2, 2, 2]
    assert (model.num_batches_tracked.item(), other.running_mean.tolist()) == (0, [4, 4, 4])


def used_taps(model: nn.Module) -> list[list[list[bool]]]:
    """For each of the dilated convolutions of the head, which of its 3x3 taps hold anything but 0."""
    modules = [module for module in model.classifier.modules() if isinstance(module, nn.Conv2d)]
    return [(module.weight != 0).any(0).any(0).tolist() for module in modules if module.dilation[0] > 1]
