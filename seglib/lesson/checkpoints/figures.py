"""Owns the charts of 10_checkpoints: trainings that go on from a file, and the rate of one that goes on longer."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seglib.inference.palette import BLACK, BLUE, GREEN, ORANGE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled

_LINES = ((VERMILLION, "--", "s"), (BLUE, "-.", "^"), (GREEN, ":", "D"), (ORANGE, "--", "v"))


@styled
def resumed_chart(whole: Sequence[float], resumed: Mapping[str, Sequence[float]], stopped: int) -> Figure:
    """Draw the loss of each step of a training that was never stopped, and of others that go on from its middle.

    Args:
        whole: the losses from step 1 on.
        resumed: what was left out -> the losses from step `stopped` + 1 on; "nothing" is drawn as rings.
        stopped: how many steps the file holds.
    """
    figure, ((axes,),) = new_figure(width=8.5, height=3.6)
    axes.plot(range(1, len(whole) + 1), whole, color=BLACK, label="never stopped")
    lines = iter(_LINES)
    for name, losses in resumed.items():
        steps = range(stopped + 1, stopped + 1 + len(losses))
        if name == "nothing":
            ring = {"marker": "o", "markersize": 10, "markerfacecolor": "none", "linestyle": "none"}
            axes.plot(steps, losses, color=BLACK, label="nothing left out", **ring)
        else:
            colour, dash, marker = next(lines)
            axes.plot(steps, losses, color=colour, linestyle=dash, marker=marker, label=f"{name} left out")
    axes.axvline(stopped + 0.5, color="grey", linewidth=0.8)
    axes.text(stopped + 0.4, 0.02, "saved here", transform=axes.get_xaxis_transform(), ha="right", color="#606060")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="step", ylabel="training loss (BCE)")
    figure.legend(loc="outside right upper", frameon=False)
    return figure


@styled
def rates_chart(rates: Mapping[str, Sequence[float]], planned: int) -> Figure:
    """Draw the learning rate of each step, for several ways to go on after the planned steps.

    Args:
        rates: way -> the rate of each step, from step 1 on; all of the same length.
        planned: how many steps were planned first.
    """
    figure, ((axes,),) = new_figure(width=8.5, height=3.2)
    for (name, values), (colour, dash, _) in zip(rates.items(), ((BLACK, "-", ""), *_LINES), strict=False):
        axes.plot(range(1, len(values) + 1), values, color=colour, linestyle=dash, label=name)
    axes.axvline(planned + 0.5, color="grey", linewidth=0.8)
    axes.text(planned + 0.4, 0.9, "planned end", transform=axes.get_xaxis_transform(), ha="right", color="#606060")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="step", ylabel="learning rate")
    figure.legend(loc="outside right upper", frameon=False)
    return figure
