"""The faults of the browser's proof fit the project, and each names a test that is there."""

import re

import pytest

from tools.notebooks.environment import NOTEBOOKS, ROOT
from tools.proofs.browser_faults import BROWSER_FAULTS, BrowserFault
from tools.proofs.faults import faulty_texts


@pytest.mark.parametrize("case", BROWSER_FAULTS, ids=lambda case: case.fault.name)
def test_a_fault_fits_and_its_test_is_there(case: BrowserFault):
    for name, text in faulty_texts(case.fault, ROOT).items():
        assert text != (ROOT / name).read_text(encoding="utf-8")
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "browser").glob("test_*.py"))
    assert any(name.startswith(case.test) for name in re.findall(r"def (test_\w+)", source))
    assert all((NOTEBOOKS / f"{stem}.ipynb").is_file() for stem in case.fault.notebooks)


def test_the_faults_stand_in_five_places_at_least():
    assert len({case.fault.file for case in BROWSER_FAULTS}) >= 5
    assert len({case.fault.name for case in BROWSER_FAULTS}) == len(BROWSER_FAULTS)
