"""The drain that polls: one endless run of a program in the kernel, on a core of its own.

It runs in a process of its own, since such a run ends only with its process: this file is that process, given
the program's descriptor, its parent and the core, and goes when its parent goes, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.errors import KernelError

if TYPE_CHECKING:
    from penstock.kernel.program import Program

_PR_SET_PDEATHSIG: Final = 1  # include/uapi/linux/prctl.h
_READY: Final = b"polling\n"
_ENDLESS: Final = 1 << 30
_FRAME: Final = bytes(12) + b"\x08\x00" + bytes(50)

_POLLING: Final = 2
"""Ticks of CPU time, hundredths of a second: to begin takes less."""

_LOOK: Final = 0.002
"""s from one look at that to the next."""


class Poller:
    """Runs a program on frames that go where it says, without a pause, until it is stopped."""

    def __init__(self, program: Program, cpu: int | None = None) -> None:
        """`cpu`: the core for it; None: the scheduler's choice."""
        self._cpu = cpu
        self._process = self._start(program)

    def run_by(self, program: Program) -> None:
        """Run another program from now on."""
        before, self._process = self._process, self._start(program)
        _end(before)

    def start(self) -> None:
        """Nothing is left to be done: it polls."""

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def look(self) -> None:
        """Nothing is left to be done: it always looks."""

    def stop(self) -> None:
        """End it."""
        _end(self._process)

    def _start(self, program: Program) -> subprocess.Popen[bytes]:
        descriptor = program.fileno()
        arguments = [descriptor, os.getpid(), -1 if self._cpu is None else self._cpu]
        command = [sys.executable, "-m", "penstock.queue.poller", *map(str, arguments)]
        process = subprocess.Popen(
            command,
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            process_group=0,  # the terminal's Ctrl-C is for its parent
        )
        assert process.stdout is not None
        if process.stdout.readline() != _READY:
            process.wait()
            raise KernelError(f"cannot poll{'' if self._cpu is None else f' on CPU {self._cpu}'}")
        _await_polling(process)
        return process


def _await_polling(process: subprocess.Popen[bytes]) -> None:
    """Wait until it polls, so that whoever did before may go.

    The kernel has it sleep first, for a grace period of RCU: 20 ms or more (bpf_dispatcher_change_prog in
    kernel/bpf/dispatcher.c).
    """
    before = _cpu_time(process.pid)
    while process.poll() is None and _cpu_time(process.pid) < before + _POLLING:
        time.sleep(_LOOK)


def _cpu_time(pid: int) -> int:
    """Return the ticks that a process has spent in the kernel: stime of proc_pid_stat(5)."""
    return int(Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[12])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def main() -> None:
    """Poll, in the process for it."""
    from penstock.kernel.testrun import poll  # noqa: PLC0415  # only there

    descriptor, parent, cpu = map(int, sys.argv[1:])
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return
    if cpu >= 0:
        with suppress(OSError):  # whoever started it is told by what is missing
            os.sched_setaffinity(0, [cpu])
        if os.sched_getaffinity(0) != {cpu}:
            return
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    while True:
        poll(descriptor, _FRAME, _ENDLESS)


if __name__ == "__main__":
    main()
