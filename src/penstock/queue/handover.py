"""One scheduler takes over from another while packets go on: none is lost, none waits for the change."""

from __future__ import annotations

from penstock.lang import Global, u32, u64
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import NEVER, Scheduler


class Handover(Scheduler):
    """What waits in `old` leaves first, by its rules; what arrives waits in `new`."""

    holds_back = True  # packets that pass by would not show that the old one is empty

    def __init__(self, old: Scheduler, new: Scheduler) -> None:
        super().__init__(new.packets)
        self.old = old
        self.new = new
        self.emptied = Global(u64, name="emptied")
        """How often a packet was looked for in `old`, and none was there."""

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        """Let a packet wait in the new one."""
        return self.new.enqueue(packet, now)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        """Return the next packet of the old one, or of the new one if that has none for now."""
        packet = self.old.dequeue(now)
        if packet is not None:
            return packet
        if not self.old.holds_back or self.old.next_due(now) == NEVER:
            self.emptied.value += 1
        return self.new.dequeue(now)

    def next_due(self, now: u64) -> u64:
        """Return when either may send."""
        return min(self.old.next_due(now), self.new.next_due(now))

    def made_copy(self) -> u32:
        """Return the number of the new one's copy, and one."""
        return self.new.made_copy()

    def make_room(self, now: u64) -> QueuedPacket | None:
        """Return a packet that the new one drops, or else the old one."""
        packet = self.new.make_room(now)
        return packet if packet is not None else self.old.make_room(now)
