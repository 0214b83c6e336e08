"""Packets in the order of their ranks."""

from __future__ import annotations

from typing import Final

from penstock.lang import u32, u64
from penstock.queue.packets import Packets, QueuedPacket
from penstock.queue.ranked import Ranked

_ANY: Final = 0xFFFF_FFFF_FFFF_FFFF


class PacketPifo(Ranked[QueuedPacket]):
    """A PIFO of packets, with room for all of a queue's; the methods are for programs.

    It links the packets themselves, so a packet is in one PIFO or list at most, and keeps its rank meanwhile.
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
        super().__init__(packets.table, packets.capacity, window, granularity, groups, name)
        self.packets = packets

    def push(self, packet: QueuedPacket, rank: u64, group: u32 = 0) -> bool:
        """Add a packet, which then has that rank; False if there is no such group."""
        state = self.states.lookup(group)
        if state is None:
            return False
        packet.rank, packet.following = rank, 0
        self.insert(state, group, packet.slot + 1, rank)
        return True

    def pop(self, group: u32 = 0) -> QueuedPacket | None:
        """Take out the first packet and return it, or None."""
        return self.pop_due(_ANY, group)

    def peek(self, group: u32 = 0) -> QueuedPacket | None:
        """Return the first packet and leave it there, or None."""
        state = self.states.lookup(group)
        if state is None:
            return None
        node, _ = self.first(state)
        return self.packets.at(node - 1)

    def pop_due(self, now: u64, group: u32 = 0) -> QueuedPacket | None:
        """Take out the first packet if its rank is not later than `now`."""
        state = self.states.lookup(group)
        if state is None:
            return None
        node, bucket = self.first(state)
        packet = self.packets.at(node - 1)
        if packet is None or packet.rank > now:
            return None
        self.remove(state, group, bucket, packet.following)
        return packet

    def next_due(self, group: u32 = 0) -> u64:
        """Return the rank of the first packet; the largest number if there is none."""
        packet = self.peek(group)
        return packet.rank if packet is not None else _ANY
