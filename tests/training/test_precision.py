import copy

import pytest
import torch

from seglib.data.normalization import to_model_inputs
from seglib.errors import TrainingError
from seglib.model import build_deeplab
from seglib.training.precision import use_bfloat16
from tests.support.helpers import check_message


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
    same = use_bfloat16(model)
    after = same(images)["out"]
    assert same is model
    assert list(model.state_dict()) == names
    assert after.dtype == torch.float32
    assert not torch.equal(after, before)
    assert (after - before).abs().max() < 0.1 * before.abs().max()
    copied = copy.deepcopy(use_bfloat16(model))  # twice is once; a copy has weights of its own
    with torch.no_grad():
        copied.classifier[4].bias += 1
    assert torch.allclose(copied(images)["out"], after + 1, atol=0.02)
    after.sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters() if parameter.grad is not None)


def test_bfloat16_is_refused_where_it_would_do_nothing_or_harm(monkeypatch):
    with pytest.raises(TrainingError) as caught:
        use_bfloat16(torch.nn.Linear(2, 2))
    check_message(caught.value, "Linear", "float16 with a scaler")
