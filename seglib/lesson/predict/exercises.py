"""Owns the exercise checks of 11_predict: a mask at the picture's own size, precision and recall, tiles that cover."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.lesson.common.exercise import Attempt, NotYet, close, describe, exercise, number


@exercise
def check_own_size(my_mask: Attempt) -> str:
    """Check `my_mask(outputs, size)`: logits (1, 1, h, w) of BCE and (height, width) in, a mask of that size out."""
    torch.manual_seed(0)
    for shape, size in (((3, 4), (6, 8)), ((4, 3), (10, 7))):
        outputs = torch.randn(1, 1, *shape)
        given = f"outputs of shape (1, 1, {shape[0]}, {shape[1]}) and size {size}"
        mask = my_mask(outputs.clone(), size, given=given)
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
        right = F.interpolate(outputs, size, mode="bilinear")[0, 0]
        stepped = F.interpolate(outputs, size)[0, 0] > 0
        if torch.equal(mask.bool(), right > 0):
            continue
        if torch.equal(mask.bool(), stepped):
            raise NotYet("the mask has steps: outputs are enlarged by nearest, or after the threshold. Use bilinear.")
        if torch.equal(mask.bool(), right > 0.5):
            raise NotYet("a logit is compared with 0.5. After BCE the threshold is 0; 0.5 is for a probability.")
        corners = F.interpolate(outputs, size, mode="bilinear", align_corners=True)[0, 0] > 0
        if torch.equal(mask.bool(), corners):
            raise NotYet("align_corners=True moves the mask by up to half a cell. Leave it out.")
        raise NotYet(f"{given}: {int((mask.bool() != (right > 0)).sum())} of {mask.numel()} pixels differ.")
    return "Enlarged first and cut then: the edge is as smooth as the outputs allow."


@exercise
def check_precision_recall(my_scores: Attempt) -> str:
    """Check `my_scores(matrix)`: a confusion matrix (2, 2), rows the truth, in; (precision, recall) out."""
    for rows in ([[50, 10], [5, 35]], [[90, 0], [4, 6]], [[10, 30], [20, 40]]):
        matrix = torch.tensor(rows)
        answer = my_scores(matrix.clone(), given=f"the matrix {rows}")
        if not isinstance(answer, tuple | list) or len(answer) != 2 or None in (values := [number(a) for a in answer]):
            raise NotYet(f"two numbers are wanted, precision and recall; this is {describe(answer)}.")
        (_, invented), (missed, hit) = rows
        right = hit / (hit + invented), hit / (hit + missed)
        if all(close(value, wanted) for value, wanted in zip(values, right, strict=True)):  # type: ignore[arg-type]
            continue
        typical = (
            (right[::-1], "the two are exchanged. Precision divides by what was called fruit, a column."),
            (
                (rows[0][0] / (rows[0][0] + missed), rows[0][0] / (rows[0][0] + invented)),
                "these are of the background.",
            ),
            ((hit / sum(map(sum, rows)),) * 2, "both are divided by all pixels."),
        )
        for wrong, hint in typical:
            if all(close(value, each) for value, each in zip(values, wrong, strict=True)):  # type: ignore[arg-type]
                raise NotYet(f"the matrix {rows}: {hint}")
        raise NotYet(f"the matrix {rows}: precision is {hit} / {hit + invented}, recall {hit} / {hit + missed}.")
    return "Precision falls with what is invented, recall with what is missed."


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
        covered = {place for begin, end in spans for place in range(begin, end)}
        if missing := sorted(set(range(length)) - covered):
            raise NotYet(f"{given}: pixel {missing[0]} is in no tile. The last tile has to reach the end.")
        if max(covered) >= length or min(covered) < 0:
            raise NotYet(f"{given}: a tile reaches over the edge, to {max(covered) + 1}. Cut it with min(..., length).")
        if any(end - begin > tile for begin, end in spans):
            raise NotYet(f"{given}: a tile is longer than {tile}.")
        short = [pair for pair in zip(spans, spans[1:], strict=False) if pair[0][1] - pair[1][0] < overlap]
        if short:
            raise NotYet(
                f"{given}: {short[0][0]} and {short[0][1]} share less than {overlap}. The step is tile - overlap."
            )
        fewest = max(1, -(-(length - overlap) // (tile - overlap)))
        if len(spans) > fewest:
            raise NotYet(f"{given}: {len(spans)} tiles, and {fewest} are enough. The last one lies in the one before.")
    return "Every pixel is in a tile, and neighbours share what they should."
