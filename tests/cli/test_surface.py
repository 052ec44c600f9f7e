"""Errors in the words of the command line."""

import argparse
import shlex
from pathlib import Path

import pytest

from seglib.cli.surface import Parser, as_typed, command_line, in_options, options_of, positive_number
from seglib.errors import TrainingError

OPTIONS = {"--mask-suffix", "--classes", "--relabel", "--palette", "--recursive", "--invert", "--ignore", "--weights"}


@pytest.mark.parametrize(
    ("python", "typed"),
    [
        ('Give mask_suffix="_mask".', "Give --mask-suffix _mask."),
        ('mask_suffix=" a b"', "--mask-suffix ' a b'"),
        ('classes=["background", "red apple"].', "--classes background 'red apple'."),
        ("relabel={255: 1}", "--relabel 255=1"),
        ('palette={(255, 0, 0): "weed"}', "--palette '#ff0000=weed'"),
        ("recursive=True reads them, recursive=False does not.", "--recursive reads them, --no-recursive does not."),
        ("ignore=11, or leave it", "--ignore 11, or leave it"),
        ("ignore=[11, 12].", "--ignore 11 12."),
        ("weights=None", "--weights none"),
        ("drop_last=True stays as it is", "drop_last=True stays as it is"),
        ("ignore=N", "--ignore N"),
    ],
)
def test_an_argument_becomes_the_option_of_its_name(python: str, typed: str):
    assert in_options(python, OPTIONS) == typed


def test_what_is_typed_is_read_back_by_a_shell():
    assert shlex.split(as_typed("--classes", ["a b", "c'd"])) == ["--classes", "a b", "c'd"]
    assert shlex.split(command_line("seglib", Path("my pictures"), 3)) == ["seglib", "my pictures", "3"]


def test_a_parser_raises_errors_of_seglib():
    parser = Parser()
    parser.add_argument("--lr", type=positive_number)
    assert options_of(parser) == {"--help", "--lr"}
    for words in (["--lr", "0"], ["--lr", "fast"], ["--lr", "nan"], ["--unknown"]):
        with pytest.raises(TrainingError):
            parser.parse_args(words)


def test_a_number_above_0():
    assert positive_number("2e-3") == 0.002
    for text in ("-1", "inf", "nan", "x"):
        with pytest.raises(argparse.ArgumentTypeError):
            positive_number(text)
