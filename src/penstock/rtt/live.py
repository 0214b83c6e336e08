"""The live view: a table of flows on a terminal, redrawn twice a second, from 80 columns up."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NoReturn

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from penstock.errors import PenstockError
from penstock.rtt.aggregates import Report
from penstock.rtt.board import HISTORY, Board, FlowState
from penstock.rtt.loop import Loop
from penstock.rtt.naming import Events, Flow
from penstock.rtt.session import Source
from penstock.rtt.totals import Totals

DRAW: Final = 500_000_000
"""How often to draw, ns."""

BARS: Final = "▁▂▃▄▅▆▇█"
_FIGURE = 6  # columns of an RTT or a rate
_IPV4_NAME = 45  # columns of the longest name, with ports, and of most with IPv6
_IPV6_NAME = 85
_WIDE = 104  # columns from which there is room for packets
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Screen:
    """The terminal as a session's sink. PenstockError if there is none, or it cannot show a table."""

    def __init__(self, sort: str) -> None:
        self._console = Console()
        if not (self._console.is_terminal and sys.stdin.isatty()) or self._console.is_dumb_terminal:
            raise PenstockError("--live needs a terminal: leave it out, or leave out the pipe")
        self._sort = sort
        self._board = Board()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._settings: list[Any] = []

    def begin(self) -> None:
        """Take the terminal."""
        self._settings = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        self._live.start()

    def events(self, events: Events) -> None:
        """Remember events for the next drawing."""
        self._board.update(events)

    def reports(self, timestamp: int, reports: Sequence[Report]) -> NoReturn:
        """Fail: the view is of single flows."""
        raise TypeError(f"a live view has no aggregated output: {len(reports)} reports at {timestamp}")

    def reopen(self) -> None:
        """Do nothing: there is no file."""

    def end(self) -> None:
        """Give the terminal back as it was."""
        self._live.stop()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._settings)

    def join(self, loop: Loop, source: Source) -> None:
        """Have `loop` redraw the screen, and stop at the key q or when the terminal goes away."""
        loop.every(DRAW, lambda now: self._draw(now, source))
        loop.on(sys.stdin, lambda: loop.stop() if self._quits() else None)

    def _draw(self, now: int, source: Source) -> None:
        self._board.tick(now)
        size = self._console.size
        view = render(self._board, source.totals(), interfaces=source.interfaces, sort=self._sort, size=size)
        self._live.update(view, refresh=True)

    def _quits(self) -> bool:
        keys = os.read(sys.stdin.fileno(), 64)
        return not keys or b"q" in keys.lower()


def render(
    board: Board, totals: Totals, *, interfaces: Sequence[str], sort: str, size: tuple[int, int]
) -> RenderableType:
    """Return a screenful: what is measured, what was missed, and the flows that come first by `sort`."""
    width, height = size
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    wide = width >= _WIDE
    titles = ["last", "min", "median", "p95", *(["pkt/s"] if wide else []), "bit/s"]
    name_width, line_width = _share(width - len(titles) * (_FIGURE + 1) - 2)
    table.add_column("flow", width=name_width, no_wrap=True)
    for title in titles:
        table.add_column(title, width=_FIGURE, justify="right", no_wrap=True)
    table.add_column("peaks", width=line_width, no_wrap=True)
    for state in board.top(max(height - 4, 1), sort):
        table.add_row(*_row(state, name_width, line_width, wide=wide), style="dim" if state.closed else "")
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
    for scale, unit in _UNITS:
        if rtt >= 0.9995 * scale or unit == "µs":
            return _digits(rtt / scale) + unit
    raise AssertionError


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
