import math
import warnings

import pytest
import torch
from torch import nn

from seglib.errors import TrainingError
from seglib.optim import make_fused, make_optimizer, make_scheduler, parameter_groups
from tests.support.helpers import TinyModel, check_message


def rates(name: str, steps: int, warmup: int = 0, lr: float = 1.0) -> list[float]:
    """The learning rate of each step of a training, and the one after the last."""
    optimizer = make_optimizer(TinyModel(), lr=lr)
    schedule = make_scheduler(optimizer, name, steps, warmup)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
    return [*found, optimizer.param_groups[0]["lr"]]


def test_the_defaults_are_those_of_the_notes():
    optimizer = make_optimizer(TinyModel())
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["lr"] == 1e-5
    assert optimizer.defaults["weight_decay"] == 0
    assert optimizer.defaults["betas"] == (0.9, 0.999)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-5]


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_each_name_is_its_optimizer(name, kind):
    optimizer = make_optimizer(TinyModel(), name, lr=0.1, weight_decay=0.01)
    assert type(optimizer) is kind
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.01}
    assert optimizer.defaults.get("momentum", 0.9) == 0.9


@pytest.mark.parametrize("head_lr", [None, 1e-5, 1e-3])
def test_the_groups_hold_every_parameter_exactly_once(head_lr):
    model = TinyModel()
    groups = make_optimizer(model, head_lr=head_lr).param_groups
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(map(id, model.parameters()))
    assert len(groups) == (2 if head_lr == 1e-3 else 1)


def test_the_backbone_and_the_rest_get_their_own_rate():
    model = TinyModel()
    model.aux_classifier = nn.Conv2d(8, 1, 1)
    optimizer = make_optimizer(model, lr=1e-4, head_lr=1e-2)
    rate = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        assert rate[id(parameter)] == (1e-4 if name.startswith("backbone.") else 1e-2), name


def test_frozen_parameters_are_left_out():
    model = TinyModel()
    model.backbone.requires_grad_(False)
    optimizer = make_optimizer(model, lr=1e-4, head_lr=1e-2)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-2]
    assert len(optimizer.param_groups[0]["params"]) == 2
    assert len(list(parameter_groups(model, 1e-4))) == 1


def test_a_shared_parameter_is_moved_once():
    model = nn.Module()
    model.backbone = nn.Linear(2, 2)
    model.classifier = model.backbone
    assert sum(len(group["params"]) for group in parameter_groups(model, 1e-4, 1e-2)) == 2


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(TrainingError) as caught:
        make_optimizer(TinyModel(), "adamm")
    check_message(caught.value, '"adamm"', "adam, adamw, sgd")


@pytest.mark.parametrize(
    "options", [{"lr": 0}, {"lr": -1e-5}, {"lr": math.nan}, {"head_lr": 0.0}, {"head_lr": -1.0}, {"head_lr": math.nan}]
)
def test_a_rate_that_is_not_above_0_is_refused(options):
    with pytest.raises(TrainingError) as caught:
        make_optimizer(TinyModel(), **options)
    check_message(caught.value, str(next(iter(options.values()))), "above 0")


def test_nothing_to_train_is_refused():
    with pytest.raises(TrainingError) as caught:
        make_optimizer(TinyModel().requires_grad_(False))
    check_message(caught.value, "requires a gradient", "requires_grad_(True)")


# What the three do with a gradient, by hand


