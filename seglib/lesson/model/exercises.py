"""Owns the exercise checks of 04_model: a new last layer, a running mean by hand, frozen BatchNorm."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from seglib.lesson.common.exercise import Attempt, NotYet, describe, exercise


class _SmallDeepLab(nn.Module):
    """The head of a DeepLab, as it is, on a backbone of one layer: quick to build and to run."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 8, 3, stride=16, padding=1)
        self.classifier = DeepLabHead(8, 21)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        logits = self.classifier(self.backbone(images))  # (N, 21, H / 16, W / 16)
        return {"out": F.interpolate(logits, images.shape[-2:], mode="bilinear")}


@exercise
def check_new_head(my_head: Attempt) -> str:
    """Check `my_head(model, num_classes)`: the model, with a new last layer of that many channels."""
    before = _SmallDeepLab().eval()
    for num_classes in (1, 4):
        given = f"a model of 21 classes and num_classes={num_classes}"
        model = my_head(copy.deepcopy(before), num_classes, given=given)
        if not isinstance(model, nn.Module) or not isinstance(getattr(model, "classifier", None), nn.Module):
            raise NotYet(f"the model is expected back, changed; this is {describe(model)}.")
        _check_head(model.cpu().eval(), before, num_classes)  # a layer of the reader may lie on a GPU
    return "One 1x1 convolution is new; everything before it is as it was."


def _check_head(model: Any, before: _SmallDeepLab, num_classes: int) -> None:
    head = model.classifier
    if not isinstance(head, nn.Sequential) or len(head) < 5:
        raise NotYet(
            "the whole classifier is replaced, and with it the ASPP, which is pretrained. Replace its last layer "
            "alone: model.classifier[4]."
        )
    try:
        with torch.no_grad():
            channels = model(torch.zeros(1, 3, 32, 32))["out"].shape[1]
    except Exception:
        raise NotYet(
            "the new model cannot be run. The layer before the last gives 256 channels: nn.Conv2d(256, ...)."
        ) from None
    if channels != num_classes:
        hint = f"['out'] has {channels} channels, not {num_classes}."
        if getattr(head[4], "out_channels", None) == num_classes:
            hint += " out_channels is a mere note: setting it leaves the weights as they are. Make a new layer."
        raise NotYet(hint)
    if len(head) > 5:
        raise NotYet("a layer is added behind the old last one, which still squeezes all through 21 classes. Swap it.")
    old = {key: value for key, value in before.state_dict().items() if not key.startswith("classifier.4.")}
    new = model.state_dict()
    if any(key not in new or not torch.equal(new[key], value) for key, value in old.items()):
        raise NotYet("other weights than those of the last layer have changed: the pretraining is gone.")
    if tuple(new["classifier.4.weight"].shape) != (num_classes, 256, 1, 1):
        shape = tuple(new["classifier.4.weight"].shape)
        raise NotYet(f"the new weights are {shape}. DeepLab's last layer looks at one cell alone: kernel_size 1.")


@exercise
def check_running_mean(my_update: Attempt) -> str:
    """Check `my_update(running_mean, features, momentum)`: (C,), (N, C, H, W) and a number in, (C,) out."""
    generator = torch.Generator().manual_seed(0)
    for shape, momentum in (((2, 3, 4, 5), 0.1), ((4, 2, 3, 3), 0.3), ((1, 3, 1, 2), 0.01)):
        features = torch.rand(shape, generator=generator) * 4
        old = torch.rand(shape[1], generator=generator)
        norm = nn.BatchNorm2d(shape[1], momentum=momentum)
        norm.running_mean = old.clone()
        norm(features)
        given = f"features of shape {shape} and momentum {momentum}"
        new = my_update(old.clone(), features.clone(), momentum, given=given)
        if not isinstance(new, Tensor) or new.shape != old.shape:
            raise NotYet(
                f"{given}: {shape[1]} channels have {shape[1]} running means; this is {describe(new)}. "
                "Take the mean over pictures, rows and columns: dim=(0, 2, 3)."
            )
        mean = features.mean(dim=(0, 2, 3))
        typical = (
            (momentum * old + (1 - momentum) * mean, "momentum is the share of the new mean in torch, not of the old"),
            (mean, "this is the mean of the batch alone. Nine tenths of the old one stay, if momentum is 0.1"),
            (old, "nothing has changed. In training mode each batch moves the running mean a little"),
            (
                (1 - momentum) * old + momentum * features.mean(),
                "this takes one mean over all channels together. Each channel has its own: dim=(0, 2, 3)",
            ),
            (old + momentum * mean, "the old one has to shrink by what is added: (1 - momentum) * running_mean"),
        )
        for wrong, hint in typical:
            if torch.allclose(new, wrong, atol=1e-5):
                raise NotYet(f"{hint}.")
        if not torch.allclose(new, norm.running_mean, atol=1e-5):
            raise NotYet(f"{given}: torch comes to other numbers. It moves the old mean towards the batch's.")
    return "That is what each of the 53 BatchNorm layers does in every training step."


@exercise
def check_freeze(my_freeze: Attempt) -> str:
    """Check `my_freeze(model)`: the model, in training mode, but its BatchNorm layers use what they have stored."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 1, 1))
    got = my_freeze(model.train(), given="a small model in training mode")
    if not isinstance(got, nn.Module):
        raise NotYet(f"the model is expected back; this is {describe(got)}.")
    norm = next((module for module in got.modules() if isinstance(module, nn.BatchNorm2d)), None)
    if norm is None:
        raise NotYet("the BatchNorm layers are gone. They stay, and use their running averages.")
    dropout = next(module for module in got.modules() if isinstance(module, nn.Dropout))
    if not dropout.training:
        raise NotYet("dropout is off too: everything is in evaluation mode. Call eval() on the BatchNorm layers alone.")
    stored = norm.running_mean
    features = torch.rand(2, 4, 3, 3) + 3
    before = None if stored is None else stored.clone()
    out = norm(features)
    if before is None or stored is None or not torch.equal(before, stored):
        raise NotYet(
            "the running means still move, or are gone. They are no parameters: requires_grad has nothing to say to "
            "them, and their layer moves them unless it is in evaluation mode."
        )
    if out.mean().abs() < 0.5:
        raise NotYet(
            "the running means stand still, but the layer still normalises by the batch: a batch of one fails as "
            "before. In evaluation mode it uses what it has stored."
        )
    if not all(weight.requires_grad for weight in got.parameters()):
        raise NotYet("some weights cannot learn any more. Only the averages were to stand still.")
    return "Weights learn, dropout drops, and the averages stand still: this model can be trained on a batch of one."
