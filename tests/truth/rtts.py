"""The rules of passive ping, applied to a capture.

After Nichols' pping and ePPing (Sundberg et al., "Efficient Continuous Latency Monitoring with eBPF", 2023):

- A packet is timed if it is the first of its direction with a TSval newer than any before (by serial
  arithmetic), and has data, SYN or FIN. If a pure ACK was first with a TSval, nothing is timed: the echo may
  be that of the ACK.
- The first TSval seen of a direction may have been sent before. Unless it is that of a SYN, it is not timed.
- The first packet of the other direction that echoes a timed TSval gives the RTT, and ends it.
- TSval 0 and TSecr 0 are none. Unless SYN packets are asked for, they only tell the first TSval.
- A flow begins with a packet that asks for an answer, in whichever direction: neither with a pure ACK, as in
  ePPing (`lookup_or_create_dualflow_state`), nor with what ends flows. It ends with RST, or when both sides
  have sent FIN and something else follows, the last ACK. What comes later, out of order, answers nothing.
- Echo requests are timed if their sequence is not that of the one before; the first reply gives the RTT.
"""

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from scapy.utils import RawPcapReader

from tests.truth.packet import FIN, ICMP, ICMPV6, RST, TCP, Packet, parse

NAMES = {TCP: "TCP", ICMP: "ICMP", ICMPV6: "ICMPv6"}


class Rtt(NamedTuple):
    """An RTT, with the fields of ePPing's output: the flow is that of the reply, so `src` is who replied.

    `timestamp` is the reply's arrival on the wall clock, both times in ns. `sent` counts packets and bytes of
    payload from `dest` to `src`, `rec` those that came back, this reply included.
    """

    timestamp: int
    rtt: int
    src_ip: str
    src_port: int
    dest_ip: str
    dest_port: int
    protocol: str
    sent_packets: int = 0
    sent_bytes: int = 0
    rec_packets: int = 0
    rec_bytes: int = 0

    @property
    def flow(self) -> tuple[str, int, str, int, str]:
        """The name of its flow."""
        return self[2:7]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Packets and bytes of both directions."""
        return self[7:]


@dataclass
class Direction:
    """Packets from one endpoint to another: the newest identifier, and the times of those not yet echoed."""

    newest: int | None = None
    waiting: dict[int | None, int] = field(default_factory=dict)
    ended: bool = False
    packets: int = 0
    payload: int = 0


class Flow:
    """Both directions of a flow, by who sends."""

    def __init__(self, packet: Packet) -> None:
        self.directions = {packet.source: Direction(), packet.target: Direction()}

    def of(self, packet: Packet) -> tuple[Direction, Direction]:
        """Return the packet's direction, and the other."""
        return self.directions[packet.source], self.directions[packet.target]


def captured_packets(path: Path) -> Iterator[tuple[int, Packet]]:
    """Yield those packets of a pcap file that say something, with their times in ns."""
    with RawPcapReader(str(path)) as reader:
        scale = 1 if reader.nano else 1000
        for data, meta in reader:
            packet = parse(data, reader.linktype)
            if packet:
                yield meta.sec * 10**9 + meta.usec * scale, packet


def rtts_of(path: Path, *, syn: bool = False) -> list[Rtt]:
    """Return the RTTs in a pcap file, in the order of their replies."""
    return passive_rtts(captured_packets(path), syn=syn)


def passive_rtts(packets: Iterable[tuple[int, Packet]], *, syn: bool = False) -> list[Rtt]:
    """Return the RTTs of packets given with their times in ns, in the order of their replies."""
    flows: dict[object, Flow] = {}
    found: list[Rtt] = []
    for time, packet in packets:
        name = packet.protocol, frozenset(packet[1:3])
        if name not in flows:
            if not packet.timed or packet.ends:
                continue
            flows[name] = Flow(packet)
        own, other = flows[name].of(packet)
        if packet.syn and not syn:
            own.newest = packet.offers
            continue
        own.packets += 1
        own.payload += packet.payload
        _time(own, packet, time)
        start = other.waiting.pop(packet.answers, None)
        if start is not None:
            found.append(_report(packet, time, time - start, other, own))
        own.ended |= packet.ends != 0
        other.ended |= packet.ends & RST != 0
        if own.ended and other.ended and not packet.ends & FIN:
            del flows[name]
    return found


def _time(direction: Direction, packet: Packet, time: int) -> None:
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


def _report(packet: Packet, time: int, rtt: int, timed: Direction, reply: Direction) -> Rtt:
    (source, source_port), (target, target_port) = packet.source, packet.target
    counts = timed.packets, timed.payload, reply.packets, reply.payload
    name = NAMES[packet.protocol]
    return Rtt(time, rtt, text(source), source_port, text(target), target_port, name, *counts)


def text(address: bytes) -> str:
    """Spell an address."""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)
