"""A plot as an SVG element, whose colours are those of the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from penstock.experiments.report.colours import COLOURS, Look
from penstock.experiments.report.thinning import Numbers, distinct, extremes

if TYPE_CHECKING:
    from penstock.experiments.result import Line, Plot

WIDTH: Final = 480
"""Of a picture, in units of which letters have 12: the page makes it as large as there is room."""

HEIGHT: Final = 260
_BAR: Final = 17
_GAP: Final = 10
_AROUND: Final = 62

_FEW: Final = 30
"""Points that are marked on a line: each was measured by itself."""

_VARIABLES: Final = ("paper", "ink", "faint", *(f"c{number}" for number in range(COLOURS)))
"""Colours of the style sheet. matplotlib takes no names: what it draws in #fe00nn gets that index."""

_SETTINGS: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "penstock",
    "text.parse_math": False,
    "font.size": 12,
    "figure.dpi": 72,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
}

_mpl: Final = cast("Any", mpl)
Axes = Any  # matplotlib's own types leave most arguments unknown


def draw(plot: Plot, looks: Mapping[str, Look], prefix: str) -> str:
    """Return the picture: each line's elements are in groups with ids `{prefix}-line-{its number}-…`.

    The title, the legend and the note are the page's.
    """
    with _mpl.rc_context({**_SETTINGS, **{name: _colour("ink") for name in _INKED}}):
        figure: Any = Figure((WIDTH / 72, _height(plot) / 72), layout="constrained")
        figure.patch.set_visible(False)
        axes: Axes = figure.subplots()
        axes.patch.set_visible(False)
        _HOW[plot.kind](axes, plot, looks)
        _finish(axes, plot)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _for_page(text.getvalue(), prefix)


_INKED: Final = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")


def _colour(name: str) -> str:
    return f"#fe00{_VARIABLES.index(name):02x}"


def _height(plot: Plot) -> int:
    if plot.kind != "bars":
        return HEIGHT
    return _AROUND + len(_places(plot)) * (len(plot.lines) * _BAR + _GAP)


def _lines(axes: Axes, plot: Plot, looks: Mapping[str, Look]) -> None:
    step = "post" if plot.kind == "step" else None
    for number, line in enumerate(plot.lines):
        look = looks[line.label]
        x, y = _numbers(line.x), _numbers(line.y)
        low, high = (_numbers(line.low), _numbers(line.high)) if line.low else (y, y)
        kept = extremes(_spaced(x, log=plot.log_x), y, low, high)
        drawn = _line(axes, number, look, x[kept], y[kept], drawstyle="steps-post" if step else "default")
        if len(x) <= _FEW and not step:
            drawn.set(marker="o", markersize=4)
        if line.low:
            colour = _colour(f"c{look.colour}")
            axes.fill_between(x[kept], low[kept], high[kept], step=step, color=colour, alpha=0.2, linewidth=0)


def _cdf(axes: Axes, plot: Plot, looks: Mapping[str, Look]) -> None:
    for number, line in enumerate(plot.lines):
        x = np.sort(_numbers(line.y))
        y = np.arange(1, len(x) + 1) / len(x)
        kept = extremes(_spaced(x, log=plot.log_x), y)
        x, y = np.insert(x[kept], 0, x[0]), np.insert(y[kept], 0, 0)
        _line(axes, number, looks[line.label], x, y, drawstyle="steps-post")


def _line(axes: Axes, number: int, look: Look, x: Numbers, y: Numbers, **how: Any) -> Any:
    (drawn,) = axes.plot(x, y, color=_colour(f"c{look.colour}"), linewidth=1.8, gid=f"line-{number}-0", **how)
    if look.dashes:
        drawn.set_dashes(look.dashes)
    return drawn


def _points(axes: Axes, plot: Plot, looks: Mapping[str, Look]) -> None:
    for number, line in enumerate(plot.lines):
        x, y = _numbers(line.x), _numbers(line.y)
        kept = distinct(_spaced(x, log=plot.log_x), _spaced(y, log=plot.log_y))
        colour = _colour(f"c{looks[line.label].colour}")
        style = {"linestyle": "none", "marker": "o", "markersize": 4, "gid": f"line-{number}-0"}
        axes.plot(x[kept], y[kept], color=colour, **style)
        if line.low:
            whiskers = _whiskers(line)[:, kept]
            axes.errorbar(x[kept], y[kept], yerr=whiskers, fmt="none", color=colour, elinewidth=1, capsize=2)


