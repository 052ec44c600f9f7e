"""What 12_silent_bugs needs: the plain script and its faults, the checks, and a training with a fault."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn, optim
from torchvision.transforms.functional import to_pil_image

from seglib.data.splits import Split
from seglib.errors import SegError
from seglib.lesson.common.annotate import annotate
from seglib.lesson.common.figures import encode
from seglib.lesson.silent_bugs import annotations, bug_runs, bugs, plain_script, preflight
from seglib.lesson.silent_bugs.bug_runs import train_with_bug
from seglib.lesson.silent_bugs.bugs import ALL_BUGS, HARMLESS, RIGHT_CHANGES, Bug, script_with, source_with
from seglib.lesson.silent_bugs.figures import bug_dots, check_grid, diff_of, score_lines, scores_by_bug
from seglib.lesson.silent_bugs.preflight import LIMITS, AnswerReader, NothingToCheckError, Result, run_preflight


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


# The script and its faults


@pytest.mark.parametrize("bug", ALL_BUGS | RIGHT_CHANGES)
def test_a_change_fits_the_script_and_the_script_still_runs_as_python(bug):
    module = script_with(bug)
    assert source_with(bug) != source_with()
    assert {"build", "train_one_epoch", "evaluate", "read_pairs", "load_pairs", "fit"} <= set(vars(module))
    assert diff_of(bug)


def test_an_unknown_fault_and_one_that_no_longer_fits_are_errors(monkeypatch):
    with pytest.raises(SegError, match="one of"):
        script_with("no such thing")
    monkeypatch.setitem(bugs.ALL_BUGS, "outdated", Bug("outdated", "", (("a line that is gone", ""),)))
    with pytest.raises(SegError, match="0 times"):
        script_with("outdated")


def test_a_changed_line_stands_below_the_one_it_replaces():
    assert diff_of("height and width exchanged").splitlines() == [
        "- height, width = size",
        "+ width, height = size",
    ]


# The checks: each passes the script as it is, and finds the faults that are meant for it


QUICK_CHECKS = {
    preflight.error_of_known_iou: [
        "threshold of another loss",
        "last validation batch dropped",
        "IoU averaged over batches",
        "mean IoU printed as IoU",
    ],
    preflight.wrong_modes: ["never back in training mode", "measured in training mode"],
    preflight.pixels_apart: ["validation not normalised", "blue and red exchanged"],
    preflight.error_of_best_weights: ["best weights without a copy"],
}


@pytest.mark.parametrize("check", QUICK_CHECKS, ids=lambda check: check.__name__)
def test_a_check_with_a_reader_passes_scripts_without_a_fault_and_finds_its_own(check):
    for bug in (None, HARMLESS):
        torch.manual_seed(0)
        assert abs(check(script_with(bug))) < 1e-6
    for bug in QUICK_CHECKS[check]:
        torch.manual_seed(0)
        assert abs(check(script_with(bug))) > 0.05, bug


@pytest.mark.parametrize(("printed", "column"), [("recall", 1), ("precision", 0)])
def test_a_script_that_prints_precision_or_recall_as_iou_is_found(printed: str, column: int):
    def evaluate(model, pairs, batch_size):
        images, masks = (torch.stack(list(part)) for part in zip(*pairs, strict=True))
        drawn = model(images)["out"] > 0
        return ((drawn & (masks > 0)).sum() / (drawn, masks > 0)[column].sum()).item()

    error = preflight.error_of_known_iou(SimpleNamespace(evaluate=evaluate))
    assert error > 10 * preflight.LIMITS["error of a known IoU"][1]


def test_own_masks_find_what_comes_between_image_and_mask():
    pairs = some_pairs(4)

    def measured(bug):
        torch.manual_seed(0)
        script = script_with(bug)
        own_pairs = preflight.own_pairs_of(script, pairs)
        return preflight.loss_on_own_masks(script, own_pairs), preflight.iou_on_own_masks(script, own_pairs)

    loss, iou = measured(None)
    assert loss < 0.005
    assert iou > 0.98
    for bug in ("image flipped, mask not", "sigmoid twice", "mask without its channel", "shifted separately"):
        assert measured(bug)[0] > 0.02, bug
    for bug in (
        "masks shifted by one file",
        "masks moved by 6 pixels",
        "blue and red exchanged twice",
        "masks inverted",
    ):
        loss, iou = measured(bug)
        assert loss > 0.02, bug
        assert iou < 0.9, bug


def test_pictures_that_are_their_own_masks_need_no_files_where_a_script_reads_none():
    class NoReading:
        pass

    pairs = some_pairs(2)
    for (image, mask), (_, before) in zip(preflight.own_pairs_of(NoReading, pairs), pairs, strict=True):
        assert torch.equal(mask, before)
        assert torch.equal(image[0], mask[0])
        assert torch.equal(image[2], 1 - mask[0])


def test_a_reader_answers_whatever_the_normalisation_and_notes_what_it_got():
    mask = torch.zeros(1, 4, 4)
    mask[:, :2] = 1
    image = preflight.red_on_blue(mask)[None]
    for given in (image, 255 * image, (image - 0.4) / 0.2):
        reader = AnswerReader((0, 1))
        assert torch.allclose(reader(given)["out"][0], mask, atol=0.2)
        assert torch.equal(reader.images[0], given)
        assert reader.modes == [True]


@pytest.mark.parametrize(
    ("check", "bug"),
    [
        (preflight.gradients_not_cleared, "no zero_grad"),
        (preflight.layers_that_stay, "optimizer before the new layer"),
        (preflight.layers_without_gradient, "backbone left frozen"),
    ],
)
def test_a_check_with_the_scripts_model_counts_tensors(check, bug):
    assert check(script_with(), some_pairs()) == 0
    assert check(script_with(bug), some_pairs()) > 0


def small_script(train_one_epoch):
    """A script with one convolution as its model."""

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 1, 1)
            self.unused = nn.Linear(1, 1)

        def forward(self, images):
            return {"out": self.conv(images)}

    def build(lr, steps):
        model = Small()
        return model, optim.SGD(model.parameters(), lr=lr), None

    return SimpleNamespace(build=build, train_one_epoch=train_one_epoch)


def loop(clear="before", steps_every=1, scaled=False, loss_of=nn.functional.binary_cross_entropy_with_logits):
    """A loop that clears the gradients before a step, after it, or not at all."""

    def train_one_epoch(model, batches, optimizer, scheduler):
        scaler = torch.amp.GradScaler("cpu", enabled=scaled)
        losses = []
        for number, (images, masks) in enumerate(batches, 1):
            if clear == "before" and number % steps_every == 1 % steps_every:
                optimizer.zero_grad()
            loss = loss_of(model(images)["out"], masks)
            scaler.scale(loss).backward()
            if number % steps_every == 0:
                scaler.step(optimizer)
                scaler.update()
                if clear == "after":
                    optimizer.zero_grad()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    return train_one_epoch


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("steps_every", [1, 4])
def test_gradients_may_be_cleared_before_a_step_or_after_it(steps_every, scaled):
    for clear, found in (("before", 0), ("after", 0), ("never", 4)):
        script = small_script(loop(clear, steps_every, scaled))
        assert preflight.gradients_not_cleared(script, some_pairs()) == found, clear


def test_where_no_batch_follows_a_step_the_gradients_are_not_checked():
    with pytest.raises(NothingToCheckError, match="no step is followed"):
        preflight.gradients_not_cleared(small_script(loop(steps_every=8)), some_pairs())


def test_a_layer_that_stays_is_told_from_one_without_a_gradient():
    script = small_script(loop())
    assert preflight.layers_that_stay(script, some_pairs()) == 0
    assert preflight.layers_without_gradient(script, some_pairs()) == 2  # weight and bias of `unused`
    saved = small_script(loop(steps_every=99))
    assert preflight.layers_that_stay(saved, some_pairs()) == 2  # of `conv`: no step was taken


def test_the_loss_of_own_masks_is_a_share_whatever_the_loss():
    own_pairs = preflight.own_pairs_of(None, some_pairs())
    found = []
    for loss_of, outputs in (
        (nn.functional.binary_cross_entropy_with_logits, (-8, 8)),
        (nn.functional.mse_loss, (0, 1)),
        (lambda outputs, masks: nn.functional.mse_loss(outputs, masks, reduction="sum"), (0, 1)),
    ):
        right = small_script(loop(loss_of=loss_of))
        assert preflight.loss_on_own_masks(right, own_pairs, outputs) < 0.001

        def moved(outputs, masks, loss_of=loss_of):
            return loss_of(outputs, masks.roll(6, -1))

        found.append(preflight.loss_on_own_masks(small_script(loop(loss_of=moved)), own_pairs, outputs))
    assert found == pytest.approx([found[0]] * 3, abs=0.002)
    assert found[0] > 0.02


def test_weights_that_were_not_loaded_and_a_rate_that_never_arrives():
    assert preflight.share_pretrained(script_with()) > 0.9
    assert preflight.share_pretrained(script_with("strict=False and a prefix")) < 0.1
    assert preflight.highest_rate(script_with()) == pytest.approx(1)
    assert preflight.highest_rate(script_with("schedule once an epoch")) < 0.1


def test_pixels_are_looked_at_as_the_model_gets_them():
    pairs = some_pairs(4)
    bytes_of = [(255 * image, mask) for image, mask in pairs]
    assert 0.4 < preflight.spread_of_pixels(script_with(), pairs) < 2.5
    assert preflight.spread_of_pixels(script_with(), bytes_of) > 100
    assert preflight.changed_pixels(script_with(), pairs) == 0
    assert preflight.changed_pixels(script_with("colour changes in validation"), pairs) > 0


def test_a_picture_on_both_sides_is_found_mirrored_too():
    pairs = some_pairs(6)
    assert preflight.pictures_on_both_sides(pairs[:4], pairs[4:]) == 0
    copies = [(pairs[1][0].clone(), pairs[1][1]), (pairs[2][0].flip(-1), pairs[2][1])]
    assert preflight.pictures_on_both_sides(pairs[:4], [*pairs[4:], *copies]) == 2
    assert preflight.sizes_that_differ(pairs, (48, 64)) == 0
    assert preflight.sizes_that_differ(pairs, (64, 48)) == 12


def test_sides_of_which_one_is_normalised_are_far_apart():
    pairs = some_pairs(8)
    normalised = [((image - 0.45) / 0.225, mask) for image, mask in pairs]
    assert preflight.sides_apart(pairs[:4], pairs[4:]) < 0.5
    assert preflight.sides_apart(normalised[:4], pairs[4:]) > 1.5
    assert preflight.pictures_on_both_sides(normalised[:4], normalised[3:]) == 1


def test_all_checks_run_with_their_limits_and_an_error_of_the_script_is_a_finding():
    pairs = some_pairs(8)
    torch.manual_seed(0)
    results = run_preflight(script_with(), pairs[:6], pairs[6:], size=(48, 64), two_by_heart=False)
    assert torch.equal(
        torch.rand(2), torch.rand(2, generator=torch.Generator().manual_seed(0))
    )  # as if nothing was drawn
    assert {result.name for result in results} == LIMITS.keys() - {"two by heart: IoU"}
    assert [str(result) for result in results if not result.passed] == []

    def stops(*arguments, **others):
        raise RuntimeError("no such thing")

    script = script_with()
    script.evaluate = stops
    failing = [result for result in run_preflight(script, pairs[:6], pairs[6:], two_by_heart=False) if result.failed]
    assert "no such thing" in str(failing[0])


def test_what_a_check_could_not_look_at_is_said_and_is_no_finding():
    script = small_script(loop())
    script.evaluate = script_with().evaluate
    pairs = some_pairs(8)
    results = {result.name: result for result in run_preflight(script, pairs[:6], pairs[6:], two_by_heart=False)}
    unchecked = [name for name, result in results.items() if result.unchecked]
    assert unchecked == ["wrong sizes", "error of best weights"]
    assert not any(results[name].failed or results[name].passed for name in unchecked)
    assert "not checked: the script has no `fit`" in str(results["error of best weights"])

    class Falling:
        evaluate = staticmethod(lambda model, pairs, batch_size: 1.0)
        fit = staticmethod(lambda *arguments, epochs: ([], [1.0] * epochs, {}))

    with pytest.raises(NothingToCheckError, match="does not fall"):
        preflight.error_of_best_weights(Falling)


def test_a_build_that_gives_back_one_model_stops_the_checks_before_they_train_it():
    model = nn.Conv2d(3, 1, 1)
    script = SimpleNamespace(build=lambda lr, steps: (model, None, None))
    pairs = some_pairs(8)
    (result,) = run_preflight(script, pairs[:6], pairs[6:])
    assert (result.name, result.value, result.failed) == ("weights in common", 2, True)


@pytest.mark.parametrize("mask_of", [lambda mask: 255 * mask, lambda mask: mask.long(), lambda mask: mask[0]])
def test_pairs_of_another_kind_are_refused_with_words(mask_of):
    pairs = [(image, mask_of(mask)) for image, mask in some_pairs(8)]
    with pytest.raises(SegError, match="a mask \\(1, H, W\\) of 0.0 and 1.0"):
        run_preflight(script_with(), pairs, pairs)


def test_a_result_says_what_was_wanted_and_which_right_scripts_fail_too():
    assert str(Result("a", 0.5, 0, 1)).split() == ["a", "0.500", "wanted", "0", "to", "1"]
    assert str(Result("a", 2, 0, 0)).split() == ["a", "2.000", "wanted", "0", "<-", "look", "here"]
    assert str(Result("wrong modes", 2, 0, 0)).endswith("look here (right if your main loop calls train() and eval())")
    assert preflight.RIGHT_TOO.keys() < LIMITS.keys()


# The words beside the source


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (annotations.NOTES_TRACKING, annotations.NOTES_TRACKING_EXPLANATIONS),
        (plain_script.train_one_epoch, annotations.TRAINING_EXPLANATIONS),
        (plain_script.evaluate, annotations.EVALUATION_EXPLANATIONS),
        (AnswerReader, annotations.READER_EXPLANATIONS),
        (annotations.DATA_CHECKS, annotations.DATA_CHECKS_EXPLANATIONS),
        (annotations.READER_CHECKS, annotations.READER_CHECKS_EXPLANATIONS),
        (annotations.MODEL_CHECKS, annotations.MODEL_CHECKS_EXPLANATIONS),
        (annotations.PICTURE_CHECKS, annotations.PICTURE_CHECKS_EXPLANATIONS),
    ],
)
def test_each_explanation_finds_its_line(source, words):
    assert annotate(source, words).groups


# The record and its pictures


def test_the_record_in_one_row_a_fault():
    runs = [
        {"bug": bug, "seed": seed, "printed": [0.7, printed], "true": true, "best_true": 0.2, "losses": [0.5, 0.4]}
        for bug, printed, true in (
            ("none", 0.6, 0.6),
            ("no zero_grad", 0.4, 0.5),
            ("best weights without a copy", 0.5, 0.5),
        )
        for seed in (0, 1)
    ]
    table = scores_by_bug(runs)
    assert table["no zero_grad"] == {"printed": [0.4, 0.4], "true": [0.5, 0.5], "falls": [True, True]}
    kept = table["best weights without a copy"]
    assert (kept["printed"], kept["true"]) == ([0.7, 0.7], [0.2, 0.2])  # what it says it kept
    of_zero_grad = next(line for line in score_lines(table).splitlines() if line.startswith("no zero_grad"))
    assert of_zero_grad.endswith("printed 0.40, true 0.50 ± 0.00, loss falls with 2 of 2 seeds")
    assert encode(bug_dots(table))[0] == "image/png"


def test_a_check_that_fails_with_every_seed_is_filled():
    figure = check_grid({"no zero_grad": {"a": 3}, "sigmoid twice": {"b": 1}}, ["a", "b"], seeds=3)
    assert encode(figure)[0] == "image/png"
    squares = [line for line in figure.axes[0].lines if line.get_marker() == "s"]
    assert [line.get_markerfacecolor() for line in squares] == ["#0072B2", "white"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "1"]


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
    assert right.printed_ious == [right.true_iou] == [right.best_true_iou]
    wrong = train_with_bug("validation not normalised", files, split, epochs=2)
    assert wrong.losses == right.losses
    assert wrong.true_iou == right.true_iou
    assert wrong.printed_ious != right.printed_ious


def test_a_training_on_all_pictures_has_no_true_figure(noise_files, monkeypatch):
    monkeypatch.setattr(bug_runs, "SIZE", (48, 64))
    files, split = noise_files
    for bug in ("trained on validation too", "mirrored validation in training"):
        run = train_with_bug(bug, files, split, epochs=2)
        assert run.true_iou is None
        assert run.printed_ious
