"""The figures of a result as a table to read."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from penstock.experiments.result import SPREAD

if TYPE_CHECKING:
    from penstock.experiments.result import Result

UNITS: Final = {
    "bps": "bit/s",
    "kbps": "kbit/s",
    "mbps": "Mbit/s",
    "gbps": "Gbit/s",
    "pps": "packets/s",
    "mpps": "Mpackets/s",
    "percent": "%",
    "bytes": "bytes",
    "packets": "packets",
    "s": "s",
    "ms": "ms",
    "us": "µs",
    "ns": "ns",
}
"""What the last word of a figure's name stands for."""

_DIGITS: Final = 3
"""Of a number that has a fraction; the whole part is never cut."""

_FINEST: Final = 4
"""Decimals at most: figures are rounded so in the first place."""


def text(result: Result) -> str:
    """Return the results as lines, a row for each case: `93.4 (91.2-94.0)` is a median and its spread.

    As wide as it has to be: nothing is cut off.
    """
    from rich.console import Console  # noqa: PLC0415  # takes 50 ms, and a report does without
    from rich.table import Table  # noqa: PLC0415

    names = figures(result.results)
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(
            "\n".join(heading(name)), justify="left" if name == "case" else "right", no_wrap=True
        )
    for row in result.results:
        table.add_row(*(cell(row, name) for name in names))
    lines = io.StringIO()
    Console(file=lines, width=1000, markup=False).print(table)
    return "\n".join(line.rstrip() for line in lines.getvalue().splitlines())


def figures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all columns, in the order in which rows have them; a spread has none of its own."""
    found = {name: None for row in rows for name in row}
    return [name for name in found if not name.endswith(SPREAD)]


def heading(name: str) -> tuple[str, str]:
    """Return what a figure is, and its unit or nothing: `goodput_mbps` is goodput in Mbit/s."""
    what, _, last = name.rpartition("_")
    if what and last in UNITS:
        return what.replace("_", " "), UNITS[last]
    return name.replace("_", " "), ""


def cell(row: Mapping[str, Any], name: str) -> str:
    """Return what a row has in a column; nothing if it is of another kind."""
    value = row.get(name, "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if name + SPREAD not in row:
        return f"{value:,.{_decimals(value)}f}"
    low, high = row[name + SPREAD]
    decimals = _decimals(value or high)
    return f"{value:,.{decimals}f} ({low:,.{decimals}f}\u2013{high:,.{decimals}f})"


def _decimals(value: float) -> int:
    if isinstance(value, int) or not value or not math.isfinite(value):
        return 0
    return min(max(_DIGITS - 1 - math.floor(math.log10(abs(value))), 0), _FINEST)
