"""The RTT programs where packets are not as test runs make them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from penstock.lab import Interface
from penstock.rtt.options import RttOptions
from tests.kernel.rtt_rig import Rig
from tests.net import frames
from tests.net.frames import ethernet, extension, ip, ipv6, tcp

SOL_PACKET, PACKET_VNET_HDR = 263, 15
NO_OFFLOAD = bytes(10)  # struct virtio_net_hdr: no headers have to be in the linear part
DATA = bytes(5000)  # more than a page, or the kernel makes the packet linear all the same


@pytest.fixture
def rig(wire: tuple[Interface, Interface]) -> Iterator[Rig]:
    rig = Rig(RttOptions(rate_limit=0), "egress")
    near, far = wire
    for each in (near, far):
        each.host.run(["ip", "link", "set", each.name, "mtu", "9000"])
    with rig.loaded.attach_tc(rig.programs.ethernet.egress, near.index, "egress"):
        yield rig
    rig.close()


def packets(segment: bytes) -> dict[str, bytes]:
    kinds = [frames.HOP_BY_HOP, frames.DESTINATION]
    chained = frames.chain([extension(kind) for kind in kinds], kinds, frames.TCP, segment)
    return {
        "IPv4": ethernet(ip("10.0.0.1", "10.0.0.2", frames.TCP, segment)),
        "IPv6": ethernet(ipv6("fd00::1", "fd00::2", *chained)),
        "tagged": ethernet(ip("10.0.0.1", "10.0.0.2", frames.TCP, segment), tags=(frames.VLAN,)),
    }


@pytest.mark.parametrize("kind", ["IPv4", "IPv6", "tagged"])
def test_headers_that_lie_in_fragments_are_read(
    rig: Rig, wire: tuple[Interface, Interface], kind: str
) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        sender.bind((wire[0].name, 0))
        for value in (100, 101):
            sender.send(NO_OFFLOAD + packets(tcp(1000, 80, value, 0, data=DATA))[kind])
    (entry,) = rig.pending.values()
    assert rig.counters.truncated == 0
    assert entry.flow.directions[0].bytes == 2 * len(DATA)
    assert entry.flow.directions[0].newest == 101
