"""The pieces of a mask, against a walk from pixel to pixel; and what is left when the small ones are gone."""

import numpy as np
import pytest
import torch

from seglib.errors import ShapeError
from seglib.inference.specks import pieces_of, remove_specks


def walk(labels: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Numbers and sizes of the pieces, found from pixel to pixel."""
    numbers = np.zeros(labels.shape, np.int64)
    sizes: list[int] = []
    for start in zip(*np.nonzero(labels), strict=True):
        if numbers[start]:
            continue
        waiting = [start]
        numbers[start] = len(sizes) + 1
        count = 0
        while waiting:
            row, column = waiting.pop()
            count += 1
            for place in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                inside = 0 <= place[0] < labels.shape[0] and 0 <= place[1] < labels.shape[1]
                if inside and labels[place] == labels[start] and not numbers[place]:
                    numbers[place] = len(sizes) + 1
                    waiting.append(place)
        sizes.append(count)
    return numbers, sizes


def test_pieces_are_those_of_a_walk_from_pixel_to_pixel():
    rng = np.random.default_rng(0)
    for _ in range(200):
        labels = rng.integers(0, 3, rng.integers(1, 10, 2))
        numbers, sizes = pieces_of(torch.from_numpy(labels))
        wanted, wanted_sizes = walk(labels)
        assert np.array_equal(numbers.numpy(), wanted)
        assert sizes == wanted_sizes


def test_pixels_that_touch_at_a_corner_only_are_two_pieces():
    assert pieces_of(torch.tensor([[1, 0], [0, 1]]))[1] == [1, 1]


def test_two_labels_side_by_side_are_two_pieces():
    assert pieces_of(torch.tensor([[1, 1, 2]]))[1] == [2, 1]


@pytest.mark.parametrize("mask", [torch.zeros(3, 4), torch.zeros(0, 4), torch.zeros(3, 0)])
def test_without_an_object_there_is_no_piece(mask: torch.Tensor):
    assert pieces_of(mask.long())[1] == []
    assert torch.equal(remove_specks(mask, 5), mask)


def test_a_piece_of_exactly_the_smallest_size_stays_and_the_given_mask_is_unchanged():
    mask = torch.tensor([[1, 1, 0, 3], [0, 0, 0, 0], [2, 2, 2, 0]], dtype=torch.uint8)
    before = mask.clone()
    cleaned = remove_specks(mask, 2)
    assert cleaned.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [2, 2, 2, 0]]
    assert cleaned.dtype == torch.uint8
    assert torch.equal(mask, before)


@pytest.mark.parametrize(
    "mask", [torch.tensor([[0.2, 0.9]]), torch.ones(1, 3, 4), torch.ones(3), torch.tensor([[torch.nan]])]
)
def test_probabilities_and_masks_that_are_not_two_dimensional_are_refused(mask: torch.Tensor):
    for refuses in (pieces_of, lambda given: remove_specks(given, 2)):
        with pytest.raises(ShapeError, match="Cut probabilities first"):
            refuses(mask)


def test_whole_numbers_as_floats_are_labels():
    assert remove_specks(torch.tensor([[1.0, 1.0, 0.0, 2.0]]), 2).tolist() == [[1, 1, 0, 0]]
