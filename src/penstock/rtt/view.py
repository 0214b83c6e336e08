"""What the live view looks like: a table of flows, from 80 columns up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from penstock.rtt.board import HISTORY, Board, FlowState
from penstock.rtt.naming import Flow, name_interface
from penstock.rtt.totals import Totals

BARS: Final = "▁▂▃▄▅▆▇█"
_FIGURE = 6  # columns of an RTT or a rate
_IPV4_NAME = 45  # columns of the longest name, with ports, and of most with IPv6
_IPV6_NAME = 85
_WIDE = 104  # columns from which there is room for packets
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def render(
    board: Board, totals: Totals, *, interfaces: Sequence[str], sort: str, size: tuple[int, int]
) -> RenderableType:
    """Return a screenful: what is measured, what was missed, and the flows that come first by `sort`."""
    width, height = size
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    wide = width >= _WIDE
    titles = ["last", "min", "median", "p95", *(["pkt/s"] if wide else []), "bit/s"]
    where = max(map(len, interfaces)) if len(interfaces) > 1 else 0
    name_width, line_width = _share(width - len(titles) * (_FIGURE + 1) - 2 - (where + 1 if where else 0))
    if where:
        table.add_column("at", width=where, no_wrap=True)
    table.add_column("reply from → to", width=name_width, no_wrap=True)
    for title in titles:
        table.add_column(title, width=_FIGURE, justify="right", no_wrap=True)
    table.add_column("peaks", width=line_width, no_wrap=True)
    for state in board.top(max(height - 4, 1), sort):
        at = [Text(name_interface(state.interface))] if where else []
        row = _row(state, name_width, line_width, wide=wide)
        table.add_row(*at, *row, style="dim" if state.closed else "")
    return Group(*_header(totals, interfaces, sort), table)


def _share(columns: int) -> tuple[int, int]:
    """Divide what the figures leave between a flow's name and its line: IPv4 names first, then the line."""
    name = min(max(columns - 10, 20), _IPV4_NAME)
    line = max(min(columns - name, HISTORY), 1)
    return max(name, min(columns - line, _IPV6_NAME)), line


def _header(totals: Totals, interfaces: Sequence[str], sort: str) -> tuple[Text, Text, Text]:
    minutes, seconds = divmod(int(totals.seconds), 60)
    title = Text.assemble(
        ("penstock rtt ", "bold"), (" ".join(interfaces), "bold cyan"), f"  {minutes:02}:{seconds:02}"
    )
    title.append(f"  by {sort}, q ends", "dim")
    counts = Text(f"{totals.rtts:,} RTTs  {totals.flows_now:,} flows of {totals.flows_room:,}")
    counts.append(f"  {totals.flows_seen:,} seen  ")
    for what, count in totals.missed.items():
        counts.append(f"{count:,} {what}  ", "red")
    if not totals.missed:
        counts.append("nothing missed  ", "green")
    counts.append(totals.unfit, "dim")
    return title, counts, Text()


def _row(state: FlowState, name_width: int, line_width: int, *, wide: bool) -> list[Text]:
    times = [Text(duration(rtt)) for rtt in (state.last, state.minimum, state.median, state.p95)]
    rates = [Text(quantity(state.packet_rate))] if wide else []
    rates.append(Text(quantity(8 * state.byte_rate)))
    return [Text(fit(state.flow, name_width)), *times, *rates, line(state, line_width)]


def duration(rtt: float) -> str:
    """Return ns as text of three digits and a unit, six columns at most: `25.3ms`."""
    scale, unit = next((each for each in _UNITS if rtt >= 0.9995 * each[0]), _UNITS[-1])
    return _digits(rtt / scale) + unit


def quantity(value: float) -> str:
    """Return a number as text of three digits and a prefix: `94.1M`."""
    for scale, prefix in _PREFIXES:
        if value >= 0.9995 * scale:
            return _digits(value / scale) + prefix
    return f"{value:.0f}"


def _digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def line(state: FlowState, columns: int) -> Text:
    """Return the flow's latest ticks as bars, a blank where there was no RTT.

    The full height is the highest RTT shown or twice the minimum, so that noise is flat. From one and a half
    times the minimum it is yellow, from three times red.
    """
    shown = list(state.history)[-columns:]
    low, full = state.minimum, max(*shown, 2 * state.minimum)
    text = Text(" " * (columns - len(shown)))
    for style, rtts in groupby(shown, lambda rtt: _style(rtt, low)):
        text.append("".join(_bar(rtt, low, full) for rtt in rtts), style)
    return text


def _style(rtt: int, low: int) -> str:
    return "red" if rtt >= 3 * low else "yellow" if rtt >= 1.5 * low else "green"


def _bar(rtt: int, low: int, full: int) -> str:
    height = len(BARS) * (rtt - low) // max(full - low, 1)
    return BARS[min(max(height, 0), len(BARS) - 1)] if rtt else " "


def fit(flow: Flow, columns: int) -> str:
    """Return the flow's name in that many columns: addresses lose their middle where they must."""
    if flow.protocol == "TCP":
        ports = f":{flow.source_port}", f":{flow.destination_port}"
    else:
        ports = "", f" {flow.protocol} {flow.source_port}"
    arrow = " → "
    room = columns - sum(map(len, (arrow, *ports)))
    if len(flow.source) + len(flow.destination) > room:
        arrow, room = "→", room + 2
    source, destination = flow.source, flow.destination
    if len(source) + len(destination) > room:
        half = max(room // 2, 4)
        source = _shorten(source, max(half, room - len(destination)))
        destination = _shorten(destination, room - len(source))
    return f"{source}{ports[0]}{arrow}{destination}{ports[1]}"


def _shorten(address: str, columns: int) -> str:
    if len(address) <= columns:
        return address
    head = (columns - 1) // 2
    return f"{address[:head]}…{address[len(address) - (columns - 1 - head) :]}"
