"""The exercise checks of 00_start_here and 01_dataset, and what every check does with any answer whatever."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from seglib.lesson.common.exercise import describe, describe_error, exercise, number
from seglib.lesson.dataset.exercises import (
    check_count_labels,
    check_mask_to_label,
    check_mended_dataset,
    check_pair_by_stem,
    check_upright,
    check_wrong_pairs,
)
from seglib.lesson.start_here.exercises import check_iou, check_larger_squares, check_predict_threshold
from seglib.lesson.transforms.exercises import check_black_twice

CHECKS = [
    check_iou,
    check_mask_to_label,
    check_mended_dataset,
    check_pair_by_stem,
    check_wrong_pairs,
    check_predict_threshold,
    check_count_labels,
    check_upright,
    check_black_twice,
    check_larger_squares,
]


class Odd:
    """Raises whenever it is looked at."""

    def __getattribute__(self, name):
        raise RuntimeError("leave me alone")

    def __eq__(self, other):
        raise RuntimeError("leave me alone")

    __hash__ = None


def stop(*_):
    raise SystemExit(3)


def recurse(*arguments):
    return recurse(*arguments)


def not_yet(*_):
    raise NotImplementedError


STUBS = [None, ..., lambda *_: None, lambda *_: ..., not_yet]
NONSENSE = [
    3,
    "text",
    [],
    Odd,
    lambda: 1,
    lambda *_: 1 / 0,
    stop,
    recurse,
    lambda *_: Odd(),
    lambda *_: "text",
    lambda *_: b"",
    lambda *_: True,
    lambda *_: float("nan"),
    lambda *_: [1, "a", None],
    lambda *_: {"a": None, (1, 2): []},
    lambda *_: {1: torch.ones(3)},
    lambda *_: object(),
    lambda *_: torch.empty(0),
    lambda *_: torch.tensor(float("nan")),
    lambda *_: torch.ones(2, 2, 3) * 1j,
    lambda *_: np.array(["a"]),
    lambda *_: np.array([None]),
    lambda *_: itertools.count(),
    lambda *_: Image.new("L", (1, 1)),
    lambda *_: (yield),
    lambda *arguments: arguments[0],
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_right_and_gets_no_hint(check, stub, capsys):
    assert check(stub) is None
    assert capsys.readouterr().out.startswith("Not yet: nothing to check so far.")


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_called_without_an_answer_says_so(check, capsys):
    check()
    assert capsys.readouterr().out.startswith("Not yet: nothing to check so far.")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("answer", NONSENSE, ids=range(len(NONSENSE)))
def test_nothing_that_a_reader_passes_raises(check, answer, capsys, recwarn):
    assert check(answer) is None
    printed = capsys.readouterr()
    assert printed.out.startswith("Not yet: ")
    assert printed.out.count("\n") == 1
    assert " 0x" not in printed.out
    assert printed.err == ""
    assert not recwarn.list


@pytest.mark.parametrize("check", CHECKS)
def test_an_answer_that_cannot_even_be_looked_at(check, capsys):
    check(Odd())
    assert capsys.readouterr().out.startswith("Not yet: ")


def said(check, answer, capsys):
    check(answer)
    return capsys.readouterr().out


# IoU


def both(p, t):
    return (p & t).sum()


def right_iou(predicted, target):
    union = (predicted | target).sum()
    return (both(predicted, target) / union).item() if union else float("nan")


@pytest.mark.parametrize("answer", [right_iou, lambda p, t: both(p, t) / (p | t).sum()])
def test_iou_right(answer, capsys):
    assert said(check_iou, answer, capsys).startswith("Right. ")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda p, t: both(p, t) / (p.sum() + t.sum()), "half of Dice"),
        (lambda p, t: 2 * both(p, t) / (p.sum() + t.sum()), "This is Dice"),
        (lambda p, t: (p == t).float().mean(), "pixel accuracy"),
        (lambda p, t: both(p, t) / t.sum(), "recall"),
        (lambda p, t: both(p, t) / p.sum(), "precision"),
        (lambda p, t: 100 * both(p, t) / (p | t).sum(), "percentage"),
        (lambda p, t: both(p, t) // (p | t).sum(), "whole number"),
        (lambda p, t: both(p, t), "intersection. Divide"),
        (lambda p, t: (p | t).sum().item(), "This is the union"),
        (lambda p, t: (p | t).sum() / both(p, t), "other way round"),
        (lambda p, t: 0.4, "3 / 8 = 0.375"),
        (lambda p, t: p & t, "one number"),
        (lambda p, t: int(both(p, t)) / int((p | t).sum()), "two empty masks the union is 0"),
        (lambda p, t: both(p, t) / max(int((p | t).sum()), 1), "two empty masks give 0"),
        (lambda p, t: (both(p, t) + 1e-9) / ((p | t).sum() + 1e-9), "two empty masks give 1"),
        (lambda p, t: p["x"], "stopped with"),
    ],
)
def test_iou_typical_wrong_answers_get_their_hint(answer, hint, capsys):
    words = said(check_iou, answer, capsys)
    assert words.startswith("Not yet: ")
    assert hint in words


# A mask becomes a label


def right_label(mask):
    return torch.from_numpy(np.array(mask) / 255).float().unsqueeze(0)


def test_mask_to_label_right(capsys):
    from torchvision.transforms.v2.functional import pil_to_tensor

    assert said(check_mask_to_label, right_label, capsys).startswith("Right. ")
    assert said(check_mask_to_label, lambda mask: pil_to_tensor(mask) / 255, capsys).startswith("Right. ")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda mask: torch.from_numpy(np.array(mask)).unsqueeze(0), "still 255"),
        (lambda mask: right_label(mask) * 255, "still 255"),
        (lambda mask: right_label(mask)[0], "unsqueeze(0)"),
        (lambda mask: right_label(mask).permute(1, 2, 0), "channel stands last"),
        (lambda mask: right_label(mask).transpose(1, 2), "exchanged"),
        (lambda mask: right_label(mask).long(), "dtype int64"),
        (lambda mask: right_label(mask).double(), "dtype float64"),
        (lambda mask: right_label(mask).bool(), "dtype bool"),
        (lambda mask: right_label(mask) / 255, "twice"),
        (lambda mask: 1 - right_label(mask), "255 is fruit"),
        (lambda mask: right_label(mask).flip(2), "nothing moves"),
        (lambda mask: np.array(mask) / 255, "from_numpy"),
        (lambda mask: right_label(mask)[None], "(1, 1, 3, 4)"),
    ],
)
def test_mask_to_label_typical_wrong_answers_get_their_hint(answer, hint, capsys):
    assert hint in said(check_mask_to_label, answer, capsys)


# Pairs by stem


def right_pairs(image_names, mask_names):
    images = {Path(name).stem: name for name in image_names}
    masks = {Path(name).stem: name for name in mask_names}
    alone = [images.get(stem) or masks[stem] for stem in sorted(images.keys() ^ masks.keys())]
    if alone:
        raise ValueError(f"no partner for {', '.join(alone)}")
    return [(images[stem], masks[stem]) for stem in sorted(images)]


def by_first_dot(images, masks):
    stems = {name.split(".")[0]: name for name in masks}
    return [(name, stems[name.split(".")[0]]) for name in sorted(images)]


def silent(images, masks):
    stems = {Path(name).stem: name for name in masks}
    return [(name, stems[Path(name).stem]) for name in sorted(images) if Path(name).stem in stems]


def unnamed(images, masks):
    if len(images) != len(masks):
        raise ValueError("the folders differ")
    return silent(images, masks)


def key_error(images, masks):
    stems = {Path(name).stem: name for name in masks}
    return [(name, stems[Path(name).stem]) for name in sorted(images)]


def images_only(images, masks):
    try:
        return key_error(images, masks)
    except KeyError as error:
        raise ValueError(f"no mask for {error}") from error


def test_pairs_right(capsys):
    assert said(check_pair_by_stem, right_pairs, capsys).startswith("Right. ")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda i, m: list(zip(i, m, strict=False)), "Pair by stem"),
        (lambda i, m: zip(sorted(i), sorted(m), strict=False), "by position"),
        (lambda i, m: list(zip(sorted(i), sorted(m), strict=True)), "does not name it"),
        (lambda i, m: [(name, name) for name in sorted(i) if name in m], "share a stem"),
        (lambda i, m: [(name, m[m.index(name)]) for name in sorted(i)], "Compare stems"),
        (by_first_dot, "last dot"),
        (silent, "in silence"),
        (unnamed, "does not name it"),
        (key_error, "Raise a ValueError"),
        (images_only, "'b.png' is left alone"),
        (lambda i, m: right_pairs(i, m)[::-1], "not sorted"),
        (lambda i, m: [(b, a) for a, b in right_pairs(i, m)], "the image comes first"),
        (lambda i, m: [(Path(a).stem, Path(b).stem) for a, b in right_pairs(i, m)], "These are stems".lower()),
        (lambda i, m: dict(right_pairs(i, m)), "pairs is expected"),
    ],
)
def test_pairs_typical_wrong_answers_get_their_hint(answer, hint, capsys):
    words = said(check_pair_by_stem, answer, capsys)
    assert words.startswith("Not yet: ")
    assert hint in words


# The threshold that goes with BCE


@pytest.mark.parametrize(
    "answer",
    [
        lambda outputs: outputs[:, 0] > 0,
        lambda outputs: (torch.sigmoid(outputs) > 0.5).squeeze(1).long(),
        lambda outputs: (outputs > 0).squeeze(1).numpy(),
    ],
)
def test_threshold_right(answer, capsys):
    assert said(check_predict_threshold, answer, capsys).startswith("Right. ")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda outputs: outputs[:, 0] > 0.5, "sigmoid(0.3) = 0.57"),
        (lambda outputs: outputs > 0, "channel is still there"),
        (lambda outputs: torch.sigmoid(torch.sigmoid(outputs))[:, 0] > 0.5, "apply it once"),
        (lambda outputs: torch.sigmoid(outputs)[:, 0], "probabilities"),
        (lambda outputs: outputs[:, 0], "outputs themselves"),
        (lambda outputs: outputs.argmax(dim=1), "argmax"),
        (lambda outputs: outputs[:, 0] < 0, "exchanged"),
        (lambda outputs: torch.sigmoid(outputs).round().squeeze(1), ".long()"),
        (lambda outputs: (outputs > 0).squeeze(), "batch of one"),
        (lambda outputs: (outputs[:, 0] > 0) * 255, "holds 0 and 1"),
        (lambda outputs: outputs[:, 0] > 1, "of 12 pixels"),
        (lambda outputs: outputs[0, 0] > 0, "(2, 3)"),
        (lambda outputs: (outputs > 0).tolist(), "a mask is a tensor"),
    ],
)
def test_threshold_typical_wrong_answers_get_their_hint(answer, hint, capsys):
    assert hint in said(check_predict_threshold, answer, capsys)


# Counting labels


def right_counts(mask):
    values, counts = np.unique(np.array(mask), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize(
    "answer",
    [
        right_counts,
        lambda mask: {value: count for count, value in mask.getcolors()},
        lambda mask: dict(zip(*np.unique(mask, return_counts=True), strict=True)),
    ],
)
def test_counts_right(answer, capsys):
    assert said(check_count_labels, answer, capsys).startswith("Right. ")


def histogram(mask):
    return dict(enumerate(mask.histogram()))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda mask: {str(value): count for value, count in right_counts(mask).items()}, "the keys are text"),
        (lambda mask: {value: count / 12 for value, count in right_counts(mask).items()}, "shares"),
        (histogram, "252 values that do not occur"),
        (lambda mask: dict(enumerate(mask.convert("RGB").histogram())), "three times"),
        (lambda mask: {v: c for c, v in mask.convert("RGB").getcolors()}, "the keys are colours"),
        (lambda mask: {v: 3 * c for v, c in right_counts(mask).items()}, "three times"),
        (lambda mask: mask.getcolors(), "(count, value)"),
        (lambda mask: dict(mask.getcolors()), "exchanged"),
        (lambda mask: {v: c for v, c in right_counts(mask).items() if v}, "0 is a label too"),
        (lambda mask: {v: c for v, c in right_counts(mask).items() if v < 255}, "255 is missing"),
        (lambda mask: {torch.tensor(v): c for v, c in right_counts(mask).items()}, ".item()"),
        (lambda mask: list(right_counts(mask)), "a dict"),
        (lambda mask: {0: 6, 1: 3, 3: 1, 255: 2}, "other counts"),
        (lambda mask: {0: 1}, "add up to 1"),
    ],
)
def test_counts_typical_wrong_answers_get_their_hint(answer, hint, capsys):
    assert hint in said(check_count_labels, answer, capsys)


# Upright


def right_upright(path):
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def closed(path):
    with Image.open(path) as image:
        return image


def no_half_turn(path):
    image = Image.open(path)
    return (image.rotate(-90, expand=True) if image.getexif().get(0x0112) == 6 else image).convert("RGB")


def test_upright_right(capsys):
    assert said(check_upright, right_upright, capsys).startswith("Right. ")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda path: Image.open(path).convert("RGB"), "EXIF data says how to turn it"),
        (lambda path: Image.open(path).rotate(-90, expand=True).convert("RGB"), "Turn only what says so"),
        (lambda path: Image.open(path).rotate(90, expand=True).convert("RGB"), "on its head"),
        (lambda path: ImageOps.exif_transpose(Image.open(path)), "mode L"),
        (lambda path: ImageOps.exif_transpose(Image.open(path)).convert("L"), "on its head"),
        (no_half_turn, "orientation 3"),
        (lambda path: np.array(right_upright(path)), "a PIL image"),
        (lambda path: right_upright(path).resize((8, 8)), "Only turn it"),
        (closed, "inside the with"),
        (lambda path: Image.open(io.BytesIO(b"")), "stopped with UnidentifiedImageError"),
        (lambda path: Image.open(path.with_name("other.jpg")), "FileNotFoundError: [Errno 2]"),
    ],
)
def test_upright_typical_wrong_answers_get_their_hint(answer, hint, capsys):
    words = said(check_upright, answer, capsys)
    assert words.startswith("Not yet: ")
    assert hint in words
    assert "/tmp" not in words


# The helpers


def test_a_new_check_prints_the_same_two_kinds_of_lines(capsys):
    @exercise
    def check_double(double):
        assert double(2, given="2") == 4
        return "Twice as much."

    check_double(lambda value: 2 * value)
    check_double(lambda value: value)
    assert capsys.readouterr().out.splitlines()[0] == "Right. Twice as much."


def test_an_error_is_described_without_paths_and_addresses():
    assert describe_error(FileNotFoundError("no /tmp/x1y2/photo.jpg here")) == "FileNotFoundError: no photo.jpg here"
    assert describe_error(ValueError(r"no C:\Users\me\photo.jpg here")) == "ValueError: no photo.jpg here"
    assert describe_error(ValueError("<f at 0x7f00aa>, 1/2 of it")) == "ValueError: <f>, 1/2 of it"
    assert describe_error(KeyError()) == "KeyError"


def test_values_are_described_in_a_few_words():
    assert describe(torch.zeros(2, 3)) == "a tensor of shape (2, 3) and dtype float32"
    assert describe(np.zeros(2)) == "an array of shape (2,) and dtype float64"
    assert describe("a" * 99).endswith("...")
    assert describe({1: 2}) == "a dict of 1"
    assert describe(object()) == "a value of type object"


def test_number_takes_one_number_of_any_kind():
    assert [number(v) for v in (1, 0.5, np.float32(0.5), torch.tensor(2), np.array([3]))] == [1, 0.5, 0.5, 2, 3]
    assert [number(v) for v in (True, "1", None, torch.ones(2), [1])] == [None] * 5
