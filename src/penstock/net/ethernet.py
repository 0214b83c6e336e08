"""Ethernet and its VLAN tags: IEEE 802.3, 802.1Q and 802.1ad."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from penstock.lang import Array, Packet, Struct, array, be16, u8, u32

IPV4: Final = be16(0x0800)
IPV6: Final = be16(0x86DD)
CUT: Final = be16(0)
"""In place of an EtherType: the packet ends before it."""

_TAGS: Final = (be16(0x8100), be16(0x88A8), be16(0x9100))  # 802.1Q, 802.1ad, and QinQ before that
_MAX_TAGS: Final = 3


class Link(IntEnum):
    """What packets begin with on an interface."""

    ETHERNET = 0
    NONE = 1
    """The IP header: tunnels, WireGuard, PPP."""


class Ethernet(Struct, packed=True):
    """The header of a frame."""

    destination: Array[u8] = array(6)
    source: Array[u8] = array(6)
    ethertype: be16


class VlanTag(Struct, packed=True):
    """A tag, after the EtherType that announces it."""

    control: be16
    ethertype: be16


class _Version(Struct, packed=True):
    """The first byte of any IP header."""

    version: u8


def network_layer(packet: Packet, link: Link) -> tuple[be16, u32]:
    """Return the EtherType of what follows the link layer and up to three tags, and its offset in bytes.

    In tc a tag may have been taken off the packet before: the EtherType is that of the content then, too.
    """
    if link == Link.NONE:
        return _by_version(packet), 0
    header = packet.read(Ethernet, 0)
    if header is None:
        return CUT, 0
    kind = header.ethertype
    offset: u32 = 14
    if kind != IPV4 and kind != IPV6:  # noqa: PLR1714  # so that plain IP is not compared with the tags
        kind, offset = _skip_tags(packet, kind)
    return kind, offset


def _skip_tags(packet: Packet, kind: be16) -> tuple[be16, u32]:
    offset: u32 = 14
    for _ in range(_MAX_TAGS):
        if kind not in _TAGS:
            break
        tag = packet.read(VlanTag, offset)
        if tag is None:
            return CUT, offset
        kind = tag.ethertype
        offset += 4
    return kind, offset


def _by_version(packet: Packet) -> be16:
    first = packet.read(_Version, 0)
    if first is None:
        return CUT
    version = first.version >> 4
    return IPV4 if version == 4 else IPV6 if version == 6 else be16(0xFFFF)
