"""One run of `penstock rtt`: events and reports from the kernel to where they are wanted, until it ends."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from penstock.errors import KernelError
from penstock.rtt.aggregates import Report
from penstock.rtt.loop import HasFileno, Loop
from penstock.rtt.naming import Events
from penstock.rtt.totals import Totals
from penstock.signals import Signals

_log = logging.getLogger(__name__)

_SECOND: Final = 1_000_000_000
POLL: Final = _SECOND // 20
"""How often the ring buffer is looked at, ns: programs wake its reader only when it fills."""


class Source(HasFileno, Protocol):
    """What measures: `Monitor`, which says what these do, so that nothing has to be said twice (D102)."""

    @property
    def interfaces(self) -> Sequence[str]: ...  # noqa: D102
    def read(self, limit: int | None) -> Events: ...  # noqa: D102
    def reports(self) -> Sequence[Report]: ...  # noqa: D102
    def sweep(self) -> None: ...  # noqa: D102
    def lose_interfaces(self) -> Sequence[str]: ...  # noqa: D102
    def detach(self) -> None: ...  # noqa: D102
    def totals(self) -> Totals: ...  # noqa: D102


class Sink(Protocol):
    """Where events and reports go."""

    def begin(self) -> None:
        """Everything is attached."""
        ...

    def events(self, events: Events) -> None:
        """Take events, in their order."""
        ...

    def reports(self, timestamp: int, reports: Sequence[Report]) -> None:
        """Take the reports of an interval that ended at `timestamp`, ns, monotonic."""
        ...

    def reopen(self) -> None:
        """Go on in a new file if the old one was moved away: SIGHUP."""
        ...

    def end(self) -> None:
        """There will be no more."""
        ...


class Session:
    """A run: until SIGINT or SIGTERM, for `duration` ns, for `count` events, or while there are interfaces.

    Reports are made every `interval` ns. What else there is to do meanwhile can be given to `loop`.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        duration: int | None = None,
        count: int | None = None,
        interval: int | None = None,
    ) -> None:
        self.loop = Loop()
        self._source = source
        self._sink = sink
        self._left = count
        self._interval = interval
        self.failure: KernelError | None = None
        self.loop.every(_SECOND, lambda _: self._source.sweep())
        self.loop.every(_SECOND // 5, lambda _: self._check_interfaces())
        if interval is not None:
            self.loop.every(interval, self._report)
        else:
            self.loop.on(source, self._read, edge=True)
            self.loop.every(POLL, lambda _: self._read())
        if duration is not None:
            self.loop.every(duration, lambda _: self.loop.stop())

    def run(self, ready: Callable[[], object] = lambda: None) -> Totals:
        """Run to the end, detach, and return the totals. If no interface was left, `failure` is set.

        `ready` is called when signals are heeded: before that, Ctrl-C is Python's.
        """
        with Signals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            self.loop.on(signals, lambda: self._obey(signals.take()))
            self._sink.begin()
            try:
                ready()
                self.loop.run()
                self._finish()
            finally:
                self._sink.end()
                self.loop.close()
        return self._source.totals()

    def _obey(self, numbers: set[int]) -> None:
        if signal.SIGHUP in numbers:
            self._sink.reopen()
        if numbers & {signal.SIGINT, signal.SIGTERM}:
            self.loop.stop()

    def _read(self) -> None:
        events = self._source.read(self._left)
        if len(events):
            self._sink.events(events)
        if self._left is not None:
            self._left -= len(events)
            if not self._left:
                self.loop.stop()

    def _report(self, now: int) -> None:
        self._sink.reports(now, self._source.reports())

    def _check_interfaces(self) -> None:
        for name in self._source.lose_interfaces():
            left = ", ".join(self._source.interfaces)
            if left:
                _log.warning("%s is gone; still measuring on %s", name, left)
            else:
                self.failure = KernelError(f"{name} is gone: no interface is left to measure on")
                self.loop.stop()

    def _finish(self) -> None:
        """Take what came before the programs were detached; an interval that is not over counts as one."""
        self._source.detach()
        self._source.sweep()
        if self._interval is not None:
            self._report(time.monotonic_ns())
        else:
            self._read()
