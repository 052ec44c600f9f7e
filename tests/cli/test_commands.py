"""What somebody types who has a folder of their own: the commands, their exit codes, and where they send one next."""

import json
import runpy
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from seglib.cli.main import main
from seglib.cli.predict import _values_in_words
from seglib.losses import make_loss
from seglib.training.checkpoint import TrainedModel, load_trained
from tests.support.helpers import make_folders, photograph

TINY = ["--size", "48", "64", "--epochs", "1", "--device", "cpu", "--weights", "none"]
STEMS = "abcdefgh"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    images, masks = make_folders(tmp_path, STEMS)
    return str(images), str(masks)


def class_masks(masks: Path, values: list[int]) -> None:
    """Masks of these labels in stripes instead of those that are there."""
    for path in masks.iterdir():
        labels = np.repeat(np.array(values, np.uint8), 64 // len(values) + 1)[:64]
        Image.fromarray(np.tile(labels, (48, 1))).save(path)


def test_all_commands_are_listed_and_each_has_help(capsys: pytest.CaptureFixture):
    assert main([]) == 2
    listed = capsys.readouterr().out
    for command in ("doctor", "convert", "train", "evaluate", "predict"):
        assert command in listed
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: seglib {command}")
    assert main(["fit"]) == 2
    assert "doctor" in capsys.readouterr().err


@pytest.mark.parametrize(
    "module",
    [
        *("seglib", "seglib.cli", "seglib.data", "seglib.training", "seglib.inference", "seglib.doctor"),
        *("seglib.data.formats", "seglib.inference.predict", "seglib.inference.predict_folder", "seglib.cli.train"),
        *("seglib.cli.evaluate", "seglib.cli.predict", "seglib.cli.doctor", "seglib.cli.convert", "seglib.train"),
    ],
)
def test_no_module_that_looks_like_a_command_does_nothing(module: str, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [module])
    with pytest.raises(SystemExit) as stop, warnings.catch_warnings(action="ignore"):  # it was imported before
        runpy.run_module(module, run_name="__main__")
    printed = capsys.readouterr()
    said = printed.out + printed.err + (stop.value.code if isinstance(stop.value.code, str) else "")
    assert stop.value.code != 0
    assert "seglib" in said or "--help" in said


# Case 1, 3: classes that nobody learns.


def test_an_object_of_255_is_not_ignored_in_silence_where_classes_are_named(folders, tmp_path, capsys):
    assert main(["train", *folders, "--out", str(tmp_path / "r.pt"), *TINY, "--classes", "background", "cell"]) == 2
    error = capsys.readouterr().err
    assert "255" in error
    assert "--relabel 255=1" in error or "--classes" in error
    assert not (tmp_path / "r.pt").exists()


@pytest.mark.parametrize("names", [["background,cell"], ["cell"], ["cell", "cell"]])
def test_fewer_than_two_classes_are_refused_before_anything_is_read(folders, tmp_path, capsys, names):
    assert main(["train", *folders, "--out", str(tmp_path / "r.pt"), *TINY, "--classes", *names]) == 2
    assert "--classes " in capsys.readouterr().err.splitlines()[-1]  # the fix


def test_a_class_that_no_mask_holds_stops_unless_it_is_allowed_by_name(folders, tmp_path, capsys):
    class_masks(Path(folders[1]), [0, 1])
    line = ["train", *folders, "--out", str(tmp_path / "r.pt"), *TINY, "--classes", "soil", "crop", "weed"]
    for more in ([], ["--skip-doctor"]):
        assert main([*line, *more]) == 2
        error = capsys.readouterr().err
        assert "weed" in error
        assert "--allow-missing weed" in error
    assert main([*line, "--allow-missing", "weed"]) == 0
    assert load_trained(tmp_path / "r.pt").classes == ["soil", "crop", "weed"]


# Case 7, 8: training longer, and going on with other classes.


def test_more_epochs_and_other_classes_go_on_from_a_run(folders, tmp_path, capsys):
    run = tmp_path / "run.pt"
    line = ["train", *folders, "--out", str(run), *TINY]
    assert main(line) == 0
    assert main([*line, "--resume", "--epochs", "3"]) == 0
    history = load_trained(run).history
    assert len(history.train_loss) == 3
    assert main([*line, "--resume", "--epochs", "2"]) == 0  # it is over: nothing is lost, nothing is done
    assert load_trained(run).history == history
    capsys.readouterr()
    class_masks(Path(folders[1]), [0, 1, 2])
    more = ["--classes", "soil", "crop", "weed", "--weights", str(run)]
    assert main(["train", *folders, "--out", str(tmp_path / "next.pt"), *TINY, *more]) == 0
    assert "weights from run.pt; new: the last layer" in capsys.readouterr().out


def test_the_rates_of_a_longer_training_are_those_of_one_planned_so(folders, tmp_path):
    rates = []
    for name, steps in (("long", [4]), ("resumed", [2, 4])):
        for epochs in steps:
            line = ["train", *folders, "--out", str(tmp_path / f"{name}.pt"), *TINY, "--warmup", "2", "--skip-doctor"]
            assert main([*line, "--epochs", str(epochs), "--resume"]) == 0
        contents = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        rates.append([group["lr"] for group in contents["states"]["optimizer"]["param_groups"]])
        assert contents["states"]["schedule"]["last_epoch"] == 8  # two steps an epoch
    assert rates[0] == pytest.approx(rates[1], abs=1e-12)


# Pairs: one folder, endings, sub folders.


def test_one_folder_for_both_names_the_option_and_then_trains(folders, tmp_path, capsys):
    images, masks = map(Path, folders)
    for path in list(masks.iterdir()):
        path.rename(images / f"{path.stem}_mask.png")
    line = ["train", folders[0], folders[0], "--out", str(tmp_path / "r.pt"), *TINY]
    assert main(line) == 2
    assert "--mask-suffix _mask" in capsys.readouterr().err
    assert main([*line, "--mask-suffix", "_mask"]) == 0


def test_the_whole_way_by_commands(folders, tmp_path, capsys):
    """Colours to labels, a fixed split, training, judging, drawing: without a line of Python."""
    images, masks = map(Path, folders)
    colours = np.array([[0, 0, 0], [0, 255, 0], [255, 0, 0]], np.uint8)
    for path in masks.iterdir():
        labels = (np.arange(64) // 22)[None].repeat(48, 0)
        Image.fromarray(colours[labels]).save(path)
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "train.txt").write_text("\n".join("abcdef"))
    (tmp_path / "split" / "test.txt").write_text("g\nh\n")
    run = str(tmp_path / "run.pt")
    palette = ["--palette", "#000000=soil", "#00ff00=crop", "#ff0000=weed"]
    assert main(["train", *folders, "--out", run, *TINY, *palette, "--split", str(tmp_path / "split")]) == 0
    about = load_trained(run).about
    assert about["split"]["test"] == ["g", "h"]
    assert len(about["split"]["validation"]) == 2  # drawn of the training pictures: a quarter of six
    assert about["options"]["palette"] == palette[1:]
    assert set(about["versions"]) >= {"torch", "torchvision", "pillow"}
    capsys.readouterr()
    files = {"--json": tmp_path / "scores.json", "--page": tmp_path / "page.html"}
    more = [str(word) for pair in files.items() for word in pair]
    assert main(["evaluate", run, *folders, "--side", "test", *more, "--device", "cpu"]) == 0  # the palette is known
    printed = capsys.readouterr().out
    assert "Mean IoU on 2 pictures" in printed
    for name in ("soil", "crop", "weed"):
        assert name in printed
    scores = json.loads(files["--json"].read_text())
    assert list(scores["pictures"])
    assert set(scores["classes"]) == {"soil", "crop", "weed"}
    assert files["--page"].read_text().count("<figure>") == 2
    assert main(["evaluate", run, *folders, *more]) == 2  # nothing is written over
    capsys.readouterr()
    assert main(["predict", run, folders[0], str(tmp_path / "out"), "--overlay", "--probabilities"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "8 masks in out: 0 is soil, 1 is crop, 2 is weed.",
        "Overlays in out_overlays.",
        "Probabilities in out_probabilities.",
    ]
    assert len(list((tmp_path / "out").iterdir())) == len(STEMS)
    for beside in ("out_overlays", "out_probabilities"):
        assert len(list((tmp_path / beside).iterdir())) == len(STEMS)


def test_one_bad_photograph_does_not_stop_the_others_and_the_exit_code_says_so(folders, tmp_path, capsys):
    run = str(tmp_path / "run.pt")
    assert main(["train", *folders, "--out", run, *TINY, "--skip-doctor"]) == 0
    (Path(folders[0]) / "c.jpg").write_bytes(b"")
    capsys.readouterr()
    assert main(["predict", run, folders[0], str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "1 of 8 pictures were not read" in error
    assert "--existing skip" in error
    assert len(list((tmp_path / "out").iterdir())) == 7
    photograph(2).save(Path(folders[0]) / "c.jpg")
    assert main(["predict", run, folders[0], str(tmp_path / "out"), "--existing", "skip"]) == 0
    assert capsys.readouterr().out == "1 mask in out: 0 is background, 255 is the object.\n"
    written = list((tmp_path / "out").iterdir())
    assert len(written) == 8
    assert set().union(*(np.unique(Image.open(mask)) for mask in written)) <= {0, 255}


def test_masks_of_classes_without_names_are_numbers():
    """As of a training in Python that gave its checkpoint no names."""
    assert _values_in_words(TrainedModel(nn.Identity(), make_loss("cross_entropy"), (48, 64))) == (
        "each value is the number of a class"
    )


def test_a_side_without_pictures_names_the_options(folders, tmp_path, capsys):
    run = str(tmp_path / "run.pt")
    assert main(["train", *folders, "--out", run, *TINY, "--skip-doctor"]) == 0
    capsys.readouterr()
    assert main(["evaluate", run, *folders, "--side", "test"]) == 2
    assert capsys.readouterr().err == (
        "The split has no test pictures.\nExpected: a split that names some\n"
        "Fix: Name one with --split FILE, or judge --side validation.\n"
    )
    assert main(["evaluate", run, *folders, "--side", "validation"]) == 0
    split = tmp_path / "split.json"
    split.write_text('{"train": ["a", "b"], "val": ["c"], "test": ["d", "e"]}')
    assert main(["evaluate", run, *folders, "--side", "test", "--split", str(split)]) == 0
    assert "on 2 pictures" in capsys.readouterr().out


def test_crops_of_enlarged_pictures_train_validate_and_predict_at_that_scale(folders, tmp_path, capsys):
    run = str(tmp_path / "run.pt")
    crops = ["--scale", "2", "--crop", "48", "64"]
    assert main(["train", *folders, "--out", run, *TINY, *crops]) == 0
    trained = load_trained(run)
    assert (trained.scale, trained.size) == (2.0, (48, 64))
    assert main(["train", *folders, "--out", run, *TINY, *crops, "--resume", "--epochs", "2"]) == 0
    assert main(["predict", run, folders[0], str(tmp_path / "out")]) == 0
    assert main(["evaluate", run, *folders, "--side", "validation"]) == 0


def test_folds_train_each_part_once_and_report_mean_and_spread(folders, tmp_path, capsys):
    assert main(["train", *folders, "--out", str(tmp_path / "run.pt"), *TINY, "--folds", "2", "--skip-doctor"]) == 0
    printed = capsys.readouterr().out
    assert "Best IoU of each fold: " in printed
    assert "standard deviation" in printed
    sides = [load_trained(tmp_path / f"run.fold{n}.pt").about["split"]["validation"] for n in (1, 2)]
    assert sorted(sides[0] + sides[1]) == list(STEMS)


def test_a_model_of_one_class_is_told_in_each_epoch(folders, tmp_path, capsys):
    assert main(["train", *folders, "--out", str(tmp_path / "r.pt"), *TINY, "--lr", "1e-9", "--head-lr", "1e-9"]) == 0
    printed = capsys.readouterr().out
    assert "never predicted" in printed or "nothing of use is learned" in printed or "IoU 0.0" in printed


def test_the_best_epoch_is_kept_beside_the_last_without_a_patience(folders, tmp_path):
    run = tmp_path / "run.pt"
    assert main(["train", *folders, "--out", str(run), *TINY, "--epochs", "2", "--skip-doctor"]) == 0
    states = torch.load(run, weights_only=True)["states"]
    assert set(states["stopping"]["weights"]) == set(states["model"])


def test_training_without_the_bundled_weights_names_the_option(folders, tmp_path, capsys, monkeypatch):
    """As after an installation that has lost them."""
    monkeypatch.setattr("seglib.model.bundled_weights_path", lambda: tmp_path / "gone.pt")
    words = [word for word in TINY if word not in ("--weights", "none")]
    assert main(["train", *folders, "--out", str(tmp_path / "r.pt"), *words, "--skip-doctor"]) == 2
    assert "--weights coco" in capsys.readouterr().err
