"""One owner at a time: whoever takes the busy flag runs the scheduler, others leave their packets and go on.

A CPU that finds the queue busy puts its packet into a slot of its own reserve and the slot's number into its
own ring; the owner takes it from there, and gives a free slot back. So each ring has one writer and one
reader, and nobody waits.
"""

from __future__ import annotations

import os
from typing import Final

from penstock.lang import Array, ArrayMap, Global, Struct, array, atomic, helpers, u32, u64

ROOM: Final = 64
"""Packets that each CPU may leave while the queue is busy."""

_MASK: Final = ROOM - 1
_MINUS_ONE: Final = 0xFFFF_FFFF_FFFF_FFFF


class Busy(Struct):
    """The flag, alone on its cache line."""

    flag: u64
    """1 while somebody owns the queue."""
    staged: u64
    """Packets left by those who found it busy."""
    rest: Array[u64] = array(6)


class Stage(Struct):
    """The rings of one CPU, by counts that only grow: slots that hold packets, and free ones."""

    left: u32
    """Packets left by the CPU."""
    taken: u32
    """Of them, those that the owner has taken."""
    given: u32
    """Free slots given by the owner."""
    used: u32
    """Of them, those that the CPU has used."""
    numbers: Array[u32] = array(ROOM)
    free: Array[u32] = array(ROOM)


def cpus() -> int:
    """Return how many CPUs there may be, so many that their numbers are below it."""
    return os.sysconf("SC_NPROCESSORS_CONF")


class Owner:
    """The busy flag of a queue, and a stage for each CPU."""

    def __init__(self) -> None:
        self.cpus = cpus()
        self.busy = Global(Busy, name="busy")
        self.stages = ArrayMap(Stage, self.cpus, name="stages")

    def acquire(self) -> bool:
        """Take the queue, if nobody has it."""
        return atomic.exchange(self.busy.value.flag, 1) == 0

    def release(self) -> bool:
        """Let go of the queue; True if packets were left meanwhile, so that somebody has to take it again."""
        atomic.exchange(self.busy.value.flag, 0)
        return self.busy.value.staged != 0

    def has_staged(self) -> bool:
        """Whether packets were left."""
        return self.busy.value.staged != 0

    def reserve(self) -> u32:
        """Return the number of a free slot of this CPU, and one; 0 if all hold packets."""
        stage = self.stages.lookup(helpers.get_smp_processor_id())
        if stage is None or stage.used == stage.given:
            return 0
        return stage.free[stage.used & _MASK] + 1

    def leave(self) -> None:
        """Leave the packet that is now in the slot that `reserve` named."""
        stage = self.stages.lookup(helpers.get_smp_processor_id())
        if stage is None:
            return
        stage.numbers[stage.left & _MASK] = stage.free[stage.used & _MASK]
        stage.used += 1
        atomic.fetch_add(stage.left, 1)
        atomic.fetch_add(self.busy.value.staged, 1)

    def staged_of(self, cpu: u32) -> u32:
        """Return the number of the oldest packet that a CPU left, and one; 0 if there is none."""
        stage = self.stages.lookup(cpu)
        if stage is None or stage.taken == stage.left:
            return 0
        return stage.numbers[stage.taken & _MASK] + 1

    def took(self, cpu: u32, replacement: u32) -> None:
        """Count that packet as taken, and give the CPU a free slot for it."""
        stage = self.stages.lookup(cpu)
        if stage is None:
            return
        stage.free[stage.given & _MASK] = replacement
        stage.taken += 1
        atomic.fetch_add(stage.given, 1)
        atomic.fetch_add(self.busy.value.staged, _MINUS_ONE)
