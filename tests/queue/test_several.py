"""Several queues in one process, which share the interfaces where packets arrive."""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from penstock.errors import KernelError
from penstock.lab import Host, Interface, Lab, bulk, ping
from penstock.lab.namespace import LabError
from penstock.queue.forwarder import Forwarder
from penstock.queue.link import Rate
from penstock.queue.session import SENT, Queue
from penstock.schedulers.drr import Drr
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.fq_codel import FqCodel
from penstock.schedulers.hpfq import Hpfq
from tests.kernel.network import xdp_programs

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
MBIT = 1_000_000


class Star:
    """Hosts around `m`, which forwards; `ports` are its interfaces towards them."""

    def __init__(self, lab: Lab, how: str, hosts: int) -> None:
        self.hosts = [lab.host(f"h{number}") for number in range(hosts)]
        self.m: Host = getattr(lab, how)("m")
        self.ports: list[Interface] = []
        for host in self.hosts:
            end, port = lab.link(host, self.m)
            end.offload(tx=False, tso=False, gso=False)
            end.offload(gro=True)  # NAPI, without which veth takes no redirected frame
            self.ports.append(port)
        self.names = [port.name for port in self.ports]

    def run(self, *arguments: str) -> subprocess.Popen[str]:
        process = self.m.popen([PENSTOCK, "queue", "run", *arguments], stderr=subprocess.PIPE)
        assert process.stderr is not None
        lines = process.stderr.readline()
        while lines.startswith("penstock: ") and "Ctrl-C ends it" not in lines:
            lines += process.stderr.readline()
        assert lines.count("\n") == arguments.count("--to"), lines + process.stderr.read()
        return process

    def ask(self, *arguments: str) -> str:
        return self.m.run([PENSTOCK, "queue", *arguments])

    def stats(self, port: int) -> dict:
        return json.loads(self.ask("stats", self.names[port], "--json"))


def _assert_rates(queues: Sequence[Queue], rates: Sequence[int]) -> None:
    """Measured again if other work kept TCP or a drain from its CPU."""
    for _ in range(2):
        if _rates(queues) == pytest.approx(rates, rel=0.03):
            return
    assert _rates(queues) == pytest.approx(rates, rel=0.03)


def _rates(queues: Sequence[Queue]) -> list[float]:
    """Bits per second that leave each: the medians of some spans."""
    found: list[list[float]] = []
    for _ in range(5):
        before, start = [_bytes(queue) for queue in queues], time.monotonic()
        time.sleep(0.2)
        after, seconds = [_bytes(queue) for queue in queues], time.monotonic() - start
        found.append([(new - old) * 8 / seconds for old, new in zip(before, after, strict=True)])
    return [statistics.median(each) for each in zip(*found, strict=True)]


def _bytes(queue: Queue) -> int:
    return sum(getattr(queue.counts(), name).bytes for name in SENT)


def test_each_has_a_scheduler_and_a_rate_of_its_own(lab: Lab) -> None:
    """Three take packets from one interface; what changes in one leaves the others as they are."""
    star = Star(lab, "router", 4)
    sender, *receivers = star.hosts
    with star.m.enter(), ExitStack() as running:
        source, *targets = star.names
        first = Queue([source], targets[0], FqCodel, rate=Rate(10 * MBIT))
        second = Queue([source], targets[1], Hpfq, rate=Rate(30 * MBIT))
        third = Queue([source], targets[2], Fifo, rate=Rate(20 * MBIT), slots=100)
        queues = [first, second, third]
        forwarder = running.enter_context(Forwarder(*queues))
        for receiver in receivers:
            running.enter_context(bulk(sender, receiver, flows=2, seconds=20))
        time.sleep(1)
        _assert_rates(queues, [10 * MBIT, 30 * MBIT, 20 * MBIT])
        others = [(queue._schedulers.now, queue.statistics()["rate"]) for queue in (second, third)]
        first.swap(Drr, {})
        first.set({}, {"bits_per_second": 5 * MBIT})
        assert [(queue._schedulers.now, queue.statistics()["rate"]) for queue in (second, third)] == others
        _assert_rates(queues, [5 * MBIT, 30 * MBIT, 20 * MBIT])
        forwarder.check()
        told = [queue.statistics() for queue in queues]
        assert [each["scheduler"] for each in told] == ["Drr", "Hpfq", "Fifo"]
        assert all(each["failed"]["packets"] == each["crowded"]["packets"] == 0 for each in told)


