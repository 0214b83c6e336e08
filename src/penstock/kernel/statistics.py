"""Run-time statistics of programs, which the kernel keeps only while somebody asks for them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.kernel.attempt import attempt
from penstock.kernel.attributes import EnableStats
from penstock.kernel.capabilities import Capability
from penstock.kernel.handle import Handle
from penstock.kernel.syscall import Command, bpf

if TYPE_CHECKING:
    from collections.abc import Generator

_RUN_TIME = 0  # BPF_STATS_RUN_TIME


@dataclass(frozen=True)
class Statistics:
    """What a program's runs took. The difference of two is that of the time between them."""

    run_time: int
    """ns, the measurement's own 20 to 30 ns per run included."""

    run_count: int

    recursion_misses: int
    """Runs left out because the program was already running on that CPU. Linux 5.12."""

    @property
    def ns_per_run(self) -> float:
        """Average; 0 if it never ran."""
        return self.run_time / self.run_count if self.run_count else 0.0

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.run_time + other.run_time,
            self.run_count + other.run_count,
            self.recursion_misses + other.recursion_misses,
        )

    def __sub__(self, earlier: Statistics) -> Statistics:
        return Statistics(
            self.run_time - earlier.run_time,
            self.run_count - earlier.run_count,
            self.recursion_misses - earlier.recursion_misses,
        )


@contextlib.contextmanager
def run_statistics() -> Generator[None]:
    """Have the kernel keep run-time statistics of all programs, within a `with` block. Linux 5.8.

    KernelError if it cannot, or without CAP_SYS_ADMIN.
    """
    with attempt("switch on run-time statistics (Linux 5.8)", Capability.SYS_ADMIN):
        switch = Handle(bpf(Command.ENABLE_STATS, EnableStats(_RUN_TIME)), "switch of run-time statistics")
    with switch:
        yield
