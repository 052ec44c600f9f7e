import copy
import math
import re

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from seglib.errors import TrainingError
from seglib.losses import make_loss
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.divergence_guard import DivergenceGuard, check_finite
from seglib.training.history import History
from seglib.training.loop import evaluate, fit, mean_over_images, train_one_epoch
from tests.support.helpers import TinyModel, check_message

CPU = torch.device("cpu")


def batches(count: int, broken: int | None = None, value: float = math.nan) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of two noisy pictures; one pixel of batch number `broken`, from 1, holds `value`."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for number in range(1, count + 1):
        images = torch.randn(2, 3, 12, 16, generator=generator)
        masks = (images.mean(dim=1, keepdim=True) > 0).float()
        if number == broken:
            images[1, 0, 3, 4] = value
        made.append((images, masks))
    return made


def trained(steps: int, lr: float = 0.05) -> nn.Module:
    """A model after some whole steps on `batches`, by the loop of the notes."""
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for images, masks in batches(steps):
        images = images.to(memory_format=torch.channels_last)  # another order, another rounding
        optimizer.zero_grad()
        make_loss("bce")(model(images)["out"], masks).backward()
        optimizer.step()
    return model


def new_model() -> nn.Module:
    torch.manual_seed(0)
    return TinyModel().train()


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


# A loss that is no number


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_it_stops_at_the_step_and_leaves_the_weights_of_the_last_good_one(value):
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    given = iter(batches(9, broken=4, value=value))
    with pytest.raises(TrainingError) as caught:
        train_one_epoch(model, given, make_loss("bce"), optimizer, CPU)
    check_message(caught.value, "in step 4, at a learning rate of 0.05", "learning rate is too high", "NaN", "batch")
    assert len(list(given)) == 5  # no batch after the broken one was asked for
    assert same_weights(model, trained(2))  # the third loss was the last good one: it came before the third step
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())  # running means too
    assert math.isfinite(evaluate(model, batches(1), make_loss("bce"), CPU).loss)


def test_a_learning_rate_that_is_far_too_high_leaves_a_model_that_works():
    model = new_model()
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e38)
    with pytest.raises(TrainingError, match=r"step 2, at a learning rate of 1e\+38"):
        train_one_epoch(model, batches(5), make_loss("mse"), optimizer, CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.named_parameters())
    assert math.isfinite(evaluate(model, batches(2), make_loss("mse"), CPU).loss)


def test_fit_names_the_epoch_and_the_learning_rate_of_that_step():
    model, given = new_model(), batches(3)
    optimizer = make_optimizer(model, "sgd", lr=1.0)
    schedule = make_scheduler(optimizer, "poly", steps=9)
    calls = []

    class Spoiled:
        def __iter__(self):
            calls.append(1)
            return iter(batches(3, broken=2) if len(calls) == 2 else given)

    with pytest.raises(TrainingError, match="in epoch 2, step 2, at a learning rate of 0.589"):  # (1 - 4 / 9) ** 0.9
        fit(model, Spoiled(), given, make_loss("bce"), optimizer, epochs=3, device=CPU, scheduler=schedule)


def test_the_highest_of_several_learning_rates_is_named():
    model = new_model()
    optimizer = make_optimizer(model, lr=1e-4, head_lr=1e-2)
    with pytest.raises(TrainingError, match="a learning rate of 0.01"):
        train_one_epoch(model, batches(1, broken=1), make_loss("bce"), optimizer, CPU)


def test_a_validation_loss_that_is_no_number_ends_it_too():
    """The last step of an epoch may be the one that ruins the weights: no training loss comes after it."""
    model = new_model()
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e38)
    with pytest.raises(TrainingError) as caught:
        fit(model, batches(1), batches(1), make_loss("mse"), optimizer, epochs=3, device=CPU)
    check_message(caught.value, "in epoch 1, step 1", "1e+38", "validation pictures")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.named_parameters())


