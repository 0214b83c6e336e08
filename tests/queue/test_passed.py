"""What is not for a queue: it comes to the kernel's stack as it was sent, and is counted by why."""

from __future__ import annotations

import secrets
import socket
import struct
import time
from ipaddress import IPv4Address

import pytest

from penstock.lab import Interface, Lab, ping
from penstock.queue.session import SENT, Queue
from penstock.schedulers.fifo import Fifo

COPIES = 5
MTU = 2000
GROUP, STRANGER = "01:00:5e:01:02:03", "02:00:00:00:00:99"
ARP, IPV4 = 0x0806, 0x0800
ETH_P_ALL = 3


def octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


class Way:
    """From `a` to `b`, through `m`."""

    def __init__(self, lab: Lab, how: str) -> None:
        self.a, self.m, self.b = lab.host("a"), getattr(lab, how)("m"), lab.host("b")
        (self.end, self.source), (self.target, _) = (
            lab.link(self.a, self.m, mtu=MTU),
            lab.link(self.m, self.b, mtu=MTU),
        )
        ping(self.a, self.b, count=1)  # all know their neighbours from here on

    def frame(self, to: str, address: str, kind: int = IPV4, size: int = 100, hops: int = 64) -> bytes:
        """Return a frame with an IPv4 packet of so many bytes, unlike any other."""
        ends = IPv4Address(self.a.address()).packed + IPv4Address(address).packed
        header = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, hops, 17, 0) + ends
        payload = header + secrets.token_bytes(size - len(header))
        return octets(to) + octets(self.end.mac) + struct.pack("!H", kind) + payload

    def passes(self, why: str, frame: bytes) -> bool:
        """Send copies of a frame, and tell whether all come to the stack and none leaves."""
        with self.m.enter(), Queue([self.source.name], self.target.name, Fifo) as queue:
            came = arrivals(self.end, self.source, frame)
            counted = queue.statistics()
        assert sum(counted[how]["packets"] for how in SENT) == 0
        assert counted["passed"][why] >= COPIES, counted["passed"]
        return came == COPIES


def arrivals(end: Interface, source: Interface, frame: bytes) -> int:
    """Send copies of a frame, and count those that the stack behind `source` sees, octet by octet."""
    with source.host.enter():
        stack = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with end.host.enter():
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with stack, sender:
        stack.bind((source.name, ETH_P_ALL))
        sender.bind((end.name, 0))
        for _ in range(COPIES):
            sender.send(frame)
        came, until = 0, time.monotonic() + 2
        stack.settimeout(0.1)
        while came < COPIES and time.monotonic() < until:
            try:
                came += stack.recv(MTU + 100) == frame
            except TimeoutError:
                continue
        return came


@pytest.mark.parametrize("how", ["router", "bridge"])
def test_what_neither_forwards(lab: Lab, how: str) -> None:
    way = Way(lab, how)
    station = way.source.mac if how == "router" else way.b.interfaces[0].mac
    far = way.b.address()
    assert way.passes("not_ip", way.frame(station, far, ARP))
    assert way.passes("group", way.frame(GROUP, far))
    assert way.passes("oversize", way.frame(station, far, size=1600))


def test_what_a_router_leaves_to_the_stack(lab: Lab) -> None:
    way = Way(lab, "router")
    station, far = way.source.mac, way.b.address()
    assert way.passes("no_route", way.frame(station, far, hops=1))
    assert way.passes("no_route", way.frame(station, "192.0.2.1"))
    assert way.passes("no_route", way.frame(station, way.m.address()))
    nobody = str(IPv4Address(far) + 70)  # whose Ethernet address the stack asks for, in vain
    assert way.passes("no_route", way.frame(station, nobody))
    assert way.passes("elsewhere", way.frame(station, way.a.address()))
    assert way.passes("other_host", way.frame(STRANGER, far))


def test_what_is_for_the_bridge_itself(lab: Lab) -> None:
    way = Way(lab, "bridge")
    assert way.passes("local", way.frame(way.source.mac, way.b.address()))
