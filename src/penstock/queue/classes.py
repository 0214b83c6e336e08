"""What a scheduler's classes count: packets that it was given, so not those that no slot was free for."""

from __future__ import annotations

from penstock.lang import Array, Struct, array, u64
from penstock.queue.packets import QueuedPacket
from penstock.queue.statistics import SOJOURN_BUCKETS, Traffic, bit_length, count


class ClassCounts(Struct):
    """Everything of one class since its scheduler began. What came in is sent, was dropped, or waits."""

    came: Traffic
    sent: Traffic
    dropped: Traffic
    """By the scheduler, or for want of room."""
    sojourn: Array[u64] = array(SOJOURN_BUCKETS)
    """As that of the queue."""


def came(counts: ClassCounts | None, packet: QueuedPacket) -> None:
    """Count a packet that was given to the scheduler."""
    if counts is not None:
        count(counts.came, packet.length)


def sent(counts: ClassCounts | None, packet: QueuedPacket, sojourn: u64) -> None:
    """Count a packet that left after so many ns."""
    if counts is not None:
        count(counts.sent, packet.length)
        counts.sojourn[bit_length(sojourn) & (SOJOURN_BUCKETS - 1)] += 1


def dropped(counts: ClassCounts | None, packet: QueuedPacket) -> None:
    """Count a packet that will not leave."""
    if counts is not None:
        count(counts.dropped, packet.length)
