"""Owns the command `python -m seglib`, which is also installed as `seglib`: its sub commands, and their errors.

See 13_your_own_data.
"""

import sys
from collections.abc import Sequence

from seglib.cli import convert, doctor, evaluate, predict, train
from seglib.cli.surface import Parser, print_error
from seglib.cli.versions import PrintVersions
from seglib.errors import SegError

COMMANDS = {"doctor": doctor, "convert": convert, "train": train, "evaluate": evaluate, "predict": predict}


def parser() -> Parser:
    """The parser of all sub commands."""
    made = Parser(prog="seglib", description="From a folder of images and a folder of masks to masks on new images.")
    made.add_argument("--version", action=PrintVersions)
    commands = made.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for command in COMMANDS.values():
        command.add_parser(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code: the command's, 2 after an error of the reader's, 130 after Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    made = parser()
    if not arguments:
        made.print_help()
        return 2
    own = made
    try:
        options = made.parse_args(arguments)
        own = options.parser
        return options.run(options)
    except SegError as error:
        print_error(error, own)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
