"""Netem as its manual page and net/sched/sch_netem.c have it, with the random numbers of splitmix64.

Unlike there, a packet that is doubled may be lost twice.
"""

from __future__ import annotations

from dataclasses import replace

from tests.schedulers.compare import Packet
from tests.schedulers.model_base import TimedModel
from tests.schedulers.model_clock import Clock

STEP = 8192
MASK = (1 << 64) - 1


class SplitMix:
    """Steele, Lea and Flood (OOPSLA 2014), figure 1 with the constants of Java's SplittableRandom."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def next(self) -> int:
        self.seed = (self.seed + 0x9E3779B97F4A7C15) & MASK
        z = self.seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)


class NetemModel(TimedModel):
    def __init__(
        self,
        capacity: int,
        *,
        delay: int = 0,
        jitter: int = 0,
        loss: int = 0,
        duplicate: int = 0,
        reorder: int = 0,
        gap: int = 1,
        bandwidth: int = 0,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.capacity, self.copies = capacity, 0
        self.delay, self.jitter, self.bandwidth = delay, jitter, bandwidth
        self.loss, self.duplicate, self.reorder, self.gap = loss, duplicate, reorder, gap
        self.random = SplitMix(seed)
        self.clock = Clock(STEP)
        self.counter = 0
        self.last_time_to_send = 0

    def chance(self, share: int) -> bool:
        """Of a share in 2**32."""
        return self.random.next() // 2**32 < share

    def enqueue(self, packet: Packet) -> bool:
        if self.chance(self.duplicate) and len(self.clock.heap) + 1 < self.capacity:
            self.copies += self.send(replace(packet))
        return self.send(packet)

    def send(self, packet: Packet) -> bool:
        if self.chance(self.loss):
            return False
        packet.tag = self.time_to_send(packet.arrival, packet.length)
        self.clock.push(packet, packet.tag)
        return True

    def time_to_send(self, now: int, length: int) -> int:
        if self.counter >= self.gap - 1 and self.chance(self.reorder):
            self.counter = 0
            return now
        self.counter += 1
        jitter = self.random.next() % (2 * self.jitter + 1) - self.jitter
        time = now + max(0, self.delay + jitter)
        if self.bandwidth:
            time = max(time, self.last_time_to_send) + length * 8 * 10**9 // self.bandwidth
            self.last_time_to_send = time
        return time

    def dequeue(self, now: int) -> Packet | None:
        return self.clock.pop_due(now)

    def next_due(self, _now: int) -> int:
        return self.clock.next_due()
