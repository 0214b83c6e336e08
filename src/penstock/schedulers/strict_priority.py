"""Strict priority by DSCP.

The bands are the class selectors (RFC 2474, section 4.2.2): the higher the three upper bits, the earlier. So
network control (CS7, CS6) leaves before EF and CS5, those before AF4x, and so on to best effort. Lower effort
(LE, RFC 8622, and CS1, RFC 4594, section 4.10) comes last.
"""

from __future__ import annotations

from typing import Final

from penstock.lang import u8, u32, u64
from penstock.queue.fifo import Fifos
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import Scheduler
from penstock.queue.selectors import NAMES

BANDS: Final = 9
LE: Final = 1
CS1: Final = 8


class StrictPriority(Scheduler):
    """The most urgent first, by DSCP.

    When as many packets wait as can, the oldest of the least urgent of them is dropped for any that arrives.
    """

    class_names = (*reversed(NAMES), "lower effort")

    def setup(self) -> None:
        self.waiting = Fifos(self.packets, BANDS)

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        band = BANDS - 1 if packet.dscp in (LE, CS1) else 7 - u32(packet.dscp >> 3)
        packet.traffic_class = u8(band)
        return self.waiting.append(packet, band)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        for band in range(BANDS):
            packet = self.waiting.pop(u32(band))
            if packet is not None:
                return packet
        return None

    def make_room(self, now: u64) -> QueuedPacket | None:
        for band in range(BANDS):
            packet = self.waiting.pop(BANDS - 1 - u32(band))
            if packet is not None:
                return packet
        return None
