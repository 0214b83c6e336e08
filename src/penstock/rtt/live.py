"""The live view: the terminal as a place for events."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from rich.console import Console, RenderableType
from rich.live import Live

from penstock.errors import PenstockError
from penstock.rtt.aggregates import Report
from penstock.rtt.board import Board
from penstock.rtt.loop import Loop
from penstock.rtt.naming import Events
from penstock.rtt.session import Source
from penstock.rtt.view import render

DRAW: Final = 500_000_000
"""How often to draw, ns."""


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

    def view(self, source: Source, size: tuple[int, int]) -> RenderableType:
        """Return a screenful, of so many columns and lines."""
        return render(self._board, source.totals(), interfaces=source.interfaces, sort=self._sort, size=size)

    def _draw(self, now: int, source: Source) -> None:
        self._board.tick(now)
        self._live.update(self.view(source, self._console.size), refresh=True)

    def _quits(self) -> bool:
        keys = os.read(sys.stdin.fileno(), 64)
        return not keys or b"q" in keys.lower()
