"""The rules of passive ping, applied to a capture.

After Nichols' pping and ePPing (Sundberg et al., "Efficient Continuous Latency Monitoring with eBPF", 2023):

- A packet is timed if it is the first of its direction with a TSval newer than any before (by serial
  arithmetic), and has data, SYN or FIN. If a pure ACK was first with a TSval, nothing is timed: the echo may
  be that of the ACK.
- The first TSval seen of a direction may have been sent before. Unless it is that of a SYN, it is not timed.
- The first packet of the other direction that echoes a timed TSval gives the RTT, and ends it.
- TSval 0 and TSecr 0 are none. Unless SYN packets are asked for, they only tell the first TSval.
- Echo requests are timed if their sequence is not that of the one before; the first reply gives the RTT.
"""

import socket
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from scapy.utils import RawPcapReader

from tests.truth.packet import ICMP, ICMPV6, TCP, Packet, parse

NAMES = {TCP: "TCP", ICMP: "ICMP", ICMPV6: "ICMPv6"}


class Rtt(NamedTuple):
    """An RTT, with the fields of ePPing's output: the flow is that of the reply, so `src` is who replied.

    `timestamp` is the reply's arrival on the wall clock, both times in ns.
    """

    timestamp: int
    rtt: int
    src_ip: str
    src_port: int
    dest_ip: str
    dest_port: int
    protocol: str


@dataclass
class _Direction:
    """Packets from one endpoint to another: the newest identifier, and the times of those not yet echoed."""

    newest: int | None = None
    waiting: dict[int | None, int] = field(default_factory=dict)


def rtts_of(path: Path, *, syn: bool = False) -> list[Rtt]:
    """Return the RTTs in a pcap file, in the order of their replies."""
    with RawPcapReader(str(path)) as reader:
        scale = 1 if reader.nano else 1000
        link_type: int = reader.linktype
        packets = ((meta.sec * 10**9 + meta.usec * scale, parse(data, link_type)) for data, meta in reader)
        return passive_rtts(((time, packet) for time, packet in packets if packet), syn=syn)


def passive_rtts(packets: Iterable[tuple[int, Packet]], *, syn: bool = False) -> list[Rtt]:
    """Return the RTTs of packets given with their times in ns, in the order of their replies."""
    directions: defaultdict[tuple[object, ...], _Direction] = defaultdict(_Direction)
    found: list[Rtt] = []
    for time, packet in packets:
        protocol, source, target = packet[:3]
        own = directions[protocol, source, target]
        if packet.syn and not syn:
            own.newest = packet.offers
            continue
        _time(own, packet, time)
        start = directions[protocol, target, source].waiting.pop(packet.answers, None)
        if start is not None:
            found.append(_report(packet, time, time - start))
    return found


def _time(direction: _Direction, packet: Packet, time: int) -> None:
    """Note the packet's identifier if it is new, and the time if the packet is to be timed."""
    newest = direction.newest
    if packet.offers is None or not _is_new(packet, newest):
        return
    direction.newest = packet.offers
    first_is_known = newest is not None or packet.syn or packet.protocol != TCP
    if packet.timed and first_is_known:
        direction.waiting[packet.offers] = time


def _is_new(packet: Packet, newest: int | None) -> bool:
    assert packet.offers is not None
    if packet.protocol != TCP or packet.syn or newest is None:
        return packet.offers != newest
    return 0 < (packet.offers - newest) % 2**32 < 2**31  # RFC 7323, 5.2


def _report(packet: Packet, time: int, rtt: int) -> Rtt:
    (source, source_port), (target, target_port) = packet.source, packet.target
    name = NAMES[packet.protocol]
    return Rtt(time, rtt, _text(source), source_port, _text(target), target_port, name)


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)
