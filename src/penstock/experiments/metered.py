"""A queue that is offered more than its rate, and when each packet comes out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from penstock.experiments.departures import Departures
from penstock.lab import Lab, LabError, cpu_seconds, ping, run_queue
from penstock.lab.arrivals import Arrivals
from penstock.lab.stream import stream

if TYPE_CHECKING:
    from penstock.lab import RunningQueue

LENGTH: Final = 1514
"""Bytes of each frame."""

LOAD: Final = 1.2
"""Times the rate that is offered."""

_SKIPPED: Final = 0.1
"""Of the time that packets are sent: until there is a backlog."""

_SECOND: Final = 1e9
_PATIENCE: Final = 10.0
"""s for what waits to leave."""


@dataclass(frozen=True)
class Sent:
    """Packets that have passed: what was offered, Mbit/s, and of all CPUs' time what was spent, percent."""

    departures: Departures
    offered: float
    cpu: float

    def figures(self) -> dict[str, float]:
        """Return what the row of a case has."""
        return {"offered_mbps": self.offered, **self.departures.figures(), "cpu_percent": self.cpu}


class Metered(ExitStack):
    """A host that sends UDP, a router, and an end that notes when packets come out.

    source ──── router ──── end
            queue before that link
    """

    def __enter__(self) -> Self:
        super().__enter__()
        lab = self.enter_context(Lab())
        self._source, self._router, self._target = lab.host("source"), lab.router("router"), lab.host("end")
        _, self._entrance = lab.link(self._source, self._router, xdp=True)
        self._exit, end = lab.link(self._router, self._target, xdp=True)
        self._arrivals = self.enter_context(Arrivals(end))
        return self

    def queue(self, scheduler: str, **options: Any) -> RunningQueue:
        """Start a queue on the router, with options of `run_queue`; if it polls, by the last CPU."""
        options["poll_cpu"] = (os.cpu_count() or 1) - 1
        queue = run_queue(self._router, scheduler, [self._entrance], self._exit, **options)
        ping(self._source, self._target, count=1)  # the router has to know its neighbour
        return queue

    def send(
        self, queue: RunningQueue, rate: int, seconds: float, meanwhile: Callable[[], None] = lambda: None
    ) -> Sent:
        """Offer more than a rate, bit/s of frames; `meanwhile` is called then."""
        _await_empty(queue)
        self._arrivals.read()
        start, busy = time.monotonic(), cpu_seconds()
        sending = stream(self._source, self._target, round(LOAD * rate), length=LENGTH, seconds=seconds)
        meanwhile()
        count = sending.wait()
        passed = time.monotonic() - start
        times = self._arrivals.read()["time"].astype(np.int64)
        begin, end = times[0] + np.array([_SKIPPED, 1]) * seconds * _SECOND
        offered = count * LENGTH * 8 / seconds / 1e6
        cpu = 100 * (cpu_seconds() - busy) / passed / (os.cpu_count() or 1)
        return Sent(Departures(times[(times >= begin) & (times <= end)], LENGTH, rate), offered, cpu)


def _await_empty(queue: RunningQueue) -> None:
    end = time.monotonic() + _PATIENCE
    while queue.statistics()["waiting"]["packets"]:
        if time.monotonic() > end:
            raise LabError("packets of an earlier case still wait")
        time.sleep(0.01)
