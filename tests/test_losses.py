import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seglib.errors import SegError, ShapeError, TrainingError
from seglib.losses import IGNORE_INDEX, balanced_class_weights, labels_checked_once, make_loss
from seglib.model import build_deeplab
from tests.support.helpers import TinyModel, check_message, quick

BINARY = ["mse", "bce", "dice", "bce_dice"]
CLASSES = ["cross_entropy", "ce_dice"]
ALL = [*BINARY, *CLASSES]
seeds = st.integers(0, 2**32 - 1)


def case(name: str, seed: int = 0, batch: int = 2, classes: int = 3, ignore: bool = True) -> tuple[Tensor, Tensor]:
    """Random outputs and masks of the shapes that this loss asks for."""
    generator = torch.Generator().manual_seed(seed)
    channels = classes if name in CLASSES else 1
    outputs = torch.randn((batch, channels, 4, 5), generator=generator)
    masks = torch.randint(0, max(2, channels), (batch, 4, 5), generator=generator)
    if ignore:
        masks[torch.rand((batch, 4, 5), generator=generator) < 0.2] = IGNORE_INDEX
    return outputs, masks if name in CLASSES else masks[:, None].float()


# Values by hand

OUTPUTS = torch.tensor([[[[0.0, 1.0], [2.0, -1.0]]]])
MASKS = torch.tensor([[[[0.0, 1.0], [1.0, 255.0]]]])


def test_mse_by_hand():
    assert make_loss("mse")(OUTPUTS, MASKS).item() == pytest.approx((0 + 0 + 1) / 3)
    assert make_loss("mse")(OUTPUTS, MASKS.clamp(max=1)).item() == pytest.approx((0 + 0 + 1 + 4) / 4)


def test_bce_by_hand():
    wanted = (math.log(2) + math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))) / 3
    assert make_loss("bce")(OUTPUTS, MASKS).item() == pytest.approx(wanted)


def test_dice_by_hand():
    probability = [0.5, 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-2))]
    wanted = 1 - (2 * (probability[1] + probability[2]) + 1) / (sum(probability) + 2 + 1)
    assert make_loss("dice")(OUTPUTS, MASKS).item() == pytest.approx(wanted)


def test_bce_and_dice_are_added_up():
    wanted = make_loss("bce")(OUTPUTS, MASKS) + make_loss("dice")(OUTPUTS, MASKS)
    assert make_loss("bce_dice")(OUTPUTS, MASKS).item() == pytest.approx(wanted.item())


def test_cross_entropy_by_hand():
    outputs = torch.tensor([[[[0.0, 1.0], [0.0, 9.0]], [[0.0, 2.0], [0.0, 9.0]], [[0.0, 3.0], [5.0, 9.0]]]])
    masks = torch.tensor([[[0, 1], [2, 255]]])
    total = math.exp(1) + math.exp(2) + math.exp(3)
    wanted = (math.log(3) + math.log(total) - 2 + math.log(2 + math.exp(5)) - 5) / 3
    assert make_loss("cross_entropy")(outputs, masks).item() == pytest.approx(wanted)


def test_a_perfect_answer_costs_nothing():
    masks = torch.tensor([[[[0.0, 1.0], [1.0, 255.0]]]])
    sure = torch.tensor([[[[-50.0, 50.0], [50.0, 50.0]]]])
    assert make_loss("mse")(masks.clamp(max=1), masks).item() == 0
    assert make_loss("bce")(sure, masks).item() < 1e-6
    assert make_loss("dice")(sure, masks).item() < 1e-6
    assert make_loss("dice")(torch.full((1, 1, 2, 2), -50.0), torch.zeros(1, 1, 2, 2)).item() < 1e-6


def test_dice_follows_the_whole_batch_and_not_each_picture():
    outputs = torch.tensor([50.0, 50.0, -50.0, -50.0]).view(2, 1, 1, 2)
    masks = torch.tensor([1.0, 1.0, 1.0, 0.0]).view(2, 1, 1, 2)
    assert make_loss("dice")(outputs, masks).item() == pytest.approx(1 - (2 * 2 + 1) / (2 + 3 + 1))


def test_cross_entropy_of_two_classes_is_bce_of_the_difference():
    outputs, masks = case("bce")
    two = torch.cat([torch.full_like(outputs, 0.7), outputs + 0.7], dim=1)  # (N, 2, H, W)
    wanted = make_loss("bce")(outputs, masks).item()
    assert make_loss("cross_entropy")(two, masks[:, 0].long()).item() == pytest.approx(wanted, rel=1e-5)


