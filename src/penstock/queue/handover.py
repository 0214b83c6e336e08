"""One scheduler takes over from another while packets go on: none is lost, none waits for the change."""

from __future__ import annotations

from penstock.lang import Global, Struct, u8, u32, u64
from penstock.queue.classes import ClassCounts
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import NEVER, Scheduler


class Change(Struct):
    """How far a change of scheduler has come."""

    begun: u32
    """1: what arrives waits in the new one."""
    newest: u32
    """1: the last packet that arrived does."""


class Handover(Scheduler):
    """What waits in `old` leaves first, by its rules; what arrives waits in `new`, once that has begun.

    It begins when no program of the generation before runs any more: one of those could let a packet wait in
    the old one, which would overtake one of its flow that waits in the new one.
    """

    is_large = True  # two schedulers in one
    holds_back = True  # what arrives may not overtake what waits in the old one

    def __init__(self, old: Scheduler, new: Scheduler, generation: int) -> None:
        """`generation` is that of the packets in `old`."""
        super().__init__(new.packets)
        self.old = old
        self.new = new
        self.has_classes = old.has_classes or new.has_classes
        self.generation = generation
        self.change = Global(Change, name="change")

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        """Let a packet wait in the new one, if that has begun."""
        change = self.change.value
        change.newest = change.begun
        if change.newest != 0:
            return self.new.enqueue(packet, now)
        packet.generation = u8(self.generation)
        return self.old.enqueue(packet, now)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        """Return the next packet of the old one, or of the new one if that has none for now.

        An old one that holds nothing back and gives none, though packets wait in it, wants to be asked again.
        """
        packet = self.old.dequeue(now)
        if packet is not None:
            return packet
        if not self.old.holds_back and self.packets.waiting_of(self.generation) != 0:
            return None
        return self.new.dequeue(now)

    def next_due(self, now: u64) -> u64:
        """Return when either may send: one in which nothing waits never does."""
        left = self.packets.waiting_of(self.generation)
        old = self.old.next_due(now) if left != 0 else u64(NEVER)
        new = self.new.next_due(now) if left != self.packets.waiting() else u64(NEVER)
        return min(old, new)

    def made_copy(self) -> u32:
        """Return the number of the copy that the last `enqueue` made, and one."""
        return self.new.made_copy() if self.change.value.newest != 0 else self.old.made_copy()

    def make_room(self, now: u64) -> QueuedPacket | None:
        """Return a packet that the new one drops, or else the old one."""
        packet = self.new.make_room(now)
        return packet if packet is not None else self.old.make_room(now)

    def counts_of(self, packet: QueuedPacket) -> ClassCounts | None:
        """Return what is counted of a packet's class, in the scheduler that it waits in."""
        if packet.generation == self.generation:
            return self.old.counts_of(packet)
        return self.new.counts_of(packet)
