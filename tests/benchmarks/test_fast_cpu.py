"""The faster convolutions of a CPU compute what torch's compute, forward and backward."""

import pytest
import torch
from torch import nn

from benchmarks.common.fast_cpu import DepthwiseConv2d
from seglib.training.cpu_convolutions import MiddleTapConv2d


def gradients(convolution: nn.Conv2d, images: torch.Tensor) -> list[torch.Tensor]:
    """Outputs, gradient of the input, gradient of the weight."""
    images = images.clone().requires_grad_()
    outputs = convolution(images)
    outputs.square().sum().backward()
    return [outputs.detach(), images.grad, convolution.weight.grad]


# On the smallest maps some taps see nothing but padding.
@pytest.mark.parametrize("size", [(1, 9), (3, 4), (8, 10)])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (DepthwiseConv2d, {"kernel_size": 5, "padding": 4, "dilation": 2, "groups": 6}),
        (MiddleTapConv2d, {"kernel_size": 3, "padding": 12, "dilation": 12}),
    ],
)
def test_a_faster_convolution_computes_the_same(kind, settings, size):
    torch.manual_seed(0)
    images = torch.randn(2, 6, *size)
    convolution = nn.Conv2d(6, 6, bias=False, **settings)
    wanted = gradients(convolution, images)
    convolution.weight.grad = None
    convolution.__class__ = kind
    for got, want in zip(gradients(convolution, images), wanted, strict=True):
        assert torch.allclose(got, want, rtol=1e-4, atol=1e-4)
