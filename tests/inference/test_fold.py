"""A model whose BatchNorms are part of its convolutions: the same outputs, and the given model untouched."""

import pytest
import torch
from torch import nn

from seglib import build_deeplab
from seglib.inference.fold import fold_batchnorm, pairs_in


def test_a_folded_deeplab_gives_the_same_outputs_and_the_model_stays():
    torch.manual_seed(0)
    model = build_deeplab(weights=None, verbose=False)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):  # as after a training: not mean 0 and spread 1
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.normal_(layer.bias)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folded = fold_batchnorm(model)
    images = torch.rand(2, 3, 48, 64)
    with torch.no_grad():
        wanted = model.eval()(images)["out"]
        found = folded(images)["out"]
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-3 * wanted.abs().max().item())
    assert not any(pairs_in(part) for part in folded.modules())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_training_mode_is_left():
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    layers[1].running_mean.fill_(1.0)
    images = torch.rand(2, 3, 4, 4)
    assert torch.allclose(fold_batchnorm(layers)(images), layers.eval()(images), atol=1e-6)


def test_a_model_without_such_a_pair_is_given_back_itself():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
    assert fold_batchnorm(model) is model


def test_only_in_a_sequential_does_the_one_surely_follow_the_other():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3)  # comes first

        def forward(self, images):
            return self.conv(self.norm(images))

    odd = Odd()
    assert fold_batchnorm(odd) is odd


class Residual(nn.Sequential):
    def forward(self, images):
        return self[1](self[0](images) + images)


class NormFirst(nn.Sequential):
    def forward(self, images):
        return self[0](self[1](images))


def hooked(place: int, kind: str) -> nn.Module:
    layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    if kind == "before":
        layers[place].register_forward_pre_hook(lambda module, given: (given[0] * 2,))
    else:
        layers[place].register_forward_hook(lambda module, given, output: output.abs() + 1)
    return layers


def normed(norm) -> nn.Module:
    return nn.Sequential(norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*")
@pytest.mark.parametrize(
    "make",
    [
        lambda: Residual(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)),
        lambda: NormFirst(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)),
        lambda: hooked(0, "after"),
        lambda: hooked(1, "before"),
        lambda: hooked(0, "before"),
        lambda: normed(nn.utils.weight_norm),
        lambda: normed(nn.utils.spectral_norm),
    ],
    ids=["a sum between", "norm first", "hook behind", "hook between", "hook before", "weight_norm", "spectral_norm"],
)
def test_what_does_more_than_one_after_the_other_is_left_alone(make):
    torch.manual_seed(0)
    model = make().eval()
    model[1].running_mean.normal_()
    model[1].running_var.uniform_(0.5, 2)
    images = torch.rand(2, 3, 4, 4)
    wanted = model(images)
    assert torch.allclose(fold_batchnorm(model)(images), wanted, atol=1e-6)
    assert fold_batchnorm(model) is model
