"""What is recorded as a CUDA graph computes what the notes' five lines compute. Needs a GPU."""

import copy
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from seglib.errors import TrainingError
from seglib.losses import make_loss
from seglib.model import build_deeplab
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.cuda_graph import RecordedStep
from seglib.training.loop import train_one_epoch
from seglib.training.precision import make_step, set_precision
from tests.support.helpers import TinyModel

pytestmark = pytest.mark.gpu
CUDA = torch.device("cuda")
Batch = tuple[Tensor, Tensor]


def batches(count: int, pictures: int = 2, broken: int | None = None) -> list[Batch]:
    """Noisy pictures in pinned memory; one pixel of batch number `broken`, from 1, is NaN."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for number in range(1, count + 1):
        images = torch.randn(pictures, 3, 12, 16, generator=generator)
        masks = (images.mean(dim=1, keepdim=True) > 0).float()
        if number == broken:
            images[1, 0, 3, 4] = math.nan
        made.append((images.pin_memory(), masks.pin_memory()))
    return made


def new_model() -> nn.Module:
    torch.manual_seed(0)
    return TinyModel().to(CUDA).train()


def close(first: nn.Module, second: nn.Module, tolerance: float = 1e-4) -> bool:
    """Whether weights and running means agree; how many batches BatchNorm has counted is not kept by the guard."""
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.allclose(a, b, atol=tolerance) for a, b in pairs if a.is_floating_point())


def trained(
    given: list[Batch], name: str, recorded: bool, clip_norm: float | None = None
) -> tuple[nn.Module, float, object]:
    model = new_model()
    optimizer = make_optimizer(model, name, lr=0.02)
    scheduler = make_scheduler(optimizer, "poly", steps=len(given), warmup=2)
    criterion = make_loss("bce")
    step = make_step(model, criterion, optimizer, clip_norm=clip_norm, cuda_graph=True) if recorded else None
    if clip_norm and not recorded:
        step = make_step(model, criterion, optimizer, clip_norm=clip_norm)
    loss = train_one_epoch(model, given, criterion, optimizer, CUDA, scheduler=scheduler, step=step)
    return model, loss, step


@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_recorded_step_learns_what_the_five_lines_learn_at_each_learning_rate(name, clip_norm):
    given = batches(9)
    usual, usual_loss, _ = trained(given, name, recorded=False, clip_norm=clip_norm)
    recorded, loss, step = trained(given, name, recorded=True, clip_norm=clip_norm)
    assert step.graph is not None
    assert loss == pytest.approx(usual_loss, abs=1e-4)
    assert close(usual, recorded)
    assert not close(usual, new_model())


def test_a_batch_of_another_shape_is_computed_as_usual():
    given = [*batches(5), *batches(1, pictures=3), *batches(2)]
    usual, _, _ = trained(given, "adam", recorded=False)
    recorded, _, _ = trained(given, "adam", recorded=True)
    assert close(usual, recorded)


def test_in_no_step_python_waits_for_the_gpu():
    given = batches(8)
    model = new_model()
    optimizer = make_optimizer(model, lr=0.02)
    criterion = make_loss("bce_dice")
    step = make_step(model, criterion, optimizer, cuda_graph=True)

    def feed() -> Iterator[Batch]:
        yield from given[:5]  # the recording itself may wait
        torch.cuda.set_sync_debug_mode("error")
        yield from given[5:]
        torch.cuda.set_sync_debug_mode("default")

    try:
        train_one_epoch(model, feed(), criterion, optimizer, CUDA, step=step)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_guard_names_the_step_of_a_recorded_training_and_brings_its_weights_back():
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    step = make_step(model, make_loss("bce"), optimizer, cuda_graph=True)
    with pytest.raises(TrainingError, match=r"step 7, at a learning rate of 0\.02"):
        train_one_epoch(model, batches(9, broken=7), make_loss("bce"), optimizer, CUDA, step=step)
    wanted = new_model()
    optimizer = torch.optim.SGD(wanted.parameters(), lr=0.02)
    train_one_epoch(wanted, batches(5), make_loss("bce"), optimizer, CUDA)
    assert close(model, wanted)


def test_it_is_recorded_anew_when_the_optimizer_has_another_state_or_layers_thaw():
    model = new_model()
    optimizer = make_optimizer(model, lr=0.02)
    step = RecordedStep(make_step(model, make_loss("bce"), optimizer), optimizer)
    device_batches = [(images.to(CUDA), masks.to(CUDA)) for images, masks in batches(12)]
    for images, masks in device_batches[:5]:
        step(images, masks)
    weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    after = [step(images, masks).item() for images, masks in device_batches[5:]]
    model.load_state_dict(weights)
    optimizer.load_state_dict(state)
    again = [step(images, masks).item() for images, masks in device_batches[5:]]
    assert again == pytest.approx(after, abs=1e-4)
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    before = frozen.detach().clone()
    for images, masks in device_batches[:5]:
        step(images, masks)
    assert torch.equal(frozen, before)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_in_half_precision_a_deeplab_learns(precision, recorded):
    torch.manual_seed(0)
    model = build_deeplab(weights=None, verbose=False).to(CUDA)
    if torch.cuda.get_device_capability() < (8, 0) and precision == "bfloat16":
        pytest.skip("this GPU has no units for bfloat16")
    set_precision(model, precision)
    optimizer = make_optimizer(model, "adamw", lr=1e-3)
    criterion = make_loss("bce_dice")
    step = make_step(model, criterion, optimizer, clip_norm=1.0, cuda_graph=recorded)
    images = torch.randn(2, 3, 48, 64)
    masks = (images.mean(dim=1, keepdim=True) > 0).float()
    given = [(images, masks)] * 12
    first = train_one_epoch(model, given, criterion, optimizer, CUDA, step=step)
    second = train_one_epoch(model, given, criterion, optimizer, CUDA, step=step)
    assert second < first
    assert (step.scaler is not None) == (precision == "float16")
    if step.scaler:
        assert step.scaler.get_scale() > 1


def test_float16_without_a_scaled_loss_is_refused():
    model = build_deeplab(weights=None, verbose=False).to(CUDA)
    set_precision(model, "float16")
    with pytest.raises(TrainingError, match="nothing scales its loss"):
        model.train()(torch.randn(2, 3, 48, 64, device=CUDA))


def test_losses_of_classes_can_be_recorded():
    model = build_deeplab(num_classes=3, weights=None, verbose=False).to(CUDA)
    optimizer = make_optimizer(model, "adamw", lr=1e-3)
    criterion = make_loss("ce_dice", [0.5, 1.0, 2.0])
    step = make_step(model, criterion, optimizer, cuda_graph=True)
    given = [(torch.randn(2, 3, 48, 64), torch.randint(3, (2, 48, 64))) for _ in range(8)]
    assert math.isfinite(train_one_epoch(model, given, criterion, optimizer, CUDA, step=step))
    assert step.graph is not None
