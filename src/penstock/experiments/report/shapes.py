"""What is drawn of a plot's data: lines, bands, bars, points, whiskers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock.experiments.report.colours import Look, stand_in
from penstock.experiments.report.thinning import Numbers, distinct, extremes
from penstock.experiments.table import number as as_text

if TYPE_CHECKING:
    from penstock.experiments.result import Line, Plot

BAR: Final = 17
"""Of a bar's height, in the units of a picture."""

GAP: Final = 10
"""Between the bars of one name and those of the next."""

_FEW: Final = 30
"""Points that are marked on a line: each was measured by itself."""

Axes = Any  # matplotlib's own types leave most arguments unknown


def draw_data(axes: Axes, plot: Plot, looks: Mapping[str, Look]) -> None:
    """Draw all lines of a plot; their elements have ids `line-{its number}-…`."""
    _HOW[plot.kind](axes, plot, looks)


def places(plot: Plot) -> dict[str, int]:
    """Return where the bars of a name are, counted from the top."""
    names = dict.fromkeys(str(name) for line in plot.lines for name in line.x)
    return {name: place for place, name in enumerate(names)}


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
            colour = stand_in(f"c{look.colour}")
            axes.fill_between(x[kept], low[kept], high[kept], step=step, color=colour, alpha=0.2, linewidth=0)


def _cdf(axes: Axes, plot: Plot, looks: Mapping[str, Look]) -> None:
    for number, line in enumerate(plot.lines):
        x = np.sort(_numbers(line.y))
        y = np.arange(1, len(x) + 1) / len(x)
        kept = extremes(_spaced(x, log=plot.log_x), y)
        x, y = np.append(x[:1], x[kept]), np.append(np.zeros_like(y[:1]), y[kept])
        _line(axes, number, looks[line.label], x, y, drawstyle="steps-post")


def _line(axes: Axes, number: int, look: Look, x: Numbers, y: Numbers, **how: Any) -> Any:
    (drawn,) = axes.plot(
        x, y, color=stand_in(f"c{look.colour}"), linewidth=1.8, gid=f"line-{number}-0", **how
    )
    if look.dashes:
        drawn.set_dashes(look.dashes)
    return drawn


def _points(axes: Axes, plot: Plot, looks: Mapping[str, Look]) -> None:
    for number, line in enumerate(plot.lines):
        x, y = _numbers(line.x), _numbers(line.y)
        kept = distinct(_spaced(x, log=plot.log_x), _spaced(y, log=plot.log_y))
        colour = stand_in(f"c{looks[line.label].colour}")
        style = {"linestyle": "none", "marker": "o", "markersize": 4, "gid": f"line-{number}-0"}
        axes.plot(x[kept], y[kept], color=colour, **style)
        if line.low:
            whiskers = _whiskers(line)[:, kept]
            axes.errorbar(x[kept], y[kept], yerr=whiskers, fmt="none", color=colour, elinewidth=1, capsize=2)


def _bars(axes: Axes, plot: Plot, looks: Mapping[str, Look]) -> None:
    """Draw bars from the left to the right, where there is room for names, the first on top."""
    of_names = places(plot)
    width = 1 / (len(plot.lines) + GAP / BAR)
    for number, line in enumerate(plot.lines):
        shift = (number - (len(plot.lines) - 1) / 2) * width
        at = [of_names[str(name)] + shift for name in line.x]
        colour = stand_in(f"c{looks[line.label].colour}")
        for index, bar in enumerate(axes.barh(at, line.y, 0.9 * width, color=colour)):
            bar.set_gid(f"line-{number}-{index}")
        if line.low:
            for edge, thick in (("paper", 3), ("ink", 1)):  # seen on bars of any colour
                style = {"fmt": "none", "color": stand_in(edge), "elinewidth": thick, "capsize": 2}
                axes.errorbar(line.y, at, xerr=_whiskers(line), capthick=thick, **style)
        for y, value, end in zip(at, line.y, line.high or line.y, strict=True):
            where = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 11}
            axes.annotate(as_text(value), (end, y), **where)
    axes.set_yticks(list(of_names.values()), list(of_names))
    axes.invert_yaxis()


_HOW: Final[dict[str, Callable[[Axes, Plot, Mapping[str, Look]], None]]] = {
    "line": _lines,
    "step": _lines,
    "points": _points,
    "bars": _bars,
    "cdf": _cdf,
}


def _whiskers(line: Line) -> Numbers:
    """How far the least and the greatest are from the median, which may have been rounded beyond them."""
    y = _numbers(line.y)
    return np.maximum([y - _numbers(line.low), _numbers(line.high) - y], 0)


def _numbers(values: Sequence[float] | Sequence[str]) -> Numbers:
    return np.asarray(values, dtype=np.float64)


def _spaced(values: Numbers, *, log: bool) -> Numbers:
    """Return values as far apart as on the axis; a logarithmic one shows nothing that is not above 0."""
    if not log:
        return values
    shown = values[values > 0]
    return np.log10(np.maximum(values, shown.min(initial=1)))
