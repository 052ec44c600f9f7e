import copy

import pytest
import torch

from seglib.data.normalization import to_model_inputs
from seglib.errors import TrainingError
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.training.loop import fit
from seglib.training.precision import make_step, precision_of, set_precision
from tests.support.helpers import TinyModel, check_message


def test_floats_pass_through_as_they_are():
    images, masks = torch.rand(2, 3, 4, 4), torch.ones(2, 1, 4, 4, dtype=torch.uint8)
    assert to_model_inputs(images, masks)[0] is images
    assert to_model_inputs(images, masks)[1] is masks


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_bytes_in_either_order_are_normalised_as_the_notes_do_a_channel_after_the_other(layout):
    images = torch.randint(256, (2, 3, 5, 7), dtype=torch.uint8).to(memory_format=layout)
    before = images.clone()
    ready, _ = to_model_inputs(images, torch.zeros(2, 1, 5, 7))
    wanted = (images / 255 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    assert torch.allclose(ready, wanted, atol=1e-5)
    assert ready.is_contiguous()
    assert torch.equal(images, before)


def test_bfloat16_changes_the_forward_pass_and_nothing_else():
    torch.manual_seed(0)
    model = build_deeplab(weights=None, verbose=False).eval()
    names, images = list(model.state_dict()), torch.randn(2, 3, 48, 64)
    before = model(images)["out"]
    assert set_precision(model, "bfloat16") == precision_of(model) == "bfloat16"
    after = model(images)["out"]
    assert list(model.state_dict()) == names
    assert after.dtype == torch.float32
    assert not torch.equal(after, before)
    assert (after - before).abs().max() < 0.1 * before.abs().max()
    set_precision(model, "bfloat16")
    copied = copy.deepcopy(model)  # twice is once; a copy has weights of its own
    with torch.no_grad():
        copied.classifier[4].bias += 1
    assert torch.allclose(copied(images)["out"], after + 1, atol=0.02)
    after.sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters() if parameter.grad is not None)


def test_bfloat16_is_refused_where_it_would_do_nothing_or_harm(monkeypatch):
    with pytest.raises(TrainingError) as caught:
        set_precision(torch.nn.Linear(2, 2), "bfloat16")
    check_message(caught.value, "Linear", "auto")


def one_batch() -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    return images, (images.mean(dim=1, keepdim=True) > 0).float()


def stepped(clip_norm: float | None, by_hand: bool) -> tuple[torch.nn.Module, float]:
    """A model after one step, and the norm of its change."""
    torch.manual_seed(0)
    model = TinyModel().train()
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    images, masks = one_batch()
    if by_hand:
        loss = make_loss("bce")(model(images)["out"], masks)
        loss.backward()
        optimizer.step()
    else:
        loss = make_step(model, make_loss("bce"), optimizer, clip_norm=clip_norm)(images, masks)
        assert not loss.requires_grad
    after = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    return model, (after - before).norm().item()


def test_a_step_without_wishes_is_that_of_the_notes():
    (by_hand, _), (made, _) = stepped(None, by_hand=True), stepped(None, by_hand=False)
    assert all(torch.equal(a, b) for a, b in zip(by_hand.parameters(), made.parameters(), strict=True))


def test_gradients_that_are_too_long_are_shortened_to_the_norm():
    _, whole = stepped(None, by_hand=True)
    assert stepped(whole / 3, by_hand=False)[1] == pytest.approx(whole / 3, rel=1e-3)
    assert stepped(whole * 3, by_hand=False)[1] == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize("wish", [{"clip_norm": 0.0}, {"clip_norm": float("nan")}, {"cuda_graph": True}])
def test_wishes_that_cannot_be_met_are_refused(wish):
    model = TinyModel()
    with pytest.raises(TrainingError, match=next(iter(wish))):
        make_step(model, make_loss("bce"), torch.optim.SGD(model.parameters(), lr=0.1), **wish)


def test_auto_is_float32_on_a_cpu_and_takes_a_precision_back():
    model = build_deeplab(weights=None, verbose=False).eval()
    images = torch.randn(1, 3, 48, 64)
    before = model(images)["out"]
    set_precision(model, "bfloat16")
    assert set_precision(model, "auto") == "float32"
    assert torch.equal(model(images)["out"], before)
    with pytest.raises(TrainingError, match="for float16 a GPU"):
        set_precision(model, "float16")
    with pytest.raises(TrainingError, match="one of float32"):
        set_precision(model, "half")


def test_fit_passes_its_wishes_on():
    model = TinyModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    arguments = (model, [one_batch()], [one_batch()], make_loss("bce"), optimizer)
    with pytest.raises(TrainingError, match="clip_norm"):
        fit(*arguments, epochs=1, device=torch.device("cpu"), clip_norm=-1.0)
    with pytest.raises(TrainingError, match="cuda_graph"):
        fit(*arguments, epochs=1, device=torch.device("cpu"), cuda_graph=True)
    assert len(fit(*arguments, epochs=1, device=torch.device("cpu"), clip_norm=1.0).train_loss) == 1
