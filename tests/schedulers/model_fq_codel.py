"""FQ-CoDel in Python, after RFC 8290, section 4, with CoDel for each queue."""

from __future__ import annotations

from collections import deque

from tests.schedulers.compare import Packet
from tests.schedulers.model_base import TimedModel
from tests.schedulers.model_codel import CodelQueue


class FqCodelModel(TimedModel):
    def __init__(self, queues: int, quantum: int, target: int, interval: int, mtu: int) -> None:
        super().__init__()
        self.quantum = quantum
        self.queues = [CodelQueue(target, interval, mtu, self.drop) for _ in range(queues)]
        self.credits = [0] * queues
        self.new = deque[int]()
        self.old = deque[int]()

    def enqueue(self, packet: Packet) -> bool:
        number = packet.flow % len(self.queues)
        self.queues[number].push(packet)
        if number not in self.new and number not in self.old:
            self.credits[number] = self.quantum
            self.new.append(number)
        return True

    def dequeue(self, now: int) -> Packet | None:
        while self.new or self.old:
            chosen = self.new or self.old
            number = chosen[0]
            if self.credits[number] <= 0:
                self.credits[number] += self.quantum
                self.old.append(chosen.popleft())
                continue
            packet = self.queues[number].deque(now)
            if packet is not None:
                self.credits[number] -= packet.length
                return packet
            chosen.popleft()
            if chosen is self.new:
                self.old.append(number)
        return None

    def make_room(self, _now: int) -> Packet | None:
        """Half of the longest queue, 64 packets at most; the last of them is the caller's to drop."""
        longest = max(self.queues, key=lambda queue: queue.bytes)
        half = longest.bytes // 2
        for _ in range(63):
            packet = longest.pop()
            if longest.bytes <= half:
                return packet
            self.drop(packet)
        return longest.pop()
