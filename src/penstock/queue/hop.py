"""An IP packet passes a router: what the kernel's tables are asked, and what is rewritten then."""

from __future__ import annotations

from typing import Final

from penstock.lang import Array, Struct, Xdp, array, be16, be32, u16, u32
from penstock.lang.helpers import AF_INET, AF_INET6, FibLookup
from penstock.net.ethernet import IPV4, IPV6, Ethernet
from penstock.net.ip import IPv4, IPv6

UNREADABLE: Final = 256
"""The hop limit of what is no IP packet, or is cut."""


class _Addresses(Struct, packed=True):
    """The two addresses of an IPv6 header, as `fib_lookup` takes them."""

    source: Array[be32] = array(4)
    destination: Array[be32] = array(4)


def ask(packet: Xdp, kind: be16, offset: u32, route: FibLookup) -> u32:
    """Say in `route` what is to be looked up; return the hop limit, or UNREADABLE.

    `kind` is the EtherType, `offset` where the IP header begins.
    """
    if kind == IPV4:
        return _ask_ipv4(packet, offset, route)
    if kind == IPV6:
        return _ask_ipv6(packet, offset, route)
    return UNREADABLE


def _ask_ipv4(packet: Xdp, offset: u32, route: FibLookup) -> u32:
    header = packet.read(IPv4, offset)
    if header is None:
        return UNREADABLE
    route.family = AF_INET
    route.protocol = header.protocol
    route.length = u16(header.total_length)
    route.flow_info = be32(u32(header.traffic_class) << 24)
    route.source[0], route.destination[0] = header.source, header.destination
    return u32(header.ttl)


def _ask_ipv6(packet: Xdp, offset: u32, route: FibLookup) -> u32:
    header, addresses = packet.read(IPv6, offset), packet.read(_Addresses, offset + 8)
    if header is None or addresses is None:
        return UNREADABLE
    route.family = AF_INET6
    route.protocol = header.next_header
    route.length = u16(header.payload_length) + 40
    route.flow_info = be32(u32(header.version_class_label) & 0x0FFF_FFFF)
    route.source, route.destination = addresses.source, addresses.destination
    return u32(header.hop_limit)


def rewrite(packet: Xdp, kind: be16, offset: u32, route: FibLookup) -> None:
    """Address a frame to the next hop, and lower the hop limit."""
    stations = packet.read(Ethernet, 0)
    if stations is not None:
        stations.destination, stations.source = route.destination_mac, route.source_mac
    if kind == IPV4:
        header = packet.read(IPv4, offset)
        if header is not None:
            checksum = u32(u16(header.checksum)) + 0x0100  # RFC 1624, as the kernel's ip_decrease_ttl
            header.checksum = be16(u16(checksum + u32(checksum >= 0xFFFF)))
            header.ttl -= 1
        return
    header6 = packet.read(IPv6, offset)
    if header6 is not None:
        header6.hop_limit -= 1
