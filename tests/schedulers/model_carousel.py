"""Carousel (SIGCOMM 2017, section 4): each packet gets a time, and leaves when that has come."""

from __future__ import annotations

from collections import defaultdict

from tests.schedulers.compare import Packet
from tests.schedulers.model_base import TimedModel
from tests.schedulers.model_clock import Clock

STEP = 8192
NS_PER_BYTE = 8 * 10**9


class CarouselModel(TimedModel):
    def __init__(self, flow_rate: int, horizon: int, flows: int) -> None:
        super().__init__()
        self.flow_rate, self.horizon, self.flows = flow_rate, horizon, flows
        self.following = defaultdict[int, int](int)
        self.clock = Clock(STEP)

    def enqueue(self, packet: Packet) -> bool:
        flow = packet.flow % self.flows
        departure = max(packet.arrival, self.following[flow])
        if departure - packet.arrival > self.horizon:
            return False
        self.following[flow] = departure + packet.length * NS_PER_BYTE // self.flow_rate
        self.clock.push(packet, departure)
        return True

    def dequeue(self, now: int) -> Packet | None:
        return self.clock.pop_due(now)

    def next_due(self, _now: int) -> int:
        return self.clock.next_due()
