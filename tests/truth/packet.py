"""What passive ping needs of a packet, from the bytes of a captured frame."""

import struct
from typing import NamedTuple

ETHERNET, RAW_IP = 1, 101  # link types of pcap files
TAGS = {0x8100, 0x88A8, 0x9100}
TCP, ICMP, ICMPV6 = 6, 1, 58
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

# IPv6 extension headers (RFC 8200, 6275, 7401, 5533); most say their length in units of 8 bytes
FRAGMENT, AUTHENTICATION = 44, 51
HOP_BY_HOP, ROUTING, DESTINATION, MOBILITY, HIP, SHIM6 = 0, 43, 60, 135, 139, 140
CHAINED = {HOP_BY_HOP, ROUTING, DESTINATION, MOBILITY, HIP, SHIM6}

ECHOES = {ICMP: (8, 0), ICMPV6: (128, 129)}  # types of request and reply


class Packet(NamedTuple):
    """A TCP segment with timestamps, or a reset, which may do without; or an echo request or reply.

    An endpoint is an address (4 or 16 bytes) and a port, for ICMP the echo identifier. `offers` is what a
    reply will echo, `answers` what this packet echoes; `timed` says whether a reply will come at once.
    `payload` is in bytes; `ends` the flags FIN and RST, if set.
    """

    protocol: int
    source: tuple[bytes, int]
    target: tuple[bytes, int]
    offers: int | None
    answers: int | None
    timed: bool
    syn: bool
    payload: int = 0
    ends: int = 0

    def reverse(self) -> "Packet":
        """Return a packet the other way, to name the other direction."""
        return self._replace(source=self.target, target=self.source)


def parse(frame: bytes, link_type: int = ETHERNET) -> Packet | None:
    """Return what the frame says, or None if it is nothing for passive ping (or cut before it says so)."""
    try:
        start, version = (0, frame[0] >> 4) if link_type == RAW_IP else _skip_ethernet(frame)
        if version != frame[start] >> 4:
            return None
        if version == 4:
            return _ipv4(frame, start)
        return _ipv6(frame, start) if version == 6 else None
    except (IndexError, struct.error):
        return None


def _skip_ethernet(frame: bytes) -> tuple[int, int]:
    """Return where what is in the frame begins, and the IP version that it should have, or 0."""
    at = 12
    kind = int.from_bytes(frame[at : at + 2], "big")
    while kind in TAGS:
        at += 4
        kind = int.from_bytes(frame[at : at + 2], "big")
    return at + 2, {0x0800: 4, 0x86DD: 6}.get(kind, 0)


def _ipv4(frame: bytes, at: int) -> Packet | None:
    first, _, length, _, fragment, _, protocol, _, source, target = struct.unpack_from(
        "!BBHHHBBH4s4s", frame, at
    )
    words = first & 0x0F
    if fragment & 0x1FFF or words < 5:
        return None
    end = at + length if length else len(frame)  # 0: a super-packet that is too long to say how long
    return _transport(frame, at + 4 * words, end, protocol, source, target)


def _ipv6(frame: bytes, at: int) -> Packet | None:
    length, protocol, _, source, target = struct.unpack_from("!HBB16s16s", frame, at + 4)
    at, end = at + 40, at + 40 + length if length else len(frame)
    while protocol in CHAINED or protocol in {FRAGMENT, AUTHENTICATION}:
        size = 8 * (frame[at + 1] + 1)
        if protocol == AUTHENTICATION:
            size = 4 * (frame[at + 1] + 2)
        elif protocol == FRAGMENT:
            size = 8
            if struct.unpack_from("!H", frame, at + 2)[0] >> 3:
                return None
        protocol = frame[at]
        at += size
    return _transport(frame, at, end, protocol, source, target)


def _transport(frame: bytes, at: int, end: int, protocol: int, source: bytes, target: bytes) -> Packet | None:
    if protocol == TCP:
        return _tcp(frame, at, end, source, target)
    if protocol == (ICMP if len(source) == 4 else ICMPV6):
        return _echo(frame, at, end, protocol, source, target)
    return None


def _tcp(frame: bytes, at: int, end: int, source: bytes, target: bytes) -> Packet | None:
    source_port, target_port, _, _, offset, flags, _, _, _ = struct.unpack_from("!HHIIBBHHH", frame, at)
    data = at + 4 * (offset >> 4)
    if data < at + 20 or data > end:
        return None
    stamps = _timestamps(frame, at + 20, data)
    if stamps is None and (not flags & RST or data > len(frame)):  # RFC 7323, 3.2
        return None
    tsval, tsecr = stamps or (0, 0)
    return Packet(
        protocol=TCP,
        source=(source, source_port),
        target=(target, target_port),
        offers=tsval or None,
        answers=tsecr or None if flags & ACK else None,
        timed=end > data or bool(flags & (SYN | FIN)),
        syn=bool(flags & SYN),
        payload=end - data,
        ends=flags & (FIN | RST),
    )


def _timestamps(frame: bytes, at: int, end: int) -> tuple[int, int] | None:
    if frame[at : at + 4] == b"\x01\x01\x08\x0a" and at + 12 <= end:  # as nearly all send them
        return struct.unpack_from("!II", frame, at + 4)
    while at < end:
        kind = frame[at]
        if kind == 0:
            return None
        if kind == 1:
            at += 1
            continue
        size = frame[at + 1] if at + 1 < end else 0
        if kind == 8 and size == 10 and at + 10 <= end:
            return struct.unpack_from("!II", frame, at + 2)
        if size < 2:
            return None
        at += size
    return None


def _echo(frame: bytes, at: int, end: int, protocol: int, source: bytes, target: bytes) -> Packet | None:
    kind, code, _, identifier, sequence = struct.unpack_from("!BBHHH", frame, at)
    if code or kind not in ECHOES[protocol] or at + 8 > end:
        return None
    request = kind == ECHOES[protocol][0]
    ends = (source, identifier), (target, identifier)
    numbers = (sequence, None) if request else (None, sequence)
    return Packet(protocol, *ends, *numbers, timed=request, syn=False, payload=end - at - 8)
