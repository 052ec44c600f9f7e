import pytest
import torch
from torch import nn

from seglib.errors import SegError
from seglib.lesson.common.figures import encode
from seglib.lesson.silent_bugs import bugs, preflight
from seglib.lesson.silent_bugs.bugs import BUGS, Bug, script_with, source_with
from seglib.lesson.silent_bugs.figures import bug_dots, changed_lines, check_grid, summary


def some_pairs(count=4, height=48, width=64):
    """Noise whose red is high where the mask is."""
    generator = torch.Generator().manual_seed(0)
    pairs = []
    for _ in range(count):
        mask = torch.zeros(1, height, width)
        top, left = (int(torch.randint(side // 2, (), generator=generator)) for side in (height, width))
        mask[:, top : top + height // 3, left : left + width // 3] = 1
        image = 0.2 * torch.rand(3, height, width, generator=generator)
        image[0] += 0.7 * mask[0]
        pairs.append((image, mask))
    return pairs


class Red(nn.Module):
    """Finds what is red, without any training."""

    def forward(self, images):
        return {"out": images[:, :1]}  # normalised: above 0 where red is high


# The script and its faults


@pytest.mark.parametrize("bug", BUGS)
def test_a_fault_fits_the_script_and_the_script_still_runs_as_python(bug):
    module = script_with(bug)
    assert source_with(bug) != source_with()
    assert {"start", "train_one_epoch", "evaluate", "read_pairs", "sides"} <= set(vars(module))
    assert changed_lines(bug)


def test_an_unknown_fault_and_one_that_no_longer_fits_are_errors(monkeypatch):
    with pytest.raises(SegError, match="one of"):
        script_with("no such thing")
    monkeypatch.setitem(bugs.BUGS, "outdated", Bug("outdated", "", (("a line that is gone", ""),)))
    with pytest.raises(SegError, match="0 times"):
        script_with("outdated")


def test_a_changed_line_stands_below_the_one_it_replaces():
    assert changed_lines("height and width exchanged").splitlines() == [
        "- height, width = size",
        "+ width, height = size",
    ]


# The checks: each passes the script as it is, and finds the faults that are meant for it


CHECKS = {
    preflight.clears_gradients: ["no zero_grad"],
    preflight.moves_every_layer: ["optimizer before the new layer"],
    preflight.switches_modes: ["never back in training mode", "measured in training mode"],
    preflight.shows_the_same_pixels: ["validation not normalised", "blue and red exchanged"],
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_check_passes_the_script_as_it_is(check):
    assert check(script_with(), some_pairs())


@pytest.mark.parametrize(
    ("check", "bug"),
    [(check, bug) for check, bugs in CHECKS.items() for bug in bugs],
    ids=lambda case: case if isinstance(case, str) else case.__name__,
)
def test_a_check_finds_the_faults_that_are_meant_for_it(check, bug):
    assert not check(script_with(bug), some_pairs())


def test_a_model_that_is_measured_in_training_mode_has_several_figures():
    class Neighbours(nn.BatchNorm2d):
        def forward(self, images):
            return {"out": super().forward(images[:, :1])}

    pairs = [(image * (1 + number), mask) for number, (image, mask) in enumerate(some_pairs(6))]
    assert preflight.measures_alike_in_any_batches(script_with(), Neighbours(1), pairs)
    assert not preflight.measures_alike_in_any_batches(script_with("measured in training mode"), Neighbours(1), pairs)


def test_one_model_has_one_figure_in_any_batches():
    pairs = some_pairs(7)
    assert preflight.measures_alike_in_any_batches(script_with(), Red(), pairs)
    pairs[4] = (pairs[4][0].flip(0), pairs[4][1])  # on this one red finds nothing; in batches of 4 it may be dropped
    assert preflight.measures_alike_in_any_batches(script_with(), Red(), pairs)
    for bug in ("last validation batch dropped", "IoU averaged over batches"):
        assert not preflight.measures_alike_in_any_batches(script_with(bug), Red(), pairs)


def test_a_model_that_knows_better_than_the_files_is_noticed():
    pairs = some_pairs()
    assert preflight.prefers_its_own_masks(script_with(), Red(), pairs)
    masks = [mask for _, mask in pairs]
    shifted = [(image, mask) for (image, _), mask in zip(pairs, masks[1:] + masks[:1], strict=True)]
    assert not preflight.prefers_its_own_masks(script_with(), Red(), shifted)


def test_a_picture_on_both_sides_is_found():
    pairs = some_pairs(6)
    assert preflight.keeps_sides_apart(pairs[:4], pairs[4:])
    copy = (pairs[1][0].clone(), pairs[1][1])
    assert not preflight.keeps_sides_apart(pairs[:4], [*pairs[4:], copy])


def test_nothing_listens_any_more_after_a_check():
    hooked = []
    script = script_with()
    start = script.start

    def remembered(*arguments):
        hooked.append(start(*arguments))
        return hooked[-1]

    script.start = remembered
    assert preflight.switches_modes(script, some_pairs())
    model = hooked[0][0]
    assert len(model._forward_pre_hooks) == 1  # the guard against a batch of one


# The record and its pictures


def test_the_record_in_one_row_a_fault():
    runs = [
        {
            "bug": bug,
            "seed": seed,
            "printed": [0.1, printed],
            "true": true,
            **({"checks": {"a": bug == "none"}} if not seed else {}),
        }
        for bug, printed, true in (("none", 0.6, 0.6), ("no zero_grad", 0.4, 0.5))
        for seed in (0, 1)
    ]
    table = summary(runs)
    assert table["no zero_grad"] == {"printed": [0.4, 0.4], "true": [0.5, 0.5], "checks": {"a": False}}
    assert encode(bug_dots(table))[0] == "image/png"
    figure = check_grid(table)
    assert encode(figure)[0] == "image/png"
    assert [line.get_marker() for line in figure.axes[0].lines[:2]] == [".", "s"]  # passed, found