@pytest.mark.parametrize("how", ["router", "bridge"])
def test_both_directions(lab: Lab, how: str) -> None:
    """Two ports, each a source, and a queue before each: a frame passes the one before the other port."""
    star = Star(lab, how, 2)
    near, far = star.hosts
    with star.m.enter(), ExitStack() as running:
        back, there = (Queue(star.names, name, Drr, rate=Rate(5 * MBIT)) for name in star.names)
        running.enter_context(Forwarder(back, there))
        there.set({}, {"bits_per_second": 20 * MBIT})
        assert len(ping(near, far, count=3).rtts_ms) == 3
        for client, server in ((near, far), (far, near)):
            running.enter_context(bulk(client, server, flows=4, seconds=20))
        time.sleep(0.5)
        _assert_rates([back, there], [5 * MBIT, 20 * MBIT])


def test_a_source_feeds_the_queues_that_name_it(lab: Lab) -> None:
    """What is to leave before another queue goes by the kernel's stack."""
    star = Star(lab, "router", 4)
    sources, targets = star.hosts[:2], star.hosts[2:]
    for source in sources:
        for target in targets:
            ping(source, target, count=1)  # so that the kernel knows the neighbours
    with star.m.enter():
        queues = [Queue([star.names[n]], star.names[n + 2], Fifo, rate=Rate(10 * MBIT)) for n in range(2)]
        with Forwarder(*queues):
            for source in sources:
                for target in targets:
                    assert len(ping(source, target, count=3).rtts_ms) == 3
            for queue in queues:
                found = queue.statistics()
                assert sum(found[name]["packets"] for name in SENT) == 3
                assert found["passed"]["elsewhere"] == 6


def test_each_has_an_address_and_totals_of_its_own(lab: Lab) -> None:
    star = Star(lab, "router", 3)
    sender, *receivers = star.hosts
    source, *targets = star.names
    to = [word for target in targets for word in ("--to", target)]
    process = star.run("fifo", "--from", source, *to, "--rate", "20mbit")
    star.ask("set", targets[0], "--rate", "5mbit")
    star.ask("swap", targets[1], "drr")
    assert [len(ping(sender, receiver, count=3).rtts_ms) for receiver in receivers] == [3, 3]
    told = [star.stats(port) for port in (1, 2)]
    assert [(each["scheduler"], each["rate"]) for each in told] == [("Fifo", 5 * MBIT), ("Drr", 20 * MBIT)]
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    totals = process.stderr.read().splitlines()
    assert process.wait() == 0, totals
    assert [line.split(": ")[1] for line in totals] == targets
    assert all(" 0 packets sent" not in line and line.endswith("0 left waiting") for line in totals)


def test_killed_they_leave_the_network_working(lab: Lab) -> None:
    star = Star(lab, "router", 3)
    sender, *receivers = star.hosts
    source, *targets = star.names
    to = [word for target in targets for word in ("--to", target)]
    process = star.run("drr", "--from", source, *to, "--rate", "20mbit")
    with bulk(sender, receivers[0], seconds=2) as one, bulk(sender, receivers[1], seconds=2) as other:
        time.sleep(1)
        process.kill()
        process.wait()
        assert [len(ping(sender, receiver, count=3).rtts_ms) for receiver in receivers] == [3, 3]
        assert one.wait().failed == other.wait().failed == 0


def test_an_interface_that_vanishes_ends_them_all(lab: Lab) -> None:
    star = Star(lab, "router", 3)
    source, *targets = star.names
    process = star.run("fifo", "--from", source, "--to", targets[0], "--to", targets[1])
    star.m.netlink.link("del", index=star.ports[2].index)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"{targets[1]} has gone" in errors
    assert not xdp_programs(star.ports[0])


def test_a_source_gives_its_packets_to_one_process(lab: Lab) -> None:
    """A second one is told who is there, and leaves nothing; the first goes on."""
    star = Star(lab, "router", 3)
    source, *targets = star.names
    process = star.run("fifo", "--from", source, "--to", targets[0])
    command = [PENSTOCK, "queue", "run", "fifo", "--from", source, "--to", targets[1]]
    second = star.m.popen(command, stderr=subprocess.PIPE)
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 1
    assert "another penstock forwards there; end that first" in errors
    assert f"({process.pid})" in errors
    assert errors.count("\n") == 1
    with pytest.raises(LabError, match=f"no queue before {targets[1]}"):
        star.stats(2)
    assert len(ping(*star.hosts[:2], count=3).rtts_ms) == 3
    assert star.stats(1)["out"]["packets"] >= 2
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0


def test_what_cannot_be(lab: Lab) -> None:
    star = Star(lab, "bridge", 2)
    near, far = star.names
    with star.m.enter():
        with pytest.raises(KernelError, match=f"cannot queue from {far} to {far}: a bridge"):
            Forwarder(Queue([near, far], far, Fifo))
        twice = [Queue([near], far, Fifo) for _ in range(2)]
        with pytest.raises(KernelError, match=f"cannot queue before {far}, {far}: one queue"):
            Forwarder(*twice)
        assert not xdp_programs(star.ports[0])
        with Forwarder(Queue([near, near], far, Fifo)) as forwarder:
            assert forwarder.describe() == [f"bridging {near} to {far}, Fifo"]
