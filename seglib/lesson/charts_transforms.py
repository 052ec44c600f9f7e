"""Owns the picture of what transforms cost: each step alone, and the same work in several orders. See 02_transforms."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seglib.lesson.figures import new_figure, styled
from seglib.lesson.palette import BLUE, ORANGE, SKY_BLUE

RESIZED = ", resized"  # a step's name ends so where it works on the small picture


@styled
def cost_chart(cost: dict[str, Any]) -> Figure:
    """Draw what `benchmarks/transform_cost.py` recorded: above the steps, below the orders.

    Args:
        cost: "steps" {name: milliseconds} and "orders" [{"order", "milliseconds", "ratio"}].
    """
    steps, orders = cost["steps"], cost["orders"]
    names = [name for name in steps if not name.endswith(RESIZED)]
    figure, ((above,), (below,)) = new_figure(2, 1, 8.0, 7.2)
    above.barh(names, [steps[name] for name in names], 0.7, color=BLUE, label="1280x960")
    small = [name for name in names if name + RESIZED in steps]
    above.barh(small, [steps[name + RESIZED] for name in small], 0.35, color=SKY_BLUE, label="320x240")
    above.set(title="each step alone", xlabel="milliseconds (log scale)", ylabel="step", xscale="log")
    above.legend(frameon=False, title="on a picture of")
    _values(above, [steps[name] for name in names], names)
    labels = [row["order"].replace(" (", "\n(").replace("a tensor, ", "a tensor,\n") for row in orders]
    times = [row["milliseconds"] for row in orders]
    colours = [BLUE if row["ratio"] == min(_group(orders, row)) else ORANGE for row in orders]
    below.barh(labels, times, 0.7, color=colours)
    below.set(title="the same work in several orders", xlabel="milliseconds", ylabel="order")
    _values(below, times, labels, [f"{_short(row['milliseconds'])}  (x {row['ratio']:.1f})" for row in orders])
    above.xaxis.set_major_formatter("{x:g}")
    for axes, room in ((above, 2.5), (below, 1.2)):  # for the words behind the longest bar
        axes.invert_yaxis()
        axes.set_xlim(None, axes.get_xlim()[1] * room)
    return figure


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"


def _group(orders: list[dict[str, Any]], row: dict[str, Any]) -> list[float]:
    """The ratios of the orders that do the same work: a group begins where a ratio is exactly 1."""
    starts = [number for number, each in enumerate(orders) if each["ratio"] == 1]
    start = max(number for number in starts if number <= orders.index(row))
    end = min([number for number in starts if number > start], default=len(orders))
    return [each["ratio"] for each in orders[start:end]]


def _values(axes: Axes, numbers: list[float], names: list[str], words: list[str] | None = None) -> None:
    for number, name, word in zip(numbers, names, words or [_short(number) for number in numbers], strict=True):
        axes.annotate(word, (number, name), (4, 0), textcoords="offset points", va="center", fontsize=10)
