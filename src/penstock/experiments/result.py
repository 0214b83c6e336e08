"""What an experiment found: a row for each case, and the plots with their data."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

SPREAD: Final = "_spread"
"""Ends the name of a figure's least and greatest value in several runs."""

Kind = Literal["line", "step", "points", "bars", "cdf"]


@dataclass(frozen=True)
class Line:
    """One line of a plot, or one colour of its bars.

    `x` is as long as `y`, and names bars where the plot has them. Of a CDF, `y` is all there is: the samples.
    """

    label: str
    y: Sequence[float]
    x: Sequence[float] | Sequence[str] = ()
    low: Sequence[float] = ()
    """The least of several runs, as long as `y`; empty if there was one."""
    high: Sequence[float] = ()
    """The greatest."""


@dataclass(frozen=True)
class Plot:
    """A picture: lines over the same axes."""

    name: str
    """In the JSON object's `series`."""
    title: str
    x: str
    """What the axis shows, with its unit: `time (s)`."""
    y: str
    lines: Sequence[Line]
    kind: Kind = "line"
    log_x: bool = False
    log_y: bool = False
    note: str = ""
    """What there is to see, in a sentence or two."""
    marks: Mapping[str, float] = field(default_factory=dict[str, float])
    """Values of y to draw a thin line at, by what they are: `{"link": 941.5}`."""

    def as_json(self) -> dict[str, Any]:
        """Return the data, by line."""
        return {
            line.label: {
                name: list(values)
                for name in ("x", "y", "low", "high")
                if (values := getattr(line, name)) or name == "y"
            }
            for line in self.lines
        }


@dataclass(frozen=True)
class Result:
    """All that an experiment found."""

    experiment: str
    summary: str
    """What it shows, in a sentence."""
    parameters: Mapping[str, str]
    """Its options, as on the command line."""
    results: Sequence[Mapping[str, Any]]
    """For each case its name as `case`, and figures, whose names end in their units: `goodput_mbps`.

    A figure that is a median of several runs has a `…_spread` beside it: the least and the greatest.
    """
    plots: Sequence[Plot]
    command: str = ""
    """What repeats it, where `penstock lab run` does not."""
    telling: Sequence[str] = ()
    """The figures that a short table has, in that order; all of them by default."""

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` writes."""
        return {
            "experiment": self.experiment,
            "parameters": dict(self.parameters),
            "results": [dict(row) for row in self.results],
            "series": {plot.name: plot.as_json() for plot in self.plots},
        }


def row(case: str, runs: Sequence[Mapping[str, float]], **fixed: Any) -> dict[str, Any]:
    """Return the row of a case: the median of each figure over the runs, and its spread if there are several.

    What is `fixed`, a link's rate say, is no figure and has no spread.
    """
    found: dict[str, Any] = {"case": case}
    for name in runs[0]:
        values = [run[name] for run in runs]
        found[name] = round(statistics.median(values), 4)
        if len(values) > 1:
            found[name + SPREAD] = [round(min(values), 4), round(max(values), 4)]
    return found | fixed
