"""Which frames a queue takes, and what is changed in them: as a bridge does, or as a router.

Whatever is not sure to be forwarded goes to the kernel's stack, untouched: it answers, resolves and floods.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from penstock.lang import (
    XDP_PASS,
    Array,
    PerCpuArray,
    Struct,
    Xdp,
    array,
    be16,
    be32,
    helpers,
    sizeof,
    u16,
    u32,
    u64,
)
from penstock.lang.helpers import AF_INET, AF_INET6, FIB_SUCCESS, FibLookup
from penstock.net.ethernet import IPV4, IPV6, Ethernet, Link, network_layer
from penstock.net.ip import IPv4, IPv6
from penstock.queue.gate import Gate


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


class _Stations(Struct, packed=True):
    """The addresses of an Ethernet header, in two parts each."""

    destination_high: be32
    destination_low: be16


class _Addresses(Struct, packed=True):
    """The two addresses of an IPv6 header, as `fib_lookup` takes them."""

    source: Array[be32] = array(4)
    destination: Array[be32] = array(4)


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
    """Frames pass to the other port as they are, except those for `local` addresses, six bytes each."""

    def __init__(self, queue: Gate, local: Sequence[bytes]) -> None:
        self.queue = queue
        self.high, self.low = _halves(local)

    def forward(self, packet: Xdp) -> u32:
        """Return the XDP action for a frame."""
        kind, _ = network_layer(packet, Link.ETHERNET)
        stations = packet.read(_Stations, 0)
        if stations is None or (kind != IPV4 and kind != IPV6):  # noqa: PLR1714  # as two comparisons
            return pass_on(Passed.NOT_IP)
        if u32(stations.destination_high) >> 24 & 1:
            return pass_on(Passed.GROUP)
        if stations.destination_high in self.high and stations.destination_low in self.low:
            return pass_on(Passed.LOCAL)
        if packet.length > self.queue.frames.size:
            return pass_on(Passed.OVERSIZE)
        return self.queue.arrive(packet)


class Router:
    """Frames to `local` addresses pass by the kernel's routes and neighbours, if those lead to a queue."""

    def __init__(self, queue: Gate, local: Sequence[bytes], following: Router | None = None) -> None:
        self.queue = queue
        self.high, self.low = _halves(local)
        self.following = following

    def forward(self, packet: Xdp) -> u32:
        """Return the XDP action for a frame."""
        kind, offset = network_layer(packet, Link.ETHERNET)
        stations, halves = packet.read(Ethernet, 0), packet.read(_Stations, 0)
        if stations is None or halves is None or offset != sizeof(Ethernet):
            return pass_on(Passed.NOT_IP)
        if stations.destination[0] & 1:
            return pass_on(Passed.GROUP)
        if halves.destination_high not in self.high or halves.destination_low not in self.low:
            return pass_on(Passed.OTHER_HOST)
        route = FibLookup(ifindex=packet.ifindex)
        if kind == IPV4:
            return self._ipv4(packet, stations, route)
        if kind == IPV6:
            return self._ipv6(packet, stations, route)
        return pass_on(Passed.NOT_IP)

    def _ipv4(self, packet: Xdp, stations: Ethernet, route: FibLookup) -> u32:
        header = packet.read(IPv4, sizeof(Ethernet))
        if header is None:
            return pass_on(Passed.NOT_IP)
        route.family = AF_INET
        route.protocol = header.protocol
        route.length = u16(header.total_length)
        route.flow_info = be32(u32(header.traffic_class) << 24)
        route.source[0], route.destination[0] = header.source, header.destination
        if header.ttl <= 1 or not self._finds(packet, route):
            return pass_on(Passed.NO_ROUTE)
        if not self.takes(packet, route.ifindex):
            return self._elsewhere(packet)
        checksum = u32(u16(header.checksum)) + 0x0100  # RFC 1624, as the kernel's ip_decrease_ttl
        header.checksum = be16(u16(checksum + u32(checksum >= 0xFFFF)))
        header.ttl -= 1
        return self._send(packet, stations, route)

    def _ipv6(self, packet: Xdp, stations: Ethernet, route: FibLookup) -> u32:
        header = packet.read(IPv6, sizeof(Ethernet))
        if header is None:
            return pass_on(Passed.NOT_IP)
        route.family = AF_INET6
        route.protocol = header.next_header
        route.length = u16(header.payload_length) + 40
        route.flow_info = be32(u32(header.version_class_label) & 0x0FFF_FFFF)
        addresses = packet.read(_Addresses, sizeof(Ethernet) + 8)
        if addresses is None:
            return pass_on(Passed.NOT_IP)
        route.source, route.destination = addresses.source, addresses.destination
        if header.hop_limit <= 1 or not self._finds(packet, route):
            return pass_on(Passed.NO_ROUTE)
        if not self.takes(packet, route.ifindex):
            return self._elsewhere(packet)
        header.hop_limit -= 1
        return self._send(packet, stations, route)

    def _finds(self, packet: Xdp, route: FibLookup) -> bool:
        """Whether the kernel knows the way and the neighbour."""
        return helpers.fib_lookup(packet, route, sizeof(FibLookup), 0) == FIB_SUCCESS

    def takes(self, packet: Xdp, ifindex: u32) -> bool:
        """Whether there is a queue before that interface, with slots for packets as long as this."""
        if ifindex == self.queue.ifindex:
            return packet.length <= self.queue.frames.size
        return self.following.takes(packet, ifindex) if self.following is not None else False

    def _elsewhere(self, packet: Xdp) -> u32:
        oversize = packet.length > self.queue.frames.size
        return pass_on(u32(Passed.OVERSIZE) if oversize else u32(Passed.ELSEWHERE))

    def _send(self, packet: Xdp, stations: Ethernet, route: FibLookup) -> u32:
        stations.destination = route.destination_mac
        stations.source = route.source_mac
        return self.send(packet, route.ifindex)

    def send(self, packet: Xdp, ifindex: u32) -> u32:
        """Give a frame to the queue before that interface, one that `takes` it."""
        if self.following is None or ifindex == self.queue.ifindex:
            return self.queue.arrive(packet)
        return self.following.send(packet, ifindex)
