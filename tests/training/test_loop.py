import copy
import math

import pytest
import torch
from torch import nn

from seglib.data.dataloaders import make_loaders
from seglib.errors import TrainingError
from seglib.lesson.common.annotate import source_lines
from seglib.losses import Loss, make_loss
from seglib.metrics import confusion_matrix, iou
from seglib.optim import make_optimizer, make_scheduler
from seglib.training.loop import Evaluation, evaluate, fit, train_one_epoch
from tests.support.helpers import TinyModel, check_message

CPU = torch.device("cpu")


class Constant(nn.Module):
    """Answers every pixel with one weight, so that losses can be computed in the head."""

    def __init__(self, value: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value))
        self.seen = []

    def forward(self, images):
        self.seen.append(self.training)
        return {"out": self.weight.expand(len(images), 1, *images.shape[2:])}


class Echo(nn.Module):
    """The first channel of the image is the answer."""

    def forward(self, images):
        return {"out": images[:, :1]}


def batch(*fractions: float) -> tuple[torch.Tensor, torch.Tensor]:
    """One picture of 2x4 pixels for each fraction: that much of it is object."""
    masks = torch.stack([(torch.arange(8.0) < 8 * fraction).float().view(1, 2, 4) for fraction in fractions])
    return torch.zeros(len(fractions), 3, 2, 4), masks


