"""How long packets wait: behind TCP, by a network emulator, and under CoDel, between network namespaces."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest

from penstock.lab import Host, bulk, ping
from penstock.queue.scheduler import Scheduler
from penstock.schedulers.codel import Codel
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.fq_codel import FqCodel
from penstock.schedulers.netem import Netem
from tests.queue.box import Box, twice

RATE = 100_000_000


def rtts(box: Box, count: int) -> list[float]:
    """Return RTTs between the hosts in ms, sorted; lost packets have none."""
    return sorted(ping(box.a, box.b, count=count, interval=0.01).rtts_ms)


def test_a_ping_beside_a_greedy_flow(router: Box) -> None:
    """Under FQ-CoDel it waits for a packet or two; under FIFO for all that TCP has sent.

    Reno fills a queue at once; Cubic's slow start ends as soon as RTTs grow (HyStart).
    """
    router.a.sysctl("net.ipv4.tcp_congestion_control", "reno")
    with router.queue(Fifo, RATE), bulk(router.a, router.b, seconds=20):
        time.sleep(0.5)
        assert statistics.median(rtts(router, 50)) > 20

    def short() -> None:
        waits = rtts(router, 200)
        assert len(waits) == 200
        assert waits[197] < 2, "the 99th percentile"

    with router.queue(FqCodel, RATE), bulk(router.a, router.b, seconds=20):
        time.sleep(0.5)
        twice(short)


def test_an_emulated_delay_is_right(router: Box) -> None:
    """Within 100 µs; ping prints no more than 10 µs of an RTT below 10 ms."""

    def right() -> None:
        before = rtts(router, 100)
        with router.queue(Netem, options={"delay": "5ms"}):
            during = rtts(router, 200)
        added = statistics.median(during) - statistics.median(before)
        assert added == pytest.approx(5, abs=0.1)

    ping(router.a, router.b, count=1)  # from now on all know their neighbours
    twice(right)


@pytest.mark.parametrize(("scheduler", "version"), [(Codel, 4), (FqCodel, 6)])
def test_ecn_flows_are_marked_and_lose_nothing(box: Box, scheduler: type[Scheduler], version: Any) -> None:
    for host in (box.a, box.b):
        host.sysctl("net.ipv4.tcp_ecn", 1)
    with (
        box.queue(scheduler, 20_000_000) as queue,
        bulk(box.a, box.b, flows=4, seconds=1, version=version) as flow,
    ):
        assert flow.wait().failed == 0
        dropped = queue.statistics()["dropped"]["packets"]
    netstat = _counters(box.b, "/proc/net/netstat")
    marked = netstat["InCEPkts"] if version == 4 else _counters6(box.b)["Ip6InCEPkts"]
    assert marked > 20
    assert dropped < marked / 10, "only packets that are no data: they cannot be marked"
    assert _counters(box.b, "/proc/net/snmp")["InHdrErrors"] == 0


def _counters(host: Host, path: str) -> dict[str, int]:
    lines = host.run(["cat", path]).splitlines()
    return {
        name: int(value)
        for names, values in zip(lines[::2], lines[1::2], strict=True)
        for name, value in list(zip(names.split(), values.split(), strict=True))[1:]
        if name in ("InCEPkts", "InHdrErrors")
    }


def _counters6(host: Host) -> dict[str, int]:
    return {
        name: int(value) for name, value in map(str.split, host.run(["cat", "/proc/net/snmp6"]).splitlines())
    }
