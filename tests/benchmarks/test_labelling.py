"""What benchmarks/labelling.py makes of its runs: nothing before all are there, then means and gains fold by fold."""

import pytest

from benchmarks.labelling import COUNTS, FOLDS, summary


def runs(gain: float) -> list[dict]:
    rows = []
    for fold in range(FOLDS):
        for step, count in enumerate(COUNTS):
            iou = 0.5 + 0.02 * fold + gain * step
            matrix = [[700, round(150 - 150 * iou)], [round(150 - 150 * iou), round(300 * iou)]]
            rows.append({"draw": 0, "fold": fold, "pictures": count, "iou": iou, "matrix": matrix})
    return rows


def test_there_is_no_summary_before_all_folds_are_there():
    assert summary(runs(0.1)[:-1], draws=(0,)) == {}


def test_gains_are_counted_fold_by_fold():
    figures = summary(runs(0.1), draws=(0,))
    assert [row["pictures"] for row in figures["summary"]] == list(COUNTS)
    assert [row["iou"] for row in figures["summary"]] == pytest.approx([0.55, 0.65, 0.75], abs=0.005)
    assert [(each["from"], each["to"]) for each in figures["gains"]] == [(10, 20), (20, 40), (10, 40)]
    assert [each["gain"] for each in figures["gains"]] == pytest.approx([0.1, 0.1, 0.2])
    assert [each["spread"] for each in figures["gains"]] == pytest.approx([0, 0, 0], abs=1e-6)
    assert [each["more_in"] for each in figures["gains"]] == [6, 6, 6]
