"""Queues before real interfaces, with the kernel's own TCP, between network namespaces."""

from __future__ import annotations

import contextlib
import re
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
from penstock.queue.session import LOSSES, SENT, Queue
from penstock.schedulers.codel import Codel
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.fq_codel import FqCodel
from penstock.schedulers.netem import Netem

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


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("rate", [10_000_000, 100_000_000])
def test_tcp_gets_what_the_link_carries(box: Box, version: int, rate: int) -> None:
    """In any 100 ms not more; and not less, but where other work keeps the drain from its CPU."""
    with box.queue(Fifo, rate, slots=100) as queue:
        with bulk(box.a, box.b, flows=4, seconds=4, version=version) as transfer:
            time.sleep(1)
            rates = [_rate(queue) for _ in range(20)]
            assert transfer.wait().failed == 0
        counts = queue.counts()
    assert statistics.median(rates) == pytest.approx(rate, rel=0.01)
    assert max(rates) < 1.05 * rate
    assert counts.failed.packets == counts.crowded.packets == 0


def _rate(queue: Queue) -> float:
    """Bits per second that leave within 100 ms."""
    before, start = _bytes(queue), time.monotonic()
    time.sleep(0.1)
    return (_bytes(queue) - before) * 8 / (time.monotonic() - start)


def _bytes(queue: Queue) -> int:
    return sum(getattr(queue.counts(), name).bytes for name in SENT)


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


@pytest.mark.parametrize("version", [4, 6])
def test_ecn_flows_are_marked_and_lose_nothing(box: Box, version: int) -> None:
    for host in (box.a, box.b):
        host.sysctl("net.ipv4.tcp_ecn", 1)
    with (
        box.queue(Codel, 20_000_000) as queue,
        bulk(box.a, box.b, flows=4, seconds=2, version=version) as flow,
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


def test_the_drain_that_polls(lab: Lab) -> None:
    """It may be changed to and from while packets go on, and goes with the queue."""
    box = Box(lab, "router")
    with box.queue(Fifo, 50_000_000, slots=100, drain="poll") as queue:
        assert len(ping(box.a, box.b, count=3).rtts_ms) == 3
        with bulk(box.a, box.b, flows=4, seconds=3) as transfer:
            for how in ("sleep", "poll", "sleep", "poll"):
                time.sleep(0.5)
                queue.set_drain(how)
            assert transfer.wait().failed == 0
        counts = queue.counts()
        assert counts.drained.packets > 1000
        assert counts.failed.packets == 0
        assert len(ping(box.a, box.b, count=3).rtts_ms) == 3
        assert queue.waiting() == 0
    assert not _pollers()


def test_killed_its_poller_goes_too(lab: Lab) -> None:
    box = Box(lab, "router")
    interfaces = ["--from", box.source.name, "--to", box.target.name]
    process = box.m.popen(
        [PENSTOCK, "queue", "run", "fifo", *interfaces, "--drain", "poll"], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert "Ctrl-C ends it" in process.stderr.readline()
    assert len(_pollers()) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 5
    while _pollers():
        assert time.monotonic() < end
        time.sleep(0.01)


def _pollers() -> list[str]:
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if "penstock.queue.poller" in (text := path.read_text()):
                found.append(text)
    return found


def test_an_emulated_delay_is_added(lab: Lab) -> None:
    box = Box(lab, "router")
    base = statistics.median(ping(box.a, box.b, count=10).rtts_ms)
    with box.queue(Netem, None, options={"delay": "20ms"}):
        delayed = statistics.median(ping(box.a, box.b, count=10).rtts_ms)
    assert delayed - base == pytest.approx(20, abs=0.5)


def test_duplicates_are_the_same_bytes(lab: Lab) -> None:
    box = Box(lab, "router")
    ping(box.a, box.b, count=1)  # so that the kernel knows the neighbours
    with box.queue(Netem, None, options={"delay": "1ms", "duplicate": "100%"}) as queue:
        output = box.a.run(["ping", "-c", "5", "-i", "0.05", "-p", "5a", box.b.address()])
        time.sleep(0.1)
        sent = queue.counts().drained.packets + queue.counts().swapped.packets
    found = re.search(r"(\d+) packets transmitted, .*\+(\d+) duplicates, 0% packet loss", output)
    assert found is not None, output
    assert sent == 2 * int(found[1])
    assert int(found[2]) >= int(found[1]) - 1, "ping does not wait for the last one"
    assert "wrong" not in output


def test_beside_penstock_rtt(lab: Lab) -> None:
    """Whoever is started first, both see every packet, and each may end alone."""
    box = Box(lab, "router")
    rtt = [
        PENSTOCK,
        "rtt",
        box.source.name,
        "--ingress",
        "xdp",
        "--rate-limit",
        "0",
        "--include-syn",
        "-f",
        "jsonl",
    ]
    for rtt_first in (True, False):
        with contextlib.ExitStack() as running:
            if not rtt_first:
                running.enter_context(box.queue(Fifo, 50_000_000))
            measuring = box.m.popen(rtt, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert measuring.stderr is not None
            assert "measuring on" in measuring.stderr.readline()
            if rtt_first:
                running.enter_context(box.queue(Fifo, 50_000_000))
            assert len(ping(box.a, box.b, count=5).rtts_ms) == 5
            measuring.send_signal(signal.SIGINT)
            _, errors = measuring.communicate(timeout=20)
            packets = re.search(r"RTTs of (\d+) packets", errors)
            assert packets is not None
            assert int(packets[1]) >= 10
            assert len(ping(box.a, box.b, count=2).rtts_ms) == 2
        assert len(ping(box.a, box.b, count=2).rtts_ms) == 2
