"""Token buckets as textbooks have them: tokens are bytes, and fill up evenly."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from itertools import count

from tests.schedulers.compare import Packet
from tests.schedulers.model_base import TimedModel
from tests.schedulers.model_clock import NEVER


class Bucket:
    def __init__(self, rate: int, depth: int) -> None:
        self.rate, self.depth = Fraction(rate, 8 * 10**9), depth
        self.tokens, self.at = Fraction(depth), 0
        self.packets = deque[Packet]()
        self.first_since = (0, 0)

    def level(self, now: int) -> Fraction:
        return min(Fraction(self.depth), self.tokens + (now - self.at) * self.rate)

    def eligible(self) -> Fraction:
        """When the first packet is there, with enough tokens: all there can be, if it is longer."""
        since, needed = self.first_since[0], min(self.packets[0].length, self.depth)
        lacking = needed - self.level(since)
        return since + max(Fraction(0), lacking / self.rate)

    def send(self, now: int) -> Packet:
        packet = self.packets.popleft()
        self.tokens, self.at = self.level(now) - packet.length, now
        return packet


class TokenBucketModel(TimedModel):
    def __init__(self, rates: list[int], depth: int, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.buckets = [Bucket(rate, depth) for rate in rates]
        self.order = count()

    def enqueue(self, packet: Packet) -> bool:
        bucket = self.buckets[packet.dscp // 8]
        if len(bucket.packets) >= self.capacity - sum(len(each.packets) for each in self.buckets):
            return False
        bucket.packets.append(packet)
        if len(bucket.packets) == 1:
            bucket.first_since = (packet.arrival, next(self.order))
        return True

    def next(self) -> Bucket | None:
        waiting = [bucket for bucket in self.buckets if bucket.packets]
        return min(waiting, key=lambda bucket: (bucket.eligible(), bucket.first_since[1]), default=None)

    def dequeue(self, now: int) -> Packet | None:
        bucket = self.next()
        if bucket is None or bucket.eligible() > now:
            return None
        packet = bucket.send(now)
        bucket.first_since = (now, next(self.order))
        return packet

    def next_due(self, _now: int) -> int:
        bucket = self.next()
        if bucket is None:
            return NEVER
        assert bucket.eligible().denominator == 1
        return int(bucket.eligible())
