"""The table of faults fits the code: a fault that no longer applies would be caught by nothing."""

import ast

import pytest

from tools.notebooks.environment import ROOT
from tools.proofs.mutants import MUTANTS, Mutant, mutated


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_fits_the_code_and_still_compiles(mutant: Mutant):
    whole = (ROOT / mutant.file).read_text(encoding="utf-8")
    faulty = mutated(whole, mutant)
    assert faulty != whole
    ast.parse(faulty)


def test_a_fault_that_no_longer_fits_is_named():
    with pytest.raises(SystemExit, match="stands 0 times in seglib/data/pairing.py"):
        mutated("pass", MUTANTS[0])
