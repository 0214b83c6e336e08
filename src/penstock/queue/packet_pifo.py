"""Packets in the order of their ranks."""

from __future__ import annotations

from penstock.lang import u32, u64
from penstock.queue.packets import Packets, QueuedPacket
from penstock.queue.pifo import Pifo


class PacketPifo:
    """A `Pifo` of packets, with room for all of a queue's; the methods are for programs.

    With ranks that are times it is a clock: `pop_due` yields only what is due.
    """

    def __init__(
        self,
        packets: Packets,
        *,
        window: int = 1024,
        granularity: int = 1,
        groups: int = 1,
        name: str = "pifo",
    ) -> None:
        self.packets = packets
        self.pifo = Pifo(packets.capacity, window=window, granularity=granularity, groups=groups, name=name)

    def push(self, packet: QueuedPacket, rank: u64, group: u32 = 0) -> bool:
        """Add a packet, which then has that rank; False if there is no such group."""
        packet.rank = rank
        return self.pifo.push(rank, u64(packet.slot), group)

    def pop(self, group: u32 = 0) -> QueuedPacket | None:
        """Take out the first packet and return it, or None."""
        item = self.pifo.pop(group)
        return self.packets.at(u32(item.value)) if item is not None else None

    def peek(self, group: u32 = 0) -> QueuedPacket | None:
        """Return the first packet and leave it there, or None."""
        item = self.pifo.peek(group)
        return self.packets.at(u32(item.value)) if item is not None else None

    def pop_due(self, now: u64, group: u32 = 0) -> QueuedPacket | None:
        """Take out the first packet if its rank is not later than `now`."""
        item = self.pifo.peek(group)
        return self.pop(group) if item is not None and item.rank <= now else None

    def next_due(self, group: u32 = 0) -> u64:
        """Return the rank of the first packet; the largest number if there is none."""
        item = self.pifo.peek(group)
        return item.rank if item is not None else 0xFFFF_FFFF_FFFF_FFFF