def pictures(count: int = 5, seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Noisy pictures with a bright rectangle, and its mask."""
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for number in range(count):
        mask = torch.zeros(1, 24, 32)
        mask[:, 3 + number % 5 : 15, 4 : 16 + number] = 1
        pairs.append((torch.randn(3, 24, 32, generator=generator) * 0.3 + mask, mask))
    return pairs


# One epoch


def test_the_loss_is_the_mean_over_pictures_not_over_batches():
    batches = [batch(0, 0, 0), batch(1)]  # MSE of an answer of 0: three pictures of loss 0, one of loss 1
    model = Constant()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-12)  # as good as standing still
    assert train_one_epoch(model, batches, make_loss("mse"), optimizer, CPU) == pytest.approx(0.25)
    assert evaluate(model, batches, make_loss("mse"), CPU).loss == pytest.approx(0.25)


def test_the_weights_move_as_gradient_descent_says():
    model = Constant(0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    train_one_epoch(model, [batch(1), batch(1)], make_loss("mse"), optimizer, CPU)
    # d/dw (w - 1)^2 = 2 (w - 1): from 0 to 0.5 to 0.75. Gradients that pile up would arrive at 1.
    assert model.weight.item() == pytest.approx(0.75)


def test_the_loss_is_that_before_each_step():
    model = Constant(0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    loss = train_one_epoch(model, [batch(1), batch(1)], make_loss("mse"), optimizer, CPU)
    assert loss == pytest.approx((1 + 0.25) / 2)


def test_every_weight_of_a_model_moves():
    torch.manual_seed(0)
    model = TinyModel()
    before = copy.deepcopy(list(model.parameters()))
    batches = [[torch.stack(side) for side in zip(*pictures(2), strict=True)]]
    train_one_epoch(model, batches, make_loss("bce"), make_optimizer(model, lr=0.01), CPU)
    assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_the_schedule_is_stepped_after_each_batch():
    model = Constant()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = make_scheduler(optimizer, "poly", steps=6)
    train_one_epoch(model, [batch(0), batch(0), batch(0)], make_loss("mse"), optimizer, CPU, scheduler=schedule)
    assert schedule.last_epoch == 3
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5**0.9)


def test_the_model_is_in_the_mode_of_what_is_done_with_it():
    model = Constant().eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_one_epoch(model, [batch(0)], make_loss("mse"), optimizer, CPU)
    evaluate(model, [batch(0)], make_loss("mse"), CPU)
    train_one_epoch(model, [batch(0)], make_loss("mse"), optimizer, CPU)
    assert model.seen == [True, False, True]


def test_masks_of_a_wrong_shape_are_refused_in_training():
    model = TinyModel()
    images, masks = torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8)
    with pytest.raises(ValueError, match="unsqueeze"):
        train_one_epoch(model, [(images, masks)], make_loss("bce"), make_optimizer(model), CPU)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_training(broken):
    model = Constant(broken)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TrainingError) as caught:
        train_one_epoch(model, [batch(0)], make_loss("mse"), optimizer, CPU)
    check_message(caught.value, str(broken), "finite", "learning rate")
    with pytest.raises(TrainingError):
        evaluate(model, [batch(0)], make_loss("mse"), CPU)


def test_no_batch_is_an_error():
    model = Constant()
    for run in (
        lambda: train_one_epoch(model, [], make_loss("mse"), torch.optim.SGD(model.parameters(), lr=0.1), CPU),
        lambda: evaluate(model, [], make_loss("mse"), CPU),
    ):
        with pytest.raises(TrainingError) as caught:
            run()
        check_message(caught.value, "no batch", "drop_last")


def test_a_step_fits_on_one_screen_and_reads_in_the_order_of_the_notes():
    lines = source_lines(train_one_epoch)
    assert len(lines) <= 40
    source = "\n".join(lines)
    steps = (
        "model.train()",
        "batch_to_device(",
        "zero_grad()",
        "model(images)",
        "criterion(",
        "backward()",
        "optimizer.step()",
    )
    places = [source.index(step) for step in steps]
    assert places == sorted(places)
    assert all(source.count(step) == 1 for step in steps)


# Measuring


def test_measuring_changes_nothing():
    torch.manual_seed(0)
    model = TinyModel().train()
    batches = [[torch.stack(side) for side in zip(*pictures(3), strict=True)]]
    before = copy.deepcopy(model.state_dict())
    chance = torch.get_rng_state()
    first = evaluate(model, batches, make_loss("bce"), CPU)
    second = evaluate(model, batches, make_loss("bce"), CPU)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), chance)
    assert first.loss == second.loss
    assert torch.equal(first.matrix, second.matrix)


def test_training_goes_on_after_measuring():
    model = TinyModel()
    batches = [[torch.stack(side) for side in zip(*pictures(2), strict=True)]]
    evaluate(model, batches, make_loss("bce"), CPU)
    train_one_epoch(model, batches, make_loss("bce"), make_optimizer(model, lr=0.1), CPU)


def test_iou_comes_from_one_matrix_and_not_from_the_mean_over_batches():
    # Picture 1: 8 object pixels, all found. Pictures 2 and 3, in a batch of their own: 1 of 2 found, and 1 too many.
    first, second = batch(1), batch(0.25, 0)
    answer = torch.zeros(2, 3, 2, 4)
    answer[0, 0, 0, 0] = answer[1, 0, 1, 3] = 9
    batches = [(torch.full((1, 3, 2, 4), 9.0), first[1]), (answer, second[1])]
    found = evaluate(Echo(), batches, make_loss("mse"), CPU)
    assert found.matrix.tolist() == [[13, 1], [1, 9]]
    assert found.iou == pytest.approx(9 / 11)
    assert found.iou != pytest.approx((1 + 1 / 3) / 2)


def test_iou_does_not_depend_on_the_size_of_the_batches():
    torch.manual_seed(0)
    model, pairs = TinyModel(), pictures(7)
    results = set()
    for size in (1, 2, 3, 7):
        _, loader = make_loaders(pairs, pairs, batch_size=size)
        found = evaluate(model, loader, make_loss("bce"), CPU)
        results.add((found.iou, round(found.loss, 5)))
    assert len(results) == 1


@pytest.mark.parametrize(("name", "wanted"), [("mse", 0.0), ("bce", 1.0), ("dice", 1.0), ("bce_dice", 1.0)])
def test_the_threshold_is_that_of_the_loss(name, wanted):
    assert evaluate(Constant(0.3), [batch(1)], make_loss(name), CPU).iou == wanted


def test_ignored_pixels_are_in_no_matrix():
    images, masks = batch(0.5)
    masks[..., 0] = 255
    found = evaluate(Constant(1.0), [(images, masks)], make_loss("mse"), CPU)
    assert found.matrix.tolist() == [[0, 3], [0, 3]]


def test_several_classes_are_measured_by_the_mean_over_those_present():
    outputs = torch.zeros(1, 4, 2, 4)
    outputs[:, 1, 0] = 1  # the upper row is class 1, the lower one class 0
    masks = torch.tensor([[[1, 1, 2, 255], [0, 0, 0, 0]]])

    class Fixed(nn.Module):
        def forward(self, images):
            return {"out": outputs}

    found = evaluate(Fixed(), [(torch.zeros(1, 3, 2, 4), masks)], make_loss("cross_entropy"), CPU)
    assert torch.equal(found.matrix, confusion_matrix(outputs.argmax(1), masks, 4))
    assert iou(found.matrix).tolist() == pytest.approx([1, 2 / 3, 0, math.nan], nan_ok=True)
    assert found.iou == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_two_classes_are_measured_by_the_object():
    assert Evaluation(0.0, torch.tensor([[5, 1], [1, 2]])).iou == pytest.approx(0.5)


def test_masks_with_and_without_a_channel_are_measured_alike():
    """A loss of one's own may take masks (N, H, W); the matrix is the same."""
    flat = Loss("flat", lambda outputs, masks: (outputs - masks).square().mean(), torch.sigmoid, 0.5)
    images, masks = batch(0.5, 0.25)
    assert evaluate(Constant(1.0), [(images, masks)], flat, CPU).matrix.tolist() == [[0, 10], [0, 6]]


# A whole training


def training(seed: int = 0, epochs: int = 3):
    torch.manual_seed(seed)
    model = TinyModel()
    train, validation = make_loaders(pictures(5), pictures(3, seed=1), batch_size=2, seed=seed)
    optimizer = make_optimizer(model, lr=0.01)
    schedule = make_scheduler(optimizer, "poly", steps=len(train) * epochs)
    history = fit(model, train, validation, make_loss("bce"), optimizer, epochs=epochs, device=CPU, scheduler=schedule)
    return model, history


def test_the_history_has_one_entry_an_epoch_and_the_loss_falls():
    _, history = training(epochs=4)
    assert len(history.train_loss) == len(history.validation_loss) == len(history.validation_iou) == 4
    assert history.train_loss[-1] < history.train_loss[0]
    assert all(0 <= value <= 1 for value in history.validation_iou)


def test_the_same_seed_gives_the_same_bits():
    (first, history), (second, again) = training(seed=1), training(seed=1)
    other, _ = training(seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert history == again
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_the_last_entry_is_that_of_the_model_as_it_is_left():
    model, history = training()
    _, validation = make_loaders(pictures(5), pictures(3, seed=1), batch_size=2)
    found = evaluate(model, validation, make_loss("bce"), CPU)
    assert history.validation_loss[-1] == found.loss
    assert history.validation_iou[-1] == found.iou


def test_each_epoch_reports_the_history_so_far():
    lengths = []
    model, pairs = TinyModel(), pictures(2)
    train, validation = make_loaders(pairs, pictures(1, seed=4))
    optimizer = make_optimizer(model)
    history = fit(
        model,
        train,
        validation,
        make_loss("bce"),
        optimizer,
        epochs=3,
        device=CPU,
        on_epoch=lambda h: lengths.append(len(h.train_loss)),
    )
    assert lengths == [1, 2, 3]
    assert len(history.train_loss) == 3


@pytest.mark.parametrize("name", ["mse", "bce", "dice", "bce_dice", "cross_entropy"])
def test_every_loss_learns_two_pictures_by_heart(name):
    """If a model cannot learn two pictures, something between loss and optimizer is broken."""
    torch.manual_seed(0)
    several = name == "cross_entropy"
    model = TinyModel(num_classes=3 if several else 1)
    pairs = [(image, mask[0].long() * 2 if several else mask) for image, mask in pictures(2)]
    train, validation = make_loaders(pairs, pairs, batch_size=2)
    optimizer = make_optimizer(model, lr=0.05)
    history = fit(model, train, validation, make_loss(name), optimizer, epochs=40, device=CPU)
    assert history.validation_iou[-1] > 0.9
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]


def test_pictures_and_masks_keep_together_through_the_loop():
    """Half of the pictures are mirrored: a loop that mixes up pairs cannot learn them."""
    torch.manual_seed(0)
    mask = pictures(1)[0][1]
    pairs = [(side.expand(3, -1, -1).clone(), side) for side in (mask, mask.flip(-1), mask.flip(-2))]
    model = TinyModel()
    train, validation = make_loaders(pairs, pairs, batch_size=2)
    history = fit(model, train, validation, make_loss("bce"), make_optimizer(model, lr=0.05), epochs=25, device=CPU)
    assert history.validation_iou[-1] > 0.95
