"""Queues before real interfaces, with the kernel's own TCP, between network namespaces."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.lab import Host, Interface, Lab, bulk, ping
from penstock.queue.link import Rate
from penstock.queue.session import LOSSES, Queue
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.fq_codel import FqCodel

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
TCP_SHARE = 1448 / 1514
"""Of a frame of 1500 bytes of IP with timestamps, what is TCP's payload."""


class Box:
    """Hosts `a` and `b`, and between them `m`, which forwards; a queue goes from `a` to `b`."""

    def __init__(self, lab: Lab, how: str, tags: tuple[int, ...] = ()) -> None:
        self.a, self.b = lab.host("a"), lab.host("b")
        self.m: Host = getattr(lab, how)("m")
        ends = lab.link(self.a, self.m, tags=tags), lab.link(self.m, self.b, tags=tags)
        for host in (self.a, self.b):
            for interface in host.interfaces:
                interface.offload(tx=False, tso=False, gso=False)
                interface.offload(gro=True)  # NAPI, without which veth takes no redirected frame
        self.source: Interface = ends[0][1]
        self.target: Interface = ends[1][0]

    @contextmanager
    def queue(self, scheduler: type, rate: int | None = None, **options: object) -> Iterator[Queue]:
        with (
            self.m.enter(),
            Queue([self.source.name], self.target.name, scheduler, rate=Rate(rate), **options) as queue,
        ):
            yield queue


@pytest.fixture(params=["router", "bridge"])
def box(lab: Lab, request: pytest.FixtureRequest) -> Box:
    return Box(lab, request.param)


def sent(queue: Queue) -> int:
    return sum(getattr(queue.counts(), name).packets for name in ("bypassed", "swapped", "drained"))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("rate", [10_000_000, 100_000_000])
def test_tcp_gets_what_the_link_carries(box: Box, version: int, rate: int) -> None:
    with box.queue(Fifo, rate, slots=100) as queue:
        ping(box.a, box.b, count=1, version=version)
        before = sum(_bytes(queue).values())
        start = time.monotonic()
        with bulk(box.a, box.b, flows=4, seconds=3, version=version) as transfer:
            time.sleep(1)
            first, then = sum(_bytes(queue).values()), time.monotonic()
            time.sleep(1.5)
            second, end = sum(_bytes(queue).values()), time.monotonic()
            totals = transfer.wait()
        assert totals.failed == 0
        assert (second - first) * 8 / (end - then) == pytest.approx(rate, rel=0.02)
        assert before < first
        assert start < then
        assert queue.counts().failed.packets == queue.counts().crowded.packets == 0


def _bytes(queue: Queue) -> dict[str, int]:
    return {name: getattr(queue.counts(), name).bytes for name in ("bypassed", "swapped", "drained")}


def test_what_is_not_for_the_queue_reaches_the_stack(box: Box) -> None:
    """ARP, neighbour discovery, and what is for the box itself: all of it works with the queue there."""
    with box.queue(Fifo, 10_000_000):
        assert len(ping(box.a, box.b, count=3).rtts_ms) == 3
        if box.m.role == "router":
            assert len(ping(box.a, box.m, count=3).rtts_ms) == 3


def test_a_ping_beside_a_greedy_flow(lab: Lab) -> None:
    """Under FQ-CoDel it waits for a packet or two; under FIFO for all that TCP has sent."""
    box = Box(lab, "router")
    waits: dict[type, float] = {}
    for scheduler in (Fifo, FqCodel):
        with box.queue(scheduler, 20_000_000, slots=100), bulk(box.a, box.b, flows=4, seconds=4) as transfer:
            time.sleep(1.5)
            waits[scheduler] = statistics.median(ping(box.a, box.b, count=10).rtts_ms)
            transfer.wait()
    assert waits[FqCodel] < 3
    assert waits[Fifo] > 20


def test_without_a_rate_every_packet_passes_by(box: Box) -> None:
    with box.queue(Fifo) as queue:
        ping(box.a, box.b, count=1)
        with bulk(box.a, box.b, flows=4, seconds=1) as transfer:
            assert transfer.wait().failed == 0
        counts = queue.counts()
        assert counts.bypassed.packets > 1000
        assert counts.swapped.packets == counts.drained.packets == queue.waiting() == 0
        assert not any(getattr(counts, name).packets for name in LOSSES)


def test_killed_it_leaves_the_network_working(box: Box) -> None:
    command = [PENSTOCK, "queue", "run", "fifo", "--from", box.source.name, "--to", box.target.name]
    process = box.m.popen([*command, "--rate", "50mbit"], stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert "Ctrl-C ends it" in process.stderr.readline()
    with bulk(box.a, box.b, flows=2, seconds=2) as transfer:
        time.sleep(1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(ping(box.a, box.b, count=5).rtts_ms) == 5
        assert transfer.wait().failed == 0
