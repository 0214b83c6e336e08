"""Signals as something to wait for, beside other files."""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self


class Signals:
    """Within a `with` block, the given signals do nothing but become readable here. Main thread only."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers
        self._before: Sequence[Any] = ()

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = [signal.signal(number, _ignore) for number in self._numbers]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in zip(self._numbers, self._before, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Return a descriptor that is readable when a signal came."""
        return self._reader.fileno()

    def take(self) -> set[int]:
        """Return the numbers of the signals that came since the last call."""
        try:
            return set(self._reader.recv(4096)) & set(self._numbers)
        except BlockingIOError:
            return set()


def _ignore(number: int, frame: object) -> None:
    """Do nothing, unlike SIG_IGN, which would keep the signal from the wake-up descriptor."""
    del number, frame
