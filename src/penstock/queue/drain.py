"""The drain: a thread that sends what is due when no packet arrives to clock it out."""

from __future__ import annotations

import ctypes
import logging
import os
import select
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from penstock.queue.scheduler import NEVER

if TYPE_CHECKING:
    from penstock.kernel.array import Global
    from penstock.kernel.program import Program
    from penstock.kernel.ringbuf import Ring
    from penstock.queue.egress import State

_PACKET: Final = bytes(12) + b"\x08\x00" + bytes(50)
"""What packets are made from: it only has to be one."""

_PR_SET_TIMERSLACK: Final = 29  # include/uapi/linux/prctl.h
_SECOND: Final = 1e9

_STEP: Final = 4_000
"""ns by which it changes its mind each time about how late it is: so it learns the median.

A processor that slept wakes up late, and its first run after that is slow, with nothing in its caches: 20 to
150 µs together. So it gets up as much before something is due, and looks until it is.
"""

_EARLIEST: Final = 200_000
"""ns that it gets up before something is due, at most."""

_LOOK, _STOP = b"l", b"s"

_log = logging.getLogger(__name__)


class Drain:
    """Runs the drain program when it is due, and sleeps until then, or until a program wakes it."""

    def __init__(self, program: Program, state: Global[State], wake: Ring[int]) -> None:
        self._drain = program.repeated(_PACKET)
        self._memory = state.memory
        self._wake = wake
        self._told, self._tell = os.pipe2(os.O_CLOEXEC)
        self._running = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)

    def run_by(self, program: Program) -> None:
        """Run another program from now on; the one before does not run any more on return."""
        with self._running:
            self._drain = program.repeated(_PACKET)
        self.look()  # that has run it once, and said when it looks next, unknown to the thread

    def start(self) -> None:
        """Start the thread, in the network namespace of the calling one."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def look(self) -> None:
        """Have it look for what is due now."""
        os.write(self._tell, _LOOK)

    def stop(self) -> None:
        """End the thread."""
        os.write(self._tell, _STOP)
        self._thread.join()
        os.close(self._told)
        os.close(self._tell)

    def _run(self) -> None:
        _be_punctual()
        files = [self._wake.fileno(), self._told]
        until, where = self._memory["until"], self._memory["where"]
        anywhere, here = os.sched_getaffinity(0), 0
        ready: list[int] = []
        alarm = late = 0
        while self._told not in ready or os.read(self._told, 1) != _STOP:
            self._wake.skip()
            with self._running:
                self._drain.run()
            due = int(until[0])
            there = 0 if due == NEVER else int(where[0]) or here
            if there != here:
                with suppress(OSError):  # not ours to use: what waits leaves a while later
                    os.sched_setaffinity(0, [there - 1] if there else anywhere)
                here = there
            now = time.monotonic_ns()
            if alarm and not ready:  # nothing else woke it, and it has run once
                late += _STEP if now > alarm + late else -_STEP
                late = min(max(late, 0), _EARLIEST)
            alarm = due - late if now + late < due < NEVER else 0
            wait = None if due == NEVER else max(alarm - now, 0) / _SECOND
            ready = select.select(files, [], [], wait)[0]


def _be_punctual() -> None:
    """Have the calling thread wake up when it asked for it, also on a busy machine."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        _log.info("the drain may be late on a busy machine: without CAP_SYS_NICE it is no real-time thread")