def test_weights_that_nobody_trains_are_kept_as_well():
    model = new_model()
    model.backbone.requires_grad_(False)
    with pytest.raises(TrainingError):
        train_one_epoch(model, batches(3, broken=2), make_loss("bce"), make_optimizer(model, lr=0.1), CPU)
    assert model.backbone[1].running_mean.isfinite().all()


# Nobody waits for a GPU


class Reads(TorchDispatchMode):
    """Notes each tensor whose number the host reads, which on a GPU would be a wait."""

    def __init__(self):
        super().__init__()
        self.read = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            self.read.append(args[0].data_ptr())
        return function(*args, **(kwargs or {}))


def test_in_a_step_the_host_reads_nothing_but_its_own_pinned_loss():
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    guard, given, seen = DivergenceGuard(model, optimizer), batches(4), []

    def criterion(outputs, masks):  # without the guard, which looks at masks only where they lie on a CPU
        return (outputs - masks).square().mean()

    def feed(reads: Reads):
        yield given[0]
        for batch in given[1:]:
            seen.append(list(reads.read))
            reads.read.clear()
            yield batch

    with Reads() as reads:
        train_one_epoch(model, feed(reads), criterion, optimizer, CPU, guard=guard)
    pinned = [loss.data_ptr() for loss in guard.losses]
    assert seen == [[pinned[0]], [pinned[1]], [pinned[0]]]


@pytest.mark.gpu
def test_on_a_gpu_no_step_waits_for_the_host():
    device = torch.device("cuda")
    model = new_model().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    given = [(images.pin_memory(), masks.pin_memory()) for images, masks in batches(6)]

    def feed():
        torch.cuda.set_sync_debug_mode("error")  # from here on, waiting is an error
        yield from given
        torch.cuda.set_sync_debug_mode("default")

    try:
        train_one_epoch(model, feed(), make_loss("bce"), optimizer, device)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_on_a_gpu_the_right_step_is_named_and_its_weights_are_back():
    device = torch.device("cuda")
    model = new_model().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with pytest.raises(TrainingError, match=r"step 4, at a learning rate of 0\.05"):
        train_one_epoch(model, batches(6, broken=4), make_loss("bce"), optimizer, device)
    wanted = trained(2).to(device)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(model.parameters(), wanted.parameters(), strict=True))


# What the guard tells


def test_each_step_is_told_with_the_mean_loss_so_far():
    model, told = new_model(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-12)  # as good as standing still
    given = [(torch.zeros(n, 3, 4, 4), torch.full((n, 1, 4, 4), share)) for n, share in ((3, 0.0), (1, 1.0))]
    guard = DivergenceGuard(model, optimizer, lambda *step: told.append(step))
    mean = train_one_epoch(model, given, make_loss("mse"), optimizer, CPU, guard=guard)
    assert [(epoch, step) for epoch, step, _ in told] == [(0, 1), (0, 2)]
    assert told[-1][2] == pytest.approx(mean)
    assert told[0][2] != pytest.approx(mean)


def test_fit_counts_epochs_and_steps_from_one():
    model, told = new_model(), []
    optimizer = make_optimizer(model)
    fit(
        model,
        batches(2),
        batches(1),
        make_loss("bce"),
        optimizer,
        epochs=2,
        device=CPU,
        on_step=lambda *step: told.append(step[:2]),
    )
    assert told == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_the_bar_shows_the_running_loss(capsys, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "0")  # bars are off in tests
    model = new_model()
    fit(model, batches(3), batches(1), make_loss("bce"), make_optimizer(model), epochs=2, device=CPU)
    shown = capsys.readouterr().err
    assert re.search(r"6/6 .*epoch=2, loss=0\.\d{3}", shown)
    assert "IoU 0." in shown


def test_a_dataloader_of_unknown_length_has_a_bar_too():
    model = new_model()
    history = fit(
        model, (b for b in batches(3)), batches(1), make_loss("bce"), make_optimizer(model), epochs=1, device=CPU
    )
    assert len(history.train_loss) == 1


# Stopped by hand


