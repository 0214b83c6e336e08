"""Which frames a queue takes, and what is changed in them: as a bridge does, or as a router.

Whatever is not sure to be forwarded goes to the kernel's stack, untouched: it answers, resolves and floods.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from penstock.lang import XDP_PASS, PerCpuArray, Struct, Xdp, be16, be32, helpers, i32, sizeof, u32, u64
from penstock.lang.helpers import FibLookup
from penstock.net.ethernet import IPV4, IPV6, Ethernet, Link, network_layer
from penstock.queue.gate import Gate
from penstock.queue.hop import UNREADABLE, ask, rewrite
from penstock.queue.routes import Routes
from penstock.queue.vlans import ONE_TAG, Vlan, Vlans, header_length, write_tags


class Passed(IntEnum):
    """Why a frame went to the stack."""

    NOT_IP = 0
    """ARP and all else that is not IPv4 or IPv6; a frame that is cut."""
    GROUP = 1
    """Multicast and broadcast."""
    LOCAL = 2
    """To this host itself."""
    OVERSIZE = 3
    """Longer than a slot."""
    NO_ROUTE = 4
    """The kernel has to decide: no route, no neighbour known, forwarding is off, or TTL at its end."""
    ELSEWHERE = 5
    """To leave by an interface without a queue."""
    OTHER_HOST = 6
    """Not to this router's Ethernet address: it only overheard them."""
    NO_VLAN = 7
    """With VLAN tags for which this router has no interface."""


class _Stations(Struct, packed=True):
    """The addresses of an Ethernet header, in two parts each."""

    destination_high: be32
    destination_low: be16


passed = PerCpuArray(u64, len(Passed), name="passed")
"""Frames that went to the stack, by `Passed`."""


def pass_on(why: u32) -> u32:
    """Count a frame for the stack, and return the action that gives it one."""
    counter = passed.lookup(why)
    if counter is not None:
        counter.value += 1
    return XDP_PASS


def _halves(addresses: Sequence[bytes]) -> tuple[tuple[be32, ...], tuple[be16, ...]]:
    """The addresses as `_Stations` has them; the halves of two of them together are taken for a third."""
    high = tuple(be32(int.from_bytes(address[:4], "big")) for address in addresses)
    return high, tuple(be16(int.from_bytes(address[4:], "big")) for address in addresses)


class Bridge:
    """Frames pass to the other port as they are, except those for `local` addresses, six bytes each.

    Those of VLAN interfaces on the port where they arrive are this host's own, too.
    """

    def __init__(self, queue: Gate, local: Sequence[bytes], vlans: Vlans | None = None) -> None:
        self.queue = queue
        self.high, self.low = _halves(local)
        self.vlans = vlans

    def forward(self, packet: Xdp) -> u32:
        """Return the XDP action for a frame."""
        kind, offset = network_layer(packet, Link.ETHERNET)
        stations = packet.read(_Stations, 0)
        if stations is None or (kind != IPV4 and kind != IPV6):  # noqa: PLR1714  # as two comparisons
            return pass_on(Passed.NOT_IP)
        if u32(stations.destination_high) >> 24 & 1:
            return pass_on(Passed.GROUP)
        if stations.destination_high in self.high and stations.destination_low in self.low:
            return pass_on(Passed.LOCAL)
        if offset != sizeof(Ethernet) and self._is_taken(packet):
            return pass_on(Passed.LOCAL)
        if packet.length > self.queue.frames.size:
            return pass_on(Passed.OVERSIZE)
        return self.queue.arrive(packet)

    def _is_taken(self, packet: Xdp) -> bool:
        """Whether a VLAN interface has the frame before the bridge: the kernel looks at the outer tag."""
        return self.vlans.interface(packet, ONE_TAG) != 0 if self.vlans is not None else False


class Router:
    """Frames to `local` addresses pass by the kernel's routes and neighbours, if those lead to a queue.

    With tags of one of the `vlans` they come in by its interface; they leave with another's, or with none.
    """

    def __init__(
        self,
        queue: Gate,
        local: Sequence[bytes],
        following: Router | None = None,
        vlans: Vlans | None = None,
    ) -> None:
        self.queue = queue
        self.high, self.low = _halves(local)
        self.following = following
        self.vlans = vlans
        self.routes = Routes()

    def forward(self, packet: Xdp) -> u32:
        """Return the XDP action for a frame."""
        stations = packet.read(_Stations, 0)
        if stations is None:
            return pass_on(Passed.NOT_IP)
        if u32(stations.destination_high) >> 24 & 1:
            return pass_on(Passed.GROUP)
        if stations.destination_high not in self.high or stations.destination_low not in self.low:
            return pass_on(Passed.OTHER_HOST)
        return self._route(packet)

    def _route(self, packet: Xdp) -> u32:
        kind, offset = network_layer(packet, Link.ETHERNET)
        route = FibLookup(ifindex=packet.ifindex)
        if offset != sizeof(Ethernet):
            route.ifindex = self._vlan_interface(packet, offset)
            if route.ifindex == 0:
                return pass_on(Passed.NO_VLAN)
        hops = ask(packet, kind, offset, route)
        if hops == UNREADABLE:
            return pass_on(Passed.NOT_IP)
        if hops <= 1 or not self.routes.find(packet, route):
            return pass_on(Passed.NO_ROUTE)
        return self._leave(packet, kind, offset, route)

    def _vlan_interface(self, packet: Xdp, offset: u32) -> u32:
        return self.vlans.interface(packet, offset) if self.vlans is not None else 0

    def _vlan(self, ifindex: u32) -> Vlan | None:
        """What frames have that leave by an interface; None if they have no tags."""
        if self.vlans is None or self.leads_to(ifindex):
            return None
        return self.vlans.leaving(ifindex)

    def _leave(self, packet: Xdp, kind: be16, offset: u32, route: FibLookup) -> u32:
        """Rewrite a frame for its route, and give it to the queue that it leads to."""
        vlan = self._vlan(route.ifindex)
        port = vlan.port if vlan is not None else route.ifindex
        if not self.leads_to(port):
            return pass_on(Passed.ELSEWHERE)
        end = header_length(vlan)
        if packet.length + end - offset > self.queue.frames.size:
            return pass_on(Passed.OVERSIZE)
        if end != offset and helpers.xdp_adjust_head(packet, i32(offset) - i32(end)) != 0:
            return pass_on(Passed.NO_ROUTE)
        if vlan is not None or offset != sizeof(Ethernet):
            write_tags(packet, vlan, kind)
        rewrite(packet, kind, end, route)
        return self.send(packet, port)

    def leads_to(self, ifindex: u32) -> bool:
        """Whether there is a queue before that interface."""
        if ifindex == self.queue.ifindex:
            return True
        return self.following.leads_to(ifindex) if self.following is not None else False

    def send(self, packet: Xdp, ifindex: u32) -> u32:
        """Give a frame to the queue before that interface: there is one."""
        if self.following is None or ifindex == self.queue.ifindex:
            return self.queue.arrive(packet)
        return self.following.send(packet, ifindex)
