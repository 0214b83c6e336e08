"""Which colour means what: the same in all pictures of a report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from penstock.experiments.result import Plot

COLOURS: Final = 8
"""How many there are, `--c0` to `--c7` of the style sheet: apart for the colour-blind, too."""

DASHES: Final = ((), (5, 2), (1.5, 1.5), (7, 2, 1.5, 2))
"""Lengths of dashes and gaps, for lines that have to share a colour."""


_VARIABLES: Final = ("paper", "ink", "faint", *(f"c{number}" for number in range(COLOURS)))
"""Names of the style sheet's colours. matplotlib takes no names: what it draws in #fe00nn gets that index."""


@dataclass(frozen=True)
class Look:
    """What a line looks like."""

    colour: int
    dashes: Sequence[float]


def looks(plots: Sequence[Plot]) -> Mapping[str, Look]:
    """Return what the lines look like, by label.

    Those of one plot differ. Colours are used evenly, and lines of one plot share one if there are too many.
    """
    found: dict[str, Look] = {}
    together = [{line.label for line in plot.lines} for plot in plots]
    for label in dict.fromkeys(line.label for plot in plots for line in plot.lines):
        others = set[str]().union(*(labels for labels in together if label in labels))
        near = [found[other].colour for other in others if other in found]
        everywhere = [look.colour for look in found.values()]
        colour = min(range(COLOURS), key=lambda each: (near.count(each), everywhere.count(each)))
        found[label] = Look(colour, DASHES[near.count(colour) % len(DASHES)])
    return found


def stand_in(name: str) -> str:
    """Return the colour to draw in for one of the style sheet's."""
    return f"#fe00{_VARIABLES.index(name):02x}"


def in_style(svg: str) -> str:
    """Return a picture in the style sheet's colours."""
    return re.sub("#fe00([0-9a-f]{2})", lambda found: f"var(--{_VARIABLES[int(found[1], 16)]})", svg)
