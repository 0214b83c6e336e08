"""Options of `penstock rtt`: constants of the compilation for the programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_MS = 1_000_000


@dataclass(frozen=True)
class RttOptions:
    """What to measure. Times in ns.

    `rate_limit`: at most one RTT per flow direction and this long; 0 reports all. `rtt_rate`, if not 0, makes
    it so many times the flow's RTT (`rtt_type`: its minimum, or smoothed as in RFC 6298) once that is known.

    `local`: whether to time packets that arrive for this host, that is, its own delay in replying.
    `aggregate_by`: whose prefix an RTT counts for, the source of the reply or its destination.
    """

    tcp: bool = True
    icmp: bool = True
    syn: bool = False
    local: bool = True
    rate_limit: int = 100 * _MS
    rtt_rate: float = 0.0
    rtt_type: Literal["min", "smoothed"] = "min"
    flows: int = 131_072
    flow_events: bool = True
    rtt_events: bool = True
    aggregate: bool = False
    aggregate_by: Literal["source", "destination"] = "source"
    prefix_v4: int = 24
    prefix_v6: int = 48
    prefixes: int = 16_384
    ring_bytes: int = 1 << 24

    @property
    def pending(self) -> int:
        """Room for flows whose opener has not answered yet."""
        return max(1024, self.flows // 4)

    @property
    def slots(self) -> int:
        """Packets of one direction that may be timed at once: a power of two.

        Enough for RTTs of 400 ms at the rate limit, between 4 and 64. TSvals change each ms, if not faster.
        """
        in_flight = 2 / self.rtt_rate if self.rtt_rate else 400 * _MS / max(self.rate_limit, _MS)
        return min(max(4, 1 << (int(in_flight) - 1).bit_length()), 64)

    @property
    def rtt_rate_fixed(self) -> int:
        """`rtt_rate` in units of 1/4096."""
        return max(1, round(self.rtt_rate * 4096))

    @property
    def mask_v4(self) -> int:
        """The bits of a mapped IPv4 address's lower half that make the prefix."""
        return _high_bits(64, 32 + self.prefix_v4)

    @property
    def masks_v6(self) -> tuple[int, int]:
        """The bits of an IPv6 address's halves that make the prefix."""
        return _high_bits(64, min(self.prefix_v6, 64)), _high_bits(64, max(self.prefix_v6 - 64, 0))


def _high_bits(width: int, count: int) -> int:
    return (1 << width) - (1 << (width - count))
