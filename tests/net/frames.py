"""Packets made by hand, layer by layer, as bytes: nothing in them is right unless a test wants it so."""

from __future__ import annotations

import struct
from ipaddress import ip_address

IPV4, IPV6, ARP, VLAN, QINQ = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8
HOP_BY_HOP, ICMP, TCP, UDP, ROUTING, FRAGMENT, AUTHENTICATION = 0, 1, 6, 17, 43, 44, 51
ICMPV6, DESTINATION, MOBILITY, HIP, SHIM6 = 58, 60, 135, 139, 140
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


def ethernet(content: bytes, kind: int | None = None, *, tags: tuple[int, ...] = ()) -> bytes:
    """A frame; its type is that of the IP packet in it unless given."""
    kind = kind if kind is not None else IPV4 if content[0] >> 4 == 4 else IPV6
    head = b"\x02\0\0\0\0\1\x02\0\0\0\0\2" + b"".join(struct.pack("!HH", tag, 0x2064) for tag in tags)
    return head + struct.pack("!H", kind) + content


def ip(source: str, target: str, protocol: int, content: bytes) -> bytes:
    """An IPv4 or IPv6 packet, as the addresses ask for."""
    return (ipv6 if ":" in source else ipv4)(source, target, protocol, content)


def ipv4(
    source: str,
    target: str,
    protocol: int,
    content: bytes,
    *,
    options: bytes = b"",
    traffic_class: int = 0,
    length: int | None = None,
    fragment: int = 0,
    version: int = 4,
    words: int | None = None,
) -> bytes:
    words = 5 + len(options) // 4 if words is None else words
    length = 20 + len(options) + len(content) if length is None else length
    start = struct.pack(
        "!BBHHHBBH", version << 4 | words, traffic_class, length, 7, fragment, 64, protocol, 0
    )
    return start + ip_address(source).packed + ip_address(target).packed + options + content


def ipv6(
    source: str,
    target: str,
    protocol: int,
    content: bytes,
    *,
    traffic_class: int = 0,
    length: int | None = None,
    version: int = 6,
) -> bytes:
    length = len(content) if length is None else length
    start = struct.pack("!IHBB", version << 28 | traffic_class << 20 | 0x12345, length, protocol, 64)
    return start + ip_address(source).packed + ip_address(target).packed + content


def chain(headers: list[bytes], kinds: list[int], last: int, content: bytes) -> tuple[int, bytes]:
    """The kind of the first header; the headers, linked to one another and to `last`, and the content."""
    following = [*kinds[1:], last]
    pairs = zip(following, headers, strict=True)
    linked = [bytes([after]) + header[1:] for after, header in pairs]
    return (kinds[0] if kinds else last), b"".join(linked) + content


def extension(kind: int, *, units: int = 0, offset: int = 0) -> bytes:
    """An extension header with `units` more than it must have; `offset` of a fragment in units of 8 bytes."""
    if kind == FRAGMENT:
        return struct.pack("!BBHI", 0, 0, offset << 3, 99)
    if kind == AUTHENTICATION:
        return bytes([0, 1 + units]) + bytes(10 + 4 * units)
    return bytes([0, units]) + bytes(6 + 8 * units)


def tcp(
    source: int,
    target: int,
    value: int | None = None,
    echo: int = 0,
    *,
    flags: int = ACK,
    data: bytes = b"",
    options: bytes | None = None,
    words: int | None = None,
) -> bytes:
    """A segment with timestamps in the usual place, with other `options`, or with none."""
    if options is None:
        options = b"" if value is None else b"\1\1" + timestamps(value, echo)
    words = 5 + len(options) // 4 if words is None else words
    return struct.pack("!HHIIBBHHH", source, target, 1, 1, words << 4, flags, 500, 0, 0) + options + data


def timestamps(value: int, echo: int) -> bytes:
    return struct.pack("!BBII", 8, 10, value, echo)


def udp(source: int, target: int, data: bytes = b"") -> bytes:
    return struct.pack("!HHHH", source, target, 8 + len(data), 0) + data


def echo(kind: int, identifier: int, sequence: int, data: bytes = b"", *, code: int = 0) -> bytes:
    return struct.pack("!BBHHH", kind, code, 0, identifier, sequence) + data
