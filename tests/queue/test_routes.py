"""Routes are remembered for a moment only: a queue follows the kernel's tables as they change."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from penstock.lab import Host, Lab, ping
from penstock.queue.session import Queue
from penstock.schedulers.fifo import Fifo

REMEMBERED = 0.05
"""s, and more."""


class Way:
    """From `a` over `m`, where a queue is, to `b` on a link for shorter packets."""

    def __init__(self, lab: Lab) -> None:
        self.a, self.m, self.b = lab.host("a"), lab.router("m"), lab.host("b")
        (_, source), (target, _) = lab.link(self.a, self.m), lab.link(self.m, self.b, mtu=1400)
        for host in (self.a, self.b):
            for interface in host.interfaces:
                interface.offload(gro=True, tx=False)
        for version in (4, 6):
            ping(self.a, self.b, count=1, version=version)
        with self.m.enter():
            self.queue = Queue([source.name], target.name, Fifo)

    def passed(self) -> int:
        return self.queue.statistics()["passed"]["no_route"]

    def bypassed(self) -> int:
        return self.queue.counts().bypassed.packets


@pytest.fixture
def way(lab: Lab) -> Iterator[Way]:
    way = Way(lab)
    with way.m.enter(), way.queue:
        yield way


@pytest.mark.parametrize("version", [4, 6])
def test_a_route_that_ends_is_not_used_any_more(way: Way, version: int) -> None:
    assert len(_pings(way, version)) == 5
    through, passed = way.bypassed(), way.passed()
    assert through >= 5
    route = {"dst": f"{way.b.address(version)}/{32 if version == 4 else 128}", "type": "blackhole"}
    way.m.netlink.route("add", **route)
    time.sleep(REMEMBERED)
    assert _pings(way, version) == ()
    assert way.passed() == passed + 5
    way.m.netlink.route("del", **route)
    time.sleep(REMEMBERED)
    assert len(_pings(way, version)) == 5
    assert way.bypassed() >= through + 5


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_remembered_of_short_packets_is_not_for_long_ones(way: Way, version: int) -> None:
    long, short = way.a.popen(_command(way.b, version, 1450)), way.a.popen(_command(way.b, version, 100))
    long.wait(), short.wait()
    assert way.passed() >= 1  # "fragmentation needed", by the kernel; then the sender knows
    assert way.bypassed() >= 20


def _command(b: Host, version: int, size: int) -> list[str]:
    return ["ping", f"-{version}", "-M", "do", "-c", "20", "-i", "0.01", "-s", str(size), b.address(version)]


def _pings(way: Way, version: int) -> tuple[float, ...]:
    return ping(way.a, way.b, count=5, interval=0.01, version=version).rtts_ms
