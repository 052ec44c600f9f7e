"""Owns the figures of 12_silent_bugs: a fault as a diff, printed and true IoU, which check finds which fault."""

import difflib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seglib.inference.palette import BLACK, BLUE, ORANGE
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.silent_bugs.bugs import source_with

Runs = Sequence[Mapping[str, Any]]


def diff_of(bug: str) -> str:
    """The lines of the plain script that a fault takes away (-), and those that it puts there (+)."""
    right = source_with().splitlines()
    wrong = source_with(bug).splitlines()
    lines = [line for line in difflib.unified_diff(right, wrong, n=0, lineterm="") if line[:3] not in ("---", "+++")]
    # All of them stand in functions: the indent of four is left out.
    return "\n".join(f"{line[0]} {line[5:]}" for line in lines if line[0] in "+-")


def scores_by_bug(runs: Runs) -> dict[str, dict[str, list[Any]]]:
    """The record of `benchmarks/silent_bugs.py`, one row for each fault.

    Returns:
        Fault -> "printed" and "true", the last IoU that the script printed and the true one, a number for each seed.
        A script that keeps the wrong weights as the best: the best IoU that it printed, and that of the weights kept.
        "falls": whether the loss of the last epoch is below that of the first.
    """
    table: dict[str, dict[str, list[Any]]] = {}
    for run in runs:
        row = table.setdefault(run["bug"], {"printed": [], "true": [], "falls": []})
        keeps_wrong_weights = run["bug"] == "best weights without a copy"
        row["printed"].append(max(run["printed"]) if keeps_wrong_weights else run["printed"][-1])
        row["true"].append(run["best_true"] if keeps_wrong_weights else run["true"])
        row["falls"].append(run["losses"][-1] < run["losses"][0])
    return table


def score_lines(table: Mapping[str, Mapping[str, Sequence[Any]]]) -> str:
    """The same table in words, a line for each fault: means, spread of the true IoU, how often the loss falls."""
    lines = []
    for name, row in table.items():
        true = [value for value in row["true"] if value is not None]
        words = f"{statistics.mean(true):.2f} ± {statistics.stdev(true):.2f}" if true else "unknown"
        falls = f"loss falls with {sum(row['falls'])} of {len(row['falls'])} seeds"
        lines.append(f"{name:32} printed {statistics.mean(row['printed']):.2f}, true {words:11}, {falls}")
    return "\n".join(lines)


@styled
def bug_dots(table: Mapping[str, Mapping[str, Sequence[Any]]]) -> Figure:
    """Draw for each fault the IoU that the script prints, open, and the true one, filled, with the mean of the seeds.

    Args:
        table: as `scores_by_bug` gives it; the fault "none" is also drawn as a dashed line.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 0.3 * len(table) + 1.4)
    for place, row in enumerate(table.values()):
        labels = ("true", "printed by the script") if place == 0 else (None, None)  # one entry each in the legend
        filled = {"color": BLUE, "marker": "o", "markerfacecolor": BLUE}
        open_ = {"color": ORANGE, "marker": "s", "markerfacecolor": "white"}
        _draw_seeds(axes, place - 0.17, row["true"], label=labels[0], **filled)
        _draw_seeds(axes, place + 0.17, row["printed"], label=labels[1], **open_)
    without_fault = [value for value in table["none"]["true"] if value is not None]
    axes.axvline(statistics.mean(without_fault), color=BLACK, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(table)), ["(no mistake)" if name == "none" else name for name in table])
    axes.set(
        xlabel="IoU (0 to 1) on 16 validation pictures", ylabel="mistake", xlim=(0, 1), ylim=(len(table) - 0.4, -0.6)
    )
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def _draw_seeds(axes: Axes, height: float, values: Sequence[float | None], **look: Any) -> None:
    """Draw the scores of all seeds in one row, with a line at their mean; None where a score is unknown."""
    known = [value for value in values if value is not None]
    axes.plot(known, [height] * len(known), linestyle="", markersize=6, **look)
    if known:
        mean = statistics.mean(known)
        axes.vlines(mean, height - 0.15, height + 0.15, color=look["color"], linewidth=2)


@styled
def check_grid(found: Mapping[str, Mapping[str, int]], checks: Sequence[str], seeds: int = 3) -> Figure:
    """Draw which check finds which fault: a square where it fails, with the number of seeds, a dot where it passes.

    Args:
        found: fault -> check -> with how many seeds it fails; as `benchmarks/preflight_checks.py` records it.
        checks: the names of all checks, a column each.
        seeds: how many there are; a square is filled where the check fails with all of them.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 0.29 * len(found) + 2.2)
    for place, row in enumerate(found.values()):
        for column, check in enumerate(checks):
            count = row.get(check, 0)
            if count == 0:
                axes.plot(column, place, ".", color="#999999", markersize=4)
                continue
            filled = BLUE if count == seeds else "white"
            axes.plot(column, place, "s", color=BLUE, markerfacecolor=filled, markersize=13)
            ink = "white" if count == seeds else BLACK
            axes.text(column, place, str(count), color=ink, ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(checks)), checks, rotation=60, ha="left", rotation_mode="anchor", fontsize=10)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_yticks(range(len(found)), list(found), fontsize=10)
    axes.set(xlabel="check", ylabel="mistake", xlim=(-0.5, len(checks) - 0.5), ylim=(len(found) - 0.5, -0.5))
    axes.tick_params(length=0)
    for place in range(len(found)):
        axes.axhline(place + 0.5, color="#dddddd", linewidth=0.6, zorder=0)
    return figure
