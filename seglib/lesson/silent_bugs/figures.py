"""Owns the charts of 12_silent_bugs: the line that a fault changes, what it prints and what is true, who finds it."""

import difflib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from seglib.inference.palette import BLACK, BLUE, ORANGE
from seglib.lesson.common.figures import new_figure, styled
from seglib.lesson.silent_bugs.bugs import source_with

Runs = Sequence[Mapping[str, Any]]


def changed_lines(bug: str) -> str:
    """The lines of the plain script that a fault takes away (-), and those that it puts there (+)."""
    right, wrong = source_with().splitlines(), source_with(bug).splitlines()
    lines = [line for line in difflib.unified_diff(right, wrong, n=0, lineterm="") if line[:3] not in ("---", "+++")]
    return "\n".join(f"{line[0]} {line[5:]}" for line in lines if line[0] in "+-")  # without the indent of a function


def summary(runs: Runs) -> dict[str, dict[str, Any]]:
    """Of `benchmarks/silent_bugs.py`: for each fault what it printed at last and what is true, one number a seed."""
    table: dict[str, dict[str, Any]] = {}
    for run in runs:
        row = table.setdefault(run["bug"], {"printed": [], "true": [], "checks": {}})
        row["printed"].append(run["printed"][-1])
        row["true"].append(run["true"])
        row["checks"] |= run.get("checks", {})
    return table


@styled
def bug_dots(table: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw for each fault the IoU that the script prints, open, and the true one, filled, with the mean of the seeds.

    Args:
        table: as `summary` gives it; the fault "none" is also drawn as a dashed line.
    """
    figure, ((axes,),) = new_figure(1, 1, 8.0, 0.36 * len(table) + 1.4)
    for place, row in enumerate(table.values()):
        kinds = (("true", BLUE, "o", BLUE, -0.17), ("printed", ORANGE, "s", "white", 0.17))
        for kind, colour, marker, face, shift in kinds:
            label = {"true": "true", "printed": "printed by the script"}[kind] if not place else None
            known = [value for value in row[kind] if value is not None]
            heights = [place + shift] * len(known)
            axes.plot(known, heights, marker, color=colour, markerfacecolor=face, markersize=6, label=label)
            if known:
                mean = statistics.mean(known)
                axes.vlines(mean, place + shift - 0.15, place + shift + 0.15, color=colour, linewidth=2)
    axes.axvline(statistics.mean(table["none"]["true"]), color=BLACK, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(table)), ["(no fault)" if name == "none" else name for name in table])
    axes.set(
        xlabel="IoU (0 to 1) on 16 validation pictures", ylabel="fault", xlim=(0, 1), ylim=(len(table) - 0.4, -0.6)
    )
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


@styled
def check_grid(table: Mapping[str, Mapping[str, Mapping[str, bool]]]) -> Figure:
    """Draw which check finds which fault: a filled square where it fails, a small dot where it passes.

    Args:
        table: as `summary` gives it.
    """
    checks = list(next(iter(table.values()))["checks"])
    figure, ((axes,),) = new_figure(1, 1, 8.0, 0.34 * len(table) + 1.6)
    for place, row in enumerate(table.values()):
        for column, check in enumerate(checks):
            found = not row["checks"][check]
            axes.plot(
                column, place, "s" if found else ".", color=BLUE if found else "#999999", markersize=12 if found else 4
            )
    axes.set_xticks(range(len(checks)), [check.replace(" ", "\n") for check in checks], fontsize=10)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_yticks(range(len(table)), ["(no fault)" if name == "none" else name for name in table])
    axes.set(xlabel="check", ylabel="fault", xlim=(-0.5, len(checks) - 0.5), ylim=(len(table) - 0.5, -0.5))
    axes.tick_params(length=0)
    for place in range(len(table)):
        axes.axhline(place + 0.5, color="#dddddd", linewidth=0.6, zorder=0)
    return figure
