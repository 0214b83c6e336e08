"""CoDel in Python, after the pseudocode of RFC 8289, section 5, with Linux's marks and reciprocal root.

Linux: net/sched/sch_codel.c and include/net/codel_impl.h. The root is Linux's recurrence with 32 bits instead
of 16, of which the control law takes the upper 16.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tests.schedulers.compare import Packet
from tests.schedulers.model_base import TimedModel

ONE = 1 << 32

MOST = 64
"""Drops at one dequeue. The RFC sets no limit, a program in the kernel must."""


class CodelQueue:
    def __init__(self, target: int, interval: int, mtu: int, drop: Callable[[Packet], None]) -> None:
        self.target, self.interval, self.mtu, self.drop = target, interval, mtu, drop
        self.packets = deque[Packet]()
        self.bytes = 0
        self.first_above_time = self.drop_next = self.count = self.last_count = 0
        self.inverse_root = ONE - 1
        self.dropping = False

    def push(self, packet: Packet) -> None:
        self.packets.append(packet)
        self.bytes += packet.length

    def pop(self) -> Packet | None:
        if not self.packets:
            return None
        packet = self.packets.popleft()
        self.bytes -= packet.length
        return packet

    def dodequeue(self, now: int) -> tuple[Packet | None, bool]:
        """The next packet, and whether it is ok to drop."""
        packet = self.pop()
        if packet is None or now - packet.arrival < self.target or self.bytes <= self.mtu:
            self.first_above_time = 0
            return packet, False
        if self.first_above_time == 0:
            self.first_above_time = now + self.interval
            return packet, False
        return packet, now >= self.first_above_time

    def newton_step(self) -> None:
        x = self.inverse_root
        self.inverse_root = x * ((3 * ONE - self.count * (x * x // ONE)) // 4) // (ONE // 2)

    def control_law(self, time: int) -> int:
        return time + self.interval * (self.inverse_root // 65536) // 65536

    def deque(self, now: int) -> Packet | None:
        packet, ok_to_drop = self.dodequeue(now)
        if self.dropping:
            self.dropping = ok_to_drop
            for _ in range(MOST):
                if not self.dropping or now < self.drop_next:
                    break
                self.count += 1
                self.newton_step()
                if packet.ecn:
                    packet.mark = 1
                    self.drop_next = self.control_law(self.drop_next)
                    return packet
                self.drop(packet)
                packet, self.dropping = self.dodequeue(now)
                if self.dropping:
                    self.drop_next = self.control_law(self.drop_next)
        elif ok_to_drop:
            if packet.ecn:
                packet.mark = 1
            else:
                self.drop(packet)
                packet, _ = self.dodequeue(now)
            self.dropping = True
            delta = self.count - self.last_count
            if delta > 1 and now - self.drop_next < 16 * self.interval:
                self.count = delta
                self.newton_step()
            else:
                self.count, self.inverse_root = 1, ONE - 1
            self.drop_next = self.control_law(now)
            self.last_count = self.count
        return packet


class CodelModel(TimedModel):
    def __init__(self, target: int, interval: int, mtu: int) -> None:
        super().__init__()
        self.queue = CodelQueue(target, interval, mtu, self.drop)

    def enqueue(self, packet: Packet) -> bool:
        self.queue.push(packet)
        return True

    def dequeue(self, now: int) -> Packet | None:
        return self.queue.deque(now)
