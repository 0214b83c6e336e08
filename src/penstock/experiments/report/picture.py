"""A plot as an SVG element, whose colours are those of the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import matplotlib as mpl
from matplotlib.figure import Figure

from penstock.experiments.report.colours import Look, in_style, stand_in
from penstock.experiments.report.shapes import BAR, GAP, draw_data, places
from penstock.experiments.report.surroundings import draw_around

if TYPE_CHECKING:
    from penstock.experiments.result import Plot

WIDTH: Final = 480
"""Of a picture, in units of which letters have 12: the page makes it as large as there is room."""

HEIGHT: Final = 260
_AROUND: Final = 62
"""Of the height of a picture with bars: what is not bars."""

_INKED: Final = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")

_SETTINGS: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "penstock",
    "text.parse_math": False,
    "font.size": 12,
    "figure.dpi": 72,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    **dict.fromkeys(_INKED, stand_in("ink")),
}

_mpl: Final = cast("Any", mpl)


def draw(plot: Plot, looks: Mapping[str, Look], prefix: str) -> str:
    """Return the picture: each line's elements are in groups with ids `{prefix}-line-{its number}-…`.

    The title, the legend and the note are the page's.
    """
    with _mpl.rc_context(_SETTINGS):
        figure: Any = Figure((WIDTH / 72, _height(plot) / 72), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        draw_data(axes, plot, looks)
        draw_around(axes, plot)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _for_page(text.getvalue(), prefix)


def _height(plot: Plot) -> int:
    if plot.kind != "bars":
        return HEIGHT
    return _AROUND + len(places(plot)) * (len(plot.lines) * BAR + GAP)


def _for_page(svg: str, prefix: str) -> str:
    """Make an element of the file: ids that no other picture has, and the colours of the style sheet."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r' (?:width|height)="[\d.]+pt"', "", element, count=2)
    element = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", element)
    return in_style(element)
