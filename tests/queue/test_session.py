"""Queues before real interfaces, between network namespaces: what they let by, their ends, their drains."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from pathlib import Path

from penstock.lab import bulk, ping
from penstock.queue.session import LOSSES
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.netem import Netem
from tests.queue.box import PENSTOCK, Box


def test_what_is_not_for_the_queue_reaches_the_stack(box: Box) -> None:
    """ARP, neighbour discovery, and what is for the box itself: all of it works with the queue there."""
    with box.queue(Fifo, 10_000_000):
        assert len(ping(box.a, box.b, count=3).rtts_ms) == 3
        if box.m.role == "router":
            assert len(ping(box.a, box.m, count=3).rtts_ms) == 3


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


def test_the_drain_that_polls(router: Box) -> None:
    """It may be changed to and from while packets go on, and goes with the queue."""
    with router.queue(Fifo, 50_000_000, slots=100, drain="poll") as queue:
        assert len(ping(router.a, router.b, count=3).rtts_ms) == 3
        with bulk(router.a, router.b, flows=4, seconds=3) as transfer:
            for how in ("sleep", "poll", "sleep", "poll"):
                time.sleep(0.5)
                queue.set_drain(how)
            assert transfer.wait().failed == 0
        counts = queue.counts()
        assert counts.drained.packets > 1000
        assert counts.failed.packets == 0
        assert len(ping(router.a, router.b, count=3).rtts_ms) == 3
        assert queue.waiting() == 0
    assert not _pollers()


def test_killed_its_poller_goes_too(router: Box) -> None:
    interfaces = ["--from", router.source.name, "--to", router.target.name]
    process = router.m.popen(
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


def test_duplicates_are_the_same_bytes(router: Box) -> None:
    ping(router.a, router.b, count=1)  # so that the kernel knows the neighbours
    with router.queue(Netem, None, options={"delay": "1ms", "duplicate": "100%"}) as queue:
        output = router.a.run(["ping", "-c", "5", "-i", "0.05", "-p", "5a", router.b.address()])
        time.sleep(0.1)
        sent = queue.counts().drained.packets + queue.counts().swapped.packets
        used = queue._loaded[queue.egress.packets.free].value.used
        lanes = queue._loaded[queue.egress.packets.table].memory["lane"][:used]
    found = re.search(r"(\d+) packets transmitted, .*\+(\d+) duplicates, 0% packet loss", output)
    assert found is not None, output
    assert sent == 2 * int(found[1])
    assert len(set(lanes)) == 1, "a copy has its lane, too"
    assert int(found[2]) >= int(found[1]) - 1, "ping does not wait for the last one"
    assert "wrong" not in output


def test_beside_penstock_rtt(router: Box) -> None:
    """Whoever is started first, both see every packet, and each may end alone."""
    for rtt_first in (True, False):
        with contextlib.ExitStack() as running:
            if not rtt_first:
                running.enter_context(router.queue(Fifo, 50_000_000))
            measuring = _measure(router)
            if rtt_first:
                running.enter_context(router.queue(Fifo, 50_000_000))
            assert len(ping(router.a, router.b, count=5).rtts_ms) == 5
            assert _measured(measuring) >= 10
            assert len(ping(router.a, router.b, count=2).rtts_ms) == 2
        assert len(ping(router.a, router.b, count=2).rtts_ms) == 2


def test_penstock_rtt_sees_what_is_redirected_and_goes_on(router: Box) -> None:
    """All packets that the queue sends past the tc hooks, and those that come when it is gone."""
    measuring = _measure(router)
    with router.queue(Fifo, 10_000_000) as queue:
        with router.datagrams(1000, 3000):
            time.sleep(1)
        time.sleep(1)
        came = queue.statistics()["in"]["packets"]
    assert came > 1000
    assert len(ping(router.a, router.b, count=5).rtts_ms) == 5
    assert came + 10 <= _measured(measuring) < came + 100, "and none twice"


def _measure(box: Box) -> subprocess.Popen[str]:
    options = ["--ingress", "xdp", "--rate-limit", "0", "--include-syn", "-f", "jsonl"]
    command = [PENSTOCK, "rtt", box.source.name, *options]
    measuring = box.m.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert measuring.stderr is not None
    assert "measuring on" in measuring.stderr.readline()
    return measuring


def _measured(measuring: subprocess.Popen[str]) -> int:
    """End it, and return how many packets it has seen."""
    measuring.send_signal(signal.SIGINT)
    _, errors = measuring.communicate(timeout=20)
    packets = re.search(r"RTTs of (\d+) packets", errors)
    assert packets is not None, errors
    return int(packets[1])
