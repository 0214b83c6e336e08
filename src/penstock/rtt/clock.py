"""Wall-clock time for events, which carry the monotonic clock's."""

from __future__ import annotations

import time

_REFRESH = 1_000_000_000


class WallClock:
    """The offset from the monotonic clock to the wall clock, asked for anew once a second, as ePPing does."""

    def __init__(self) -> None:
        self._asked = -_REFRESH
        self._offset = 0

    def offset(self) -> int:
        """Return the ns to add to a monotonic time to have ns since 1970."""
        now = time.monotonic_ns()
        if now - self._asked >= _REFRESH:
            self._offset = time.time_ns() - now
            self._asked = now
        return self._offset
