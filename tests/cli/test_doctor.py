"""The command doctor: exit codes, fixes in the words of the command line, the page, and the command that comes next."""

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from seglib.cli.main import main, parser
from tests.support.helpers import snapshot


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Ten pictures of two discs on noise, with their masks, in folders whose names need quotes."""
    rng = np.random.default_rng(0)
    for kind in ("my images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(10):
        image = Image.fromarray(rng.integers(0, 80, (96, 128, 3), np.uint8))
        mask = Image.new("L", (128, 96))
        for _ in range(2):
            x, y = rng.uniform(0, 80), rng.uniform(0, 56)
            for picture, colour in ((image, (230, 190, 90)), (mask, 255)):
                ImageDraw.Draw(picture).ellipse((x, y, x + 40, y + 36), fill=colour)
        image.save(tmp_path / "my images" / f"p{number}.png")
        mask.save(tmp_path / "masks" / f"p{number}.png")
    return [str(tmp_path / "my images"), str(tmp_path / "masks")]


SMALL = ["--size", "96", "128"]


def change(folder: str, function) -> None:
    for path in Path(folder).iterdir():
        with Image.open(path) as opened:
            picture = opened.copy()
        function(picture).save(path)


def test_a_good_folder_exits_with_0_and_the_command_that_trains(folders, capsys):
    before = snapshot(Path(folders[0]).parent)
    assert main(["doctor", *folders, *SMALL]) == 0
    out = capsys.readouterr().out
    assert "10 pairs" in out
    assert "SPOILS THE RESULT: nothing" in out
    assert "mended" not in out
    command = next(line for line in out.splitlines() if line.startswith("python -m seglib train"))
    words = shlex.split(command)
    assert words[4:6] == folders
    options = parser().parse_args(words[3:])  # the training understands it
    assert (options.size, str(options.out)) == ([96, 128], "run.pt")
    assert snapshot(Path(folders[0]).parent) == before


def test_what_stops_training_exits_with_1_and_names_options(folders, capsys):
    change(folders[1], lambda mask: mask.point(lambda value: value // 255))
    assert main(["doctor", *folders, *SMALL]) == 1
    out = capsys.readouterr().out
    assert "--relabel 1=255" in out
    assert "relabel={" not in out
    assert "python -m seglib train" not in out
    assert out.splitlines()[-1] == "Must be mended: what stops training. The exit code is 1."
    assert main(["doctor", *folders, *SMALL, "--relabel", "1=255"]) == 0
    assert "--relabel 1=255" in capsys.readouterr().out.splitlines()[-1]  # the training needs it too


def test_what_spoils_the_result_exits_with_1(folders, capsys):
    change(folders[1], lambda mask: mask.point(lambda value: 255 - value))
    assert main(["doctor", *folders, *SMALL]) == 1
    out = capsys.readouterr().out
    assert "--invert" in out
    assert "STOPS TRAINING: nothing" in out
    assert "\nMust be mended: what spoils the result. The exit code is 1.\n" in out
    assert "python -m seglib train" in out.splitlines()[-1]  # it can be trained on all the same
    assert main(["doctor", *folders, *SMALL, "--invert"]) == 0
    assert "mended" not in capsys.readouterr().out


def test_what_stops_training_and_what_spoils_the_result_are_both_told(folders, capsys):
    change(folders[1], lambda mask: mask.point(lambda value: 255 - value))
    (Path(folders[1]) / "p3.png").unlink()
    assert main(["doctor", *folders, *SMALL]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "Must be mended: what stops training and what spoils the result. The exit code is 1."


def test_help_tells_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "0 where nothing has to be mended; 1 where something stops training or spoils the result; 2 where" in words


def test_a_class_may_be_allowed_to_be_missing(folders, capsys):
    change(folders[1], lambda mask: mask.point(lambda value: value // 255))
    arguments = ["doctor", *folders, *SMALL, "--classes", "background", "disc", "odd one"]
    assert main(arguments) == 1
    assert "--allow-missing 'odd one'" in capsys.readouterr().out
    assert main([*arguments, "--allow-missing", "odd one"]) == 0


def test_thin_things_are_proposed_a_scale_in_options(folders, capsys):
    change(folders[1], lambda mask: mask.resize((16, 12)).resize(mask.size).point(lambda v: 255 * (100 < v < 156)))
    assert main(["doctor", *folders, *SMALL]) == 1
    out = capsys.readouterr().out
    proposed = next(line for line in out.splitlines() if line.startswith("PROPOSED: "))
    words = shlex.split(proposed.removeprefix("PROPOSED: "))
    assert words[0] == "--scale"
    command = shlex.split(out.splitlines()[-1])
    assert command[-len(words) :] == words
    assert parser().parse_args(command[3:]).crop == [96, 128]


def test_a_split_is_looked_at_where_one_is_named(folders, capsys, tmp_path):
    (tmp_path / "split.json").write_text('{"train": ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"], "val": ["p8"]}')
    assert main(["doctor", *folders, *SMALL, "--split", str(tmp_path / "split.json")]) == 0
    out = capsys.readouterr().out
    assert "Pairs on no side of the split (1): p9." in out
    assert "Sides of the split with few pictures (1): validation." in out
    assert main(["doctor", *folders, *SMALL]) == 0
    assert "of the split" not in capsys.readouterr().out


def test_the_page_is_written_and_never_overwritten(folders, capsys, tmp_path):
    page = tmp_path / "page.html"
    assert main(["doctor", *folders, *SMALL, "--page", str(page)]) == 0
    assert "<img" in page.read_text(encoding="utf-8")
    before = page.read_bytes()
    assert main(["doctor", *folders, *SMALL, "--page", str(page)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert page.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "masks"], "There is no folder"),
        (["IMAGES", "MASKS", "--crop", "96", "96"], "without a scale"),
        (["IMAGES", "MASKS", "--model", "unet"], "no model"),
        (["IMAGES", "IMAGES"], "--mask-suffix"),
        (["IMAGES", "MASKS", "--allow-missing", "disk"], "which is no class"),
    ],
)
def test_a_call_that_cannot_be_right_exits_with_2(folders, capsys, arguments, words):
    names = {"IMAGES": folders[0], "MASKS": folders[1]}
    assert main(["doctor", *(names.get(word, word) for word in arguments)]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


def test_the_package_itself_is_a_command(folders):
    command = [sys.executable, "-m", "seglib.doctor", *folders, *SMALL]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "10 pairs" in done.stdout
