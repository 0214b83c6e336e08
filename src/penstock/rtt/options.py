"""Options of `penstock rtt`: constants of the compilation for the programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RttOptions:
    """What to measure. Times in ns.

    `rate_limit`: at most one RTT per flow direction and this long; 0 reports all. `rtt_rate`, if not 0, makes the
    interval that many times the flow's RTT instead (`rtt_type`: its minimum, or smoothed as in RFC 6298).
    """

    tcp: bool = True
    icmp: bool = True
    syn: bool = False
    local: bool = True
    rate_limit: int = 100_000_000
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