# Where looking at a value would stop a queue


@pytest.mark.parametrize("name", ALL)
def test_before_a_gpu_labels_are_looked_at_once_for_each_dataloader(name):
    """No GPU is needed for it: the masks of a dataloader lie on the CPU."""
    outputs, masks = case(name)
    model, gpu = TinyModel(), torch.device("cuda")
    strange = masks.clone()
    strange[0, ..., 0, 0] = -7
    with pytest.raises(ShapeError, match="-7"):
        list(labels_checked_once([(None, masks), (None, strange)], make_loss(name), model, gpu))
    assert list(labels_checked_once([(None, strange)], make_loss(name), model, torch.device("cpu")))

    class Loader(list): ...

    loader = Loader([(None, masks)])
    assert labels_checked_once(loader, make_loss(name), model, gpu) is not loader
    assert len(list(labels_checked_once(loader, make_loss(name), model, gpu))) == 1
    assert labels_checked_once(loader, make_loss(name), model, gpu) is loader


def test_before_a_gpu_a_label_without_an_output_is_refused():
    model = build_deeplab(num_classes=3, weights=None, verbose=False)
    masks = torch.tensor([[[0, 3]]])
    with pytest.raises(ShapeError, match="no output for: 3"):
        list(labels_checked_once([(None, masks)], make_loss("cross_entropy"), model, torch.device("cuda")))


# What all of them share


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_right(name):
    outputs, masks = case(name)
    outputs = outputs.double().requires_grad_()
    masks = masks if name in CLASSES else masks.double()
    assert torch.autograd.gradcheck(lambda outputs: make_loss(name)(outputs, masks), outputs)


@pytest.mark.parametrize("name", ALL)
@quick
@given(seed=seeds)
def test_ignored_pixels_have_no_say(name, seed):
    outputs, masks = case(name, seed)
    ignored = (masks == IGNORE_INDEX).reshape(2, 1, 4, 5).expand_as(outputs)
    loss = make_loss(name)(outputs, masks)
    assert torch.equal(make_loss(name)(outputs.masked_fill(ignored, 7.0), masks), loss)
    moving = outputs.clone().requires_grad_()
    make_loss(name)(moving, masks).backward()
    assert (moving.grad[ignored] == 0).all()
    assert (moving.grad[~ignored] != 0).all()


@pytest.mark.parametrize("name", ALL)
@quick
@given(seed=seeds)
def test_the_order_of_pictures_does_not_matter(name, seed):
    outputs, masks = case(name, seed)
    assert make_loss(name)(outputs, masks).item() == pytest.approx(
        make_loss(name)(outputs.flip(0, -1), masks.flip(0, -1)).item(), rel=1e-5
    )


@pytest.mark.parametrize("name", ["mse", "bce", "cross_entropy"])
def test_the_mean_is_over_the_pixels_that_count(name):
    outputs, masks = case(name, ignore=False)
    half = masks.clone()
    half[..., 2:] = IGNORE_INDEX
    cut = masks[..., :2].contiguous()
    assert make_loss(name)(outputs, half).item() == pytest.approx(make_loss(name)(outputs[..., :2], cut).item())


@pytest.mark.parametrize("name", ALL)
def test_a_batch_of_ignored_pixels_alone_costs_nothing_and_moves_nothing(name):
    outputs, masks = case(name)
    outputs.requires_grad_()
    loss = make_loss(name)(outputs, torch.full_like(masks, IGNORE_INDEX))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(outputs.grad, torch.zeros_like(outputs))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_outputs_stay_finite(name, size):
    outputs, masks = case(name)
    outputs = (outputs.sign() * size).requires_grad_()
    loss = make_loss(name)(outputs, masks)
    loss.backward()
    assert loss.isfinite()
    assert outputs.grad.isfinite().all()
    assert make_loss(name).probabilities(outputs).isfinite().all()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_the_loss_of_float32(name, dtype):
    # So many pixels that their sum is beyond the largest float16, 65504.
    outputs, masks = (part.repeat(50, *[1] * (part.ndim - 3), 10, 10) for part in case(name))
    halves = outputs.to(dtype).requires_grad_()
    loss = make_loss(name)(halves, masks)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(make_loss(name)(outputs, masks).item(), rel=1e-2)
    loss.backward()
    assert halves.grad.isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_the_masks_are_left_as_they_are(name):
    outputs, masks = case(name)
    before = masks.clone()
    make_loss(name)(outputs, masks)
    assert torch.equal(masks, before)


