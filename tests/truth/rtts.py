"""The rules of passive ping, applied to a capture.

They are those of Nichols' pping and of ePPing (Sundberg et al., "Efficient Continuous Latency Monitoring with
eBPF", PAM 2023).
"""

import socket
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


@dataclass(frozen=True)
class Rules:
    """What may differ: whether SYN packets count, and whether a flow's first TSval is timed.

    The first packet seen with a TSval is not always the first that was sent with it. Where no SYN shows that
    it is, ePPing waits for the TSval to change (`first_edge`).
    """

    syn: bool = False
    first_edge: bool = True


@dataclass
class _Direction:
    """Packets from one endpoint to another."""

    last: int | None = None
    waiting: dict[int, int] = field(default_factory=dict)


def rtts_of(path: Path, rules: Rules = Rules()) -> list[Rtt]:
    """Return the RTTs in a pcap file, in the order of their replies."""
    with RawPcapReader(str(path)) as reader:
        scale = 1 if reader.nano else 1000
        link_type: int = reader.linktype
        packets = ((meta.sec * 10**9 + meta.usec * scale, parse(data, link_type)) for data, meta in reader)
        return passive_rtts(((time, packet) for time, packet in packets if packet), rules)


def passive_rtts(packets: Iterable[tuple[int, Packet]], rules: Rules = Rules()) -> list[Rtt]:
    """Return the RTTs of packets given with their times in ns, in the order of their replies."""
    directions: dict[tuple[object, ...], _Direction] = {}
    found: list[Rtt] = []
    for time, packet in packets:
        if packet.syn and not rules.syn:
            continue
        protocol, source, target = packet[:3]
        if packet.timed and packet.offers is not None:
            own = directions.setdefault((protocol, source, target), _Direction())
            _time(own, packet, time, rules)
        peer = directions.get((protocol, target, source))
        if peer and packet.answers is not None:
            start = peer.waiting.pop(packet.answers, None)
            if start is not None:
                found.append(_report(packet, time, time - start))
    return found


def _time(direction: _Direction, packet: Packet, time: int, rules: Rules) -> None:
    """Note the time of the first packet with an identifier, if it is newer than the ones before."""
    assert packet.offers is not None
    last, direction.last = direction.last, packet.offers
    if last is None:
        first_is_known = packet.protocol != TCP or packet.syn
        if rules.first_edge and not first_is_known:
            return
    elif not _newer(packet, last):
        direction.last = last
        return
    direction.waiting[packet.offers] = time


def _newer(packet: Packet, last: int) -> bool:
    assert packet.offers is not None
    if packet.protocol != TCP:
        return packet.offers != last
    return 0 < (packet.offers - last) % 2**32 < 2**31  # RFC 7323, 5.2


def _report(packet: Packet, time: int, rtt: int) -> Rtt:
    (source, source_port), (target, target_port) = packet.source, packet.target
    name = NAMES[packet.protocol]
    return Rtt(time, rtt, _text(source), source_port, _text(target), target_port, name)


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)
