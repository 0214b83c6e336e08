"""A queue of departure times in steps: what leaves is due, first in, first out within a step."""

from __future__ import annotations

from heapq import heappop, heappush

from tests.schedulers.compare import Packet

NEVER = (1 << 64) - 1


class Clock:
    def __init__(self, step: int) -> None:
        self.step = step
        self.pushes = 0
        self.heap: list[tuple[int, int, int, Packet]] = []

    def push(self, packet: Packet, departure: int) -> None:
        self.pushes += 1
        heappush(self.heap, (departure // self.step, self.pushes, departure, packet))

    def next_due(self) -> int:
        return self.heap[0][2] if self.heap else NEVER

    def pop_due(self, now: int) -> Packet | None:
        return heappop(self.heap)[3] if self.next_due() <= now else None
