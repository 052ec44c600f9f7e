"""Owns the figure of 02_transforms: what each transform costs alone, and the same work in several orders."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seglib.inference.palette import BLUE, ORANGE, SKY_BLUE
from seglib.lesson.common.figures import new_figure, styled

RESIZED = ", resized"  # a step's name ends so where it works on the small picture


@styled
def transform_cost_chart(cost: dict[str, Any]) -> Figure:
    """Draw what `benchmarks/transform_cost.py` recorded: above the steps, below the orders.

    Args:
        cost: "steps" {name: milliseconds} and "orders" [{"order", "milliseconds", "ratio"}].
    """
    steps = cost["steps"]
    orders = cost["orders"]
    names = [name for name in steps if not name.endswith(RESIZED)]
    small = [name for name in names if name + RESIZED in steps]
    figure, ((above,), (below,)) = new_figure(2, 1, 8.0, 8.4)
    places = {name: float(place) for place, name in enumerate(names)}
    # A step that was timed at both sizes has two bars, one above the other.
    full_size = [places[name] - 0.2 * (name in small) for name in names]
    resized = [places[name] + 0.2 for name in small]
    _bars(above, full_size, [steps[name] for name in names], colour=BLUE, label="1280x960", height=0.4)
    _bars(above, resized, [steps[name + RESIZED] for name in small], colour=SKY_BLUE, label="320x240", height=0.4)
    above.set(title="each step alone", xlabel="milliseconds", ylabel="step", yticks=[*places.values()])
    above.set_yticklabels(names)
    above.legend(frameon=False, title="on a picture of", loc="upper right")
    jobs = _jobs(orders)
    rows = [place + 0.7 * job for place, job in enumerate(jobs)]  # a gap between one job and the next
    times = [row["milliseconds"] for row in orders]
    best = [min(time for time, job in zip(times, jobs, strict=True) if job == mine) for mine in jobs]
    for cheapest, colour, label in ((True, BLUE, "the cheapest of its job"), (False, ORANGE, "another order")):
        here = [number for number in range(len(orders)) if (times[number] == best[number]) == cheapest]
        _bars(below, [rows[number] for number in here], [times[number] for number in here], colour=colour, label=label)
    below.set(title="the same job in several orders", xlabel="milliseconds", ylabel="order", yticks=rows)
    below.set_yticklabels([row["order"].replace(" (", "\n(").replace("a tensor, ", "a tensor,\n") for row in orders])
    below.legend(frameon=False, loc="upper right")
    for axes in (above, below):  # the first on top, and room for the number behind the longest bar
        axes.invert_yaxis()
        axes.set_xlim(0, axes.get_xlim()[1] * 1.08)
    return figure


def _bars(
    axes: Axes, places: list[float], values: list[float], *, colour: str, label: str, height: float = 0.7
) -> None:
    axes.barh(places, values, height, color=colour, label=label)
    for place, value in zip(places, values, strict=True):
        word = f"{value:.0f}" if value >= 10 else f"{value:.1f}"
        axes.annotate(word, (value, place), (4, 0), textcoords="offset points", va="center", fontsize=10)


def _jobs(orders: list[dict[str, Any]]) -> list[int]:
    """Which job each order does: 0, 0, 0, 1, 1. A job begins with the order that its others are compared with."""
    return [sum(row["ratio"] == 1 for row in orders[: number + 1]) - 1 for number in range(len(orders))]
