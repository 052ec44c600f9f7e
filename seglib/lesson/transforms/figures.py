"""Owns the figure of 02_transforms: what each transform costs alone, and the same work in several orders."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seglib.inference.palette import BLUE, ORANGE, SKY_BLUE
from seglib.lesson.common.figures import new_figure, styled

RESIZED = ", resized"  # a step's name ends so where it works on the small picture
JOBS = ("from an opened picture, in several orders", "from a tensor, with colour changes, in several orders")


@styled
def transform_cost_chart(cost: dict[str, Any]) -> Figure:
    """Draw what `benchmarks/transform_cost.py` recorded: above the steps, below the orders, each job by itself.

    Args:
        cost: "steps" {name: milliseconds} and "orders" [{"order", "milliseconds", "ratio"}], of two jobs.
    """
    jobs = _jobs(cost["orders"])
    figure, axes = new_figure(1 + len(JOBS), 1, 8.0, 9.8)
    names = [name for name in cost["steps"] if not name.endswith(RESIZED)]
    rows = [1.2 * len(names), *(len(orders) + 0.5 for orders in jobs)]  # a step may have two bars
    axes[0, 0].get_gridspec().set_height_ratios(rows)
    _draw_steps(axes[0, 0], cost["steps"], names)
    for below, orders, title in zip(axes[1:, 0], jobs, JOBS, strict=True):
        _draw_orders(below, orders, title)
    axes[1, 0].legend(frameon=False, loc="upper right")
    widest = max(below.get_xlim()[1] for below in axes[1:, 0])
    for axis in axes[:, 0]:  # the first on top, and room for the number behind the longest bar
        axis.invert_yaxis()
        axis.set_xlim(0, 1.08 * (axis.get_xlim()[1] if axis is axes[0, 0] else widest))
    return figure


def _draw_steps(axes: Axes, steps: dict[str, float], names: list[str]) -> None:
    """A step that was timed at both sizes has two bars, one above the other."""
    small = [name for name in names if name + RESIZED in steps]
    places = {name: float(place) for place, name in enumerate(names)}
    full_size = [places[name] - 0.2 * (name in small) for name in names]
    resized = [places[name] + 0.2 for name in small]
    _bars(axes, full_size, [steps[name] for name in names], colour=BLUE, label="1280x960", height=0.4)
    _bars(axes, resized, [steps[name + RESIZED] for name in small], colour=SKY_BLUE, label="320x240", height=0.4)
    axes.set(title="each step alone", xlabel="milliseconds", ylabel="step", yticks=[*places.values()])
    axes.set_yticklabels(names)
    axes.legend(frameon=False, title="on a picture of", loc="upper right")


def _draw_orders(axes: Axes, orders: list[dict[str, Any]], title: str) -> None:
    times = [row["milliseconds"] for row in orders]
    for cheapest, colour, label in ((True, BLUE, "the cheapest"), (False, ORANGE, "another order")):
        here = [place for place, time in enumerate(times) if (time == min(times)) == cheapest]
        _bars(axes, [float(place) for place in here], [times[place] for place in here], colour=colour, label=label)
    axes.set(title=title, xlabel="milliseconds", ylabel="order", yticks=range(len(orders)))
    axes.set_yticklabels([row["order"].replace(" (", "\n(").replace("a tensor, ", "a tensor,\n") for row in orders])


def _bars(
    axes: Axes, places: list[float], values: list[float], *, colour: str, label: str, height: float = 0.7
) -> None:
    axes.barh(places, values, height, color=colour, label=label)
    for place, value in zip(places, values, strict=True):
        word = f"{value:.0f}" if value >= 10 else f"{value:.1f}"
        axes.annotate(word, (value, place), (4, 0), textcoords="offset points", va="center", fontsize=9)


def _jobs(orders: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The orders of each job by themselves. A job begins with the order that its others are compared with."""
    jobs: list[list[dict[str, Any]]] = []
    for row in orders:
        if row["ratio"] == 1:
            jobs.append([])
        jobs[-1].append(row)
    return jobs
