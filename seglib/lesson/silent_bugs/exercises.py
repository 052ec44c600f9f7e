"""Owns the exercise checks of 12_silent_bugs: weights that stay, a moved mask, one evaluation, copied pictures."""

from typing import Any

import torch
from torch import Tensor, nn, optim

from seglib.lesson.common.exercise import Attempt, NotYet, close, describe, exercise, one_number
from seglib.metrics import confusion_matrix, iou


@exercise
def check_unmoved(my_unmoved: Attempt) -> str:
    """Check `my_unmoved(model, optimizer)`: the names of the parameters that the optimizer does not hold, sorted."""
    compared = "tensors cannot be looked up by value: `in` compares their numbers. Compare by identity, id(weight)."
    for given, model, optimizer, wanted in _models_and_optimizers():
        result = my_unmoved(model, optimizer, given=given, hints={RuntimeError: compared})
        if isinstance(result, str) or not isinstance(result, list | tuple | set):
            raise NotYet(f"a list of names is wanted; this is {describe(result)}.")
        got = [name if isinstance(name, str) else describe(name) for name in result]
        if got != wanted:
            all_names = [name for name, _ in model.named_parameters()]
            raise NotYet(_hint_for_names(got, wanted, all_names, given))
    return "Whoever is not in a group stays where it is."


def _models_and_optimizers() -> list[tuple[str, nn.Module, optim.Optimizer, list[str]]]:
    """(words, model, optimizer, the names of the parameters that the optimizer does not hold), three times."""
    whole = _two_layers()
    replaced = _two_layers()
    without_backbone = _two_layers()
    cases: list[tuple[str, nn.Module, optim.Optimizer, list[str]]] = [
        ("an optimizer that holds everything, in two groups", whole, _two_groups([*whole.parameters()]), []),
        (
            "a model whose head was replaced after the optimizer was made",
            replaced,
            _two_groups([*replaced.parameters()]),
            ["head.bias", "head.weight"],
        ),
        (
            "an optimizer that was never given the backbone",
            without_backbone,
            _two_groups([*without_backbone["head"].parameters()]),
            ["backbone.weight"],
        ),
    ]
    replaced["head"] = nn.Linear(2, 1)
    return cases


def _two_layers() -> nn.ModuleDict:
    return nn.ModuleDict({"backbone": nn.Linear(2, 2, bias=False), "head": nn.Linear(2, 1)})


def _two_groups(parameters: list[nn.Parameter]) -> optim.Optimizer:
    """An optimizer that holds the first of these parameters in one group, and the others in another."""
    groups: list[dict[str, Any]] = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.5}]
    return optim.SGD(groups, lr=0.1)


def _hint_for_names(got: list[str], wanted: list[str], all_names: list[str], given: str) -> str:
    if sorted(got) == wanted:
        return "the names are right, but not in a sorted list."
    if sorted(got) == sorted(set(all_names) - set(wanted)):
        return f"given {given}, these are the names that it holds. The others are wanted."
    head_is_wanted = "head.weight" in wanted
    if head_is_wanted and not got:
        return "the new head has the same names and shapes as the old one, and is another. Compare by id."
    if not head_is_wanted and any(name.startswith("head") for name in got):
        return "an optimizer may have several groups: look into each of optimizer.param_groups."
    return f"given {given}, {wanted} is wanted, and {got} came out."


class _CountingModel(nn.Module):
    """Gives the first channel of the images as its logits, and counts images; in training mode everything is fruit."""

    def __init__(self) -> None:
        super().__init__()
        self.images_seen = 0

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        self.images_seen += len(images)
        logits = images[:, :1]
        return {"out": logits.abs() + 1 if self.training else logits}


