"""Owns the exercise checks of 04_model: new last layers, places in use, a running mean by hand, frozen BatchNorm."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

from seglib.lesson.common.exercise import Attempt, NotYet, describe, exercise, number


class _SmallDeepLab(nn.Module):
    """The heads of a DeepLab, as they are, on a backbone of one layer: quick to build and to run."""

    def __init__(self, aux: bool = False) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 8, 3, stride=16, padding=1)
        self.classifier = DeepLabHead(8, 21)
        self.aux_classifier = FCNHead(8, 21) if aux else None

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.backbone(images)  # (N, 8, H / 16, W / 16)
        logits = {"out": self.classifier(features)}  # (N, 21, H / 16, W / 16)
        if self.aux_classifier is not None:
            logits["aux"] = self.aux_classifier(features)
        return {name: F.interpolate(grid, images.shape[-2:], mode="bilinear") for name, grid in logits.items()}


@exercise
def check_new_head(my_head: Attempt) -> str:
    """Check `my_head(model, num_classes)`: the model, with a new last layer of that many channels in each head."""
    for aux in (False, True):
        before = _SmallDeepLab(aux).eval()
        for num_classes in (1, 4):
            kind = "with an auxiliary head" if aux else "without an auxiliary head"
            given = f"a model of 21 classes {kind}, and num_classes={num_classes}"
            model = _exchanged(my_head, before, num_classes, given)
            if not isinstance(model, nn.Module) or not isinstance(getattr(model, "classifier", None), nn.Module):
                raise NotYet(f"the model is expected back, changed; this is {describe(model)}.")
            model = model.cpu().eval()  # a layer of the reader may lie on a GPU
            head = getattr(model, "aux_classifier", None)
            if aux and not (isinstance(head, nn.Sequential) and len(head) == 5):
                raise NotYet("the auxiliary head is gone, or has other layers. Replace its last layer alone.")
            _check_head(model, before, num_classes)
            if aux:
                _check_aux_head(model, before, num_classes)
            elif head is not None:
                raise NotYet("this model had no auxiliary head, and now it has one.")
    return "One 1x1 convolution in each head is new; everything before it is as it was."


NO_AUX = (
    "a model without an auxiliary head stops with an error. Its aux_classifier is None, so look before you exchange: "
    "if model.aux_classifier is not None."
)


def _exchanged(my_head: Attempt, before: _SmallDeepLab, num_classes: int, given: str) -> Any:
    """What the reader's function makes of a copy; an error about None has a hint of its own."""
    try:
        return my_head(copy.deepcopy(before), num_classes, given=given)
    except NotYet as hint:
        if "NoneType" in str(hint):
            raise NotYet(NO_AUX) from None
        raise


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
            "the new model cannot be run. The layer before the last gives 256 channels: nn.Conv2d(256, ...). In the "
            "auxiliary head it gives fewer: read the old layer's in_channels."
        ) from None
    if channels != num_classes:
        hint = f"['out'] has {channels} channels, not {num_classes}."
        if getattr(head[4], "out_channels", None) == num_classes:
            hint += " out_channels is a mere note: setting it leaves the weights as they are. Make a new layer."
        raise NotYet(hint)
    if len(head) > 5:
        raise NotYet("a layer is added behind the old last one, which still squeezes all through 21 classes. Swap it.")
    last = ("classifier.4.weight", "classifier.4.bias")  # of either head
    old = {key: value for key, value in before.state_dict().items() if not key.endswith(last)}
    new = model.state_dict()
    if any(key not in new or not torch.equal(new[key], value) for key, value in old.items()):
        raise NotYet("other weights than those of the last layer have changed: the pretraining is gone.")
    if tuple(new["classifier.4.weight"].shape) != (num_classes, 256, 1, 1):
        shape = tuple(new["classifier.4.weight"].shape)
        raise NotYet(f"the new weights are {shape}. DeepLab's last layer looks at one cell alone: kernel_size 1.")


def _check_aux_head(model: Any, before: _SmallDeepLab, num_classes: int) -> None:
    """The rest of the weights was compared by `_check_head`."""
    head = model.aux_classifier
    channels = model(torch.zeros(1, 3, 32, 32))["aux"].shape[1]
    if channels != num_classes:
        raise NotYet(
            f"['out'] is right, but ['aux'] has {channels} channels, not {num_classes}. A model with an auxiliary head "
            "has a second last layer: model.aux_classifier[4]."
        )
    wanted = (num_classes, before.aux_classifier[4].in_channels, 1, 1)  # type: ignore[index]
    if tuple(head[4].weight.shape) != wanted:
        raise NotYet("the last layer of the auxiliary head looks at one cell alone, too: kernel_size 1.")


PLACES = {"width": 40, "height": 30}  # the grid of a picture 640 wide, 480 high
RATES = (12, 24, 36)


def places_in_use(rate: int, width: int, height: int) -> int:
    """How many of the nine cells of a 3x3 window with this dilation ever lie on a grid of this size.

    Example:
        >>> places_in_use(rate=2, width=3, height=2)
        3
    """
    return (3 if rate < width else 1) * (3 if rate < height else 1)


@exercise
def check_places(my_places: Attempt) -> str:
    """Check `my_places()`: a list of three numbers, the places in use at the rates 12, 24 and 36 on 40 by 30 cells."""
    answer = my_places(given="nothing")
    if not isinstance(answer, list | tuple) or len(answer) != len(RATES):
        raise NotYet(f"three numbers are wanted, for the rates 12, 24 and 36; this is {describe(answer)}.")
    numbers = [number(value) for value in answer]
    if any(value not in range(1, 10) for value in numbers):
        raise NotYet("each is a whole number of places from 1 to 9.")
    wanted = [places_in_use(rate, **PLACES) for rate in RATES]
    if numbers == wanted:
        return "At rate 36 the window fits in width, 40, and not in height, 30: the middle row of its three is left."
    typical: dict[tuple[int, ...], str] = {
        (9, 1, 1): "that is the grid of a picture 320 wide. Of one 640 wide, 480 high it is 40 by 30.",
        (9, 9, 9): "that would need more than 36 cells in both directions, and the grid is 30 high.",
        (9, 9, 1): "at rate 36 the middle is not alone: 36 cells to the left or right of a cell there can be another.",
        (9, 9, 6): "at rate 36, is there a cell 36 above or below another one? The grid is 30 high.",
    }
    hint = typical.get(tuple(int(value) for value in numbers if value is not None))
    if hint is None:
        wrong = [rate for rate, value, right in zip(RATES, numbers, wanted, strict=True) if value != right]
        hint = f"not at rate {wrong[0]}. Look at the two directions one by one: 40 cells wide, 30 high."
    raise NotYet(hint)


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
