"""Pacing: each flow at a rate of its own, by the time at which each packet may leave.

Saeed, Dukkipati, Valancius, Lam, Contavalli and Vahdat, Carousel: Scalable Traffic Shaping at End Hosts
(SIGCOMM 2017): one queue, ordered by departure times, instead of one per flow. Packets beyond the horizon are
dropped, as by Linux's fq.
"""

from __future__ import annotations

from typing import Final

from penstock.lang import ArrayMap, Struct, u64
from penstock.queue.packet_pifo import PacketPifo
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import Parameter, Scheduler, Tunable
from penstock.units import count, duration, rate

STEP: Final = 8192
"""Of the clock, in ns: departures within one are first in, first out, and up to one late."""


class Last(Struct):
    """A flow's last packet: with it, another rate takes effect at once."""

    departure: u64
    length: u64


class Carousel(Scheduler):
    """Paces each flow at the same rate.

    What arrives is dropped if its time is beyond the horizon, or as many packets wait as can.
    """

    holds_back = True

    flow_rate = Tunable(rate, "10mbit", "rate of each flow")
    horizon = Tunable(duration, "100ms", "packets that would have to wait longer are dropped")
    flows = Parameter(count, "4096", "numbers that flows are hashed to; those that share one share its rate")

    def setup(self) -> None:
        self.last = ArrayMap(Last, self.flows, name="last")
        self.clock = PacketPifo(self.packets, window=4096, granularity=STEP)

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        last = self.last.lookup(packet.flow % self.flows)
        if last is None:
            return False
        departure = max(now, last.departure + last.length * 8_000_000_000 // self.flow_rate.value)
        if departure > now + self.horizon.value:
            return False
        last.departure, last.length = departure, u64(packet.length)
        return self.clock.push(packet, departure)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.clock.pop_due(now)

    def next_due(self, now: u64) -> u64:
        return self.clock.next_due()