def moved(name: str, gradients: list[float], lr: float = 0.1, weight_decay: float = 0.0) -> float:
    """Where a weight of 1 stands after these gradients."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = make_optimizer(model, name, lr=lr, weight_decay=weight_decay)
    for gradient in gradients:
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
    return model.weight.item()


def test_sgd_remembers_nine_tenths_of_its_last_move():
    assert moved("sgd", [1.0, 1.0, 0.0]) == pytest.approx(1 - 0.1 * (1 + 1.9 + 1.71))


@pytest.mark.parametrize("gradient", [1e-3, 1.0, 1e3])
def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient(gradient):
    assert moved("adam", [gradient]) == pytest.approx(0.9, abs=1e-5)


def test_adam_by_hand():
    weight, mean, square = 1.0, 0.0, 0.0
    gradients = [0.5, -2.0, 3.0, 0.1]
    for step, gradient in enumerate(gradients, 1):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        weight -= 0.1 * mean / (1 - 0.9**step) / (math.sqrt(square / (1 - 0.999**step)) + 1e-8)
    assert moved("adam", gradients) == pytest.approx(weight, abs=1e-6)


def test_adamw_shrinks_a_weight_that_has_no_gradient_and_adam_of_the_notes_does_not():
    assert moved("adamw", [0.0] * 3, weight_decay=0.5) == pytest.approx((1 - 0.1 * 0.5) ** 3)
    assert moved("adam", [0.0] * 3) == 1


# Schedules


def test_constant_stays():
    assert rates("constant", 4, lr=0.5) == [0.5] * 5


def test_poly_falls_to_0_as_in_the_reference_of_torchvision():
    assert rates("poly", 10) == pytest.approx([(1 - step / 10) ** 0.9 for step in range(11)])


def test_cosine_falls_to_0():
    assert rates("cosine", 8) == pytest.approx([(1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)], abs=1e-9)


@pytest.mark.parametrize("name", ["constant", "poly", "cosine"])
def test_warmup_rises_from_a_hundredth_to_the_whole_rate_and_then_the_schedule_starts(name):
    found = rates(name, steps=14, warmup=4, lr=2.0)
    assert found[:5] == pytest.approx([2 * (0.01 + 0.99 * step / 4) for step in range(5)])
    assert found[4:] == pytest.approx([2 * rate for rate in rates(name, steps=10)], abs=1e-9)


@pytest.mark.parametrize("name", ["poly", "cosine"])
def test_no_step_has_no_rate_and_after_the_last_there_is_none(name):
    found = rates(name, steps=7, warmup=2)
    assert min(found[:-1]) > 0
    assert found[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["poly", "cosine"])
@pytest.mark.parametrize("warmup", [0, 3])
def test_a_training_that_goes_on_longer_does_not_rise_again(name, warmup):
    optimizer = make_optimizer(TinyModel(), lr=1.0)
    schedule = make_scheduler(optimizer, name, 8, warmup)
    for _ in range(16):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_both_groups_follow_the_schedule_at_their_own_rate():
    optimizer = make_optimizer(TinyModel(), lr=1.0, head_lr=10.0)
    schedule = make_scheduler(optimizer, "poly", 6, warmup=2)
    for _ in range(6):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert second == pytest.approx(10 * first)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(
    ("name", "steps", "warmup"), [("linear", 5, 0), ("poly", 5, 5), ("poly", 5, 9), ("poly", 0, 0), ("cosine", 5, -1)]
)
def test_a_schedule_that_cannot_be_is_refused(name, steps, warmup):
    with pytest.raises(TrainingError) as caught:
        make_scheduler(make_optimizer(TinyModel()), name, steps, warmup)
    check_message(caught.value, f'"{name}"', str(steps), str(warmup), "constant, poly, cosine", "len(train_dataloader)")


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_fused_optimizer_goes_on_where_it_was(name):
    def trained(fused_after: int | None) -> torch.Tensor:
        torch.manual_seed(0)
        layer = nn.Linear(3, 2)
        optimizer = make_optimizer(layer, name, lr=0.05)
        for step in range(6):
            if step == fused_after:
                make_fused(optimizer)
            optimizer.zero_grad()
            layer(torch.ones(4, 3)).square().mean().backward()
            optimizer.step()
        return layer.weight.detach()

    assert torch.allclose(trained(fused_after=3), trained(fused_after=None), atol=1e-6)
    assert torch.allclose(trained(fused_after=0), trained(fused_after=None), atol=1e-6)
