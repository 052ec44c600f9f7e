"""Owns the exercise checks of 14_many_gpus: a mean of gradients, the part of each process, epochs, the IoU of all."""

from typing import Any

import torch
from torch.utils.data import DistributedSampler, TensorDataset

from seglib.lesson.common.exercise import Attempt, NotYet, close, describe, exercise, number, one_number


@exercise
def check_part(my_part: Attempt) -> str:
    """Check `my_part(order, rank, world_size, batch_size)`: a list of lists, this process's part of each batch."""
    for order, world_size, batch_size in (
        ([4, 2, 0, 3, 1, 5], 2, 4),
        (list(range(9, -1, -1)), 2, 4),
        ([0, 1, 2], 3, 3),
    ):
        parts = []
        for rank in range(world_size):
            given = f"the order {order}, process {rank} of {world_size}, batches of {batch_size}"
            answer = my_part(list(order), rank, world_size, batch_size, given=given)
            if not isinstance(answer, list | tuple) or not all(isinstance(part, list | tuple) for part in answer):
                raise NotYet(f"a list of lists is wanted, one for each batch; this is {describe(answer)}.")
            parts.append([list(part) for part in answer])
        batches = [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]
        _compare(parts, batches, f"the order {order}, {world_size} processes, batches of {batch_size}")
    return "Each picture once, and the batch of all is the batch of one process."


def _compare(parts: list[list[list]], batches: list[list], given: str) -> None:
    """Whether the parts of all processes make these batches; typical wrong ones get a hint of their own.

    Args:
        parts: for each process its part of each batch.
        batches: those of one process.
        given: the arguments, in words.
    """
    whole = sum(batches, [])
    seen = [picture for part in parts for batch in part for picture in batch]
    counts = [len(part) for part in parts]
    if all(sum(part, []) == sum(parts[0], []) for part in parts) and len(parts) > 1:
        raise NotYet(f"{given}: every process gets the same pictures; rank has to make a difference.")
    if len(seen) > len(whole):
        raise NotYet(f"{given}: {len(seen) - len(whole)} pictures are seen twice. No padding.")
    if len(seen) < len(whole):
        raise NotYet(f"{given}: {len(whole) - len(seen)} pictures are seen by nobody, at an uneven end most often.")
    if any(count != len(batches) for count in counts):
        raise NotYet(f"{given}: {counts} batches; each process takes part in each of the {len(batches)} steps.")
    for step, batch in enumerate(batches):
        shards = [part[step] for part in parts]
        if sorted(sum(shards, [])) != sorted(batch):
            raise NotYet(
                f"{given}: in step {step + 1} one process would see {batch}, and these see other pictures. Cut the "
                "order into batches first, and each batch into parts then."
            )
        sizes = [len(shard) for shard in shards]
        if max(sizes) - min(sizes) > 1:
            raise NotYet(f"{given}: parts of {sizes} pictures; the others would wait for the largest.")


@exercise
def check_weighted_mean(my_mean: Attempt) -> str:
    """Check `my_mean(gradients, counts)`: the gradient of all pictures, from the mean gradient of each process."""
    for gradients, counts in (([-1.0, -3.0], [3, 3]), ([-6.0, -3.0], [2, 1]), ([4.0, 0.0, 1.0], [1, 2, 5])):
        given = f"gradients {gradients} of {counts} pictures"
        answer = number(my_mean(list(gradients), list(counts), given=given))
        if answer is None:
            raise NotYet(f"{given}: one number is wanted.")
        total = sum(g * c for g, c in zip(gradients, counts, strict=True))
        right = total / sum(counts)
        if close(answer, right):
            continue
        hints = {
            sum(gradients)
            / len(gradients): "that is the mean of the means, in which a picture of a small part counts more.",
            total: "that is the sum over all pictures; divide by how many there are.",
            total / len(counts): "that is divided by the processes; divide by the pictures.",
            sum(gradients): "that is the sum over the processes.",
        }
        hint = next((words for value, words in hints.items() if close(answer, value)), f"{right:g} is wanted.")
        raise NotYet(f"{given}: {answer:g} came out; {hint}")
    return "Every picture counts once, whoever had it."


@exercise
def check_iou_of_all(my_iou: Attempt) -> str:
    """Check `my_iou(matrices)`: the IoU of the fruit over the pixels of all processes."""
    for rows in ([[[90, 5], [5, 90]], [[300, 40], [50, 10]]], [[[1, 1], [1, 1]], [[10, 0], [0, 8]], [[2, 2], [0, 0]]]):
        matrices = [torch.tensor(row) for row in rows]
        given = f"the matrices {rows}"
        answer = number(my_iou([matrix.clone() for matrix in matrices], given=given))
        if answer is None:
            raise NotYet(f"{given}: one number is wanted.")
        total = torch.stack(matrices).sum(dim=0).double()
        if close(answer, _iou(total)):
            continue
        each = [_iou(matrix.double()) for matrix in matrices]
        hints = {
            sum(each) / len(each): "that is the mean of the processes' own IoUs. Add up the matrices first.",
            each[0]: "that is the IoU of process 0 alone.",
            (total.diag().sum() / total.sum()).item(): "that is the pixel accuracy.",
            (total[0, 0] / (total.sum() - total[1, 1])).item(): "that is the IoU of the background.",
            (2 * total[1, 1] / (total[1].sum() + total[:, 1].sum())).item(): "that is Dice.",
        }
        hint = next((words for value, words in hints.items() if close(answer, value)), f"{_iou(total):.4f} is wanted.")
        raise NotYet(f"{given}: {answer:.4f} came out; {hint}")
    return "The same number as from one process, to the last digit."


def _iou(matrix: torch.Tensor) -> float:
    return (matrix[1, 1] / (matrix[1].sum() + matrix[:, 1].sum() - matrix[1, 1])).item()


@exercise
def check_epochs(my_epochs: Attempt) -> str:
    """Check `my_epochs()`: epochs of 8 processes with 4 pictures each that have the steps of 100 epochs of one."""
    pictures, processes, part = 32, 8, 4
    own: Any = DistributedSampler(TensorDataset(torch.zeros(pictures)), num_replicas=processes, rank=0)
    steps = 100 * pictures // part
    right = steps // (len(own) // part)
    given = "32 pictures, 8 processes with 4 pictures each"
    answer = one_number(my_epochs(given=given))
    if close(answer, right):
        return f"{len(own) // part} step an epoch, so {right} epochs have the {steps} steps."
    hints = {
        100: "that is right if the batch of all stays at 4. Here it grows to 8 times 4.",
        12.5: "that is the wrong way: the batch is larger, so an epoch has fewer steps.",
        25: "you share the steps by the pictures of a process; how many pictures has a batch of all?",
        1: "that is how many steps one epoch has now. How many epochs have 800?",
        400: "an epoch with 8 processes has fewer steps than that: 32 pictures in batches of 32.",
        6400: "100 epochs of one process have 800 steps, not 6400.",
    }
    hint = next(
        (words for value, words in hints.items() if close(answer, value)), "count the steps of one epoch first."
    )
    raise NotYet(f"{given}: {answer:g} came out; {hint}")
