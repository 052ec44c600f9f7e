"""Owns the pieces of a mask: which pixels hang together, and the removal of pieces too small to be an object.

Explained in 11_predict.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from seglib.errors import ShapeError


def pieces_of(mask: Tensor) -> tuple[Tensor, list[int]]:
    """Number the pieces of a mask. Two pixels of one value hang together if they touch along a side.

    Args:
        mask: labels (H, W), whole numbers; 0 is the background. Pieces of different labels are different pieces. 255 is
            a label like any other: where it means "do not count", make it 0 first.

    Returns:
        (H, W) int64, 0 for the background, and 1, 2, ... for the pieces in the order in which reading meets them;
        and how many pixels each piece has.

    Raises:
        ShapeError: not (H, W), or no whole numbers, as probabilities are.

    Example:
        >>> mask = torch.tensor([[1, 1, 0, 1], [0, 1, 0, 1], [1, 0, 0, 1]])
        >>> numbers, sizes = pieces_of(mask)
        >>> numbers.tolist()
        [[1, 1, 0, 2], [0, 1, 0, 2], [3, 0, 0, 2]]
        >>> sizes
        [3, 3, 1]
    """
    if mask.ndim != 2 or (mask.is_floating_point() and bool((mask != mask.round()).any())):
        raise ShapeError(
            f"The mask is {tuple(mask.shape)}, of {mask.dtype}.",
            "labels (H, W), whole numbers: 0 for the background",
            "Cut probabilities first: probabilities > 0.5. Of (1, H, W) take mask[0].",
        )
    labels = mask.detach().cpu().numpy()
    rows, begins, ends, values = _runs(labels)
    parent = list(range(len(rows)))
    for one, other in _touching(rows, begins, ends, values):
        _join(parent, one, other)
    roots = [_root(parent, run) for run in range(len(rows))]
    number_of = {root: number for number, root in enumerate(dict.fromkeys(roots), 1)}
    numbers = np.zeros(labels.shape, np.int64)
    sizes = [0] * len(number_of)
    for run, root in enumerate(roots):
        number = number_of[root]
        numbers[rows[run], begins[run] : ends[run]] = number
        sizes[number - 1] += int(ends[run] - begins[run])
    return torch.from_numpy(numbers), sizes


def remove_specks(mask: Tensor, smallest: int) -> Tensor:
    """A mask without the pieces that have fewer than `smallest` pixels; they become background.

    Args:
        mask: labels (H, W), whole numbers; 0 is the background.
        smallest: the size from which a piece stays, in pixels of this mask. Choose it on validation pictures: what is
            smaller than that and true is lost too.

    Returns:
        A new mask, of the same type.

    Raises:
        ShapeError: as `pieces_of`.

    Example:
        >>> remove_specks(torch.tensor([[1, 1, 0, 1], [1, 1, 0, 0]], dtype=torch.uint8), smallest=2)
        tensor([[1, 1, 0, 0],
                [1, 1, 0, 0]], dtype=torch.uint8)
    """
    numbers, sizes = pieces_of(mask)
    stays = torch.tensor([False, *(size >= smallest for size in sizes)])
    return torch.where(stays[numbers].to(mask.device), mask, torch.zeros_like(mask))


def _runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The runs of equal pixels along the rows, without the background: row, begin, end (not included) and label."""
    padded = np.pad(labels, ((0, 0), (1, 1)))  # a run never reaches the edge, nor into the next row
    changes = padded[:, 1:] != padded[:, :-1]
    rows, columns = np.nonzero(changes)
    inside = padded[:, 1:][rows, columns]  # the label that begins at each change
    begins = np.nonzero(inside != 0)[0]
    return rows[begins], columns[begins], columns[begins + 1], inside[begins]


def _touching(rows: np.ndarray, begins: np.ndarray, ends: np.ndarray, values: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of runs of one label, one below the other, that share a column."""
    first = np.searchsorted(rows, np.arange(rows[-1] + 2 if len(rows) else 0)).tolist()  # the first run of each row
    begin = begins.tolist()  # Python's own numbers: quicker one by one
    end = ends.tolist()
    value = values.tolist()
    for row in range(1, len(first) - 1):
        above = first[row - 1]
        run = first[row]
        while above < first[row] and run < first[row + 1]:
            if begin[above] < end[run] and begin[run] < end[above] and value[above] == value[run]:
                yield above, run
            if end[above] < end[run]:
                above += 1
            else:
                run += 1


def _root(parent: list[int], run: int) -> int:
    while parent[run] != run:
        parent[run] = parent[parent[run]]  # half the way is cut off for the next call
        run = parent[run]
    return run


def _join(parent: list[int], one: int, other: int) -> None:
    first = _root(parent, one)
    second = _root(parent, other)
    parent[max(first, second)] = min(first, second)  # the root is the run that reading meets first
