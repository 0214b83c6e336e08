"""A network of hosts and links on one machine, gone when its `with` block ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import sys
import threading
from ipaddress import IPv4Network, IPv6Network, ip_interface
from typing import TYPE_CHECKING, Final, Self

from penstock.lab.host import Host, Interface, IpInterface, Role
from penstock.lab.namespace import PREFIX, LabError, Namespace, sweep
from penstock.lab.tags import MOST_TAGS, tag_device
from penstock.lab.tun import tun_pair
from penstock.lab.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from types import FrameType

# Address blocks reserved for tests of network devices: RFC 2544 (C.2.2) and RFC 5180 (8).
_IPV4: Final = IPv4Network("198.18.0.0/15")
_IPV6: Final = IPv6Network("2001:2::/48")
_LONGEST_NAME: Final = 8  # an interface is named after its peer, and has 15 characters
_LONGEST_PACKET: Final = 1500  # that fits into a slot of a queue

_labs = itertools.count(1)


class Subnet:
    """An IPv4 /24 and an IPv6 /64, whose addresses are handed out in order."""

    def __init__(self, number: int) -> None:
        self._networks = (
            IPv4Network((int(_IPV4.network_address) + (number << 8), 24)),
            IPv6Network((int(_IPV6.network_address) + (number << 64), 64)),
        )
        self._host = itertools.count(1)

    def next(self) -> tuple[IpInterface, ...]:
        """Return the next address of each family."""
        host = next(self._host)
        return tuple(ip_interface(f"{network[host]}/{network.prefixlen}") for network in self._networks)


class Lab(contextlib.ExitStack):
    """Hosts and links, for a `with` statement; all go at its end, also on SIGTERM and SIGHUP.

    What an earlier run could not remove, because it was killed, goes when the next lab is entered. Anything
    else that should end with the lab can be given to `enter_context` or `callback`, as to any `ExitStack`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._number = next(_labs)
        self._subnets = itertools.count(1)
        self._names: set[str] = set()
        self.wires: list[Wire] = []
        """Of the links with a delay or a rate, in the order in which they were made."""
        self._bridges: dict[Host, Subnet] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        sweep()
        for number in (signal.SIGTERM, signal.SIGHUP):
            self.enter_context(_exit_on(number))
        return self

    def host(self, name: str) -> Host:
        """Add an end host. Its default route is the first router that it is linked to."""
        return self._add(name, "host")

    def router(self, name: str) -> Host:
        """Add a host that forwards IPv4 and IPv6 packets by its routes."""
        return self._add(name, "router")

    def bridge(self, name: str) -> Host:
        """Add a host that forwards Ethernet frames, tagged ones too. What is linked to it shares a subnet."""
        host = _bridging(self._add(name, "bridge"))
        self._bridges[host] = Subnet(next(self._subnets))
        return host

    def link(
        self,
        left: Host,
        right: Host,
        *,
        addresses: Sequence[tuple[str, str]] | None = None,
        mtu: int = 1500,
        tags: Sequence[int] = (),
        ethernet: bool = True,
        rate: int = 0,
        delay: int = 0,
        limit: int = 0,
        xdp: bool = False,
    ) -> tuple[Interface, Interface]:
        """Connect two hosts and return both ends.

        Args:
            left: One host.
            right: The other.
            addresses: Of both ends, with prefix lengths, ("192.0.2.1/24", "192.0.2.2/24"), one pair for each;
                by default an IPv4 and an IPv6 subnet are chosen. A bridge's own end takes none.
            mtu: The largest IP packet in bytes.
            tags: VLAN identifiers that frames carry on the link, the outermost first; at most two (QinQ).
                The ends returned are the hosts' tagged devices; the veths are also in `Host.interfaces`.
            ethernet: False makes interfaces without an Ethernet header (TUN).
            rate: What the link carries each way, in bit/s; 0 for as much as the machine can.
            delay: How long packets take, each way, in ns. ARP and multicast take no time.
            limit: Packets that a link with a rate or a delay holds each way at most: those under way, and
                those that wait for the rate. 0 for 1000 that wait and as many as are under way.
            xdp: Offloads that XDP programs on the link's routers need: packets go over it one by one, with
                checksums, and both ends take redirected ones (tx, tso and gso off, gro on). A link with a
                rate or a delay has them, too.

        Raises:
            LabError: Both are bridges, or what is asked does not go together.
        """
        emulated = bool(rate or delay)
        if reason := _mismatch(left, right, mtu, tags, ethernet=ethernet, xdp=xdp or emulated):
            raise LabError(f"cannot link {left.name} and {right.name} so: {reason}")
        given = self._addresses(left, right, addresses)
        names = (_free_name(left, right.name), _free_name(right, left.name))
        bridge = self._bridge_between((left, right), names, mtu) if emulated else None
        if bridge is None:
            make = _veth_pair if ethernet else tun_pair
            make((left, right), names)
        ends = [
            self._end(host, name, own, mtu, tags)
            for host, name, own in zip((left, right), names, given, strict=True)
        ]
        for end, peer in (ends, reversed(ends)):
            _route_by_default(end, peer)
            if xdp or emulated:
                end.offload(tx=False, tso=False, gso=False, gro=True)
        if bridge is not None:
            self.wires.append(self.enter_context(Wire(bridge, rate, delay, limit)))
        return ends[0], ends[1]

    def _add(self, name: str, role: Role) -> Host:
        if len(name) > _LONGEST_NAME or not name.isalnum():
            message = f"cannot name a host {name!r}: at most {_LONGEST_NAME} letters and digits"
            raise LabError(message)
        if name in self._names:
            message = f"cannot add a host {name}: there is a host {name} in this lab"
            raise LabError(message)
        return self._make(name, role)

    def _make(self, name: str, role: Role) -> Host:
        self._names.add(name)
        namespace = Namespace(f"{PREFIX}-{os.getpid()}-{self._number}-{name}")
        self.callback(namespace.remove)
        host = Host(name, namespace, role)
        self.callback(host.close)
        return host

    def _bridge_between(self, hosts: tuple[Host, Host], names: tuple[str, str], mtu: int) -> Host:
        """Make a bridge for a wire, with a veth to either host, where it has the name that is given."""
        own = "-".join(host.name for host in hosts)
        free = (name for name in _numbered(own) if name not in self._names)
        bridge = _bridging(self._make(next(free), "bridge"))
        for host, name in zip(hosts, names, strict=True):
            port = _free_name(bridge, host.name)
            _veth_pair((host, bridge), (name, port))
            self._end(bridge, port, (), mtu, ())
        return bridge

    def _addresses(
        self, left: Host, right: Host, given: Sequence[tuple[str, str]] | None
    ) -> list[tuple[IpInterface, ...]]:
        if given is not None:
            return [tuple(ip_interface(pair[side]) for pair in given) for side in (0, 1)]
        shared = self._bridges.get(left) or self._bridges.get(right)
        subnet = shared or Subnet(next(self._subnets))
        return [() if host.role == "bridge" else subnet.next() for host in (left, right)]

    def _end(
        self, host: Host, name: str, addresses: tuple[IpInterface, ...], mtu: int, tags: Sequence[int]
    ) -> Interface:
        if host.role == "bridge":
            return Interface.up(host, name, (), mtu=mtu, master=host.interfaces[0].index)
        if not tags:
            return Interface.up(host, name, addresses, mtu=mtu)
        return self.enter_context(tag_device(Interface.up(host, name, (), mtu=mtu), tags, addresses))


