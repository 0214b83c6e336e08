from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque

import pytest
from hypothesis import given, settings

from penstock.schedulers.las import Las
from tests.schedulers.compare import Model, agree, traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig

pytestmark = NEEDED

FLOWS = 8
SILENCE = 50_000


class LasModel(Model):
    """Serves the flow that was served least; of equal ones, the one whose turn was longest ago."""

    def __init__(self):
        self.flows = defaultdict(deque)
        self.last = {}
        self.attained = Counter()
        self.since = {}
        self.clock = itertools.count()

    def enqueue(self, packet):
        flow = packet.flow % FLOWS
        packet.tag = packet.arrival - self.last.get(flow, packet.arrival) > SILENCE  # the first of a new flow
        self.last[flow] = packet.arrival
        self.flows[flow].append(packet)
        if len(self.flows[flow]) == 1:
            self.rank(flow)
        return True

    def rank(self, flow):
        self.since[flow] = next(self.clock)
        if self.flows[flow] and self.flows[flow][0].tag:
            self.attained[flow] = 0

    def dequeue(self, _now):
        waiting = [flow for flow, packets in self.flows.items() if packets]
        if not waiting:
            return None
        flow = min(waiting, key=lambda flow: (self.attained[flow], self.since[flow]))
        packet = self.flows[flow].popleft()
        self.attained[flow] += packet.length
        self.rank(flow)
        return packet


@pytest.fixture(scope="module")
def rig():
    with Rig(Las, 16, flows=FLOWS, silence=SILENCE) as rig:
        yield rig


@settings(max_examples=3000)
@given(traffic())
def test_as_the_model(rig, operations):
    agree(rig, LasModel(), operations)


@pytest.mark.parametrize(("silence", "order"), [(SILENCE, [0, 2, 3, 1]), (SILENCE + 1, [0, 2, 1, 3])])
def test_when_a_flow_counts_as_new(rig, silence, order):
    rig.reset()
    rig.run([Arrive(0, flow=1), Arrive(silence, flow=1), *[Arrive(silence, flow=2, length=1)] * 2])
    assert [result.serial for result in rig.run([Leave(silence)] * 4)] == order


def test_packets_of_another_cpu_come_late(rig):
    """They are of the same flow, though they arrived before its last one; and time goes on from that."""
    rig.reset()
    rig.run([Arrive(9, flow=1), Arrive(8, flow=1), Arrive(9 + SILENCE, flow=1)])
    rig.run([Arrive(9 + SILENCE, flow=2, length=150)] * 2)
    assert [result.serial for result in rig.run([Leave(9 + SILENCE)] * 5)] == [0, 3, 1, 4, 2]


def test_a_new_flow_goes_first_until_it_has_had_as_much(rig):
    rig.reset()
    rig.run([Arrive(0, flow=1, length=1000), Leave(0)])
    rig.run([Arrive(1, flow=1, length=1000)] + [Arrive(2, flow=2, length=600)] * 3)
    assert [result.serial for result in rig.run([Leave(3)] * 4)] == [3, 4, 2, 5]
