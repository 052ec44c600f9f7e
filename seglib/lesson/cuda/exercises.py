"""Owns the exercise checks of 08_cuda: a mean loss without a sync, bytes to floats, memory, accumulated gradients."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from seglib.data.normalization import normalize
from seglib.lesson.common.exercise import Attempt, NotYet, describe, exercise, number, one_number
from seglib.lesson.cuda.step_memory import GIB, step_memory
from seglib.lesson.cuda.sync_counter import count_syncs


@exercise
def check_mean_loss(my_mean_loss: Attempt) -> str:
    """Check `my_mean_loss(losses, counts)`: the mean over all images, and no value asked for on the way."""
    losses = [torch.tensor(1.0, requires_grad=True) * value for value in (2.0, 4.0, 9.0)]
    counts = [4, 4, 2]
    given = "three losses and the counts 4, 4 and 2"
    answers: list[Any] = []
    syncs = count_syncs(lambda: answers.append(my_mean_loss(list(losses), list(counts), given=given)))
    answer = answers[0]
    if syncs:
        often = "once" if syncs == 1 else f"{syncs} times"
        raise NotYet(f"it asks {often} for the values of tensors, and each time a GPU would be waited for.")
    if not isinstance(answer, Tensor):
        raise NotYet(f"a tensor is wanted, so that nobody has to wait; this is {describe(answer)}.")
    value = number(answer.detach())
    if value is None:
        raise NotYet(f"one number is wanted; this is {describe(answer)}.")
    if abs(value - 5.0) < 1e-4:
        raise NotYet("5.0 is the mean over the three batches. The last one holds only two images.")
    if abs(value - 42.0) < 1e-4:
        raise NotYet("42.0 is the sum over the images; divide it by their number.")
    if abs(value - 4.2) > 1e-4:
        raise NotYet(f"the mean over all ten images is 4.2, and yours is {value:.4g}.")
    if answer.requires_grad:
        raise NotYet("the number is right, but it keeps the graphs of all batches in memory: add loss.detach().")
    return "4.2, and nobody had to wait for it."


@exercise
def check_from_bytes(my_from_bytes: Attempt) -> str:
    """Check `my_from_bytes(images)`: bytes (N, 3, H, W) to floats, normalised."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2, 3, 4, 6), generator=generator, dtype=torch.uint8)
    before = images.clone()
    broadcasting = "three numbers have to meet three channels: .view(3, 1, 1) puts them into that direction."
    got = my_from_bytes(images, given="bytes of shape (2, 3, 4, 6)", hints={RuntimeError: broadcasting})
    wanted = normalize(before / 255)
    if not isinstance(got, Tensor) or got.dtype != torch.float32:
        raise NotYet(f"a tensor of dtype float32 is wanted; this is {describe(got)}.")
    if got.shape != wanted.shape:
        raise NotYet(f"the shape has become {tuple(got.shape)}; {tuple(wanted.shape)} went in.")
    if torch.allclose(got, normalize(before.float()), atol=1e-3):
        raise NotYet("the values run to about 1000: mean and standard deviation are those of pixels from 0 to 1.")
    if torch.allclose(got, before / 255, atol=1e-4):
        raise NotYet("these are pixels from 0 to 1; mean and standard deviation are still missing.")
    if not torch.allclose(got, wanted, atol=1e-4):
        raise NotYet("the values are others than those of normalize(images / 255).")
    if not torch.equal(images, before):
        raise NotYet("the values are right, but the bytes that went in have changed.")
    return "Four times fewer bytes on the way, and the same numbers at its end."


# GiB that the step of ResNet-50 at 1280x960 keeps for the backward pass of four pictures, as the lesson prints it.
FOUR_LARGE_PICTURES = 18.75


@exercise
def check_activations(my_activations: Attempt) -> str:
    """Check `my_activations()`: GiB of activations of eight pictures, half as wide and half as high."""
    answer = my_activations(given="nothing")
    value = one_number(answer, unit=", in GiB")
    measured = 8 * step_memory("deeplabv3_resnet50", (480, 640)).activations_per_image / GIB
    if abs(value - measured) < 0.25:
        return f"Counted as above, it is {measured:.2f} GiB: twice as many pictures, each with a quarter of the pixels."
    for wrong, hint in _wrong_activations(measured).items():
        if abs(value - wrong) < 0.25:
            raise NotYet(hint)
    raise NotYet(
        f"yours is {value:.4g} GiB. Begin with the {FOUR_LARGE_PICTURES} GiB of four pictures; what is changed?"
    )


def _wrong_activations(right: float) -> dict[float, str]:
    """Answers of typical mistakes, in GiB, and what to say of each."""
    return {
        FOUR_LARGE_PICTURES: "as much as four pictures of the full size: half as wide *and* half as high is a quarter.",
        right / 2: "that is the amount for four small pictures, and the batch holds eight.",
        2 * FOUR_LARGE_PICTURES: "that is the amount for eight pictures of the full size; these are smaller.",
        right + 0.6: "weights, gradients and Adam are in there too; the question is about the activations alone.",
    }


@exercise
def check_accumulate(my_accumulate: Attempt) -> str:
    """Check `my_accumulate(model, batches, criterion, optimizer)`: one step from several batches, as from one.

    The answer gives back the model.
    """
    torch.manual_seed(0)
    start = nn.Linear(3, 1)
    images = torch.randn(10, 3)
    masks = torch.randn(10, 1)
    criterion = nn.MSELoss()
    batches = list(zip(images.split(4), masks.split(4), strict=True))
    right = _weights_after_step(start, [(images, masks)], [1.0])
    summed = _weights_after_step(start, batches, [1.0, 1.0, 1.0])
    mean_of_means = _weights_after_step(start, batches, [1 / 3, 1 / 3, 1 / 3])
    model = copy.deepcopy(start)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.weight.grad = torch.full_like(model.weight, 100.0)  # left over from a step before
    answer = my_accumulate(model, batches, criterion, optimizer, given="batches of 4, 4 and 2 images")
    if answer is not model:
        raise NotYet(f"give back the model that you were given; this is {describe(answer)}.")
    got = _flat_weights(model)
    if torch.equal(got, _flat_weights(start)):
        raise NotYet("the weights have not moved: one optimizer.step() belongs at the end.")
    if torch.allclose(got, right, atol=1e-5):
        return "Three batches, one step, and the weights of a single large batch."
    if torch.allclose(got, summed, atol=1e-5):
        raise NotYet("the gradients are added up, and the step is as many times too long: each loss is a mean already.")
    if torch.allclose(got, mean_of_means, atol=1e-5):
        raise NotYet("each batch counts a third, though the last holds 2 of 10 images: weigh by len(images) / 10.")
    if (got - right).abs().max() > 5:
        raise NotYet("the gradient of the step before is still in there: zero_grad comes first, once.")
    raise NotYet("the weights are others than after one batch of ten. Is there one zero_grad and one step in all?")


def _weights_after_step(start: nn.Linear, batches: list[tuple[Tensor, Tensor]], loss_weights: list[float]) -> Tensor:
    """The weights after one step of SGD along the gradient of a weighted sum of the batches' MSE losses."""
    model = copy.deepcopy(start)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for (images, masks), weight in zip(batches, loss_weights, strict=True):
        loss = nn.functional.mse_loss(model(images), masks)
        (weight * loss).backward()
    optimizer.step()
    return _flat_weights(model)


def _flat_weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
