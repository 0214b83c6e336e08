"""One owner at a time: whoever takes the busy flag runs the scheduler, others leave their packets and go on.

A CPU that finds the queue busy puts its packet into a slot of its own reserve, and the slot's number into a
line that the owner takes it from; the owner gives a free slot back. So nobody waits. Places in the line are
taken by one atomic addition, so packets of a flow are in it in the order in which they came, whatever CPU
left each: that one finds an empty place if the CPU before it has not written yet, and comes back.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from penstock.lang import Array, ArrayMap, Global, Struct, array, atomic, helpers, u32, u64

ROOM: Final = 64
"""Packets that each CPU may leave while the queue is busy."""

_MASK: Final = ROOM - 1


class Busy(Struct):
    """The flag, and what those who find it set write; each on a cache line of its own."""

    flag: u64
    """1 while somebody owns the queue."""
    taken: u64
    """Places of the line that the owner has emptied."""
    rest: Array[u64] = array(6)
    staged: u64
    """Places that were ever taken by those who found the queue busy."""

    if TYPE_CHECKING:
        line: Array[u64]
        """A CPU's number, and its slot's and one; 0 where nothing is."""


def _busy(places: int) -> type[Busy]:
    class Line(Busy):
        line: Array[u64] = array(places)

    return Line


class Reserve(Struct):
    """The free slots of one CPU, by counts that only grow."""

    given: u64
    """By the owner."""
    used: u64
    """Of them, those that the CPU has used."""
    free: Array[u32] = array(ROOM)


def cpus() -> int:
    """Return how many CPUs there may be, so many that their numbers are below it."""
    return os.sysconf("SC_NPROCESSORS_CONF")


class Owner:
    """The busy flag of a queue, the line before it, and a reserve for each CPU."""

    def __init__(self) -> None:
        self.places = 1 << (cpus() * ROOM - 1).bit_length()
        self.busy = Global(_busy(self.places), name="busy")
        self.reserves = ArrayMap(Reserve, cpus(), name="reserves")

    def acquire(self) -> bool:
        """Take the queue, if nobody has it."""
        return atomic.exchange(self.busy.value.flag, 1) == 0

    def release(self) -> bool:
        """Let go of the queue; True if packets were left meanwhile, so that somebody has to take it again."""
        atomic.exchange(self.busy.value.flag, 0)
        return self.has_staged()

    def has_staged(self) -> bool:
        """Whether packets were left."""
        return self.busy.value.staged != self.busy.value.taken

    def reserve(self) -> u32:
        """Return the number of a free slot of this CPU, and one; 0 if all hold packets."""
        reserve = self.reserves.lookup(helpers.get_smp_processor_id())
        if reserve is None or reserve.used == atomic.fetch_add(reserve.given, 0):
            return 0
        return reserve.free[u32(reserve.used) & _MASK] + 1

    def leave(self, number: u32) -> None:
        """Leave the packet that is now in the slot that `reserve` named."""
        cpu = helpers.get_smp_processor_id()
        reserve = self.reserves.lookup(cpu)
        if reserve is None:
            return
        reserve.used += 1
        busy = self.busy.value
        place = atomic.fetch_add(busy.staged, 1)
        atomic.exchange(busy.line[u32(place) & (self.places - 1)], u64(cpu) << 32 | u64(number) + 1)

    def take(self) -> u64:
        """Take the oldest packet that was left: its CPU's number, and in the lower half its own and one."""
        busy = self.busy.value
        left = atomic.exchange(busy.line[u32(busy.taken) & (self.places - 1)], 0)
        busy.taken += u64(left != 0)
        return left

    def give(self, cpu: u32, number: u32) -> None:
        """Give a CPU a free slot in place of one that was taken."""
        reserve = self.reserves.lookup(cpu)
        if reserve is None:
            return
        reserve.free[u32(reserve.given) & _MASK] = number
        atomic.fetch_add(reserve.given, 1)
