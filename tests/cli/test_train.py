"""The command line: it trains, saves, goes on, refuses; with two processes as with one."""

import csv
import functools
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seglib.checkpoint_io import load_or_backup
from seglib.cli import train
from seglib.cli.main import main as seglib_main
from seglib.inference.predict_folder import predict_folder
from seglib.training.checkpoint import load_trained
from tests.support.helpers import make_folders, snapshot
from tests.training.test_distributed import torchrun
from tools.notebooks.environment import ROOT

STEMS = "abcdefghij"  # ten pictures: eight to train on, two to validate


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    """A command line for tiny pictures; `--out` is the last of it."""
    images, masks = make_folders(tmp_path, STEMS)
    words = f"{images} {masks} --validation-share 0.2 --size 48 64 --weights none --device cpu --epochs 2 --warmup 1"
    return [*words.split(), "--skip-doctor", "--out", str(tmp_path / "run.pt")]


def history(out: str):
    return load_trained(out).history


def test_it_trains_saves_and_says_how_to_predict(line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    assert train.main(line) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("random weights, nothing is pretrained.")
    said = [words for words in said if not words.startswith("  ")]  # warnings of a model that has learned nothing
    assert [words.split(":")[0] for words in said[1:3]] == ["epoch 1 of 2", "epoch 2 of 2"]
    trained = load_trained(line[-1])
    losses = f"loss {trained.history.train_loss[0]:.4f}, validation loss {trained.history.validation_loss[0]:.4f}"
    assert f"{losses}, IoU {trained.history.validation_iou[0]:.3f} (background " in said[1]
    assert (trained.criterion.name, trained.size, trained.config["lr"]) == ("bce_dice", (48, 64), 1e-3)
    words = shlex.split(said[-1].replace("PHOTOGRAPHS", str(tmp_path / "images")))
    words = [word.replace("NEW_MASKS", str(tmp_path / "predicted")) for word in words]
    assert words[:3] == ["python", "-m", "seglib"]
    assert seglib_main(words[3:]) == 0  # as the last line says
    assert len(list((tmp_path / "predicted").iterdir())) == len(STEMS)
    assert len(list((tmp_path / "predicted_overlays").iterdir())) == len(STEMS)
    assert predict_folder(trained, tmp_path / "images", tmp_path / "predicted", existing="skip") == []
    words = shlex.split(said[-2])
    assert seglib_main(words[3:]) == 0
    printed = capsys.readouterr().out
    assert "IoU of the object on 2 pictures" in printed
    table = list(csv.DictReader((tmp_path / "run.csv").read_text().splitlines()))
    assert [row["epoch"] for row in table] == ["1", "2"]
    assert float(table[1]["train_loss"]) == pytest.approx(trained.history.train_loss[1], rel=1e-4)
    assert "iou_object" in table[0]


def test_what_is_there_is_not_overwritten(line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "run.before.pt").write_bytes(b"precious")  # as is a file whose newer one was moved away
    before = snapshot(tmp_path)
    assert train.main(line) == 2
    error = capsys.readouterr().err
    assert error == "run.pt is there already.\nExpected: a new name\nFix: --resume goes on with it, or name another.\n"
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("here", [True, False])
def test_a_checkpoint_on_one_of_two_machines_is_an_error_on_both(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, here: bool
):
    monkeypatch.setattr(train, "all_gather", lambda value: [value, not value])
    if here:
        (tmp_path / "run.pt").write_bytes(b"there")
    assert train.main([*line, "--resume"]) == 2
    assert capsys.readouterr().err == (
        "run.pt is missing for 1 of 2 processes: it lies on one machine only.\n"
        "Expected: the same file on every machine\nFix: Copy run.pt to all of them, and type --resume again.\n"
    )
    assert train.main(line) == 2
    assert capsys.readouterr().err.startswith("run.pt is there already.\n")


def test_it_goes_on_bit_for_bit(line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert train.main([*line, "--patience", "2"]) == 0
    whole = load_or_backup(tmp_path / "run.pt")[0]
    line[-1] = str(tmp_path / "half.pt")
    update = train.EarlyStopping.update

    def interrupted(self, history):
        update(self, history)
        if len(history.train_loss) == 2 and not resumed:
            raise KeyboardInterrupt

    resumed = False
    monkeypatch.setattr(train.EarlyStopping, "update", interrupted)
    assert train.main([*line, "--patience", "2"]) == 130
    assert len(history(line[-1]).train_loss) == 1
    resumed = True
    assert train.main([*line, "--patience", "2", "--resume"]) == 0
    half = load_or_backup(tmp_path / "half.pt")[0]
    assert half["history"] == whole["history"]
    assert all(torch.equal(half["states"]["model"][name], tensor) for name, tensor in whole["states"]["model"].items())


def test_resume_without_a_file_begins(line: list[str]):
    assert train.main([*line, "--epochs", "1", "--resume"]) == 0
    assert len(history(line[-1]).train_loss) == 1


def test_another_training_is_refused(line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    assert train.main([*line, "--epochs", "1"]) == 0
    before = snapshot(tmp_path)
    assert train.main([*line, "--resume", "--lr", "0.5", "--no-augment"]) == 2
    error = capsys.readouterr().err
    for words in ("lr: 0.001 in the file, 0.5 here", "no_augment: False"):
        assert words in error
    (tmp_path / "images" / "a.jpg").unlink()
    (tmp_path / "masks" / "a.png").unlink()
    assert train.main([*line, "--resume", "--epochs", "1"]) == 2
    assert "pictures: 8 + 2 (" in capsys.readouterr().err
    assert (tmp_path / "run.pt").stat().st_mtime_ns == before["run.pt"][1]


@pytest.mark.parametrize(("bfloat16", "code"), [(False, 0), (True, 2)])
def test_a_file_with_the_option_of_the_first_edition_goes_on(
    line: list[str], bfloat16: bool, code: int, capsys: pytest.CaptureFixture
):
    assert train.main([*line, "--epochs", "1"]) == 0
    contents = torch.load(line[-1], weights_only=True)
    for new in ("precision", "clip_norm"):
        contents["config"].pop(new)
    contents["config"]["bfloat16"] = bfloat16
    torch.save(contents, line[-1])
    capsys.readouterr()
    assert train.main([*line, "--epochs", "2", "--resume"]) == code
    if bfloat16:
        assert "precision: bfloat16 in the file, float32 here" in capsys.readouterr().err


def test_more_epochs_at_a_constant_rate_are_the_same_training(line: list[str]):
    constant = [*line, "--schedule", "constant"]
    assert train.main([*constant, "--epochs", "1"]) == 0
    assert train.main([*constant, "--epochs", "2", "--workers", "1", "--resume"]) == 0
    assert len(history(line[-1]).train_loss) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--lr x", "Argument --lr: x is no number above 0."),
        ("--epochs 0", "Argument --epochs: 0 is no whole number from 1 on."),
        ("--seed -1", "Argument --seed"),
        ("--colour red", "Unrecognized arguments: --colour red."),
        ("--size 64 48", "size = (64, 48) is 48 wide and 64 high"),
        ("--loss l1", 'There is no loss "l1".'),
        ("--optimizer lion", 'There is no optimizer "lion".'),
        ("--schedule step", 'schedule "step"'),
        ("--model unet", 'There is no model "unet".'),
        ("--lr 0", "Argument --lr: 0 is no number above 0."),
        ("--warmup 8", "A warm-up of 8 steps in a training of 4."),
        ("--validation-share 0", 'The side "validation" of the split is empty'),
        ("--split nowhere.json", "nowhere.json is not there"),
        ("--batch-size 1", "8 pictures in batches of 1: the smallest holds 1"),
        ("--device quantum", 'device = "quantum"'),
        ("--loss cross_entropy", "--loss bce_dice"),
        ("--crop 32 32", "without a scale"),
        ("--class-weights 1 2", "class_weights"),
        ("--relabel 3:1", '"3:1" is no pair'),
        ("--out nowhere/run.pt", "There is no folder nowhere."),
        ("--lr 1e30 --head-lr 1e30 --optimizer sgd", "The loss became"),
    ],
)
def test_what_cannot_be_is_told_in_three_parts(line, words, told, *, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if words.startswith("--split"):
        line = [word for word in line if word not in ("--validation-share", "0.2")]
    assert train.main([*line, *words.split()]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("Expected: ") == error.count("Fix: ") == 1
    assert not (tmp_path / "run.pt").exists()


def test_classes_and_other_choices(line: list[str], tmp_path: Path):
    for path in (tmp_path / "masks").iterdir():
        from PIL import Image

        Image.open(path).point(lambda value: value // 255).save(path)
    more = "--epochs 1 --classes background fruit --no-augment --precision bfloat16 --clip-norm 1 --patience 3"
    more += " --workers 1 --batch-size 8"
    more += " --loss cross_entropy --class-weights 1 2.5"
    assert train.main([*line, *more.split(), "--warmup", "0"]) == 0
    trained = load_trained(line[-1])
    assert trained.criterion.name == "cross_entropy"
    assert trained.classes == ["background", "fruit"]


def test_help_tells_every_default(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        train.main(["--help"])
    words = " ".join(capsys.readouterr().out.split())
    for default in ("[0.25]", "[240 320]", "[bundled]", "[adamw]", "[0.001]", "[0.005]", "[poly]", "[30]", "[4; "):
        assert default in words


def command(line: list[str]) -> list[str]:
    return [sys.executable, "-m", "seglib.train", *line]


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent to a group of processes, as Linux and macOS have them")
@pytest.mark.parametrize("start", [[], ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]])
def test_ctrl_c_leaves_the_last_checkpoint(line: list[str], start: list[str]):
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, *start, "-m", "seglib.train", *line, "--epochs", "1000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it
    process = subprocess.Popen(words, env=surroundings, start_new_session=True, preexec_fn=listen, **pipes)
    for told in process.stdout:
        if told.startswith("epoch 1 of 1000"):
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, error = process.communicate(timeout=60)
    done = len(history(line[-1]).train_loss)
    assert f"run.pt holds {done} epochs; the same line with --resume goes on." in out
    assert out.count("Stopped in epoch") == 1
    if not start:
        assert process.returncode == 130
        assert error == ""


def test_two_processes_print_and_save_once_and_one_goes_on(line: list[str], tmp_path: Path):
    done = torchrun("-m", "seglib.train", *line, "--schedule", "constant")
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert sum(words.startswith("epoch ") for words in said) == 2
    assert sum("holds the weights of epoch" in words for words in said) == 1
    assert train.main([*line, "--schedule", "constant", "--epochs", "3", "--resume"]) == 0
    assert len(history(line[-1]).train_loss) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"images", "masks", "run.pt", "run.before.pt", "run.csv"}


def test_a_broken_picture_in_one_process_ends_both_with_one_message(line: list[str], tmp_path: Path):
    broken = tmp_path / "images" / "b.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    done = torchrun("-m", "seglib.train", *line)
    assert done.returncode != 0
    assert done.stderr.count("Expected: ") == 1
    *_, found, _, fix, rule = done.stderr.splitlines()
    assert "images/b.jpg" in found  # the error is the last on the screen, but for the rule that closes torchrun's page
    assert fix.startswith("Fix: ")
    assert set(rule) == {"="}
    assert done.stderr.count("Traceback") <= 1  # torchrun's own
    assert not (tmp_path / "run.pt").exists()


def test_too_few_pictures_for_two_are_told_once(line: list[str], tmp_path: Path):
    done = torchrun("-m", "seglib.train", *line, "--batch-size", "3")
    assert done.returncode != 0
    told = "8 pictures in batches of 3: the smallest holds 3, to be shared by 2."
    assert done.stderr.count(told) == 1
    *_, found, expected, fix, rule = done.stderr.splitlines()
    assert found == told
    assert expected == "Expected: 2 or more of each batch for each process"
    assert fix == "Fix: --batch-size 4, or a multiple of it."
    assert set(rule) == {"="}
    assert not (tmp_path / "run.pt").exists()


@pytest.mark.parametrize(("module", "command"), [("seglib.train", []), ("seglib", ["train"])])
def test_what_is_there_is_told_last_under_torchrun_too(
    line: list[str], tmp_path: Path, module: str, command: list[str]
):
    (tmp_path / "run.pt").write_bytes(b"there")
    done = torchrun("-m", module, *command, *line)
    assert done.returncode != 0
    assert done.stderr.count("run.pt is there already.") == 1
    assert done.stderr.splitlines()[-2] == "Fix: --resume goes on with it, or name another."


@pytest.mark.parametrize(("processes", "batch_size"), [(2, 4), (4, 8)])
def test_the_line_of_one_process_works_as_it_is_with_more(line, tmp_path: Path, processes: int, batch_size: int):
    done = torchrun("-m", "seglib.train", *line, "--epochs", "1", "--warmup", "0", processes=processes)
    assert done.returncode == 0, done.stderr[-2000:]
    assert load_trained(line[-1]).config["batch_size"] == batch_size
    words = f"{processes} processes that need 2 each: batches of {batch_size}, where one process takes 4."
    assert done.stdout.count(words) == (batch_size > 4)


def test_more_processes_than_pictures_are_refused(line: list[str]):
    done = torchrun("-m", "seglib.train", *line, processes=5)  # eight pictures to train on
    assert done.returncode != 0
    assert done.stderr.splitlines()[-2] == "Fix: Start fewer processes, or add pictures."
