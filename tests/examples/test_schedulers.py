"""The examples that are schedulers, against plain models of what they say."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict, deque
from pathlib import Path

import pytest
from hypothesis import given, settings

from penstock.lab import Lab, bulk
from penstock.queue.catalogue import find
from tests.schedulers.compare import traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig
from tests.schedulers.model_base import TimedModel, agree

pytestmark = NEEDED

EXAMPLES = Path(__file__).parents[2] / "examples"
FLOWS = 8
RESERVED = 8 * 10**9 // 10
"""bit/s: 10 ns for each byte."""


class PfabricModel(TimedModel):
    """Serves the flow that has the packet with least to come; of equal ones, the one longest at that rank.

    A place at a rank is kept until its turn comes.
    """

    def __init__(self):
        super().__init__()
        self.flows = defaultdict(deque)
        self.places = {}
        self.clock = itertools.count()

    def rank(self, flow):
        return min(packet.dscp for packet in self.flows[flow])

    def place(self, flow):
        if self.flows[flow]:
            self.places.setdefault((self.rank(flow), flow), next(self.clock))

    def enqueue(self, packet):
        self.flows[packet.flow % FLOWS].append(packet)
        self.place(packet.flow % FLOWS)
        return True

    def dequeue(self, _now):
        if not any(self.flows.values()):
            self.places.clear()
            return None
        (rank, flow), since = min(
            ((place, since) for place, since in self.places.items() if self.is_at(*place)),
            key=lambda entry: (entry[0][0], entry[1]),
        )
        assert rank == min(packet.dscp for packets in self.flows.values() for packet in packets)
        self.places = {place: when for place, when in self.places.items() if (place[0], when) > (rank, since)}
        packet = self.flows[flow].popleft()
        self.place(flow)
        return packet

    def is_at(self, rank, flow):
        return bool(self.flows[flow]) and self.rank(flow) == rank


class ReservationsModel(TimedModel):
    """Serves the class whose reservation was due first, if one is; else the most urgent."""

    def __init__(self):
        super().__init__()
        self.classes = [deque() for _ in range(8)]
        self.due = [0] * 8

    def enqueue(self, packet):
        number = packet.dscp // 8
        if not self.classes[number]:
            self.due[number] = max(self.due[number], packet.arrival)
        self.classes[number].append(packet)
        return True

    def dequeue(self, now):
        waiting = [number for number in range(8) if self.classes[number]]
        if behind := [number for number in waiting if self.due[number] <= now]:
            number = min(behind, key=lambda number: (self.due[number], -number))
            packet = self.classes[number].popleft()
            self.due[number] += packet.length * 8 * 10**9 // RESERVED
            return packet
        return self.classes[max(waiting)].popleft() if waiting else None


@pytest.fixture(scope="module")
def pfabric():
    with Rig(find(str(EXAMPLES / "pfabric.py")), 24, flows=FLOWS) as rig:
        yield rig


@pytest.fixture(scope="module")
def reservations():
    with Rig(find(str(EXAMPLES / "reservations.py")), 24, reserved=RESERVED) as rig:
        yield rig


@settings(max_examples=1500)
@given(traffic())
def test_pfabric_as_the_model(pfabric, operations):
    agree(pfabric, PfabricModel(), operations)


@settings(max_examples=2000)
@given(traffic(150))
def test_reservations_as_the_model(reservations, operations):
    agree(reservations, ReservationsModel(), operations)


def test_pfabric_has_a_whole_flow_overtake(pfabric):
    pfabric.reset()
    pfabric.run([*[Arrive(n, flow=1, dscp=40) for n in range(3)], Arrive(3, flow=2, dscp=20)])
    assert pfabric.run([Leave(4)])[0].serial == 3
    pfabric.run([Arrive(5, flow=2, dscp=20), Arrive(6, flow=1, dscp=5)])
    assert [result.serial for result in pfabric.run([Leave(7)] * 5)] == [0, 1, 2, 6, 5]


def test_pfabric_has_room_however_often_flows_move(pfabric):
    """A short flow that never ends keeps the others in the PIFO, at more and more ranks."""
    chance = random.Random(1)
    short = [Arrive(0, flow=0), Leave(0)]
    others = ([Arrive(0, flow=chance.randrange(1, FLOWS), dscp=chance.randrange(1, 64))] for _ in range(2000))
    agree(pfabric, PfabricModel(), list(itertools.chain.from_iterable([*short, *other] for other in others)))


def test_reservations_leave_to_each_class_its_rate_and_the_rest_to_the_most_urgent(reservations):
    """All classes always wait for a link of 1 ns for each byte; each has reserved a seventieth of it."""
    reservations.reset(reserved=8 * 10**9 // 70)
    sent = Counter()
    reservations.run([Arrive(0, length=1000, dscp=number << 3) for number in range(8)])
    of = dict(enumerate(range(8)))
    for now in range(0, 7_000_000, 1000):
        number = of.pop(reservations.run([Leave(now)])[0].serial)
        sent[number] += 1
        of[reservations.done] = number
        reservations.run([Arrive(now, length=1000, dscp=number << 3)])
    assert all(sent[number] == pytest.approx(100, abs=1) for number in range(7))
    assert sent.total() == 7000


@pytest.mark.parametrize("name", ["pfabric", "reservations"])
def test_it_runs_on_interfaces(lab: Lab, name: str) -> None:
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    end, source = lab.link(a, m)
    target, far = lab.link(m, b)
    for interface in (end, far):
        interface.offload(tx=False, tso=False, gso=False)
        interface.offload(gro=True)
    penstock = str(Path(sys.executable).with_name("penstock"))
    interfaces = ["--from", source.name, "--to", target.name]
    command = [penstock, "queue", "run", str(EXAMPLES / f"{name}.py"), *interfaces, "--rate", "20mbit"]
    process = m.popen(command, stderr=subprocess.PIPE)
    assert "Ctrl-C ends it" in process.stderr.readline()
    with bulk(a, b, flows=4, seconds=2) as transfer:
        totals = transfer.wait()
    assert totals.failed == 0
    assert totals.bytes_sent * 8 / totals.seconds > 10_000_000
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1].endswith("0 left waiting\n")
