"""What a packet means to the measurement of RTTs: which identifier it offers, and which it echoes."""

from __future__ import annotations

from enum import IntEnum

from penstock.lang import Packet, Struct, Tc, be16, helpers, u8, u16, u32
from penstock.net import icmp, tcp
from penstock.net.ethernet import Link
from penstock.net.icmp import Echo
from penstock.net.ip import Found, Layers, Protocol, read_layers
from penstock.net.tcp import TCP, Timestamps, header_length, read_timestamps
from penstock.rtt.options import RttOptions

_PULLED = 256
"""Bytes of headers to have in the linear part of a packet, at most."""

_SEQUENCE = 1 << 16
"""Makes any echo sequence an identifier other than 0."""


class Use(IntEnum):
    """What can be done with a packet."""

    NOT_IP = 0
    CUT = 1
    OTHER = 2
    NO_TIMESTAMP = 3
    RTT = 4


class Segment(Struct):
    """A TCP segment with timestamps, or a reset, or an echo; 0 where there is no identifier.

    `timed`: it is to be answered at once, as data, SYN and FIN are, but pure ACKs are not.
    """

    source_port: be16
    destination_port: be16
    value: u32
    echo: u32
    payload: u32
    flags: u8
    timed: bool


def read_segment(packet: Packet, link: Link, options: RttOptions, layers: Layers, segment: Segment) -> u32:
    """Fill in `layers` and `segment`; return the use of the packet, a `Use`."""
    use: u32 = Use.CUT
    for _ in range(2):
        use = _read(packet, link, options, layers, segment)
        if use != Use.CUT or not _pull(packet):
            break
    return use


def _pull(packet: Packet) -> bool:
    """Have headers that lie in a packet's fragments copied to where programs can read them, in tc."""
    if isinstance(packet, Tc):
        return helpers.pull(packet, min(packet.length, _PULLED)) == 0
    return False


def _read(packet: Packet, link: Link, options: RttOptions, layers: Layers, segment: Segment) -> u32:
    found = read_layers(packet, link, layers)
    if found == Found.NOT_IP:
        return Use.NOT_IP
    if found == Found.CUT:
        return Use.CUT
    if found == Found.IP:
        return Use.OTHER
    if options.tcp and layers.protocol == Protocol.TCP:
        return _read_tcp(packet, layers, segment)
    if options.icmp and layers.protocol == (Protocol.ICMPV6 if layers.is_ipv6 else Protocol.ICMP):
        return _read_echo(packet, layers, segment)
    return Use.OTHER


def _read_tcp(packet: Packet, layers: Layers, segment: Segment) -> u32:
    header = packet.read(TCP, layers.transport)
    if header is None:
        return Use.CUT
    length = header_length(header)
    if length < 20 or length > layers.transport_length:
        return Use.OTHER
    segment.source_port = header.source
    segment.destination_port = header.destination
    segment.flags = header.flags
    segment.payload = layers.transport_length - length
    segment.timed = segment.payload != 0 or header.flags & (tcp.SYN | tcp.FIN) != 0
    stamps = Timestamps()
    if not read_timestamps(packet, layers.transport, length, stamps):
        last = packet.read(u8, layers.transport + length - 1)
        if last is None:
            return Use.CUT
        if segment.flags & tcp.RST == 0:  # it ends its flow without, too (RFC 7323, 3.2)
            return Use.NO_TIMESTAMP
    segment.value = stamps.value
    segment.echo = stamps.echo if segment.flags & tcp.ACK != 0 else 0
    return Use.RTT


def _read_echo(packet: Packet, layers: Layers, segment: Segment) -> u32:
    header = packet.read(Echo, layers.transport)
    if header is None:
        return Use.CUT
    is_request = header.kind == (icmp.REQUEST_V6 if layers.is_ipv6 else icmp.REQUEST)
    is_reply = header.kind == (icmp.REPLY_V6 if layers.is_ipv6 else icmp.REPLY)
    if header.code != 0 or layers.transport_length < 8 or not (is_request or is_reply):
        return Use.OTHER
    segment.source_port = header.identifier
    segment.destination_port = header.identifier
    identifier = u32(u16(header.sequence)) | _SEQUENCE
    segment.value = identifier if is_request else 0
    segment.echo = 0 if is_request else identifier
    segment.payload = layers.transport_length - 8
    segment.flags = 0
    segment.timed = is_request
    return Use.RTT
