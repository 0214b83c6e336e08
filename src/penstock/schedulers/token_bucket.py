"""Token buckets: each class of DSCP has a rate and a burst of its own inside the link.

A bucket is kept as the time at which it will be full, as in the virtual scheduling algorithm of ITU-T I.371.
The classes with packets are in a PIFO, ranked by when their first packet could leave.
So that no class takes the room of others, one that has as many packets waiting as there is room left may add
none: Choudhury and Hahne, Dynamic Queue Length Thresholds for Shared-Memory Packet Switches (IEEE/ACM
Transactions on Networking 6(2), 1998).
"""

from __future__ import annotations

from typing import Final

from penstock.lang import ArrayMap, global_subprogram, u32, u64
from penstock.queue.fifo import Fifos
from penstock.queue.packets import QueuedPacket
from penstock.queue.pifo import Pifo
from penstock.queue.scheduler import NEVER, Scheduler, Tunable
from penstock.queue.selectors import NAMES, Selectors
from penstock.units import rate, size

CLASSES: Final = 8

NONE: Final = 0xFFFF_FFFF
"""In place of a packet's number."""

LARGEST: Final = 1 << 16
"""bytes: no packet is larger."""

LOOK_AGAIN: Final = 10**9
"""ns: a class that waits longer is looked at meanwhile, since its rate may have been raised."""

DEEPEST: Final = 1 << 30
"""bytes: so that as many bits, times 10**9, fit into 64 bits."""


def bucket_size(text: str) -> int:
    """Return bytes as `size` does. ValueError if they are more than 1 GB."""
    value = size(text)
    if value > DEEPEST:
        raise ValueError(f"a depth of {text}: it must be at most 1gb")
    return value


class TokenBucket(Scheduler):
    """Shapes each class selector of DSCP to its rate.

    What arrives is dropped if its class has as many packets waiting as there is room left.
    """

    holds_back = True
    class_names = NAMES

    cs0 = Tunable(rate, "100mbit", "rate of DSCP 0 to 7")
    cs1 = Tunable(rate, "100mbit", "rate of DSCP 8 to 15")
    cs2 = Tunable(rate, "100mbit", "rate of DSCP 16 to 23")
    cs3 = Tunable(rate, "100mbit", "rate of DSCP 24 to 31")
    cs4 = Tunable(rate, "100mbit", "rate of DSCP 32 to 39")
    cs5 = Tunable(rate, "100mbit", "rate of DSCP 40 to 47")
    cs6 = Tunable(rate, "100mbit", "rate of DSCP 48 to 55")
    cs7 = Tunable(rate, "100mbit", "rate of DSCP 56 to 63")
    depth = Tunable(bucket_size, "16kb", "bytes that a class may send at once after a pause")

    def setup(self) -> None:
        self.rates = Selectors([self.values[f"cs{n}"] for n in range(8)])
        self.waiting = Fifos(self.packets, CLASSES)
        self.full_at = ArrayMap(u64, CLASSES, name="full_at")
        self.classes = Pifo(CLASSES, window=64, name="classes")

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        number = u32(packet.dscp >> 3)
        backlog = self.waiting.backlog(number)
        if backlog is None or backlog.packets > self.packets.capacity - self.packets.waiting():
            return False
        idle = backlog.packets == 0
        return self.waiting.append(packet, number) and (not idle or self._wait(number, now))

    def dequeue(self, now: u64) -> QueuedPacket | None:
        for _ in range(CLASSES):
            if self.next_due(now) > now:
                break
            sent = self._serve(now)
            if sent != NONE:
                return self.packets.at(sent)
        return None

    def next_due(self, now: u64) -> u64:
        item = self.classes.peek()
        return item.rank if item is not None else NEVER

    @global_subprogram
    def _serve(self, now: u64) -> u32:
        """Serve the first class: the number of its packet, or NONE if that may not leave yet."""
        item = self.classes.pop()
        number = u32(item.value) if item is not None else 0
        packet = self._send(number, now)
        self._wait(number, now)
        return packet.slot if packet is not None else NONE

    def _send(self, number: u32, now: u64) -> QueuedPacket | None:
        """Take a class's first packet, if it may leave."""
        full_at = self.full_at.lookup(number)
        if full_at is None or self._due(number, now) > now:
            return None
        packet = self.waiting.pop(number)
        if packet is not None:
            full_at.value = max(full_at.value, now) + self._time(packet.length, number)
        return packet

    def _wait(self, number: u32, now: u64) -> bool:
        """Let a class wait until its first packet, if any, may leave."""
        due = self._due(number, now)
        return due == NEVER or self.classes.push(min(due, now + LOOK_AGAIN), u64(number))

    def _due(self, number: u32, now: u64) -> u64:
        """When a class has enough tokens for its first packet, or its bucket is full: now, or later."""
        packet = self.waiting.peek(number)
        full_at = self.full_at.lookup(number)
        if packet is None or full_at is None:
            return NEVER
        depth = self._time(u32(self.depth.value), number)
        # At one rate the bucket is never emptier; what was sent at a lower one is not held against the class.
        full_at.value = min(full_at.value, now + max(depth, self._time(LARGEST, number)))
        needed = min(self._time(packet.length, number), depth)
        return max(full_at.value + needed, now + depth) - depth

    def _time(self, length: u32, number: u32) -> u64:
        """In how many ns a class sends so many bytes."""
        return u64(length) * 8_000_000_000 // self.rates.at(number)
