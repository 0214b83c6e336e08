"""What a scheduler's classes count, on real traffic."""

from __future__ import annotations

import socket
import time

import pytest

from penstock.lab import Host, Lab, ping
from penstock.queue.link import Rate
from penstock.queue.report import table
from penstock.queue.scheduler import Scheduler
from penstock.queue.session import Queue
from penstock.schedulers.edf import Edf
from penstock.schedulers.fifo import Fifo
from penstock.schedulers.hpfq import Hpfq
from penstock.schedulers.stfq import Stfq
from penstock.schedulers.strict_priority import StrictPriority
from penstock.schedulers.token_bucket import TokenBucket

EF = 46 << 2
LOWER_EFFORT = 1 << 2
SENT = 40
"""Packets of each class, more than there are slots."""
FRAME = 14 + 20 + 8 + 500
SLOW = Rate(1_000_000, burst=0)


@pytest.mark.parametrize(
    ("scheduler", "urgent", "rest"),
    [
        (StrictPriority, "cs5", "lower effort"),
        (Stfq, "cs5", "cs0"),
        (Edf, "cs5", "cs0"),
        (Hpfq, "cs5", "cs0"),
        (TokenBucket, "cs5", "cs0"),
    ],
)
def test_all_packets_of_a_class_are_counted(
    lab: Lab, scheduler: type[Scheduler], urgent: str, rest: str
) -> None:
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    (_, source), (target, _) = lab.link(a, m), lab.link(m, b)
    for interface in (*a.interfaces, *b.interfaces):
        interface.offload(gro=True, tx=False)
    ping(a, b, count=1)
    with m.enter(), Queue([source.name], target.name, scheduler, rate=SLOW, slots=20) as queue:
        _send(a, b, EF, LOWER_EFFORT)
        during = queue.statistics()
        queue.set({}, {"bits_per_second": None})
        _wait_until_empty(queue)
        found = queue.statistics()
    classes = {name: each for name, each in found["classes"].items() if each["in"]["packets"]}
    assert set(classes) == {urgent, rest}
    for name, each in classes.items():
        assert each["waiting"] == {"packets": 0, "bytes": 0}
        assert sum(each["sojourn_ns"]) == each["out"]["packets"]
        assert during["classes"][name]["waiting"]["packets"] > 0
    for what in ("packets", "bytes"):
        assert _total(classes, "out", what) == found["swapped"][what] + found["drained"][what]
    assert found["in"]["packets"] == 2 * SENT
    assert found["in"]["bytes"] == 2 * SENT * FRAME
    assert during["waiting"]["bytes"] == during["waiting"]["packets"] * FRAME
    lost = sum(found[name]["packets"] for name in ("refused", "overflowed", "dropped"))
    # Some wait for nothing, and for some there is no room, and the scheduler drops none for them.
    unseen = 2 * SENT - found["bypassed"]["packets"] - _total(classes, "in", "packets")
    assert lost == unseen + _total(classes, "dropped", "packets") > 0
    line = next(line for line in table(found).splitlines() if line.startswith(urgent))
    assert f"{classes[urgent]['out']['packets']} packets" in line


def test_a_change_of_scheduler_begins_anew(lab: Lab) -> None:
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    (_, source), (target, _) = lab.link(a, m), lab.link(m, b)
    for interface in (*a.interfaces, *b.interfaces):
        interface.offload(gro=True, tx=False)
    ping(a, b, count=1)
    with m.enter(), Queue([source.name], target.name, StrictPriority, rate=SLOW, slots=500) as queue:
        _send(a, b, EF)
        queue.swap(Stfq, {})
        _send(a, b, LOWER_EFFORT)
        classes = queue.statistics()["classes"]
        assert {name for name, each in classes.items() if each["in"]["packets"]} == {"cs0"}
        assert classes["cs0"]["waiting"]["packets"] > 0
        queue.set({}, {"bits_per_second": None})
        _wait_until_empty(queue)
        assert queue.statistics()["classes"]["cs5"]["out"]["packets"] == 0
        while queue._schedulers.handover is not None:
            queue.check()
        queue.swap(Fifo, {})
        assert queue.statistics()["classes"] == {}


def _send(a: Host, b: Host, *traffic_classes: int) -> None:
    with a.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(SENT):
            for traffic_class in traffic_classes:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, traffic_class)
                sender.sendto(bytes(500), (b.address(), 9))


def _total(classes: dict[str, dict[str, dict[str, int]]], how: str, what: str) -> int:
    return sum(each[how][what] for each in classes.values())


def _wait_until_empty(queue: Queue) -> None:
    end = time.monotonic() + 5
    while queue.waiting():
        assert time.monotonic() < end, "packets still wait"
        time.sleep(0.01)