@pytest.mark.parametrize("name", ALL)
def test_a_few_steps_downhill_lower_the_loss(name):
    outputs, masks = case(name)
    outputs.requires_grad_()
    first = make_loss(name)(outputs, masks).item()
    for _ in range(20):
        outputs.grad = None
        make_loss(name)(outputs, masks).backward()
        with torch.no_grad():
            outputs -= 2 * outputs.grad
    assert make_loss(name)(outputs, masks).item() < 0.9 * first


# The guard


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(
    ("outputs", "masks"),
    [
        ((2, 1, 4, 4), (2, 4, 4)),  # would broadcast to (2, 2, 4, 4) and train on nonsense
        ((1, 1, 4, 4), (1, 4, 4)),
        ((2, 4, 4), (2, 1, 4, 4)),
        ((2, 1, 4, 4), (2, 1, 4, 1)),
        ((2, 1, 4, 4), (1, 1, 4, 4)),
        ((2, 21, 4, 4), (2, 1, 4, 4)),
        ((2, 1, 4, 4), ()),
    ],
)
def test_shapes_that_would_broadcast_are_refused(name, outputs, masks):
    with pytest.raises(ShapeError) as caught:
        make_loss(name)(torch.zeros(outputs), torch.zeros(masks))
    check_message(caught.value, str(outputs), str(masks), f"shape {outputs}", "unsqueeze")


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_masks_that_are_not_float_are_refused(name, dtype):
    with pytest.raises(ShapeError) as caught:
        make_loss(name)(torch.zeros(2, 1, 4, 4), torch.zeros((2, 1, 4, 4), dtype=dtype))
    check_message(caught.value, str(dtype).removeprefix("torch."), "float")


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("value", [0.5, 1 / 255, 2.0, -1.0, 254.0, math.nan, math.inf])
def test_a_single_value_in_between_is_refused(name, value):
    masks = torch.tensor([0.0, 1.0, 255.0, value]).view(1, 1, 2, 2)
    with pytest.raises(ShapeError) as caught:
        make_loss(name)(torch.zeros(1, 1, 2, 2), masks)
    check_message(caught.value, "0.0 and 1.0 only", "nearest")


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2, 4, 5), (1, 4, 4), (2, 3, 4, 4)])
def test_class_masks_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError) as caught:
        make_loss("cross_entropy")(torch.zeros(2, 3, 4, 4), torch.zeros(shape, dtype=torch.int64))
    check_message(caught.value, str(shape), "shape (2, 4, 4)", "class_mask_transform")


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.uint8])
def test_class_masks_of_another_dtype_are_refused(dtype):
    with pytest.raises(ShapeError) as caught:
        make_loss("cross_entropy")(torch.zeros(2, 3, 4, 4), torch.zeros((2, 4, 4), dtype=dtype))
    check_message(caught.value, str(dtype).removeprefix("torch."), "int64")


@pytest.mark.parametrize("label", [3, 200, -1, -100])
def test_a_label_outside_the_classes_is_refused(label):
    masks = torch.zeros((2, 4, 4), dtype=torch.int64)
    masks[1, 2, 3] = label
    with pytest.raises(ShapeError) as caught:
        make_loss("cross_entropy")(torch.zeros(2, 3, 4, 4), masks)
    check_message(caught.value, str(label), "0 to 2", "255")


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(TrainingError) as caught:
        make_loss("iou")
    check_message(caught.value, '"iou"', *ALL)


# Reading outputs


@pytest.mark.parametrize(("name", "wanted"), [("mse", 0), ("bce", 1), ("dice", 1), ("bce_dice", 1)])
def test_an_output_of_0_3_is_the_object_or_not_by_the_loss(name, wanted):
    outputs = torch.full((1, 1, 2, 2), 0.3)
    predicted = make_loss(name).predict(outputs)
    assert (predicted.shape, predicted.dtype) == ((1, 2, 2), torch.int64)
    assert (predicted == wanted).all()


