"""Owns how the command line says what Python says: the fix of an error names options instead of arguments.

An error of seglib names an argument as `name=value`. Where the command has an option of that name, it is written as one
would type it: `mask_suffix="_mask"` becomes `--mask-suffix _mask`. See 13_your_own_data.
"""

import argparse
import ast
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from typing import Any

from seglib.errors import SegError, TrainingError
from seglib.training.distributed import first_to_report, tell_torchrun

ARGUMENT = re.compile(r'\b([a-z][a-z_]*)=("[^"]*"|\[[^\]]*\]|\{[^}]*\}|\([^)]*\)|-?[\w.+-]*\w)')


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose complaints are errors of seglib."""

    def error(self, message: str) -> Any:
        """Raise what argparse would print."""
        raise TrainingError(f"{message[:1].upper()}{message[1:]}.", "arguments as --help lists them", "Add --help.")


def whole_number(smallest: int) -> Callable[[str], int]:
    """A type for argparse: a whole number from `smallest` on."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"{text} is no whole number from {smallest} on")
        return int(text)

    return number


def positive_number(text: str) -> float:
    """A type for argparse: a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return value


def in_options(text: str, options: set[str]) -> str:
    """The text with each argument of Python that is an option here as one types it.

    Args:
        text: of an error.
        options: what the command knows, as "--mask-suffix".

    Example:
        >>> in_options('Give classes=["background", "cell"].', {"--classes"})
        'Give --classes background cell.'
        >>> in_options("drop_last=True leaves it out.", {"--classes"})
        'drop_last=True leaves it out.'
    """

    def option(match: re.Match[str]) -> str:
        name = "--" + match.group(1).replace("_", "-")
        if name not in options:
            return match.group()
        try:
            value = ast.literal_eval(match.group(2))
        except (ValueError, SyntaxError):  # a placeholder, as N or a list that ends in three dots
            value = match.group(2).strip("[]").replace(",", "").replace('"', "").split()
        return as_typed(name, value)

    return ARGUMENT.sub(option, text)


def as_typed(name: str, value: Any) -> str:
    """An option and its value as one types them in a shell.

    Example:
        >>> as_typed("--relabel", {255: 1}), as_typed("--invert", True), as_typed("--recursive", False)
        ('--relabel 255=1', '--invert', '--no-recursive')
    """
    if value is True:
        return name
    if value is False:
        return f"--no-{name.removeprefix('--')}"
    if isinstance(value, Mapping):
        words = [f"{_colour(key)}={item}" for key, item in value.items()]
    elif isinstance(value, list | tuple):
        words = [str(item) for item in value]
    else:
        words = ["none" if value is None else str(value)]
    return " ".join([name, *map(shlex.quote, words)])


def _colour(key: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*key) if isinstance(key, tuple) else str(key)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """All options that a parser knows, as "--size"."""
    return {text for action in parser._actions for text in action.option_strings if text.startswith("--")}


def print_error(error: SegError, parser: argparse.ArgumentParser) -> None:
    """The three lines of an error, in the words of the command. Under torchrun they end the page that it prints."""
    words = in_options(str(error), options_of(parser))
    if not tell_torchrun(words) and first_to_report():
        print(words, file=sys.stderr, flush=True)


def command_line(*words: Any) -> str:
    """A command as one types it, for the shell of this system.

    Example:
        >>> command_line("seglib", "train", "my images", "masks")
        "seglib train 'my images' masks"
    """
    return shlex.join(map(str, words))