def interrupted_at(epoch: int, step: int):
    def on_step(*now):
        if now[:2] == (epoch, step):
            raise KeyboardInterrupt

    return on_step


def test_stopped_in_mid_epoch_the_history_has_the_whole_epochs():
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    stop = interrupted_at(2, 3)
    history = fit(model, batches(4), batches(1), make_loss("bce"), optimizer, epochs=5, device=CPU, on_step=stop)
    assert history.stopped == "epoch 2, step 3"
    assert len(history.train_loss) == len(history.validation_loss) == len(history.validation_iou) == 1
    assert not model.training  # as after a whole training: dropout would be on otherwise


def test_stopped_in_mid_epoch_the_model_has_done_whole_steps():
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    fit(model, batches(4), batches(1), make_loss("bce"), optimizer, epochs=5, device=CPU, on_step=interrupted_at(1, 4))
    assert same_weights(model, trained(4))


def test_after_a_stop_the_training_can_go_on():
    model = new_model()
    optimizer = make_optimizer(model, lr=0.05)
    first = fit(
        model, batches(4), batches(1), make_loss("bce"), optimizer, epochs=5, device=CPU, on_step=interrupted_at(2, 2)
    )
    more = fit(model, batches(4), batches(1), make_loss("bce"), optimizer, epochs=10, device=CPU)
    assert more.stopped == ""
    assert more.train_loss[-1] < first.train_loss[0]


def interrupt_after(calls: int):
    """A function that raises KeyboardInterrupt once: when it is called once more than so many times."""
    left = [calls]

    def call(*_, **__):
        left[0] -= 1
        if left[0] == -1:
            raise KeyboardInterrupt

    return call


class Calling:
    """Batches that call a function before each of them, in every epoch."""

    def __init__(self, given, function):
        self.given, self.function = given, function

    def __iter__(self):
        for batch in self.given:
            self.function()
            yield batch


# Where the interrupt comes -> after how many calls: in the second epoch, whose training has three batches, and whose
# validation has one.
PLACES = {"loading": 4, "forward": 5, "optimizer": 4, "validation": 1, "on_epoch": 0}


@pytest.mark.parametrize("place", PLACES)
def test_the_kernel_may_be_interrupted_anywhere(place):
    model = new_model()
    optimizer = make_optimizer(model, "adam", lr=0.05)
    interrupt = interrupt_after(PLACES[place])
    never = interrupt_after(1000)
    if place == "forward":
        model.register_forward_pre_hook(interrupt)
    if place == "optimizer":
        optimizer.register_step_post_hook(interrupt)
    train = Calling(batches(3), interrupt if place == "loading" else never)
    validation = Calling(batches(1), interrupt if place == "validation" else never)
    on_epoch = interrupt if place == "on_epoch" else None
    history = fit(model, train, validation, make_loss("bce"), optimizer, epochs=4, device=CPU, on_epoch=on_epoch)
    assert len(history.train_loss) == len(history.validation_iou) == 1
    assert history.stopped.startswith("epoch ")
    assert not model.training
    assert math.isfinite(evaluate(model, batches(1), make_loss("bce"), CPU).loss)


def test_other_errors_are_not_swallowed():
    model = new_model()

    def broken():
        yield batches(1)[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(model, broken(), batches(1), make_loss("bce"), make_optimizer(model), epochs=1, device=CPU)


# The small functions


def test_a_history_enters_whole_epochs():
    history = History()
    history.add(0.5, 0.4, 0.3)
    history.add(0.4, 0.3, 0.6, [0.9, 0.6])
    assert history == History([0.5, 0.4], [0.4, 0.3], [0.3, 0.6], [[], [0.9, 0.6]])


def test_check_finite_lets_numbers_pass():
    assert check_finite(0.0) == 0.0
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(TrainingError, match="became"):
            check_finite(value)


def test_the_mean_over_images_needs_an_image():
    assert mean_over_images(torch.tensor(3.0), 4) == 0.75
    with pytest.raises(TrainingError, match="no batch"):
        mean_over_images(torch.tensor(0.0), 0)
