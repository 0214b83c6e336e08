"""Lines of plots from the rows of a result, with the spread of their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.experiments.result import SPREAD, Line


def line(
    label: str, rows: Sequence[Mapping[str, Any]], figure: str, x: Sequence[float] | Sequence[str]
) -> Line:
    """Return a figure of each row, at one x each."""
    spreads = [row[figure + SPREAD] for row in rows if figure + SPREAD in row]
    low, high = zip(*spreads, strict=True) if spreads else ((), ())
    return Line(label, [row[figure] for row in rows], x, low, high)
