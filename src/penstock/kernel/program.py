"""Programs in the kernel."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from penstock.errors import KernelError
from penstock.kernel import testrun
from penstock.kernel.attributes import GetId, ProgInfo
from penstock.kernel.handle import Handle, object_info
from penstock.kernel.pins import open_pin
from penstock.kernel.statistics import Statistics
from penstock.kernel.syscall import Command, bpf
from penstock.lang.program import ProgramKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt


class Program(Handle):
    """A verified program."""

    def __init__(self, descriptor: int, name: str, kind: ProgramKind) -> None:
        self.name = name
        self.kind = kind
        super().__init__(descriptor, f"program {name}")

    @property
    def id(self) -> int:
        """The kernel's number for it, as `bpftool prog` shows it."""
        return object_info(self.fileno(), ProgInfo).id

    def test_run(
        self, data: bytes, *, repeat: int = 1, context: Mapping[str, int] | None = None
    ) -> testrun.TestResult:
        """Run the program on a packet that is not sent anywhere. Linux 4.12.

        Args:
            data: The packet, from its Ethernet header on: 14 bytes at least.
            repeat: How often to run it; what the program writes into the packet, the next run reads. In XDP,
                more than once costs tens of ms in all: the kernel waits for a grace period.
            context: Fields of `Xdp` or `Tc` to set by name, and to give back: Linux 5.2 (tc), 5.16 (XDP).

        Raises:
            KernelError: The kernel refuses the packet or the context.
        """
        return testrun.run(self, data, repeat, context or {})

    def test_runs(self, packets: Sequence[bytes]) -> npt.NDArray[np.int32]:
        """Run the program once on each packet; return what it returned for each. For very many of them."""
        return testrun.run_each(self, packets)

    def send(self, data: bytes, count: int) -> None:
        """Run an XDP program on `count` frames that really go where it redirects or passes them. Linux 5.18.

        Frames are used again: what the program, or whoever got them, changed in one, it may find there.
        """
        testrun.run_live(self, data, count)

    def repeated(self, data: bytes) -> testrun.Repeated:
        """Run the program once on a packet, and return what runs it again at little cost."""
        return testrun.Repeated(self, data)

    def run(self) -> int:
        """Run a `syscall` program and return what it returns. Linux 5.14."""
        return testrun.call(self)

    def statistics(self) -> Statistics:
        """Return what the kernel counted, on all CPUs, while `run_statistics` were on. Linux 5.1."""
        info = object_info(self.fileno(), ProgInfo)
        return Statistics(info.run_time_ns, info.run_cnt, info.recursion_misses)


def open_program(path: str | os.PathLike[str]) -> Program:
    """Open a program that was pinned at `path`. KernelError if there is none, or of an unknown kind."""
    descriptor = open_pin(path)
    info = object_info(descriptor, ProgInfo)
    if info.type not in set(ProgramKind):
        os.close(descriptor)
        raise KernelError(f"cannot open the pin {os.fspath(path)}: no program of a kind known here")
    return Program(descriptor, info.name.decode(), ProgramKind(info.type))


def program_name(number: int) -> str:
    """Return the name of the program with this number, or just the number without CAP_SYS_ADMIN."""
    with contextlib.suppress(OSError):
        found = Handle(bpf(Command.PROG_GET_FD_BY_ID, GetId(number)), f"program {number}")
        with found:
            return object_info(found.fileno(), ProgInfo).name.decode() or str(number)
    return str(number)