@pytest.mark.parametrize(("name", "threshold"), [("mse", 0.5), ("bce", 0.0), ("dice", 0.0), ("bce_dice", 0.0)])
def test_the_threshold_stands_where_the_probability_is_a_half(name, threshold):
    criterion = make_loss(name)
    outputs = torch.tensor([threshold - 0.01, threshold, threshold + 0.01]).view(1, 1, 1, 3)
    assert criterion.threshold == threshold
    assert criterion.probabilities(outputs)[0, 0, 0, 1].item() == pytest.approx(0.5)
    assert criterion.predict(outputs).tolist() == [[[0, 0, 1]]]


@pytest.mark.parametrize("name", BINARY)
@quick
@given(seed=seeds)
def test_prediction_and_probability_agree(name, seed):
    criterion = make_loss(name)
    outputs = torch.randn((2, 1, 4, 5), generator=torch.Generator().manual_seed(seed))
    probability = criterion.probabilities(outputs)
    assert probability.shape == outputs.shape
    assert 0 <= probability.min() <= probability.max() <= 1
    assert torch.equal(criterion.predict(outputs), (probability[:, 0] > 0.5).long())


def test_several_classes_predict_the_largest_and_sum_to_1():
    criterion = make_loss("cross_entropy")
    outputs = torch.tensor([[[[0.0, 5.0]], [[1.0, -2.0]], [[-1.0, 4.0]]]])
    assert criterion.predict(outputs).tolist() == [[[1, 0]]]
    assert criterion.probabilities(outputs).sum(dim=1).flatten().tolist() == pytest.approx([1.0, 1.0])


def test_mse_intensities_are_cut_to_0_and_1():
    assert make_loss("mse").probabilities(torch.tensor([-3.0, 0.25, 7.0])).tolist() == [0.0, 0.25, 1.0]


@pytest.mark.parametrize("name", BINARY)
def test_every_refusal_is_one_kind_of_error(name):
    with pytest.raises(SegError):
        make_loss(name)(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2))


# Weights of classes


def test_ce_dice_by_hand():
    outputs = torch.tensor([[[[20.0, -20.0]], [[-20.0, 20.0]]]])  # (1, 2, 1, 2): sure of class 0, sure of class 1
    right = torch.tensor([[[0, 1]]])
    wrong = torch.tensor([[[1, 0]]])
    assert make_loss("ce_dice")(outputs, right).item() == pytest.approx(0, abs=1e-6)
    # Dice of class 1, with 1 added above and below: (2 * 0 + 1) / (1 + 1 + 1)
    assert make_loss("ce_dice")(outputs, wrong).item() == pytest.approx(40 + 1 - 1 / 3, rel=1e-5)


@pytest.mark.parametrize("name", CLASSES)
def test_equal_weights_change_nothing_and_others_are_those_of_torch(name):
    outputs, masks = case(name, seed=3)
    plain = make_loss(name)(outputs, masks)
    assert make_loss(name, [2.0, 2.0, 2.0])(outputs, masks).item() == pytest.approx(plain.item(), rel=1e-5)
    weights = [0.2, 1.0, 1.5]
    ours = make_loss(name, weights)(outputs, masks) - plain
    reference = [
        torch.nn.functional.cross_entropy(outputs, masks, weight, ignore_index=255)
        for weight in (torch.tensor(weights), None)
    ]
    assert ours.item() == pytest.approx((reference[0] - reference[1]).item(), rel=1e-4)


@pytest.mark.parametrize("name", CLASSES)
def test_weights_and_nothing_known_cost_nothing(name):
    outputs, masks = case(name)
    loss = make_loss(name, [1.0, 2.0, 3.0])(outputs, torch.full_like(masks, IGNORE_INDEX))
    assert loss.item() == 0


@pytest.mark.parametrize(("name", "weights"), [("bce", [1.0, 2.0]), ("ce_dice", [1.0, 0.0]), ("ce_dice", [math.nan])])
def test_weights_that_cannot_be_are_refused(name, weights):
    with pytest.raises(TrainingError) as caught:
        make_loss(name, weights)
    check_message(caught.value, "class_weights")


def test_balanced_weights_are_larger_for_rarer_classes_and_1_on_average():
    weights = balanced_class_weights({"soil": 940, "crop": 20, "weed": 40})
    assert sum(weights) / 3 == pytest.approx(1)
    assert weights[1] > weights[2] > weights[0]
    assert weights[1] / weights[0] == pytest.approx((940 / 20) ** 0.5)
    assert balanced_class_weights({"a": 10, "b": 0}) == [1.0, 1.0]
