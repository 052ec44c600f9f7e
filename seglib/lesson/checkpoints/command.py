"""Owns how 10_checkpoints runs `python -m seglib train`: in this process, with the lines that the lesson is about."""

import contextlib
import io
import shlex

from seglib.cli.train import main


def seglib_train(line: str, folder: str) -> None:
    """Run `python -m seglib train LINE`, and print which weights it starts from and the loss of each epoch.

    If the command stops with an error, all that it said is printed.

    Args:
        line: the options, as they are typed, with FOLDER where the checkpoints are.
        folder: takes the place of FOLDER. It is not printed: it has another name each time.
    """
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main([word.replace("FOLDER", folder) for word in shlex.split(line)])
    if code:
        print(said.getvalue().strip())
        return
    for printed in said.getvalue().splitlines():
        if "weights from" in printed or printed.startswith("epoch "):
            print(printed.partition(", validation loss")[0].replace(": loss", ", loss"))  # no time follows any more
