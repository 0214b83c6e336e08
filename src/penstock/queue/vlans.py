"""VLAN interfaces on the ports that a queue forwards between: their tags, and which of them has a frame's.

The kernel's FIB look-up knows no tags, up to Linux 6.18 (bpf_fib_set_fwd_params in net/core/filter.c): it is
told the VLAN interface by which a packet comes in, and names the one to leave by. XDP cannot send by that.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from penstock.lang import HashMap, Struct, Xdp, be16, be32, sizeof, u32
from penstock.net.ethernet import Ethernet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.kernel.load import Loaded

ONE_TAG: Final = sizeof(Ethernet) + 4
TWO_TAGS: Final = sizeof(Ethernet) + 8
"""Where the IP header begins behind tags."""

_ADDRESSES: Final = 12
"""Bytes of a frame before its tags."""
_NONE: Final = be32(0)
_IDENTIFIED: Final = 0xFFFF_0FFF
"""Of a tag: the EtherType that announces it and the VLAN, without priority."""


class Vlan(Struct):
    """What is special about the frames of a VLAN interface: where they pass, and their tags.

    A tag is as on the wire, its EtherType first, and has no priority; 0 is none.
    """

    port: u32
    outer: be32
    inner: be32


class _Tags(Struct, packed=True):
    """What follows the addresses of a frame with tags; with one, `inner` is of what follows it."""

    outer: be32
    inner: be32


class Vlans:
    """VLAN interfaces, by their index."""

    def __init__(self, interfaces: Mapping[int, Vlan]) -> None:
        self.interfaces = interfaces
        self.arrivals = HashMap(Vlan, u32, len(interfaces), name="arrivals")
        self.departures = HashMap(u32, Vlan, len(interfaces), name="departures")

    def write(self, loaded: Loaded) -> None:
        """Tell loaded programs."""
        for index, vlan in self.interfaces.items():
            with suppress(KeyError):  # a bridge asks for arrivals only
                loaded[self.arrivals][vlan] = index
                loaded[self.departures][index] = vlan

    def interface(self, packet: Xdp, offset: u32) -> u32:
        """Return the index of the interface that a frame with tags comes in by, 0 if there is none.

        `offset` is where the tags end; an interface has one or two.
        """
        tags = packet.read(_Tags, _ADDRESSES)
        if tags is None or offset > TWO_TAGS:
            return 0
        vlan = Vlan(port=packet.ifindex, outer=_identified(tags.outer))
        if offset == TWO_TAGS:
            vlan.inner = _identified(tags.inner)
        found = self.arrivals.lookup(vlan)
        return found.value if found is not None else u32(0)

    def leaving(self, ifindex: u32) -> Vlan | None:
        """Return what frames have that leave by a VLAN interface; None if it is none."""
        return self.departures.lookup(ifindex)


def header_length(vlan: Vlan | None) -> u32:
    """Return how long the Ethernet header of such frames is: where their IP header begins."""
    if vlan is None:
        return sizeof(Ethernet)
    return ONE_TAG if vlan.inner == _NONE else TWO_TAGS


def write_tags(packet: Xdp, vlan: Vlan | None, kind: be16) -> None:
    """Write what is between the addresses of a frame and its IP header: tags, and the EtherType `kind`."""
    tags, ethertype = packet.read(_Tags, _ADDRESSES), packet.read(be16, header_length(vlan) - 2)
    if vlan is not None and tags is not None:
        tags.outer = vlan.outer
        if vlan.inner != _NONE:
            tags.inner = vlan.inner
    if ethertype is not None:
        ethertype.value = kind


def _identified(tag: be32) -> be32:
    return be32(u32(tag) & _IDENTIFIED)
