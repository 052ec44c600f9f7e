"""The README: its links lead somewhere, and its picture is the one of the first notebook."""

import pytest

from tests.support.notebook_rules import broken, targets_in
from tools.notebooks.environment import ROOT
from tools.notebooks.readme_picture import PICTURE, stored_picture
from tools.notebooks.store import same_pixels

README = ROOT / "README.md"


def test_links_lead_to_what_exists():
    text = README.read_text(encoding="utf-8")
    targets = targets_in(text)
    assert len(targets) > 5
    reasons = {target: broken(target, README, text) for target in targets}
    assert {target: reason for target, reason in reasons.items() if reason} == {}


@pytest.mark.notebook
def test_the_picture_is_the_one_of_the_first_notebook():
    same = same_pixels(stored_picture(), PICTURE.read_bytes())
    assert same, "run `make notebooks`, or python -m tools.notebooks.readme_picture"
