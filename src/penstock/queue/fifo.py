"""Lists of packets, first in, first out: as many as a scheduler wants, since they cost 16 bytes each."""

from __future__ import annotations

from penstock.lang import ArrayMap, Struct, u32
from penstock.queue.packets import Packets, QueuedPacket


class Backlog(Struct):
    """One list, linked through its packets."""

    head: u32
    """Number of the first packet and one; 0 if it is empty."""
    tail: u32
    packets: u32
    bytes: u32


class Fifos:
    """So many lists of packets, by number; the methods are for programs. A packet is in one at most."""

    def __init__(self, packets: Packets, count: int = 1, *, name: str = "fifos") -> None:
        self.packets = packets
        self.lists = ArrayMap(Backlog, count, name=name)

    def append(self, packet: QueuedPacket, number: u32 = 0) -> bool:
        """Put a packet at the end; False if there is no such list."""
        backlog = self.lists.lookup(number)
        if backlog is None:
            return False
        packet.following = 0
        last = self.packets.at(backlog.tail - 1) if backlog.head != 0 else None
        if last is None:
            backlog.head = packet.slot + 1
        else:
            last.following = packet.slot + 1
        backlog.tail = packet.slot + 1
        backlog.packets += 1
        backlog.bytes += packet.length
        return True

    def peek(self, number: u32 = 0) -> QueuedPacket | None:
        """Return the first packet and leave it there, or None."""
        backlog = self.lists.lookup(number)
        if backlog is None or backlog.head == 0:
            return None
        return self.packets.at(backlog.head - 1)

    def pop(self, number: u32 = 0) -> QueuedPacket | None:
        """Take out the first packet and return it, or None."""
        backlog = self.lists.lookup(number)
        if backlog is None or backlog.head == 0:
            return None
        packet = self.packets.at(backlog.head - 1)
        if packet is None:
            return None
        backlog.head = packet.following
        backlog.packets -= 1
        backlog.bytes -= packet.length
        return packet

    def backlog(self, number: u32 = 0) -> Backlog | None:
        """Return what waits in a list: its packets and bytes."""
        return self.lists.lookup(number)
