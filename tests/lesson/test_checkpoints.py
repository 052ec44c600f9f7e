"""What 10_checkpoints brings along: its exercise checks, its figures, its annotations, and the command that it runs."""

import contextlib
import os

import pytest
import torch

from seglib.checkpoint_io import atomic_save
from seglib.lesson import annotate
from seglib.lesson.checkpoints import command
from seglib.lesson.checkpoints.annotations import ATOMIC_SAVE_EXPLANATIONS, NOTES_EXPLANATIONS, NOTES_LINES
from seglib.lesson.checkpoints.command import seglib_train
from seglib.lesson.checkpoints.exercises import check_checkpoint_bytes, check_resume, check_safe_save
from seglib.lesson.checkpoints.figures import rates_chart, resumed_chart
from tests.support.exercise_answers import NONSENSE, STUBS, printed

CHECKS = [check_checkpoint_bytes, check_resume]


def resume(path, model, optimizer, scheduler, without=""):
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True)
    for name, part in (("model", model), ("optimizer", optimizer), ("scheduler", scheduler)):
        if name != without:
            part.load_state_dict(saved[name])
    if without != "rng":
        torch.set_rng_state(saved["rng"])
    return saved["epoch"]


def learned_weights_only(path, model, optimizer, scheduler):
    if not path.exists():
        return 0
    epoch = resume(path, model, optimizer, scheduler, without="model")
    saved = torch.load(path, weights_only=True)["model"]
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(saved[name])
    return epoch


def no_first_start(path, model, optimizer, scheduler):
    torch.load(path, weights_only=True)
    return resume(path, model, optimizer, scheduler)


def counts(model):
    """Numbers in the state dict, numbers that are learned, and those of them that move."""
    learned = list(model.parameters())
    moving = [weight for weight in learned if weight.requires_grad]
    return tuple(
        sum(tensor.numel() for tensor in tensors) for tensors in (model.state_dict().values(), learned, moving)
    )


def for_each_weight(optimizer):
    return {"adam": 2, "sgd with momentum": 1, "plain sgd": 0}[optimizer]


def bytes_of_checkpoint(model, optimizer):
    everything, _, moving = counts(model)
    return 4 * (everything + for_each_weight(optimizer) * moving)


def safe_save(path, write):
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def unsafe_save(path, write):
    with open(path, "wb") as file:
        write(file)


def silent_save(path, write):
    with contextlib.suppress(OSError):
        safe_save(path, write)


def removing_save(path, write):
    path.unlink(missing_ok=True)
    safe_save(path, write)


def copying_save(path, write):
    safe_save(path.with_name("copy"), write)
    path.write_bytes(path.with_name("copy").read_bytes())


RIGHT = [
    (check_checkpoint_bytes, bytes_of_checkpoint),
    (check_resume, resume),
    (check_safe_save, safe_save),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_the_right_answer_is_right(check, answer, capsys):
    assert printed(check, answer, capsys).startswith("Right. ")


@pytest.mark.parametrize("check", [*CHECKS, check_safe_save])
@pytest.mark.parametrize("answer", NONSENSE)
def test_nonsense_is_told_in_one_line(check, answer, capsys):
    assert printed(check, answer, capsys).startswith("Not yet: ")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_right(check, stub, capsys):
    assert printed(check, stub, capsys).startswith("Not yet: nothing to check so far.")


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_check_leaves_the_random_numbers_of_the_notebook_alone(check, answer):
    before = torch.get_rng_state()
    check(answer)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("without", "hint"),
    [
        ("model", "model.load_state_dict"),
        ("optimizer", "Adam begins with empty means"),
        ("scheduler", "the learning rate begins anew"),
        ("rng", "dropout draws other numbers"),
    ],
)
def test_each_part_that_is_left_out_changes_the_training(without, hint, capsys):
    assert hint in printed(check_resume, lambda *given: resume(*given, without=without), capsys)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (learned_weights_only, "the running means"),
        (no_first_start, "there is no file yet"),
        (lambda path, *parts: resume(path, *parts) if path.exists() else 1, "so 0 epochs are done"),
        (lambda path, *parts: resume(path, *parts) + path.exists(), "Give back that number"),
        (lambda path, *parts: 7 * resume(path, *parts), "2 epochs are done, and 14 came out"),
    ],
)
def test_hints_on_resuming(answer, hint, capsys):
    assert hint in printed(check_resume, answer, capsys)