def _bridging(host: Host) -> Host:
    """Give a host the kernel's bridge, as its first interface."""
    host.netlink.link("add", ifname=f"{PREFIX}-bridge", kind="bridge")
    Interface.up(host, f"{PREFIX}-bridge", ())
    return host


def _mismatch(left: Host, right: Host, mtu: int, tags: Sequence[int], *, ethernet: bool, xdp: bool) -> str:
    """Say what does not go together; nothing if all does."""
    if left.role == right.role == "bridge" or (tags and not ethernet):
        return "bridges take hosts, tags take Ethernet"
    if len(tags) > MOST_TAGS:
        return f"frames take at most {MOST_TAGS} tags"
    if xdp and (tags or not ethernet or mtu > _LONGEST_PACKET):
        return f"XDP, rates and delays take Ethernet without tags, and an mtu of at most {_LONGEST_PACKET}"
    return ""


def _veth_pair(hosts: tuple[Host, Host], names: tuple[str, str]) -> None:
    """Make a veth with one end on each host; it never shows in the caller's own network."""
    left, right = hosts
    peer = {"ifname": names[1], "net_ns_fd": right.namespace.descriptor}
    left.netlink.link("add", ifname=names[0], kind="veth", peer=peer)


def _free_name(host: Host, peer: str) -> str:
    taken = {interface.name for interface in host.interfaces}
    return next(name for name in _numbered(f"{PREFIX}-{peer}") if name not in taken)


def _numbered(name: str) -> Iterator[str]:
    """Yield a name, and then the name with numbers, from 2 on."""
    yield name
    for number in itertools.count(2):
        yield f"{name}.{number}"


def _route_by_default(end: Interface, peer: Interface) -> None:
    """Make the router at the other end, if it is one, the way to everywhere, if there is none yet."""
    if end.host.role != "host" or peer.host.role != "router":
        return
    for address in peer.addresses:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        if not list(end.host.netlink.get_default_routes(family)):
            end.host.route("default", str(address.ip))


@contextlib.contextmanager
def _exit_on(number: signal.Signals) -> Generator[None]:
    """Turn a signal into an exit that unwinds, unless the program has its own way with it."""
    own = signal.getsignal(number) is not signal.SIG_DFL
    if own or threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # timeout(1) sends it twice: let the first unwind
        sys.exit(128 + number)

    signal.signal(number, leave)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)
