"""Killed five times, a training ends with the weights of one that was never stopped; `make crash` kills 50 times."""

from tools.proofs.crash import crash


def test_five_kills_lose_nothing_but_the_epoch_under_way():
    counts = crash(kills=5, seed=1)
    assert counts["kills"] == 5
    assert counts["starts"] == 6
    assert counts["while saving"] >= 1
    assert (counts["epochs lost"], counts["damaged"], counts["differing weights"]) == (0, 0, 0)
    assert set(counts["files left"]) == {"run.pt", "run.before.pt"}
