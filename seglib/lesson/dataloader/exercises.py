"""Owns the exercise checks of 03_dataloader: the notes' number, batches, a split by scene."""

from typing import Any

import torch

from seglib.lesson.common.exercise import Attempt, NotYet, describe, exercise, one_number


@exercise
def check_batch_sizes(my_sizes: Attempt) -> str:
    """Check `my_sizes(count, batch_size, drop_last)`: the sizes of all batches of an epoch, as a list."""
    for count, batch_size, drop_last in (
        (10, 4, False),
        (10, 4, True),
        (8, 4, False),
        (8, 4, True),
        (3, 4, False),
        (3, 4, True),
    ):
        given = f"{count} pictures, batch_size={batch_size}, drop_last={drop_last}"
        got = my_sizes(count, batch_size, drop_last, given=given)
        full = [batch_size] * (count // batch_size)
        rest = count % batch_size
        wanted = full + ([rest] if rest and not drop_last else [])
        if not isinstance(got, list | tuple):
            raise NotYet(f"a list of sizes is expected, such as [4, 4, 2]; this is {describe(got)}.")
        if list(got) != wanted:
            raise NotYet(f"{given}: {_sizes_hint(list(got), full, rest, drop_last)}")
    return "Full batches first, and the rest at the end, unless it is dropped."


def _sizes_hint(got: list[Any], full: list[int], rest: int, drop_last: bool) -> str:
    if drop_last and rest and got == [*full, rest]:
        return f"the last batch of {rest} is not full, and drop_last leaves it out."
    if not drop_last and rest and got == full:
        return f"{rest} pictures are in no batch. Without drop_last the last batch holds the rest."
    if got == [*full, 0]:
        return "there is a batch of 0 pictures at the end. Where nothing is left over, there is no further batch."
    if not drop_last and rest and full and got == [full[0]] * (len(full) + 1):
        return f"the last batch has {full[0]}, more than are left: that is the notes' `count += 4`."
    return f"the sizes are {[*full, rest] if rest and not drop_last else full}, and yours are {str(got)[:60]}."


@exercise
def check_collate(my_collate: Attempt) -> str:
    """Check `my_collate(pairs)`: (image, mask) pairs in, one tensor of images and one of masks out."""
    draw = torch.Generator().manual_seed(0)
    for count in (2, 1):
        pairs = [
            (torch.rand(3, 4, 6, generator=draw), torch.rand(1, 4, 6, generator=draw).round()) for _ in range(count)
        ]
        given = f"{count} pairs of images (3, 4, 6) and masks (1, 4, 6)"
        got = my_collate(list(pairs), given=given)
        if not isinstance(got, list | tuple) or len(got) != 2:
            raise NotYet(f"two tensors are expected, images and masks; this is {describe(got)}.")
        for what, ours, place in (("images", got[0], 0), ("masks", got[1], 1)):
            _check_stack(what, ours, [pair[place] for pair in pairs])
    return "Each picture keeps its shape; the new dimension in front counts them."


def _check_stack(what: str, got: Any, tensors: list[torch.Tensor]) -> None:
    wanted = torch.stack(tensors)  # (N, C, H, W)
    if not isinstance(got, torch.Tensor):
        raise NotYet(f"the {what} are {describe(got)}, not one tensor. torch.stack makes one of a list of them.")
    if len(tensors) > 1 and got.shape == torch.cat(tensors).shape:
        raise NotYet(
            f"the {what} have shape {tuple(got.shape)}: torch.cat puts them end to end along a dimension that is "
            f"there already. torch.stack adds a new one: {tuple(wanted.shape)}."
        )
    if got.shape != wanted.shape:
        raise NotYet(f"the {what} have shape {tuple(got.shape)}; {tuple(wanted.shape)} is wanted, N in front.")
    if not torch.equal(got, wanted):
        mixed = "They are in another order than the pairs." if len(tensors) > 1 else "Stack them as they are."
        raise NotYet(f"the {what} have the right shape and other values. {mixed}")


_STEMS = ["apples_1", "apples_2", "bowl_1", "kitchen_table_1", "kitchen_table_2", "kitchen_table_3", "lamp_1"]
_CUT = "A stem is cut at its last underscore: stem.rpartition('_')[0]."


@exercise
def check_split_by_scene(my_split: Attempt) -> str:
    """Check `my_split(stems, validation_scenes)`: (train, validation), all pictures of a scene on one side."""
    for scenes in (["apples"], ["kitchen_table", "lamp"]):
        got = my_split(list(_STEMS), list(scenes), given=f"seven stems and the validation scenes {scenes}")
        if not isinstance(got, list | tuple) or len(got) != 2:
            raise NotYet(f"two lists are expected, train and validation; this is {describe(got)}.")
        try:
            train = [str(stem) for stem in got[0]]
            validation = [str(stem) for stem in got[1]]
        except TypeError:
            raise NotYet("two lists of stems are expected, train and validation.") from None
        _check_sides(train, validation, scenes)
    return "All pictures of a scene are on one side, so no twin is on the other."


def _check_sides(train: list[str], validation: list[str], scenes: list[str]) -> None:
    wanted = [stem for stem in _STEMS if _scene_of(stem) in scenes]
    if sorted(train) == wanted:
        raise NotYet("the two sides are exchanged: train comes first.")
    if not validation:
        raise NotYet(f"no picture is in validation. The scene of 'kitchen_table_2' is 'kitchen_table': {_CUT}")
    lost = sorted(set(_STEMS) - set(train) - set(validation))
    if lost:
        raise NotYet(f"{', '.join(lost)}: on neither side. Every picture belongs to one of the two.")
    both = sorted(set(train) & set(validation))
    if both:
        raise NotYet(f"{', '.join(both)}: on both sides. That is the leak that we want to close.")
    for scene in scenes:
        trained_on = [stem for stem in train if _scene_of(stem) == scene]
        if trained_on:
            raise NotYet(f"{', '.join(trained_on)}: trained on, though {scene!r} is a scene for validation. {_CUT}")
    if sorted(validation) != wanted:
        extra = sorted(set(validation) - set(wanted))
        raise NotYet(f"{', '.join(extra)}: in validation, though of another scene. {_CUT}")


def _scene_of(stem: str) -> str:
    return stem.rpartition("_")[0]


_LOSSES = torch.tensor([1.0] * 28 + [9.0] * 2)  # those of the lesson: one for each of 30 pictures
_BATCH_SIZE = 8


@exercise
def check_notes_number(my_number: Attempt) -> str:
    """Check `my_number()`: the notes' `total_loss / count` for the lesson's losses, in batches of 8."""
    answer = my_number(given="nothing")
    value = one_number(answer)
    means = [batch.mean().item() for batch in _LOSSES.split(_BATCH_SIZE)]
    measured = sum(means) / (4 * len(means))
    if abs(value - measured) < 0.005:
        return f"The loop gives {measured:.3f}: four means, divided by 4 x 4. The losses have not changed."
    for wrong, hint in _wrong_numbers(means).items():
        if abs(value - wrong) < 0.005:
            raise NotYet(hint)
    raise NotYet(f"yours is {value:.4g}. Write down the means of the batches, add them up, and divide by `count`.")


def _wrong_numbers(means: list[float]) -> dict[float, str]:
    """Answers of typical mistakes, and what to say of each."""
    total = sum(means)
    of_four = _LOSSES.split(4)
    return {
        sum(batch.mean().item() for batch in of_four) / (4 * len(of_four)): "that is the number for batches of 4.",
        total / (_BATCH_SIZE * len(means)): "that counts 8 for each batch, and `count += 4` has stayed as it was.",
        total / len(_LOSSES): "that divides by the 30 pictures. `count` adds 4 for each batch, whatever is in it.",
        total / len(means): "that is the mean of the batches' means. The notes divide by `count`.",
        _LOSSES.mean().item(): "that is the mean over all pictures. The notes add up the means of the batches.",
        (len(means) - 1 + (6 * 1 + 2 * 9) / 8) / (4 * len(means)): "the last batch is not full: it holds 6 pictures.",
    }
