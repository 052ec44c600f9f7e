"""The errors that seglib raises, each in three lines that a beginner can act on. Explained in 01_dataset."""

from pathlib import Path


class SegError(ValueError):
    """Something in the reader's data or call cannot be right: what happened, what was expected, how to fix it.

    Args:
        found: what happened, with the file, tensor or argument that it happened to.
        expected: what would have been right.
        fix: what to do now.

    Every kind of error below is a `SegError`, and a `SegError` is a `ValueError`, so `except SegError` catches all.

    Example:
        >>> print(SegError("fruit.png is empty.", "a picture", "Copy the file again."))
        fruit.png is empty.
        Expected: a picture
        Fix: Copy the file again.
    """

    # A DataLoader's worker passes an error on as one string with its traceback: so two arguments have defaults.
    def __init__(self, found: str, expected: str = "", fix: str = ""):
        super().__init__(found, expected, fix)
        self.found, self.expected, self.fix = found, expected, fix

    def __str__(self) -> str:
        return f"{self.found}\nExpected: {self.expected}\nFix: {self.fix}" if self.fix else self.found


class PairError(SegError):
    """The files of the two folders do not pair up: a folder, an image or a mask is missing, or is there twice."""


class ImageError(SegError):
    """A picture cannot be opened, or holds something that is not a photograph."""


class MaskError(SegError):
    """A mask opens, but holds something that cannot be labels, or does not fit its image."""


class SplitError(SegError):
    """A split into training and validation pictures leaves a side empty, overlaps, or names unknown pictures."""


class ShapeError(SegError):
    """Tensors whose shape, dtype or values would broadcast, train or count in silence, and wrongly."""


class TrainingError(SegError):
    """Training cannot go on: an unknown choice, no pictures to train on, or a loss that is no longer a number."""


class WeightsError(SegError):
    """Weights are missing, damaged, or made for another model."""


def name_of(path: Path) -> str:
    """`folder/file.png`: enough to find a file by, and the same on every machine and system."""
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name
