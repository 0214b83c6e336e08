"""What a queue counts. Only its owner writes, so nothing is atomic: readers may see a packet half counted."""

from __future__ import annotations

from penstock.lang import Array, Global, Struct, array, u32, u64
from penstock.queue.bits import ones

SOJOURN_BUCKETS = 64
"""Buckets of the sojourn-time histogram: bucket n counts times below 2^n ns, and not below half of that."""


class Traffic(Struct):
    """Packets, and their bytes from the Ethernet header on."""

    packets: u64
    bytes: u64


class Counts(Struct):
    """Everything since the start. What came in is what went out, what was dropped, and what waits."""

    bypassed: Traffic
    """Sent at once, without waiting in a slot."""
    swapped: Traffic
    """Sent in the frame of one that arrived."""
    drained: Traffic
    """Sent by the drain."""
    refused: Traffic
    """Dropped: the scheduler did not take them."""
    overflowed: Traffic
    """Dropped: all slots were in use, also those that `make_room` let go."""
    crowded: Traffic
    """Dropped: their CPU found the queue busy, and all of its own slots in use."""
    failed: Traffic
    """Lost: the kernel could not send them."""
    sojourn: Array[u64] = array(SOJOURN_BUCKETS)


def count(traffic: Traffic, length: u32) -> None:
    """Count one packet."""
    traffic.packets += 1
    traffic.bytes += u64(length)


def bit_length(number: u64) -> u32:
    """Return how many bits a number has: 0 for 0."""
    below = number | number >> 1
    below |= below >> 2
    below |= below >> 4
    below |= below >> 8
    below |= below >> 16
    below |= below >> 32
    return ones(below)


class Statistics:
    """The counts of one queue."""

    def __init__(self) -> None:
        self.counts = Global(Counts, name="counts")

    def left(self, traffic: Traffic, length: u32, sojourn: u64) -> None:
        """Count a packet that left after so many ns."""
        count(traffic, length)
        self.counts.value.sojourn[bit_length(sojourn) & (SOJOURN_BUCKETS - 1)] += 1
