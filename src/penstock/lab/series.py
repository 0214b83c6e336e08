"""What is measured, over time: gauges of any kind, read again and again."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from penstock.lab.host import Interface

USER_HZ: Final = 100
"""Ticks of a second, in the times of /proc/stat and /proc/PID/stat: the same on all machines."""


class Series:
    """Reads gauges at an interval, in a thread of its own, while its `with` block lasts.

        with Series(0.1, sent=lambda: sent_bytes(interface), busy=cpu_seconds) as series:
            bulk(a, b).wait()
        table = series.read()
        plot(table["time"], table["sent"])

    A gauge that fails ends the series; `read`, and the end of the block, raise what it raised.

    Args:
        interval: s between two readings.
        gauges: What to read, by name: functions that return a number.
    """

    def __init__(self, interval: float, **gauges: Callable[[], float]) -> None:
        self._interval, self._gauges = interval, gauges
        self._rows: list[tuple[float, ...]] = []
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="series")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if kind is None:
            self.read()

    def read(self) -> NDArray[Any]:
        """Return what has been read: a structured array, with the `time`, s since 1970, and each gauge."""
        if self._error is not None:
            raise self._error
        return np.array(self._rows, np.dtype([("time", "f8"), *((name, "f8") for name in self._gauges)]))

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._ended.wait(max(0.0, due - time.monotonic())):
                self._rows.append((time.time(), *(gauge() for gauge in self._gauges.values())))
                due += self._interval
        except Exception as error:  # noqa: BLE001  # the thread that reads is told, whatever it is
            self._error = error


def cpu_seconds() -> float:
    """Return the s of CPU time that the machine has spent since it began, on anything but waiting."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text("ascii").split()[1:9])
    return (user + nice + system + irq + softirq) / USER_HZ


def sent_bytes(interface: Interface) -> int:
    """Return the bytes that an interface has sent since it was made, redirected ones too."""
    return int(interface.host.netlink.get_links(interface.index)[0].get("stats64")["tx_bytes"])
