"""VLAN tags on links, by programs of penstock's own: not every kernel has VLAN interfaces (8021q)."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

import penstock
from penstock.lab.host import Host, Interface, IpInterface
from penstock.lang import TC_SHOT, TC_UNSPEC, Program, Tc, be16, be32, helpers, i32, tc, u32

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

MOST_TAGS: Final = 2

_TAG_LENGTH: Final = 4
_C_TAG: Final = 0x8100
_S_TAG: Final = 0x88A8
_ADDRESSES: Final = 12
"""Bytes of a frame before its tags."""
_IDENTIFIED: Final = 0xFFFF_0FFF
"""Of a tag: the EtherType that announces it and the VLAN, without priority."""


@contextlib.contextmanager
def tag_device(
    parent: Interface, tags: Sequence[int], addresses: Sequence[IpInterface]
) -> Generator[Interface]:
    """Make a device above `parent` whose frames carry one or two VLAN tags there, the outermost first.

    It is one end of a veth. What comes out at the other end gets the tags and leaves by `parent`; what comes
    in by `parent` with these tags takes the way back, without them. All that is done in the kernel, until the
    block ends. The device's MTU is smaller than that of `parent` by the tags.
    """
    host = parent.host
    _be_silent(host, parent.name)
    parent.offload(txvlan=False)
    name = ".".join([parent.name, *map(str, tags)])[:15]
    inside = _make_veth(host, name)
    mtu: int = host.netlink.get_links(parent.index)[0].get("mtu")
    device = Interface.up(host, name, addresses, mtu=mtu - _TAG_LENGTH * len(tags), address=parent.mac)
    put_on, take_off = _programs(tags, parent.index, inside)
    with penstock.load(put_on, take_off) as loaded:
        with host.enter():
            loaded.attach_tc(put_on, inside, "ingress")
            loaded.attach_tc(take_off, parent.index, "ingress")
        yield device


def _make_veth(host: Host, name: str) -> int:
    """Make a veth within a host; return the index of its other end, which the kernel names."""
    host.netlink.link("add", ifname=name, kind="veth")
    (index,) = host.netlink.link_lookup(ifname=name)
    other: int = host.netlink.get_links(index)[0].get("link")
    link: Any = host.netlink.get_links(other)[0]
    _be_silent(host, link.get("ifname"))
    host.netlink.link("set", index=other, state="up")
    return other


def _be_silent(host: Host, interface: str) -> None:
    """Have an interface that has no address send nothing of its own."""
    host.sysctl(f"net/ipv6/conf/{interface}/disable_ipv6", 1)


def _programs(tags: Sequence[int], parent: int, inside: int) -> tuple[Program, Program]:
    """Return what puts tags on, from the interface `inside` to `parent`, and what takes them off, back."""
    outer, inner = tags[0], tags[1] if len(tags) == MOST_TAGS else None
    kind = _C_TAG if inner is None else _S_TAG
    kind_in_context = socket.htons(kind)

    @tc
    def put_on(packet: Tc) -> int:
        if inner is not None and helpers.skb_vlan_push(packet, be16(_C_TAG), inner) != 0:
            return TC_SHOT
        if helpers.skb_vlan_push(packet, be16(kind), outer) != 0:
            return TC_SHOT
        return i32(helpers.redirect(parent))

    @tc
    def take_off(packet: Tc) -> int:
        # The kernel has taken the outer tag out of the frame before.
        if packet.vlan_proto != kind_in_context or packet.vlan_tci & 0x0FFF != outer:
            return TC_UNSPEC
        if inner is not None:
            word = packet.read(be32, _ADDRESSES)
            if word is None or u32(word.value) & _IDENTIFIED != _C_TAG << 16 | inner:
                return TC_UNSPEC
            if helpers.skb_vlan_pop(packet) != 0:
                return TC_SHOT
        if helpers.skb_vlan_pop(packet) != 0:
            return TC_SHOT
        return i32(helpers.redirect(inside))

    return put_on, take_off
