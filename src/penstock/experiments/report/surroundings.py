"""What is around a plot's data: axes, numbers, a grid, and marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from penstock.experiments.report.colours import stand_in

if TYPE_CHECKING:
    from penstock.experiments.result import Plot

_WIDE: Final = 500
"""times from one end of a logarithmic axis to the other: then powers of ten are numbers enough."""

_NARROW: Final = 5
"""times: then hardly one of 1, 2, 5 is on it, and it is nearly linear."""

Axes = Any  # matplotlib's own types leave most arguments unknown


def draw_around(axes: Axes, plot: Plot) -> None:
    """Draw it. The values of bars are on the axis below."""
    below, beside = (plot.y, plot.x) if plot.kind == "bars" else (plot.x, plot.y)
    axes.set_xlabel(below)
    names = plot.kind == "bars" and plot.marks  # of marks, above the bars
    axes.set_title(beside, loc="left", fontsize=12, pad=20 if names else 6)
    axes.tick_params(length=0, which="both")
    axes.set_axisbelow(True)
    axes.grid(axis="x" if plot.kind == "bars" else "y", color=stand_in("faint"), linewidth=0.8)
    values, others = (axes.xaxis, axes.yaxis) if plot.kind == "bars" else (axes.yaxis, axes.xaxis)
    _scale(axes, values, log=plot.log_y)
    if plot.kind == "bars":
        axes.spines["bottom"].set_visible(False)
        axes.set_xmargin(0.1)
    else:
        _scale(axes, others, log=plot.log_x)
        axes.set_xmargin(0.01)
    for number, (name, value) in enumerate(plot.marks.items()):
        _mark(axes, plot, number, name, value)
    _begin_at_nought(axes, plot)


def _scale(axes: Axes, axis: Any, *, log: bool) -> None:
    """Give an axis plain numbers, and where it is logarithmic as many as there is room for."""
    if log:
        (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
        low, high = axis.get_view_interval()
        axis.set_major_locator(_locator(high / low))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))


def _locator(times: float) -> Locator:
    """Return where the numbers of a logarithmic axis are, whose end is so many times its beginning."""
    if times < _NARROW:
        return MaxNLocator(5)
    return LogLocator(subs=(1, 2, 5) if times < _WIDE else (1,))


def _begin_at_nought(axes: Axes, plot: Plot) -> None:
    """Have values that are never negative drawn from nought on, so that twice as much looks like it."""
    if plot.log_y or any(value < 0 for line in plot.lines for value in (*line.y, *line.low)):
        return
    if plot.kind == "bars":
        axes.set_xlim(left=0)
    else:
        axes.set_ylim(bottom=0)


def _mark(axes: Axes, plot: Plot, number: int, name: str, value: float) -> None:
    """Draw a thin line at a value, with its name."""
    style = {"color": stand_in("ink"), "linewidth": 1, "dashes": (2, 2), "gid": f"mark-{number}"}
    label = {"textcoords": "offset points", "fontsize": 11, "gid": f"name-{number}"}
    if plot.kind == "bars":
        axes.axvline(value, **style)
        spot = {"xy": (value, 1), "xycoords": axes.get_xaxis_transform(), "xytext": (3, -2)}
        axes.annotate(name, **spot, **label, ha="left", va="bottom")
    else:
        axes.axhline(value, **style)
        spot = {"xy": (1, value), "xycoords": axes.get_yaxis_transform(), "xytext": (0, 3)}
        axes.annotate(name, **spot, **label, ha="right", va="bottom")
