import math

import pytest
import torch
import torchmetrics.functional.classification as reference
from hypothesis import given
from hypothesis import strategies as st

from seglib.errors import ShapeError
from seglib.metrics import (
    Evaluation,
    confusion_matrix,
    describe_collapse,
    dice,
    iou,
    mean_iou,
    pixel_accuracy,
    trivial_ious,
)
from tests.support.helpers import check_message, quick

seeds = st.integers(0, 2**32 - 1)
classes = st.integers(2, 6)


def case(seed: int, num_classes: int, absent: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Random label maps (3, 6, 7), some pixels ignored; class `absent` occurs in neither, if it is one."""
    generator = torch.Generator().manual_seed(seed)
    predicted, target = torch.randint(0, num_classes, (2, 3, 6, 7), generator=generator)
    if absent is not None:
        predicted, target = (
            labels.where(labels != absent, (absent + 1) % num_classes) for labels in (predicted, target)
        )
    target[torch.rand(target.shape, generator=generator) < 0.2] = 255
    return predicted, target


# By hand: rows are the truth

PREDICTED = torch.tensor([[1, 1, 1, 1, 0, 2, 0, 0]])
TARGET = torch.tensor([[1, 1, 0, 1, 1, 2, 255, 255]])
MATRIX = torch.tensor([[0, 1, 0], [1, 3, 0], [0, 0, 1]])


def test_the_matrix_by_hand():
    matrix = confusion_matrix(PREDICTED, TARGET, 3)
    assert matrix.dtype == torch.int64
    assert torch.equal(matrix, MATRIX)


def test_rows_are_the_truth():
    assert confusion_matrix(torch.tensor([1]), torch.tensor([0])).tolist() == [[0, 1], [0, 0]]


def test_metrics_by_hand():
    assert iou(MATRIX).tolist() == pytest.approx([0, 3 / 5, 1])
    assert dice(MATRIX).tolist() == pytest.approx([0, 6 / 8, 1])
    assert mean_iou(MATRIX) == pytest.approx((0 + 0.6 + 1) / 3)
    assert pixel_accuracy(MATRIX) == pytest.approx(4 / 6)


def test_an_absent_class_is_nan_and_does_not_count():
    matrix = torch.tensor([[2, 0, 2], [0, 0, 0], [0, 0, 4]])
    assert iou(matrix).tolist() == pytest.approx([0.5, math.nan, 4 / 6], nan_ok=True)
    assert dice(matrix).tolist() == pytest.approx([4 / 6, math.nan, 0.8], nan_ok=True)
    assert mean_iou(matrix) == pytest.approx((0.5 + 4 / 6) / 2)


def test_a_class_that_is_predicted_but_not_there_counts_as_0():
    assert iou(torch.tensor([[2, 2], [0, 0]])).tolist() == [0.5, 0.0]


def test_nothing_counted_is_nan_everywhere():
    empty = confusion_matrix(torch.zeros(2, 2), torch.full((2, 2), 255))
    assert torch.equal(empty, torch.zeros(2, 2, dtype=torch.int64))
    assert iou(empty).isnan().all()
    assert dice(empty).isnan().all()
    assert math.isnan(mean_iou(empty))
    assert math.isnan(pixel_accuracy(empty))


def test_many_pixels_are_counted_exactly():
    matrix = torch.tensor([[2**53 - 1, 0], [0, 1]])  # more than float32 could count
    assert iou(matrix).tolist() == [1.0, 1.0]
    big = torch.tensor([[0, 1], [0, 2**25]])
    assert iou(big)[1].item() == 2**25 / (2**25 + 1)


# Against torchmetrics


@quick
@given(seed=seeds, num_classes=classes, data=st.data())
def test_all_metrics_equal_those_of_torchmetrics(seed, num_classes, data):
    absent = data.draw(st.one_of(st.none(), st.integers(0, num_classes - 1)) if num_classes > 2 else st.none())
    predicted, target = case(seed, num_classes, absent)
    matrix = confusion_matrix(predicted, target, num_classes)
    options = {"num_classes": num_classes, "ignore_index": 255}
    assert torch.equal(matrix, reference.multiclass_confusion_matrix(predicted, target, **options))
    present = torch.tensor([label != absent for label in range(num_classes)])
    ious = reference.multiclass_jaccard_index(predicted, target, average=None, **options)
    f1s = reference.multiclass_f1_score(predicted, target, average=None, **options)
    assert torch.allclose(iou(matrix)[present].float(), ious[present])
    assert torch.allclose(dice(matrix)[present].float(), f1s[present])
    assert iou(matrix)[~present].isnan().all()
    assert dice(matrix)[~present].isnan().all()
    macro = reference.multiclass_jaccard_index(predicted, target, average="macro", **options).item()
    assert mean_iou(matrix) == pytest.approx(macro, abs=1e-6)
    accuracy = reference.multiclass_accuracy(predicted, target, average="micro", **options).item()
    assert pixel_accuracy(matrix) == pytest.approx(accuracy, abs=1e-6)


@quick
@given(seed=seeds)
def test_the_iou_of_an_object_equals_torchmetrics_binary_one(seed):
    predicted, target = case(seed, 2)
    wanted = reference.binary_jaccard_index(predicted, target, ignore_index=255).item()
    assert iou(confusion_matrix(predicted, target))[1].item() == pytest.approx(wanted, abs=1e-6)


# Properties


@quick
@given(seed=seeds, num_classes=classes, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_matrices_add_up_over_any_split_into_batches(seed, num_classes, sizes):
    predicted, target = (labels.flatten() for labels in case(seed, num_classes))
    whole = confusion_matrix(predicted, target, num_classes)
    sizes = [*sizes, len(target)]
    parts, start = torch.zeros_like(whole), 0
    for size in sizes:
        end = min(start + size, len(target))
        parts += confusion_matrix(predicted[start:end], target[start:end], num_classes)
        start = end
    assert torch.equal(parts, whole)
    assert whole.sum() == (target != 255).sum()


@quick
@given(seed=seeds, num_classes=classes)
def test_truth_and_prediction_may_change_places(seed, num_classes):
    predicted, target = case(seed, num_classes)
    known = target != 255
    there = confusion_matrix(predicted[known], target[known], num_classes)
    back = confusion_matrix(target[known], predicted[known], num_classes)
    assert torch.equal(back, there.T)
    for metric in (iou, dice):
        assert torch.equal(metric(there).nan_to_num(-1), metric(back).nan_to_num(-1))


@quick
@given(seed=seeds, num_classes=classes)
def test_dice_follows_from_iou_and_is_never_below_it(seed, num_classes):
    matrix = confusion_matrix(*case(seed, num_classes), num_classes)
    overlap, f1 = iou(matrix), dice(matrix)
    assert torch.allclose(f1, 2 * overlap / (1 + overlap), equal_nan=True)
    assert (f1 >= overlap)[~overlap.isnan()].all()
    assert 0 <= pixel_accuracy(matrix) <= 1


@quick
@given(seed=seeds, num_classes=classes, data=st.data())
def test_renaming_the_classes_renames_the_metrics(seed, num_classes, data):
    order = torch.tensor(data.draw(st.permutations(range(num_classes))))
    predicted, target = case(seed, num_classes)
    matrix = confusion_matrix(predicted, target, num_classes)
    renamed = target.clone()
    renamed[target != 255] = order[target[target != 255]]
    again = confusion_matrix(order[predicted], renamed, num_classes)
    assert torch.allclose(iou(again)[order], iou(matrix), equal_nan=True)


def test_the_inputs_are_left_as_they_are():
    predicted, target = PREDICTED.clone(), TARGET.clone()
    confusion_matrix(predicted, target, 3)
    assert torch.equal(predicted, PREDICTED)
    assert torch.equal(target, TARGET)


def test_float_masks_of_whole_numbers_and_booleans_are_counted():
    target = torch.tensor([0.0, 1.0, 255.0, 1.0])
    assert confusion_matrix(torch.tensor([False, True, True, False]), target).tolist() == [[1, 0], [1, 1]]


# What is refused


def test_shapes_that_differ_are_refused():
    with pytest.raises(ShapeError) as caught:
        confusion_matrix(torch.zeros(2, 4, 4), torch.zeros(2, 1, 4, 4))
    check_message(caught.value, "(2, 4, 4)", "(2, 1, 4, 4)", "squeeze")


@pytest.mark.parametrize(("side", "label"), [(0, 2), (0, -1), (1, 2), (1, -100), (1, 254)])
def test_labels_outside_the_classes_are_refused(side, label):
    maps = [torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])]
    maps[side][1] = label
    with pytest.raises(ShapeError) as caught:
        confusion_matrix(*maps)
    check_message(caught.value, ("predicted", "target")[side], str(label), "0 to 1")


@pytest.mark.parametrize("side", [0, 1])
def test_probabilities_are_no_labels(side):
    maps = [torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])]
    maps[side][1] = 0.9  # cut off to 0, it would count as background in silence
    with pytest.raises(ShapeError) as caught:
        confusion_matrix(*maps)
    check_message(caught.value, ("predicted", "target")[side], "Threshold")


def test_a_prediction_is_free_where_the_truth_is_ignored():
    assert confusion_matrix(torch.tensor([0, 77]), torch.tensor([0, 255])).tolist() == [[1, 0], [0, 0]]


# What a score hides


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_the_trivial_score_is_that_of_calling_everything_one_class(num_classes):
    generator = torch.Generator().manual_seed(num_classes)
    target = torch.randint(0, num_classes, (1000,), generator=generator)
    matrix = confusion_matrix(torch.randint(0, num_classes, (1000,), generator=generator), target, num_classes)
    for label, trivial in enumerate(trivial_ious(matrix).tolist()):
        constant = confusion_matrix(torch.full_like(target, label), target, num_classes)
        wanted = iou(constant)[label].item() if num_classes == 2 else mean_iou(constant)
        assert trivial == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([[0, 20], [0, 80]], ['"background" is never predicted', 'calling everything "cell", 0.800']),
        ([[20, 0], [80, 0]], ['"cell" is never predicted']),
        ([[18, 2], [10, 70]], []),
        ([[100, 0], [0, 0]], []),  # nothing to find, and nothing found
    ],
)
def test_a_model_of_one_class_is_called_what_it_is(matrix, words):
    sentences = describe_collapse(torch.tensor(matrix), ["background", "cell"])
    assert len(sentences) == len(words)
    for sentence, word in zip(sentences, words, strict=True):
        assert word in sentence


def test_of_several_classes_each_that_is_never_predicted_is_named():
    matrix = torch.tensor([[90, 0, 0], [5, 0, 0], [5, 0, 0]])
    sentences = describe_collapse(matrix, ["soil", "crop", "weed"])
    assert sentences[0] == '"crop", "weed" are never predicted.'
    assert 'calling everything "soil", 0.300' in sentences[1]
    learned = torch.tensor([[90, 0, 0], [1, 4, 0], [1, 0, 4]])
    assert describe_collapse(learned, ["soil", "crop", "weed"]) == []


def test_an_evaluation_has_the_iou_of_each_class():
    evaluation = Evaluation(0.5, torch.tensor([[2, 2], [0, 2]]))
    assert evaluation.class_iou == pytest.approx([0.5, 0.5])
