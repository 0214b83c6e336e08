"""Packets of a flow leave in the order in which they came: the kernel's own TCP between network namespaces.

It numbers all packets of a connection (IPv4's identification), those that it sends again, too. A program on
the far end compares these in XDP. Behind that, a veth itself lets packets of the stack's overtake redirected
ones, up to 16 of them (veth_xdp_rcv in drivers/net/veth.c), so TCP's own counters tell of those as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import penstock
from penstock.lab import Interface, bulk
from penstock.lang import XDP_PASS, ArrayMap, Struct, Xdp, u16, u32, xdp
from penstock.net.ethernet import IPV4, Ethernet
from penstock.net.ip import IPv4
from penstock.net.tcp import TCP
from penstock.queue.scheduler import Scheduler
from penstock.schedulers.drr import Drr
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.netem import Netem
from tests.queue.box import Box

LONG = 200
"""Bytes of what has data in it: what ends a connection is not numbered."""


class Headers(Struct, packed=True):
    ethernet: Ethernet
    ip: IPv4
    tcp: TCP


class Flow(Struct):
    last: u32
    packets: u32
    late: u32


class Watch:
    """Looks at packets that come to an interface."""

    def __init__(self, interface: Interface) -> None:
        flows = ArrayMap(Flow, 1 << 16, name="flows")

        @xdp
        def compare(packet: Xdp) -> int:
            headers = packet.read(Headers, 0)
            if headers is None or headers.ethernet.ethertype != IPV4 or u16(headers.ip.total_length) < LONG:
                return XDP_PASS
            flow = flows.lookup(u32(u16(headers.tcp.source)))
            if flow is None:
                return XDP_PASS
            number = u16(headers.ip.identification)
            if flow.packets != 0 and u16(number - u16(flow.last)) > 0x8000:
                flow.late += 1
            else:
                flow.last = u32(number)
            flow.packets += 1
            return XDP_PASS

        self.loaded = penstock.load(compare)
        self._flows = self.loaded[flows]
        with interface.host.enter():
            self.loaded.attach_xdp(compare, interface.name)

    def count(self, what: str) -> int:
        """Return how many `packets` came, or came `late`: after one of their flow that was sent later."""
        return int(self._flows.memory[what].sum())


@contextmanager
def watched(box: Box) -> Iterator[Watch]:
    watch = Watch(box.b.interfaces[0])
    with watch.loaded:
        yield watch


@pytest.mark.parametrize("scheduler", [Fifo, Drr])
def test_nothing_is_reordered_within_a_flow(box: Box, scheduler: type[Scheduler]) -> None:
    with watched(box) as watch:
        with box.queue(scheduler, 500_000_000) as queue, bulk(box.a, box.b, flows=4, seconds=1.5) as transfer:
            transfer.wait()
            counts = queue.counts()
            assert counts.swapped.packets > 1000
            assert counts.drained.packets > 1000
        assert watch.count("packets") > 10_000
        assert watch.count("late") == 0


def test_what_is_reordered_on_purpose_is_seen(router: Box) -> None:
    netem = {"delay": "2ms", "reorder": "1%"}
    with watched(router) as watch:
        with router.queue(Netem, options=netem), bulk(router.a, router.b, flows=4, seconds=1) as transfer:
            transfer.wait()
        assert watch.count("late") > 10
