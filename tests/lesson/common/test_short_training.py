"""The short trainings that several lessons and benchmarks share."""

import math

import pytest
import torch
from torch import nn

from seglib.lesson.common.short_training import (
    MISTAKES,
    Recipe,
    RecipeRun,
    distances,
    iou_at,
    raw_outputs,
    train_longer,
    train_recipe,
)
from seglib.losses import make_loss
from tests.support.helpers import TinyModel


@pytest.fixture(scope="module")
def pairs():
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(6, 3, 32, 48, generator=draw)
    masks = (torch.rand(6, 1, 32, 48, generator=draw) > 0.8).float()
    return list(zip(images, masks, strict=True))


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_a_training_measures_where_it_is_told_to(pairs, loss):
    recipe = Recipe(loss, lr=1e-4)
    marks, again = (train_recipe(pairs[:4], pairs[4:], recipe, 3, marks=(1,)).marks for _ in range(2))
    assert [mark["epoch"] for mark in marks] == [1, 3]
    assert marks == again
    assert marks[0]["iou"] == marks[0]["iou_at"]["0.5" if loss == "mse" else "0.0"]
    for mark in marks:  # one step an epoch
        moved = mark["moved"]
        assert moved["all"] == pytest.approx(math.hypot(moved["backbone"], moved["head"]), rel=1e-3)
        assert 0.9 * 1e-4 < moved["farthest"] < 1.5 * mark["epoch"] * 1e-4


def test_a_training_may_be_prepared_and_measured_before_its_first_step(pairs):
    def prepare(model):
        torch.nn.init.constant_(model.classifier[4].bias, 100.0)

    criterion = make_loss("bce")
    run = train_recipe(pairs[:4], pairs[4:], Recipe(lr=1e-4), 1, marks=(0,), criterion=criterion, prepare=prepare)
    first, last = run.marks
    assert run.criterion is criterion
    assert (first["epoch"], last["epoch"]) == (0, 1)
    assert first["train_loss"] is None
    assert first["moved"]["all"] == 0 < last["moved"]["all"]
    assert first["drawn"] == 1
    fruit = torch.stack([mask for _, mask in pairs[4:]]).mean().item()
    assert first["iou"] == pytest.approx(fruit, abs=1e-4)
    assert first["loss"] == pytest.approx(100 * (1 - fruit), rel=0.1)


def test_the_schedule_of_a_recipe_is_stepped(pairs):
    constant, poly = (
        train_recipe(pairs[:4], pairs[4:], Recipe(lr=1e-3, schedule=schedule), epochs=9).marks[-1]["moved"]["all"]
        for schedule in ("constant", "poly")
    )
    assert 0.2 * constant < poly < 0.8 * constant  # 8 of the 9 steps rise, from a hundredth of the rate to the rate


def test_a_copy_goes_on_and_the_model_stays(pairs):
    run = RecipeRun(TinyModel(), make_loss("mse"))
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    model = train_longer(run, pairs, MISTAKES["mse, broadcast"], epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())
    assert not torch.equal(model.classifier.weight, before["classifier.weight"])


def test_distances_by_hand():
    model = TinyModel()
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        model.backbone[0].weight[0, 0, 0] += 3.0  # a row of three
        model.classifier.bias -= 4.0
    count = sum(parameter.numel() for parameter in model.parameters())
    total = math.sqrt(27 + 16)
    assert distances(model, start) == pytest.approx(
        {"backbone": math.sqrt(27), "head": 4, "all": total, "share": total / math.sqrt(count), "farthest": 4}, rel=1e-3
    )


def test_the_mistakes_are_mistakes():
    masks = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 1.0]]]])
    assert MISTAKES["mse, broadcast"](masks.clone(), masks).item() == 0.5
    sure = torch.full((1, 1, 1, 1), 50.0)
    wanted = make_loss("bce")(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1)).item()
    assert MISTAKES["bce, sigmoid twice"](sure, torch.ones(1, 1, 1, 1)).item() == pytest.approx(wanted)


def test_two_classes_are_read_as_the_difference_of_their_logits():
    class TwoClasses(nn.Module):
        def __init__(self):
            super().__init__()
            self.times = nn.Parameter(torch.tensor(3.0))

        def forward(self, images):
            return {"out": torch.stack([images[:, 0], self.times * images[:, 0]], dim=1)}

    pairs = [(torch.full((3, 2, 2), value), torch.ones(1, 2, 2)) for value in (-1.0, 0.5)]
    outputs, masks = raw_outputs(TwoClasses(), pairs)
    assert outputs.tolist() == [[[-2.0, -2.0]] * 2, [[1.0, 1.0]] * 2]
    assert masks.dtype == torch.int64
    assert iou_at(outputs, masks, 0.0) == 0.5
    assert iou_at(outputs, masks, -3.0) == 1.0
