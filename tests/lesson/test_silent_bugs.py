"""What 12_silent_bugs needs: the plain script and its faults, the checks, and a training with a fault."""

import pytest
import torch
from torch import nn
from torchvision.transforms.functional import to_pil_image

from seglib.data.splits import Split
from seglib.errors import SegError
from seglib.lesson.common.figures import encode
from seglib.lesson.common.recorded import recorded
from seglib.lesson.silent_bugs import bug_runs, bugs, preflight
from seglib.lesson.silent_bugs.bug_runs import BugRun, run_checks, train_with_bug
from seglib.lesson.silent_bugs.bugs import BUGS, Bug, script_with, source_with
from seglib.lesson.silent_bugs.figures import bug_dots, check_grid, diff_of, scores_by_bug


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
    assert {"build", "train_one_epoch", "evaluate", "read_pairs", "train_val_split"} <= set(vars(module))
    assert diff_of(bug)


def test_an_unknown_fault_and_one_that_no_longer_fits_are_errors(monkeypatch):
    with pytest.raises(SegError, match="one of"):
        script_with("no such thing")
    monkeypatch.setitem(bugs.BUGS, "outdated", Bug("outdated", "", (("a line that is gone", ""),)))
    with pytest.raises(SegError, match="0 times"):
        script_with("outdated")


def test_a_changed_line_stands_below_the_one_it_replaces():
    assert diff_of("height and width exchanged").splitlines() == [
        "- height, width = size",
        "+ width, height = size",
    ]


# The checks: each passes the script as it is, and finds the faults that are meant for it


CHECKS = {
    preflight.zeroes_gradients: ["no zero_grad"],
    preflight.updates_every_parameter: ["optimizer before the new layer"],
    preflight.switches_train_and_eval: ["never back in training mode", "measured in training mode"],
    preflight.same_normalization: ["validation not normalised", "blue and red exchanged"],
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
    assert preflight.same_score_in_any_batch_size(script_with(), Neighbours(1), pairs)
    assert not preflight.same_score_in_any_batch_size(script_with("measured in training mode"), Neighbours(1), pairs)


def test_one_model_has_one_figure_in_any_batches():
    pairs = some_pairs(7)
    assert preflight.same_score_in_any_batch_size(script_with(), Red(), pairs)
    pairs[4] = (pairs[4][0].flip(0), pairs[4][1])  # on this one red finds nothing; in batches of 4 it may be dropped
    assert preflight.same_score_in_any_batch_size(script_with(), Red(), pairs)
    for bug in ("last validation batch dropped", "IoU averaged over batches"):
        assert not preflight.same_score_in_any_batch_size(script_with(bug), Red(), pairs)


def test_a_model_that_knows_better_than_the_files_is_noticed():
    pairs = some_pairs()
    assert preflight.own_masks_fit_best(script_with(), Red(), pairs)
    masks = [mask for _, mask in pairs]
    shifted = [(image, mask) for (image, _), mask in zip(pairs, masks[1:] + masks[:1], strict=True)]
    assert not preflight.own_masks_fit_best(script_with(), Red(), shifted)


def test_a_picture_in_both_subsets_is_found():
    pairs = some_pairs(6)
    assert preflight.split_has_no_overlap(pairs[:4], pairs[4:])
    copy = (pairs[1][0].clone(), pairs[1][1])
    assert not preflight.split_has_no_overlap(pairs[:4], [*pairs[4:], copy])


def test_a_check_leaves_no_hook_on_the_model():
    hooked = []
    script = script_with()
    build = script.build

    def remembered(*arguments):
        hooked.append(build(*arguments))
        return hooked[-1]

    script.build = remembered
    assert preflight.switches_train_and_eval(script, some_pairs())
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
    table = scores_by_bug(runs)
    assert table["no zero_grad"] == {"printed": [0.4, 0.4], "true": [0.5, 0.5], "checks": {"a": False}}
    assert encode(bug_dots(table))[0] == "image/png"
    figure = check_grid(table)
    assert encode(figure)[0] == "image/png"
    assert [line.get_marker() for line in figure.axes[0].lines[:2]] == [".", "s"]  # passed, found


# A training of the script, on pictures of noise


@pytest.fixture
def noise_files(tmp_path):
    """Ten small pictures with their masks, as files, and a split of them."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    stems = [f"noise_{number}" for number in range(10)]
    for stem, (image, mask) in zip(stems, some_pairs(10), strict=True):
        to_pil_image(image).save(tmp_path / "images" / f"{stem}.png")
        to_pil_image(mask).save(tmp_path / "masks" / f"{stem}.png")
    return tmp_path, Split(stems[:6], stems[6:])


def test_a_training_is_measured_by_the_script_and_by_the_script_without_the_fault(noise_files, monkeypatch):
    monkeypatch.setattr(bug_runs, "SIZE", (48, 64))
    files, split = noise_files
    right = train_with_bug(None, files, split, epochs=2)
    assert len(right.losses) == 2
    assert right.printed_ious == [right.true_iou]
    wrong = train_with_bug("validation not normalised", files, split, epochs=2)
    assert wrong.losses == right.losses
    assert wrong.true_iou == right.true_iou
    assert wrong.printed_ious != right.printed_ious
    known = train_with_bug("trained on validation too", files, split, epochs=1)
    assert known.true_iou is None


def test_all_checks_are_run_under_the_labels_of_the_record(noise_files, monkeypatch):
    monkeypatch.setattr(bug_runs, "SIZE", (48, 64))
    monkeypatch.setattr(bug_runs, "overfits_two_images", lambda script, pairs: True)  # it takes 40 steps
    files, split = noise_files
    run = BugRun(Red(), [], [], None)
    passed = run_checks("trained on validation too", files, split, run)
    assert set(passed) == set(recorded("silent_bugs")["runs"][0]["checks"])
    assert [label for label, ok in passed.items() if not ok] == ["sides apart"]
