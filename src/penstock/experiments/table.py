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

_WIDEST: Final = 10_000


def text(result: Result, *, spread: bool = True) -> str:
    """Return the results as lines, a row for each case: `93.4 (91.2\u201394.0)` is a median and its spread.

    It has the most telling figures, if the result says which they are. As wide as it has to be: nothing is
    cut off.
    """
    from rich.console import Console  # noqa: PLC0415  # takes 50 ms, and a report does without
    from rich.table import Table  # noqa: PLC0415

    names = ["case", *result.telling] if result.telling else figures(result.results)
    table = Table(box=None, pad_edge=False)
    for name in names:
        words = any(isinstance(row.get(name), str) for row in result.results)
        table.add_column("\n".join(heading(name)), justify="left" if words else "right", no_wrap=True)
    for row in result.results:
        table.add_row(*(cell(row, name, spread=spread) for name in names))
    lines = io.StringIO()
    Console(file=lines, width=_WIDEST, markup=False).print(table)
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


def cell(row: Mapping[str, Any], name: str, *, spread: bool = True) -> str:
    """Return what a row has in a column; nothing if it is of another kind."""
    value = row.get(name, "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    low, high = row.get(name + SPREAD, (value, value))
    decimals = _decimals(value, low, high)
    median, *ends = (f"{each:,.{decimals}f}" for each in (value, low, high))
    between = "\u2013" if low >= 0 else " to "
    return f"{median} ({between.join(ends)})" if spread and ends != [median, median] else median


def number(value: float) -> str:
    """Return a number with as many digits as tell something."""
    return f"{value:,.{_decimals(value, value, value)}f}"


def _decimals(value: float, low: float, high: float) -> int:
    """How many decimals show a value, and the same of its spread; none of whole numbers."""
    size = abs(float(f"{value or high:.{_DIGITS - 1}e}"))
    if all(float(each).is_integer() for each in (value, low, high)) or not math.isfinite(size):
        return 0
    return min(max(_DIGITS - 1 - math.floor(math.log10(size)), 0), _FINEST)
