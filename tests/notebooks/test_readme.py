"""The README: its links lead somewhere, and its picture is the one of the first notebook."""

import pytest

from tests.support.notebook_rules import LINK, broken
from tools.notebooks.environment import ROOT
from tools.notebooks.readme_picture import PICTURE, stored_picture

README = ROOT / "README.md"


def test_links_lead_to_what_exists():
    text = README.read_text(encoding="utf-8")
    targets = [match.group(3) for match in LINK.finditer(text)]
    assert len(targets) > 5
    assert [f"{target}: {reason}" for target in targets if (reason := broken(target, README, text))] == []


@pytest.mark.notebook
def test_the_picture_is_the_one_of_the_first_notebook():
    assert stored_picture() == PICTURE.read_bytes(), "run `make notebooks`, or python tools/notebooks/readme_picture.py"
