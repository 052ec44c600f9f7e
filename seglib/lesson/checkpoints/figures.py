"""Owns the charts of 10_checkpoints: trainings that go on from a file, and the rate of one that goes on longer."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seglib.inference.palette import BLACK, BLUE, GREEN, ORANGE, VERMILLION
from seglib.lesson.common.figures import new_figure, styled

_LINES = ((VERMILLION, "--", "s"), (BLUE, "-.", "^"), (GREEN, ":", "D"), (ORANGE, "--", "v"))


@styled
def resumed_chart(whole: Sequence[float], resumed: Mapping[str, Sequence[float]], stopped: int) -> Figure:
    """Draw the loss of a training that was never stopped, and how far others are from it that go on from its middle.

    Args:
        whole: the losses from step 1 on.
        resumed: what was left out -> the losses from step `stopped` + 1 on; "nothing" is drawn as rings.
        stopped: how many steps the file holds.
    """
    figure, ((left, right),) = new_figure(1, 2, width=10.0, height=3.6)
    left.plot(range(1, len(whole) + 1), whole, color=BLACK, label="never stopped")
    rings = {"marker": "o", "markersize": 10, "markerfacecolor": "none", "linestyle": "none", "color": BLACK}
    lines = iter(_LINES)
    for name, losses in resumed.items():
        steps = range(stopped + 1, stopped + 1 + len(losses))
        apart = [abs(loss - never) for loss, never in zip(losses, whole[stopped:], strict=True)]
        if name == "nothing":
            left.plot(steps, losses, label="nothing left out", **rings)
            right.plot(steps, apart, clip_on=False, zorder=3, **rings)
        else:
            colour, dash, marker = next(lines)
            right.plot(steps, apart, color=colour, linestyle=dash, marker=marker, label=f"{name} left out")
    left.axvline(stopped + 0.5, color="grey", linewidth=0.8)
    left.text(stopped + 0.4, 0.02, "saved here", transform=left.get_xaxis_transform(), ha="right", color="#606060")
    left.set(xlabel="step", ylabel="training loss (BCE)")
    right.set_yscale("symlog", linthresh=1e-4)
    right.set_yticks([0, 1e-4, 1e-3, 1e-2, 1e-1], ["0", "0.0001", "0.001", "0.01", "0.1"])
    right.set(xlabel="step", ylabel="loss apart from never stopped", ylim=(0, 0.3))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
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
        axes.step(range(1, len(values) + 1), values, where="mid", color=colour, linestyle=dash, label=name)
    axes.axvline(planned + 0.5, color="grey", linewidth=0.8)
    axes.text(planned + 0.4, 0.9, "planned end", transform=axes.get_xaxis_transform(), ha="right", color="#606060")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="step", ylabel="learning rate")
    figure.legend(loc="outside right upper", frameon=False)
    return figure
