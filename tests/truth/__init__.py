"""The independent judge: RTTs computed from a capture of the packets that penstock saw.

Nothing here uses penstock. tcpdump has written the capture, scapy reads the file, `packet` finds the headers,
`rtts` applies the rules of passive ping, `compare` pairs the result with what penstock reported.
"""

from tests.truth.changes import Change, flow_changes
from tests.truth.compare import Comparison, compare, reported_rtts
from tests.truth.packet import Packet, parse
from tests.truth.rtts import Rtt, captured_packets, passive_rtts, rtts_of

__all__ = [
    "Change",
    "Comparison",
    "Packet",
    "Rtt",
    "captured_packets",
    "compare",
    "flow_changes",
    "parse",
    "passive_rtts",
    "reported_rtts",
    "rtts_of",
]
