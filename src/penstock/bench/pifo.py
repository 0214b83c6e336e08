"""What it takes to push a packet into a PIFO and to pop one, by the kernel's own account of run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import penstock
from penstock.kernel.statistics import run_statistics
from penstock.lang import Struct, Tc, helpers, tc, u64
from penstock.queue.packets import Packets

if TYPE_CHECKING:
    from penstock.queue.scheduler import Scheduler

WAITING: Final = 1000
PAIRS: Final = 1000
"""In one run, so that what the account itself takes does not count."""
RUNS: Final = 200


class _Nothing(Struct):
    unused: u64


def push_pop_ns(scheduler: type[Scheduler]) -> float:
    """Return what `dequeue` and `enqueue` of one packet take, while a thousand wait, in ns.

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

    with run_statistics(), penstock.load(begin, pairs) as loaded:
        loaded[begin].test_run(bytes(64))
        loaded[pairs].test_run(bytes(64), repeat=RUNS)
        return loaded[pairs].statistics().ns_per_run / PAIRS
