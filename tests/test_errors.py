import copy
import pickle
from pathlib import Path

import pytest

from seglib import errors
from seglib.errors import SegError, name_of

KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SegError) and kind != SegError
]


def test_there_are_kinds_to_test():
    assert {kind.__name__ for kind in KINDS} >= {"PairError", "ImageError", "MaskError", "ShapeError", "WeightsError"}


@pytest.mark.parametrize("kind", [SegError, *KINDS])
def test_an_error_is_three_lines_and_a_value_error(kind):
    error = kind("a.png is empty.", "a picture", "Copy it again.")
    assert str(error) == "a.png is empty.\nExpected: a picture\nFix: Copy it again."
    assert (error.found, error.expected, error.fix) == ("a.png is empty.", "a picture", "Copy it again.")
    assert isinstance(error, SegError)
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_copying_and_pickling(kind, travel):
    error = kind("found", "expected", "fix")
    again = travel(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.fix == "fix"


def test_one_string_alone_is_shown_as_it_is():  # so a DataLoader sends a worker's error home
    assert str(errors.ImageError("Caught ImageError in worker 0.\nOriginal Traceback")) == (
        "Caught ImageError in worker 0.\nOriginal Traceback"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_is_for(kind):
    assert kind.__doc__ != SegError.__doc__
    assert kind.__doc__


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/me/fruit/images/a.jpg", "images/a.jpg"),
        ("images/a.jpg", "images/a.jpg"),
        ("../a.jpg", "../a.jpg"),
        ("a.jpg", "a.jpg"),  # not "/a.jpg", which would be another file
        ("images", "images"),
    ],
)
def test_name_of_is_short_and_never_absolute(path, name):
    assert name_of(Path(path)) == name
