"""The independent judge: RTTs computed from a capture of the packets that penstock saw.

Nothing here uses penstock. tcpdump writes the capture, scapy reads the file, `packet` finds the headers,
`rtts` applies the rules of passive ping, `compare` pairs the result with what penstock reported.
"""

from tests.truth.capture import Capture
from tests.truth.compare import Comparison, compare, reported_rtts
from tests.truth.packet import Packet, parse
from tests.truth.rtts import Rtt, passive_rtts, rtts_of

__all__ = [
    "Capture",
    "Comparison",
    "Packet",
    "Rtt",
    "compare",
    "parse",
    "passive_rtts",
    "reported_rtts",
    "rtts_of",
]