def _bars(axes: Axes, plot: Plot, looks: Mapping[str, Look]) -> None:
    """Draw bars from the left to the right, where there is room for names, the first on top."""
    places = _places(plot)
    width = 1 / (len(plot.lines) + _GAP / _BAR)
    for number, line in enumerate(plot.lines):
        shift = (number - (len(plot.lines) - 1) / 2) * width
        at = [places[str(name)] + shift for name in line.x]
        colour = _colour(f"c{looks[line.label].colour}")
        for index, bar in enumerate(axes.barh(at, line.y, 0.9 * width, color=colour)):
            bar.set_gid(f"line-{number}-{index}")
        if line.low:
            for edge, thick in (("paper", 3), ("ink", 1)):  # seen on bars of any colour
                style = {"fmt": "none", "color": _colour(edge), "elinewidth": thick, "capsize": 2}
                axes.errorbar(line.y, at, xerr=_whiskers(line), capthick=thick, **style)
        for y, value, end in zip(at, line.y, line.high or line.y, strict=True):
            where = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 11}
            axes.annotate(f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}", (end, y), **where)
    axes.set_yticks(list(places.values()), list(places))
    axes.invert_yaxis()


_HOW: Final[dict[str, Callable[[Axes, Plot, Mapping[str, Look]], None]]] = {
    "line": _lines,
    "step": _lines,
    "points": _points,
    "bars": _bars,
    "cdf": _cdf,
}


def _places(plot: Plot) -> dict[str, int]:
    """Where the bars of a name are, counted from the top."""
    names = dict.fromkeys(str(name) for line in plot.lines for name in line.x)
    return {name: place for place, name in enumerate(names)}


def _whiskers(line: Line) -> Numbers:
    """How far the least and the greatest are from the median."""
    return np.stack([_numbers(line.y) - _numbers(line.low), _numbers(line.high) - _numbers(line.y)])


def _finish(axes: Axes, plot: Plot) -> None:
    """Add what is around the lines: axes, grid and marks. The values of bars are on the axis below."""
    below, beside = (plot.y, plot.x) if plot.kind == "bars" else (plot.x, plot.y)
    axes.set_xlabel(below)
    names = plot.kind == "bars" and plot.marks  # of marks, above the bars
    axes.set_title(beside, loc="left", fontsize=12, pad=20 if names else 6)
    axes.tick_params(length=0, which="both")
    axes.set_axisbelow(True)
    axes.grid(axis="x" if plot.kind == "bars" else "y", color=_colour("faint"), linewidth=0.8)
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
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 500 else (1,)))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))


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
    style = {"color": _colour("ink"), "linewidth": 1, "dashes": (2, 2), "gid": f"mark-{number}"}
    label = {"textcoords": "offset points", "fontsize": 11, "gid": f"name-{number}"}
    if plot.kind == "bars":
        axes.axvline(value, **style)
        spot = {"xy": (value, 1), "xycoords": axes.get_xaxis_transform(), "xytext": (3, -2)}
        axes.annotate(name, **spot, **label, ha="left", va="bottom")
    else:
        axes.axhline(value, **style)
        spot = {"xy": (1, value), "xycoords": axes.get_yaxis_transform(), "xytext": (0, 3)}
        axes.annotate(name, **spot, **label, ha="right", va="bottom")


def _numbers(values: Sequence[float] | Sequence[str]) -> Numbers:
    return np.asarray(values, dtype=np.float64)


def _spaced(values: Numbers, *, log: bool) -> Numbers:
    """Return values as far apart as on the axis; a logarithmic one shows nothing that is not above 0."""
    if not log:
        return values
    shown = values[values > 0]
    return np.log10(np.maximum(values, shown.min(initial=1)))


def _for_page(svg: str, prefix: str) -> str:
    """Make an element of the file: ids that no other picture has, and the colours of the style sheet."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r' (?:width|height)="[\d.]+pt"', "", element, count=2)
    element = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", element)
    return re.sub("#fe00([0-9a-f]{2})", lambda found: f"var(--{_VARIABLES[int(found[1], 16)]})", element)
