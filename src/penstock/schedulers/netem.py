"""A network emulator: delay, jitter, loss, duplication, reordering and a rate.

The options mean what they mean in tc-netem(8); see also Hemminger, Network Emulation with NetEm
(linux.conf.au 2005). Jitter is uniform; a copy is lost and delayed by a chance of its own. Chance comes from
splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014), so the same
seed repeats a run.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from penstock.lang import Global, Struct, u32, u64
from penstock.queue.packet_pifo import PacketPifo
from penstock.queue.packets import QueuedPacket
from penstock.queue.scheduler import Parameter, Scheduler, Tunable
from penstock.units import count, duration, rate

STEP: Final = 8192
"""Of the clock, in ns: departures within one are first in, first out, and up to one late."""


def percent(text: str) -> int:
    """Return a share in units of 2**-32: `1%`, `0.02%`. ValueError if it is none, or above 100%."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    if found is None or Fraction(found[1]) > 100:
        raise ValueError(f"{text!r} is not a share, such as 0.5%")
    return round(Fraction(found[1]) * (1 << 32) / 100)


def limit(text: str) -> int:
    """Return bits per second as `rate` does, or 0 for `none`."""
    return 0 if text == "none" else rate(text)


class Emulation(Struct):
    """What came before."""

    random: u64
    counter: u64
    """Packets since the last one that was sent at once."""
    last: u64
    """When the last packet will have been sent at the rate, in ns."""


class Netem(Scheduler):
    """Delays, loses, doubles and reorders packets, as a long or a bad link does."""

    holds_back = True

    delay = Tunable(duration, "0ms", "how long packets take")
    jitter = Tunable(duration, "0ms", "by how much that varies, in both directions")
    loss = Tunable(percent, "0%", "share of packets that are lost")
    duplicate = Tunable(percent, "0%", "share of packets that come twice")
    reorder = Tunable(percent, "0%", "share of packets that are sent at once")
    gap = Tunable(count, "1", "of so many packets, only the last may be sent at once")
    bandwidth = Tunable(limit, "none", "rate of the emulated link: packets leave it one after the other")
    seed = Parameter(count, "1", "of the random numbers")

    def setup(self) -> None:
        self.state = Global(Emulation, name="emulation")
        self.clock = PacketPifo(self.packets, window=4096, granularity=STEP)
        self.copied = Global(u32, name="copied")
        """What `made_copy` returns."""

    def enqueue(self, packet: QueuedPacket, now: u64) -> bool:
        self.copied.value = 0
        if self._happens(self.duplicate.value):
            self._copy(packet, now)
        return self._send(packet, now)

    def dequeue(self, now: u64) -> QueuedPacket | None:
        return self.clock.pop_due(now)

    def next_due(self, now: u64) -> u64:
        return self.clock.next_due()

    def made_copy(self) -> u32:
        return self.copied.value

    def _copy(self, packet: QueuedPacket, now: u64) -> None:
        """Send a copy of a packet too, if there is room for it."""
        copy = self.packets.take()
        if copy is None:
            return
        copy.arrival, copy.flow, copy.length, copy.network = now, packet.flow, packet.length, packet.network
        copy.source_port, copy.destination_port = packet.source_port, packet.destination_port
        copy.protocol, copy.tos, copy.traffic_class = packet.protocol, packet.tos, packet.traffic_class
        copy.lane = packet.lane
        if self._send(copy, now):
            self.copied.value = copy.slot + 1
        else:
            self.packets.give_back(copy)

    def _send(self, packet: QueuedPacket, now: u64) -> bool:
        """Let a packet leave when it is time; False if it is lost."""
        return not self._happens(self.loss.value) and self.clock.push(packet, self._departure(packet, now))

    def _departure(self, packet: QueuedPacket, now: u64) -> u64:
        state, jitter, bandwidth = self.state.value, self.jitter.value, self.bandwidth.value
        state.counter += 1
        if state.counter >= self.gap.value and self._happens(self.reorder.value):
            state.counter = 0
            return now
        departure = now + max(self.delay.value + self._random() % (2 * jitter + 1), jitter) - jitter
        if bandwidth != 0:
            departure = max(departure, state.last) + u64(packet.length) * 8_000_000_000 // bandwidth
            state.last = departure
        return departure

    def _happens(self, share: u64) -> bool:
        return self._random() >> 32 < share

    def _random(self) -> u64:
        state = self.state.value
        state.random += 0x9E37_79B9_7F4A_7C15
        mixed = state.random + self.seed
        mixed = (mixed ^ mixed >> 30) * 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) * 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
