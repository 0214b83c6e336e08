"""TCP (RFC 9293) and its timestamps (RFC 7323)."""

from __future__ import annotations

from typing import Final

from penstock.lang import Packet, Struct, be16, be32, u8, u32

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10

_MAX_OPTIONS: Final = 16
_END, _PADDING, _TIMESTAMPS = 0, 1, 8
_USUAL: Final = be32(0x0101080A)  # two paddings, then kind and length of the timestamps: RFC 7323, appendix A


class TCP(Struct, packed=True):
    """The header, without options."""

    source: be16
    destination: be16
    sequence: be32
    acknowledgement: be32
    data_offset: u8
    flags: u8
    window: be16
    checksum: be16
    urgent: be16


class TimestampOption(Struct, packed=True):
    """The option; of others, kind and length lie alike."""

    kind: u8
    length: u8
    value: be32
    echo: be32


class _Usual(Struct, packed=True):
    """Options as nearly every packet has them."""

    start: be32
    value: be32
    echo: be32


class Timestamps(Struct):
    """The TSval and TSecr of a packet."""

    value: u32
    echo: u32


def header_length(header: TCP) -> u32:
    """Return the length with options, in bytes; below 20 it is wrong."""
    return u32(header.data_offset >> 4) << 2


def read_timestamps(packet: Packet, offset: u32, length: u32, found: Timestamps) -> bool:
    """Fill in the timestamps of the TCP header of `length` bytes at `offset`; return whether it has any.

    Options after the first 16, paddings included, are not looked at.
    """
    if length >= 32:
        usual = packet.read(_Usual, offset + 20)
        if usual is not None and usual.start == _USUAL:
            found.value = u32(usual.value)
            found.echo = u32(usual.echo)
            return True
    return _search(packet, offset + 20, offset + length, found)


def _search(packet: Packet, at: u32, end: u32, found: Timestamps) -> bool:
    for _ in range(_MAX_OPTIONS):
        if at + 10 > end:
            return False
        option = packet.read(TimestampOption, at)
        if option is None or option.kind == _END:
            return False
        if option.kind == _PADDING:
            at += 1
            continue
        if option.kind == _TIMESTAMPS and option.length == 10:
            found.value = u32(option.value)
            found.echo = u32(option.echo)
            return True
        if option.length < 2:
            return False
        at += u32(option.length)
    return False
