"""Owns `python -m seglib --version`: what to paste into a report of something that fails. See 13_your_own_data."""

import argparse
import platform
from importlib import metadata
from typing import Any

import torch

from seglib import __version__
from seglib.device import pick_device

# What a lesson or a command depends on; a name of the package registry, as pip spells it.
LIBRARIES = (
    *("torch", "torchvision", "pillow", "numpy", "matplotlib", "tqdm"),
    *("ipywidgets", "ipython", "ipykernel", "jupyterlab"),
)


class PrintVersions(argparse.Action):
    """The option --version: prints the versions, and ends."""

    def __init__(self, **arguments: Any):
        super().__init__(**arguments, nargs=0, help="show versions and the device, to paste into a report")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        """Print, as argparse calls it."""
        print(versions())
        parser.exit()


def versions() -> str:
    """Lines of a name and its version: seglib, Python, the system, each library, and the device that is here.

    Nothing of it tells who or where one is: no path, no name of a user or of a machine.
    """
    lines = [
        f"seglib {__version__}",
        f"python {platform.python_version()}",
        f"system {platform.system()} {platform.machine()}",
        *(f"{name} {_version(name)}" for name in LIBRARIES),
        f"device {_device()}",
    ]
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "is not installed"


def _device() -> str:
    device = pick_device()
    if device.type != "cuda":
        return device.type
    return f"cuda, {torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
