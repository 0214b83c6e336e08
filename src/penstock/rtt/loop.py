"""Waiting for several things at once: files, and times."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

_SECOND: Final = 1_000_000_000


class HasFileno(Protocol):
    """A file, a socket, a ring buffer."""

    def fileno(self) -> int:
        """Return a descriptor that can be polled."""
        ...


@dataclass
class _Timer:
    interval: int
    due: int
    action: Callable[[int], None]


class Loop:
    """Calls what was asked for until it is stopped. Times in ns, on the monotonic clock."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._actions: dict[int, Callable[[], None]] = {}
        self._timers: list[_Timer] = []
        self._running = False

    def on(self, file: HasFileno, action: Callable[[], None], *, edge: bool = False) -> None:
        """Call `action` when there is something to read.

        With `edge`, only when the kernel says that something came: for a ring buffer, when a program wakes
        its reader, and not whenever it holds a record.
        """
        self._actions[file.fileno()] = action
        self._epoll.register(file.fileno(), select.EPOLLIN | (select.EPOLLET if edge else 0))

    def every(self, interval: int, action: Callable[[int], None]) -> None:
        """Call `action(now)` once in `interval`; what was missed is not made up for."""
        self._timers.append(_Timer(interval, time.monotonic_ns() + interval, action))

    def stop(self) -> None:
        """Have `run` return when the current action has."""
        self._running = False

    def run(self) -> None:
        """Call what is due until `stop`."""
        self._running = True
        while self._running:
            wait = min((timer.due for timer in self._timers), default=0) - time.monotonic_ns()
            ready = self._epoll.poll(max(wait, 0) / _SECOND if self._timers else None)
            for descriptor, _ in ready:
                if self._running:
                    self._actions[descriptor]()
            now = time.monotonic_ns()
            for timer in [timer for timer in self._timers if timer.due <= now]:
                if self._running:
                    timer.action(now)
                timer.due = max(timer.due + timer.interval, now)

    def close(self) -> None:
        """Let go of the descriptor."""
        self._epoll.close()
