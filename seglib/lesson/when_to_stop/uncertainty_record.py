"""Owns how the record of benchmarks/uncertainty.py is read: counts, scores by epoch, gains. See 09_when_to_stop."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seglib.lesson.when_to_stop.uncertainty import Counts, difference_interval, interval, iou_of

Run = Mapping[str, Any]


def runs_of(record: Mapping[str, Any], arm: str) -> Sequence[Run]:
    """The runs of an arm: "constant, split.json", "poly, split.json" or "constant, folds"."""
    return [run for run in record["runs"] if run["arm"] == arm]


def counts_of(run: Run, way: str = "last") -> Counts:
    """The counts at the end of a training: of the "last" weights, or of another of the record's ways."""
    stored = run["ways"].get(way)
    if stored is None:
        return np.array(run["epochs"]["intersections"][-1]), np.array(run["epochs"]["unions"][-1])
    return np.array(stored["intersections"]), np.array(stored["unions"])


def ious_by_epoch(run: Run) -> list[float]:
    """The IoU over all pictures after each epoch."""
    epochs = run["epochs"]
    return [sum(hit) / sum(union) for hit, union in zip(epochs["intersections"], epochs["unions"], strict=True)]


def gains(record: Mapping[str, Any], arm: str, way: str) -> list[float]:
    """For each run of the arm: the IoU of this way minus that of the last weights."""
    return [iou_of(counts_of(run, way)) - iou_of(counts_of(run)) for run in runs_of(record, arm)]


def together(counts: Sequence[Counts]) -> Counts:
    """The counts of the pictures of several folds, one behind the other."""
    intersections, unions = zip(*counts, strict=True)
    return np.concatenate(intersections), np.concatenate(unions)


def leads_of_the_best(run: Run, halvings: int = 500, seed: int = 0) -> np.ndarray:
    """Choose the best epoch by a random half of the pictures, and see its lead over the last epoch on both halves.

    A lead, not a score, because one half is easier than the other.

    Args:
        run: of the record.
        halvings: how often the pictures are divided.
        seed: of the divisions.

    Returns:
        (halvings, 2): the lead over the last epoch, in IoU, on the half that chose and on the other half.
    """
    intersections = np.array(run["epochs"]["intersections"])  # (epochs, pictures)
    unions = np.array(run["epochs"]["unions"])
    rng = np.random.default_rng(seed)
    half = intersections.shape[1] // 2
    leads = []
    for _ in range(halvings):
        order = rng.permutation(intersections.shape[1])
        sides = []
        for part in (order[:half], order[half:]):
            sides.append(intersections[:, part].sum(axis=1) / unions[:, part].sum(axis=1))  # (epochs,)
        chooses, judges = sides
        best = int(chooses.argmax())
        leads.append([chooses[best] - chooses[-1], judges[best] - judges[-1]])
    return np.array(leads)


def averaging_table(record: Mapping[str, Any]) -> str:
    """What the mean of the weights gains over the last ones, a row for each arm; then its interval for each seed.

    Then, for each arm, beside the epochs whose weights are averaged, and beside the best epoch.

    Args:
        record: of `benchmarks/uncertainty.py`.
    """
    lines = [f"{'':<22}{'last weights':<15}{'mean of weights, gain':<26}the same with BatchNorm of the last epoch"]
    for arm, row in record["summary"].items():
        cells = []
        for way in ("mean", "mean, BatchNorm of the last epoch"):
            cells.append(f"{row[way]['gain']:+.3f} (higher in {row[way]['higher']} of {row['runs']})")
        lines.append(f"{arm:<22}{row['last']['iou']:<15.3f}{cells[0]:<26}{cells[1]}")
    for run in runs_of(record, "constant, split.json"):
        low, high = difference_interval(counts_of(run, "mean"), counts_of(run))
        lines.append(
            f"seed {run['seed']}, constant: gain of the mean of weights, 95 % interval {low:+.3f} to {high:+.3f}"
        )
    own = f"its {record['settings']['averaged_epochs']} epochs"
    lines.append(f"{'':<22}{'mean of weights':<17}{own + ', on average':<26}best of all epochs")
    return "\n".join([*lines, *(beside_the_epochs(record, arm) for arm in record["summary"])])


def beside_the_epochs(record: Mapping[str, Any], arm: str) -> str:
    """The mean of the weights beside the scores of the epochs that it is the mean of, and beside the best of all."""
    averaged = record["settings"]["averaged_epochs"]
    runs = runs_of(record, arm)
    means = np.array([iou_of(counts_of(run, "mean")) for run in runs])
    curves = np.array([ious_by_epoch(run) for run in runs])  # (runs, epochs)
    of_these = curves[:, -averaged:].mean(axis=1)
    best = curves.max(axis=1)
    return (
        f"{arm:<22}{means.mean():<17.3f}"
        f"{f'{of_these.mean():.3f} (lower in {(of_these < means).sum()} of {len(runs)})':<26}"
        f"{best.mean():.3f} (lower in {(best < means).sum()} of {len(runs)})"
    )


def folds_table(record: Mapping[str, Any]) -> str:
    """The IoU of each fold, and of all pictures of a division together with its interval; a row for each division.

    Args:
        record: of `benchmarks/uncertainty.py`.
    """
    lines = []
    runs = runs_of(record, "constant, folds")
    for division in sorted({run["seed"] for run in runs}):
        folds = [counts_of(run) for run in runs if run["seed"] == division]
        scores = ", ".join(f"{iou_of(fold):.2f}" for fold in folds)
        pictures = together(folds)
        low, high = interval(pictures)
        lines.append(
            f"division {division}: folds {scores}; all {len(pictures[0])} pictures {iou_of(pictures):.2f}, "
            f"interval {low:.2f} to {high:.2f}"
        )
    return "\n".join(lines)
