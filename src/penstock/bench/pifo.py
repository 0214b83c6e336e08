"""What it takes to push a packet into a PIFO and to pop one, by the kernel's own account of run time."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

import penstock
from penstock.kernel.statistics import run_statistics
from penstock.lang import Struct, Tc, helpers, tc, u64
from penstock.queue.packets import Packets

if TYPE_CHECKING:
    from penstock.kernel.program import Program
    from penstock.queue.scheduler import Scheduler

WAITING: Final = 1000
PAIRS: Final = 1000
"""In one run, so that what the account itself takes does not count."""
RUNS: Final = 20
PARTS: Final = 15
"""Each of so many runs; the median counts, since others use the machine, too."""


class _Nothing(Struct):
    unused: u64


def push_pop_ns(scheduler: type[Scheduler]) -> float:
    """Return what, in the median, `dequeue` and `enqueue` of one packet take, while a thousand wait, in ns.

    KernelError if this user may not, or the kernel cannot: Linux 5.17.
    """
    packets = Packets(2 * WAITING)
    waiting = scheduler(packets)

    def fill(number: u64, nothing: _Nothing) -> int:  # noqa: ARG001  # as the kernel calls it
        packet = packets.take()
        if packet is not None:
            waiting.enqueue(packet, number)
        return 0

    def turn(number: u64, nothing: _Nothing) -> int:  # noqa: ARG001  # the same
        packet = waiting.dequeue(number)
        if packet is not None:
            waiting.enqueue(packet, number)
        return 0

    @tc
    def begin(packet: Tc) -> int:  # noqa: ARG001  # the same
        nothing = _Nothing()
        helpers.loop(WAITING, fill, nothing)
        return 0

    @tc
    def pairs(packet: Tc) -> int:  # noqa: ARG001  # the same
        nothing = _Nothing()
        helpers.loop(PAIRS, turn, nothing)
        return 0

    def part(program: Program) -> float:
        before = program.statistics()
        program.test_run(bytes(64), repeat=RUNS)
        return (program.statistics() - before).ns_per_run / PAIRS

    with run_statistics(), penstock.load(begin, pairs) as loaded:
        loaded[begin].test_run(bytes(64))
        loaded[pairs].test_run(bytes(64), repeat=RUNS)  # caches fill
        return statistics.median(part(loaded[pairs]) for _ in range(PARTS))
