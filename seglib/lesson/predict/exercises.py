"""Owns the exercise checks of 11_predict: own size, precision and recall, specks, tiles."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.lesson.common.exercise import Attempt, NotYet, close, describe, exercise, number, one_number


@exercise
def check_own_size(my_mask: Attempt) -> str:
    """Check `my_mask(outputs, size)`: logits (1, 1, h, w) of BCE and (height, width) in, a mask of that size out."""
    torch.manual_seed(0)
    for shape, size in (((3, 4), (6, 8)), ((4, 3), (10, 7))):
        outputs = torch.randn(1, 1, *shape)
        given = f"outputs of shape (1, 1, {shape[0]}, {shape[1]}) and size {size}"
        mask = my_mask(outputs.clone(), size, given=given)
        _check_mask(mask, shape, size, given)
        _compare_masks(mask.bool(), outputs, size, given)
    return "Enlarged first and cut then: the edge is as smooth as the outputs allow."


def _check_mask(mask: Any, shape: tuple[int, int], size: tuple[int, int], given: str) -> None:
    """Whether it is a mask at all: a tensor of 0 and 1 of this size."""
    if not isinstance(mask, Tensor):
        raise NotYet(f"a mask is a tensor; this is {describe(mask)}.")
    if tuple(mask.shape) == size[::-1] != size:
        raise NotYet(f"{given}: the mask is {tuple(mask.shape)}. Height and width are exchanged.")
    if tuple(mask.shape) == shape:
        raise NotYet(f"{given}: the mask still has the model's size {shape}. Enlarge the outputs first.")
    if tuple(mask.shape) != size:
        raise NotYet(f"{given}: the mask is {tuple(mask.shape)}. Take away what is not height and width: [0, 0].")
    if set(mask.double().unique().tolist()) - {0.0, 1.0}:
        raise NotYet("a mask holds 0 and 1 only. Enlarge first, then compare with the threshold.")


def _compare_masks(mask: Tensor, outputs: Tensor, size: tuple[int, int], given: str) -> None:
    """Whether it is the right mask (H, W) bool; typical wrong ones get a hint of their own."""
    enlarged = F.interpolate(outputs, size, mode="bilinear")[0, 0]  # (H, W)
    right = enlarged > 0
    if torch.equal(mask, right):
        return
    if torch.equal(mask, F.interpolate(outputs, size)[0, 0] > 0):
        raise NotYet("the mask has steps: outputs are enlarged by nearest, or after the threshold. Use bilinear.")
    if torch.equal(mask, enlarged > 0.5):
        raise NotYet("a logit is compared with 0.5. After BCE the threshold is 0; 0.5 is for a probability.")
    if torch.equal(mask, F.interpolate(outputs, size, mode="bilinear", align_corners=True)[0, 0] > 0):
        raise NotYet("align_corners=True moves the mask by up to half a cell. Leave it out.")
    raise NotYet(f"{given}: {int((mask != right).sum())} of {mask.numel()} pixels differ.")


@exercise
def check_precision_recall(my_scores: Attempt) -> str:
    """Check `my_scores(matrix)`: a confusion matrix (2, 2), rows the truth, in; (precision, recall) out."""
    for rows in ([[50, 10], [5, 35]], [[90, 0], [4, 6]], [[10, 30], [20, 40]]):
        answer = my_scores(torch.tensor(rows), given=f"the matrix {rows}")
        (true_negatives, false_positives), (false_negatives, true_positives) = rows
        precision = true_positives / (true_positives + false_positives)
        recall = true_positives / (true_positives + false_negatives)
        if _are(answer, precision, recall):
            continue
        if _are(answer, recall, precision):
            raise NotYet(
                f"the matrix {rows}: the two are exchanged. Precision divides by what was called fruit, a column."
            )
        of_background = true_negatives / (true_negatives + false_negatives)
        recall_of_background = true_negatives / (true_negatives + false_positives)
        if _are(answer, of_background, recall_of_background):
            raise NotYet(f"the matrix {rows}: these are of the background.")
        of_all = true_positives / sum(map(sum, rows))
        if _are(answer, of_all, of_all):
            raise NotYet(f"the matrix {rows}: both are divided by all pixels.")
        raise NotYet(
            f"the matrix {rows}: precision is {true_positives} / {true_positives + false_positives}, "
            f"recall {true_positives} / {true_positives + false_negatives}."
        )
    return "Precision falls with what is invented, recall with what is missed."


def _are(answer: Any, first: float, second: float) -> bool:
    """Whether the answer is this pair of numbers; a hint, if it is no pair of numbers at all."""
    values = [number(value) for value in answer] if isinstance(answer, tuple | list) else []
    if len(values) != 2 or None in values:
        raise NotYet(f"two numbers are wanted, precision and recall; this is {describe(answer)}.")
    return all(close(value, wanted) for value, wanted in zip(values, (first, second), strict=True))  # type: ignore[arg-type]


@exercise
def check_spans(my_spans: Attempt) -> str:
    """Check `my_spans(length, tile, overlap)`: (begin, end) of tiles that cover a side, as a list."""
    for length, tile, overlap in ((100, 40, 10), (100, 40, 0), (70, 40, 10), (30, 40, 10), (101, 40, 10)):
        given = f"length {length}, tile {tile}, overlap {overlap}"
        answer = my_spans(length, tile, overlap, given=given)
        try:
            spans = [(int(begin), int(end)) for begin, end in answer]
        except (TypeError, ValueError):
            raise NotYet(f"a list of (begin, end) is wanted; this is {describe(answer)}.") from None
        _check_cover(spans, length, given)
        _check_tiles(spans, tile, overlap, given)
        fewest = max(1, math.ceil((length - overlap) / (tile - overlap)))
        if len(spans) > fewest:
            raise NotYet(f"{given}: {len(spans)} tiles, and {fewest} are enough. The last one lies in the one before.")
    return "Every pixel is in a tile, and neighbours share what they should."


def _check_cover(spans: list[tuple[int, int]], length: int, given: str) -> None:
    """Each pixel of the side lies in a tile, and no tile reaches over the edge."""
    covered = {pixel for begin, end in spans for pixel in range(begin, end)}
    missing = sorted(set(range(length)) - covered)
    if missing:
        raise NotYet(f"{given}: pixel {missing[0]} is in no tile. The last tile has to reach the end.")
    if max(covered) >= length or min(covered) < 0:
        raise NotYet(f"{given}: a tile reaches over the edge, to {max(covered) + 1}. Cut it with min(..., length).")


def _check_tiles(spans: list[tuple[int, int]], tile: int, overlap: int, given: str) -> None:
    """No tile is too long, and each shares at least the overlap with its neighbour."""
    if any(end - begin > tile for begin, end in spans):
        raise NotYet(f"{given}: a tile is longer than {tile}.")
    for one, following in zip(spans, spans[1:], strict=False):
        if one[1] - following[0] < overlap:
            raise NotYet(f"{given}: {one} and {following} share less than {overlap}. The step is tile - overlap.")


PIECES = [(900, 870), (20, 20), (10, 0), (15, 0), (40, 0)]  # (pixels of a drawn piece, of these truly fruit)
FRUIT = 1000  # pixels of fruit in the picture


@exercise
def check_iou_without_specks(my_iou: Attempt) -> str:
    """Check `my_iou(pieces, fruit, smallest)`: the IoU after pieces with fewer than `smallest` pixels are gone."""
    for smallest in (1, 18, 20, 30, 45):
        given = f"the five pieces of the text, {FRUIT} pixels of fruit, smallest {smallest}"
        answer = one_number(my_iou(list(PIECES), FRUIT, smallest, given=given))
        wanted = _iou_of([piece for piece in PIECES if piece[0] >= smallest], FRUIT)
        if close(answer, wanted):
            continue
        _explain_iou(answer, smallest, given)
        raise NotYet(f"{given}: the IoU is {wanted:.4f}, and this is {answer:.4f}.")
    return "A true piece went with the specks, and the IoU rose all the same: look at what goes, not at one number."


def _iou_of(pieces: list[tuple[int, int]], fruit: int) -> float:
    hits = sum(right for _, right in pieces)
    return hits / (fruit + sum(pixels - right for pixels, right in pieces))


def _explain_iou(answer: float, smallest: int, given: str) -> None:
    """A hint for typical wrong numbers."""
    stay = [piece for piece in PIECES if piece[0] >= smallest]
    hits = sum(right for _, right in stay)
    drawn = sum(pixels for pixels, _ in stay)
    if close(answer, _iou_of([piece for piece in PIECES if piece[0] > smallest], FRUIT)):
        raise NotYet(f"{given}: a piece of exactly {smallest} pixels stays.")
    if close(answer, _iou_of(PIECES, FRUIT)):
        raise NotYet(f"{given}: nothing was removed. Leave out the pieces below {smallest} pixels.")
    if close(answer, hits / FRUIT):
        raise NotYet(f"{given}: this is the recall. The union also has what is drawn and is no fruit.")
    if close(answer, hits / drawn):
        raise NotYet(f"{given}: this is the precision. The union also has the fruit that is not drawn.")
    if close(answer, hits / (FRUIT + drawn)):
        raise NotYet(f"{given}: what is in both is counted twice in the union. Take it off once.")
