"""IPv4 (RFC 791), IPv6 and its extension headers (RFC 8200)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from penstock.lang import Packet, Struct, be16, be32, be64, u8, u16, u32, u64
from penstock.net import ethernet
from penstock.net.ethernet import Link, network_layer

MAPPED: Final = 0xFFFF << 32
"""The lower half of ::ffff:0.0.0.0, the prefix of IPv4 addresses in IPv6 (RFC 4291, 2.5.5.2)."""

_MAX_EXTENSIONS: Final = 8
_FRAGMENT_OFFSET: Final = 0x1FFF


class Protocol(IntEnum):
    """What an IP packet carries: IANA's protocol numbers."""

    HOP_BY_HOP = 0
    ICMP = 1
    TCP = 6
    UDP = 17
    ROUTING = 43
    FRAGMENT = 44
    AUTHENTICATION = 51
    ICMPV6 = 58
    DESTINATION = 60
    MOBILITY = 135
    HIP = 139
    SHIM6 = 140


_EXTENSIONS: Final = (
    Protocol.HOP_BY_HOP,
    Protocol.ROUTING,
    Protocol.FRAGMENT,
    Protocol.AUTHENTICATION,
    Protocol.DESTINATION,
    Protocol.MOBILITY,
    Protocol.HIP,
    Protocol.SHIM6,
)


class Found(IntEnum):
    """How far a packet could be read."""

    NOT_IP = 0
    CUT = 1
    """It ends within a header, or (tc) its linear part does."""
    IP = 2
    """An IP packet, but no start of a transport header: a later fragment, or too many extension headers."""
    TRANSPORT = 3


class Address(Struct):
    """An IPv6 address, or an IPv4 address mapped into IPv6."""

    high: be64
    low: be64


class IPv4(Struct, packed=True):
    """The header, without options."""

    version_length: u8
    traffic_class: u8
    total_length: be16
    identification: be16
    fragment: be16
    ttl: u8
    protocol: u8
    checksum: be16
    source: be32
    destination: be32


class IPv6(Struct, packed=True):
    """The header."""

    version_class_label: be32
    payload_length: be16
    next_header: u8
    hop_limit: u8
    source: Address
    destination: Address


class Extension(Struct, packed=True):
    """The beginning of an extension header; `offset` is a fragment's, in bytes and with three flag bits."""

    next_header: u8
    length: u8
    offset: be16


class Layers(Struct):
    """What the IP header says, and where the transport header is.

    Lengths in bytes, to the end of the packet: `length` from the IP header, `transport_length` from the
    transport header on. They are what the IP header says, so that the padding of short frames does not count.
    """

    source: Address
    destination: Address
    length: u32
    transport: u32
    transport_length: u32
    is_ipv6: bool
    protocol: u8
    traffic_class: u8


def read_layers(packet: Packet, link: Link, layers: Layers) -> u32:
    """Fill in `layers`; return how far that went, a `Found`. What lies beyond it is not filled in."""
    kind, offset = network_layer(packet, link)
    if kind == ethernet.IPV4:
        return _read_ipv4(packet, offset, layers)
    if kind == ethernet.IPV6:
        return _read_ipv6(packet, offset, layers)
    return u32(Found.CUT) if kind == ethernet.CUT else u32(Found.NOT_IP)


def _read_ipv4(packet: Packet, offset: u32, layers: Layers) -> u32:
    header = packet.read(IPv4, offset)
    if header is None:
        return Found.CUT
    header_length = u32(header.version_length & 0x0F) << 2
    if header.version_length >> 4 != 4 or header_length < 20:
        return Found.NOT_IP
    layers.source.high = be64(0)
    layers.destination.high = be64(0)
    layers.source.low = be64(u64(u32(header.source)) | MAPPED)
    layers.destination.low = be64(u64(u32(header.destination)) | MAPPED)
    layers.is_ipv6 = False
    layers.protocol = header.protocol
    layers.traffic_class = header.traffic_class
    length = u32(u16(header.total_length))
    layers.length = length if length != 0 else _rest(packet, offset)
    layers.transport = offset + header_length
    layers.transport_length = layers.length - header_length
    later = u16(header.fragment) & _FRAGMENT_OFFSET != 0
    return u32(Found.IP) if later or layers.length < header_length else u32(Found.TRANSPORT)


def _read_ipv6(packet: Packet, offset: u32, layers: Layers) -> u32:
    header = packet.read(IPv6, offset)
    if header is None:
        return Found.CUT
    word = u32(header.version_class_label)
    if word >> 28 != 6:
        return Found.NOT_IP
    layers.source = header.source
    layers.destination = header.destination
    layers.is_ipv6 = True
    layers.traffic_class = u8(word >> 20)
    payload = u32(u16(header.payload_length))
    layers.length = payload + 40 if payload != 0 else _rest(packet, offset)
    layers.protocol = header.next_header
    layers.transport = offset + 40
    found = _skip_extensions(packet, layers)
    used = layers.transport - offset
    layers.transport_length = layers.length - used
    return u32(Found.IP) if found == Found.TRANSPORT and layers.length < used else found


def _skip_extensions(packet: Packet, layers: Layers) -> u32:
    for _ in range(_MAX_EXTENSIONS):
        if layers.protocol not in _EXTENSIONS:
            return Found.TRANSPORT
        header = packet.read(Extension, layers.transport)
        if header is None:
            return Found.CUT
        size = (u32(header.length) + 1) << 3
        if layers.protocol == Protocol.AUTHENTICATION:
            size = (u32(header.length) + 2) << 2  # RFC 4302, 2.2
        elif layers.protocol == Protocol.FRAGMENT:
            size = 8
            if u16(header.offset) >> 3 != 0:
                return Found.IP
        layers.protocol = header.next_header
        layers.transport += size
    return u32(Found.IP) if layers.protocol in _EXTENSIONS else u32(Found.TRANSPORT)


def _rest(packet: Packet, offset: u32) -> u32:
    """Return what is left of the packet: a length of 0 says that it is a super-packet too long to say so.

    (BIG TCP, Documentation/networking/ip-sysctl.rst: `gso_max_size` above 65536.)
    """
    return packet.length - offset