def test_what_is_random_after_the_state_was_put_back_is_found(capsys):
    def draws_a_number(path, *parts):
        epochs = resume(path, *parts)
        torch.rand(1)
        return epochs

    assert "after all else" in printed(check_resume, draws_a_number, capsys)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda model, optimizer: bytes_of_checkpoint(model, optimizer) / 4, "four bytes"),
        (lambda model, optimizer: 4 * counts(model)[0], "the model alone"),
        (lambda model, optimizer: 4 * for_each_weight(optimizer) * counts(model)[2], "the optimizer alone"),
        (lambda model, optimizer: bytes_of_checkpoint(model, "adam"), "what Adam needs"),
        (
            lambda model, optimizer: 4 * (counts(model)[0] + for_each_weight(optimizer) * counts(model)[1]),
            "a frozen weight",
        ),
        (lambda model, optimizer: 4 * (1 + for_each_weight(optimizer)) * counts(model)[0], "running means get no"),
        (
            lambda model, optimizer: 4 * (counts(model)[1] + for_each_weight(optimizer) * counts(model)[2]),
            "are missing",
        ),
        (lambda model, optimizer: 1000, "bytes of tensors, and 1,000 came out"),
    ],
)
def test_hints_on_the_bytes(answer, hint, capsys):
    assert hint in printed(check_checkpoint_bytes, answer, capsys)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (unsafe_save, "half of the new one"),
        (removing_save, "the good file is gone"),
        (silent_save, "nobody is told"),
        (copying_save, "rename, do not copy"),
        (lambda path, write: path.write_bytes(b"nothing"), "not what write(file) wrote"),
        (lambda path, write: 1 / 0, "stopped with ZeroDivisionError"),
        (lambda path, write: None, "no file is at path"),
    ],
)
def test_hints_on_saving(answer, hint, capsys):
    assert hint in printed(check_safe_save, answer, capsys)


@pytest.mark.parametrize(
    ("thing", "explanations"), [(NOTES_LINES, NOTES_EXPLANATIONS), (atomic_save, ATOMIC_SAVE_EXPLANATIONS)]
)
def test_each_explanation_stands_beside_its_line(thing, explanations):
    shown = " ".join(repr(annotate(thing, explanations)).replace("     > ", "").split())
    for words in explanations.values():
        assert " ".join(words.replace("**", "").split()) in shown


def test_a_resumed_training_is_drawn_from_the_step_after_the_file():
    axes, apart = resumed_chart([3.0, 2.0, 1.5, 1.0], {"nothing": [1.5, 1.0], "order": [1.6, 1.2]}, stopped=2).axes
    lines = {line.get_label(): list(line.get_xdata()) for line in axes.get_lines()}
    assert lines["never stopped"] == [1, 2, 3, 4]
    assert lines["nothing left out"] == [3, 4]
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in apart.get_lines()]
    assert drawn == [([3, 4], [0.0, 0.0]), ([3, 4], pytest.approx([0.1, 0.2]))]


def test_each_way_to_go_on_has_a_line_of_its_own():
    (axes,) = rates_chart({"one": [1.0, 0.0, 0.0], "two": [1.0, 0.0, 1.0]}, planned=2).axes
    drawn = [line for line in axes.get_lines() if line.get_label() in ("one", "two")]
    assert len({line.get_color() for line in drawn}) == 2
    assert list(drawn[1].get_ydata()) == [1.0, 0.0, 1.0]


def test_of_the_command_the_weights_and_the_losses_are_printed(monkeypatch, capsys):
    given = []

    def main(words):
        given.extend(words)
        print("deeplab: weights from run.pt; new: the last layer.")
        print("epoch 1 of 1: loss 2.2856, validation loss 1.7508, IoU 0.303 (background 0.857)")
        print("python -m seglib evaluate /somewhere/run.pt")
        return 0

    monkeypatch.setattr(command, "main", main)
    seglib_train("images masks --out FOLDER/run.pt", "/somewhere/with a space")
    assert given == ["images", "masks", "--out", "/somewhere/with a space/run.pt"]
    assert capsys.readouterr().out.splitlines() == [
        "deeplab: weights from run.pt; new: the last layer.",
        "epoch 1 of 1, loss 2.2856",
    ]


def test_an_error_of_the_command_is_told(monkeypatch, capsys):
    def main(words):
        print("run.pt is there already.")
        return 2

    monkeypatch.setattr(command, "main", main)
    seglib_train("images masks --out FOLDER/run.pt", "folder")
    assert capsys.readouterr().out == "run.pt is there already.\n"