@exercise
def check_evaluate(my_evaluate: Attempt) -> str:
    """Check `my_evaluate(model, batches)`: IoU of the fruit after BCE, from one confusion matrix over all batches."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for count, share in ((4, 0.9), (4, 0.5), (2, 0.05)):
        masks = (torch.rand(count, 1, 4, 4, generator=generator) < share).float()
        noise = torch.rand(count, 3, 4, 4, generator=generator) < 0.25
        images = torch.where(noise, 1 - masks, masks).sub(0.5).mul(0.8)  # logits of -0.4 and 0.4, (N, 3, H, W)
        batches.append((images, masks))
    model = _CountingModel().train()
    given = "batches of 4, 4 and 2 pictures, and a model in training mode"
    dict_hint = "the model gives a dict: its answer is model(images)['out']."
    result = my_evaluate(model, batches, given=given, hints={AttributeError: dict_hint, KeyError: dict_hint})
    value = one_number(result)
    if model.training:
        raise NotYet("the model answered in training mode. model.eval() comes first.")
    if model.images_seen < 10:
        raise NotYet(
            f"it was asked for {model.images_seen} of 10 pictures: the last batch is smaller, and counts as well."
        )
    matrices = [confusion_matrix((images[:, :1] > 0).long(), masks.long()) for images, masks in batches]
    whole: Any = torch.stack(matrices).sum(0)
    right = iou(whole)[1].item()
    if close(value, right):
        return "One mode, one matrix, every picture."
    for wrong, hint in (
        (sum(iou(m)[1].item() for m in matrices) / 3, "this is the mean of the batches' IoUs. Add the matrices up."),
        ((whole.diag().sum() / whole.sum()).item(), "this is pixel accuracy: it counts the background as a success."),
        (iou(whole).mean().item(), "this is the mean of fruit and background. The fruit alone is wanted: iou(...)[1]."),
        (iou(whole)[0].item(), "this is the IoU of the background, class 0."),
        (0.0, "nothing was found. These are logits, and the threshold that belongs to them is 0, not 0.5."),
    ):
        if close(value, wrong):
            raise NotYet(hint)
    raise NotYet(f"the IoU of the fruit over all pixels is {right:.4f}, and {value:.4f} came out.")


@exercise
def check_on_both_sides(my_on_both_sides: Attempt) -> str:
    """Check `my_on_both_sides(train, validation)`: places of validation images in training, as they are or mirrored."""
    generator = torch.Generator().manual_seed(0)
    train = [torch.rand(3, 4, 6, generator=generator) for _ in range(5)]
    new = [torch.rand(3, 4, 6, generator=generator) for _ in range(2)]
    brighter = train[0] + 0.1
    validation = [new[0], train[3].clone(), brighter, train[1].flip(-1), new[1]]
    compared = "`in` compares numbers, and a tensor of many answers has no truth. torch.equal(a, b) gives one answer."
    given = "five training images and five validation images"
    result = my_on_both_sides(train, validation, given=given, hints={RuntimeError: compared, ValueError: compared})
    if not isinstance(result, list | tuple | set):
        raise NotYet(f"a list of places is wanted; this is {describe(result)}.")
    got = list(result)
    if got == [1, 3]:
        if my_on_both_sides(train, [image.clone() for image in new], given="sides that share nothing"):
            raise NotYet("with two sides that share nothing, the list should be empty.")
        return "Two of five were trained on, one of them mirrored; a brighter copy would need another check."
    if not got:
        raise NotYet("none was found. A copy is another object: compare the pixels, not the identity.")
    if sorted(map(str, got)) == ["1", "3"]:
        raise NotYet("the places are right, but not in order.")
    if 2 in got:
        raise NotYet("number 2 is a brighter picture, not the same one: equal means equal in each pixel.")
    if got == [1]:
        raise NotYet("place 1 is right. Another one is mirrored, left to right: image.flip(-1) turns it back.")
    raise NotYet(f"places 1 and 3 of validation are in training too, and {got} came out.")


@exercise
def check_moved_mask(my_iou: Attempt) -> str:
    """Check `my_iou()`: the IoU of a perfect drawing of a fruit 30 wide with its mask, which lies 10 to the right."""
    value = one_number(my_iou(given="nothing"))
    if close(value, 0.5):
        return "Both have 20 columns in common, and 40 between them."
    for wrong, hint in (
        (2 / 3, "20 of 30 columns are covered, which is the recall (and here the Dice). IoU divides by the union."),
        (1 / 3, "a third is what the mask misses; or 60 counts the shared columns twice: the union is narrower."),
        (0.0, "they still overlap: by 20 of 30 columns."),
        (1.0, "the drawing is perfect, but the mask is not where the fruit is."),
    ):
        if close(value, wrong):
            raise NotYet(hint)
    if value in (20, 400, 240):
        raise NotYet("this is what they have in common, in columns or pixels. Divide by the union.")
    raise NotYet(f"the intersection is 20 columns wide; how wide is the union? {value:g} came out.")
