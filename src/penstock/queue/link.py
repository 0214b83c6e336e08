"""The rate at which a queue sends: a clock that each packet moves on by the time it takes on the link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock.lang import Global, Struct, u32, u64

FRACTION: Final = 4
"""Times on the link count sixteenths of ns, which 64 bits hold for 36 years of uptime."""

_SCALE: Final = 24

LATE: Final = 4_000_000
"""ns: so much time in which packets waited, though the link was free, is made up for."""

SHORTEST: Final = 30
"""Bytes: no frame counts as less, so none is shorter than what a negative overhead takes off."""

MOST: Final = 4096
"""Bytes of overhead, or that each packet takes: at the slowest rate 64 bits hold the time of a full slot."""

SLOWEST: Final = 1000
FASTEST: Final = 10**13
"""Bits per second."""


class LinkState(Struct):
    """What a link is set to, and when it is free."""

    ready: u64
    """When the last packet has left: 1/16 ns, CLOCK_MONOTONIC."""
    per_byte: u64
    """1/16 ns for each byte, times 2^24; 0: no limit."""
    burst: u64
    """So much time on the link may be made up for: 1/16 ns."""
    overhead: u32
    """Bytes that each packet has on the link besides those of its frame; may be negative."""
    least: u32
    """Bytes that it takes at least, overhead included."""


@dataclass(frozen=True)
class Rate:
    """What a link carries: bits per second (None: as fast as it can), and how packets count."""

    bits_per_second: int | None = None
    burst: int = 1_000_000
    """ns."""
    overhead: int = 0
    least: int = 0

    def __post_init__(self) -> None:
        """ValueError for what would never let a packet go, or could not be counted in 64 bits."""
        rate = self.bits_per_second
        if rate is not None and not SLOWEST <= rate <= FASTEST:
            raise ValueError(f"a rate of {rate} bit/s: from {SLOWEST} to {FASTEST}")
        for name, value, least, most in (
            ("a burst in ns", self.burst, 0, 10**10),
            ("an overhead", self.overhead, -SHORTEST, MOST),
            ("an mpu", self.least, 0, MOST),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} of {value}: from {least} to {most}")

    def write(self, state: LinkState) -> None:
        """Set a loaded link to it, while packets go on."""
        state.burst = self.burst << FRACTION
        state.overhead, state.least = self.overhead & 0xFFFF_FFFF, self.least
        rate = self.bits_per_second
        state.per_byte = 0 if rate is None else round((8_000_000_000 << (FRACTION + _SCALE)) / rate)


class Link:
    """The link behind a queue. Only the queue's owner of the moment calls what is here."""

    def __init__(self) -> None:
        self.state = Global(LinkState, name="link")

    def is_unlimited(self) -> bool:
        """Whether it carries all that comes, at once."""
        return self.state.value.per_byte == 0

    def is_free(self, now: u64) -> bool:
        """Whether a packet may be sent."""
        return self.is_unlimited() or self.state.value.ready <= now << FRACTION

    def free_at(self) -> u64:
        """Return when the next packet may be sent, ns."""
        return (self.state.value.ready + (1 << FRACTION) - 1) >> FRACTION

    def send(self, length: u32, now: u64, arrival: u64) -> None:
        """Count a packet that is sent, and came at `arrival`.

        While it waited the link could have been used: a drain that is late makes up for that, in part.
        """
        link = self.state.value
        if self.is_unlimited():
            return
        size = max(max(length, SHORTEST) + link.overhead, link.least)
        since = max(arrival, now - min(now, LATE)) << FRACTION
        earliest = since - min(link.burst, since)
        link.ready = max(link.ready, earliest) + (u64(size) * link.per_byte >> _SCALE)
