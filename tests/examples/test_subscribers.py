"""Equal shares for subscribers, by the addresses of real packets."""

from __future__ import annotations

import select
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from penstock.lab import Host, Lab, ping
from penstock.queue.catalogue import find
from penstock.queue.link import Rate
from penstock.queue.session import Queue
from penstock.schedulers.fq_codel import FqCodel

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "subscribers.py")
FLOWS = 4
"""To one of the two addresses; one flow to the other."""
EACH = 100
"""Packets of each flow."""
SIZE = 1000
LOOK = 120
"""So many of those that come first are counted."""


@pytest.mark.parametrize("version", [4, 6])
def test_many_flows_to_one_address_get_no_more_than_one_to_another(lab: Lab, version: int) -> None:
    share = _share_of_many(lab, find(EXAMPLE), version)
    assert share == pytest.approx(1 / 2, abs=0.03)


def test_by_flow_they_would_get_more(lab: Lab) -> None:
    assert _share_of_many(lab, FqCodel, 4) == pytest.approx(FLOWS / (FLOWS + 1), abs=0.03)


def _share_of_many(lab: Lab, scheduler: type, version: int) -> float:
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    (_, source), (target, end) = lab.link(a, m), lab.link(m, b)
    for interface in (*a.interfaces, *b.interfaces):
        interface.offload(gro=True, tx=False)
    first = b.address(version)
    second = str(ip_address(first) + (1 if version == 4 else 1 << 72))  # another /56
    length = 32 if version == 4 else 128
    b.netlink.addr("add", index=end.index, address=second, prefixlen=length)
    m.netlink.route("add", dst=f"{second}/{length}", gateway=first, oif=target.index)
    ping(a, b, count=1, version=version)
    with m.enter(), Queue([source.name], target.name, scheduler, rate=Rate(10**7), slots=1000):
        order = _arrivals(a, b, [first] * FLOWS + [second])
    return order[:LOOK].count(first) / LOOK


def _arrivals(a: Host, b: Host, flows: list[str]) -> list[str]:
    """Send packets of each flow; return the addresses that they went to, as they come."""
    family = socket.AF_INET6 if ":" in flows[0] else socket.AF_INET
    with a.enter():
        senders = [socket.socket(family, socket.SOCK_DGRAM) for _ in flows]
    with b.enter():
        receivers = {address: socket.socket(family, socket.SOCK_DGRAM) for address in set(flows)}
    order: list[str] = []
    try:
        for address, receiver in receivers.items():
            receiver.bind((address, 9))
        for _ in range(EACH):
            for address, sender in zip(flows, senders, strict=True):
                sender.sendto(bytes(SIZE), (address, 9))
        while len(order) < LOOK:
            ready, _, _ = select.select(receivers.values(), [], [], 2)
            assert ready, "nothing comes any more"
            order += [address for address, receiver in receivers.items() if receiver in ready]
            for receiver in ready:
                receiver.recv(SIZE)
    finally:
        for each in (*senders, *receivers.values()):
            each.close()
    return order
