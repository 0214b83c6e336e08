"""Token buckets as textbooks have them: tokens come evenly, up to the depth, and packets take them."""

from __future__ import annotations

from collections import deque
from itertools import count

from tests.schedulers.compare import Packet
from tests.schedulers.model_base import TimedModel
from tests.schedulers.model_clock import NEVER


class Bucket:
    """Its tokens are counted in the time in which they came: `ns` for each byte."""

    def __init__(self, ns: int, depth: int) -> None:
        self.ns, self.depth = ns, depth * ns
        self.tokens, self.at = self.depth, 0
        self.packets = deque[Packet]()
        self.first_since = (0, 0)

    def level(self, now: int) -> int:
        return min(self.depth, self.tokens + now - self.at)

    def eligible(self) -> int:
        """When the first packet is there, with enough tokens: all there can be, if it is longer."""
        since = self.first_since[0]
        return since + max(0, min(self.packets[0].length * self.ns, self.depth) - self.level(since))

    def send(self, now: int) -> Packet:
        packet = self.packets.popleft()
        self.tokens, self.at = self.level(now) - packet.length * self.ns, now
        return packet


class TokenBucketModel(TimedModel):
    def __init__(self, ns: list[int], depth: int, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.buckets = [Bucket(each, depth) for each in ns]
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
        return bucket.eligible() if bucket is not None else NEVER
