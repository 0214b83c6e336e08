from __future__ import annotations

import itertools
from collections import defaultdict, deque

import pytest
from hypothesis import given, settings

from penstock.lang import u64
from penstock.queue.packets import QueuedPacket
from penstock.schedulers.srpt import Srpt
from tests.schedulers.compare import Model, agree, traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig

pytestmark = NEEDED

FLOWS = 8


class KnownSizes(Srpt):
    """Sizes that somebody wrote beside the packets."""

    def remaining(self, packet: QueuedPacket) -> u64:
        return packet.user[0] << 40


class SrptModel(Model):
    """Serves the flow whose oldest packet has least to come; of equal ones, the one served longest ago."""

    def __init__(self, remaining):
        self.remaining = remaining
        self.flows = defaultdict(deque)
        self.since = {}
        self.clock = itertools.count()

    def enqueue(self, packet):
        flow = packet.flow % FLOWS
        if not self.flows[flow]:
            self.since[flow] = next(self.clock)
        self.flows[flow].append(packet)
        return True

    def dequeue(self, _now):
        waiting = [flow for flow, packets in self.flows.items() if packets]
        if not waiting:
            return None
        flow = min(waiting, key=lambda flow: (self.remaining(self.flows[flow][0]), self.since[flow]))
        self.since[flow] = next(self.clock)
        return self.flows[flow].popleft()


@pytest.fixture(scope="module")
def rig():
    with Rig(Srpt, 16, flows=FLOWS) as rig:
        yield rig


@pytest.fixture(scope="module")
def known():
    with Rig(KnownSizes, 16, flows=FLOWS) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic())
def test_as_the_model(rig, operations):
    agree(rig, SrptModel(lambda packet: packet.dscp), operations)


@settings(max_examples=1000)
@given(traffic())
def test_with_sizes_of_ones_own(known, operations):
    agree(known, SrptModel(lambda packet: packet.user[0]), operations)


def test_a_short_flow_overtakes_and_no_flow_is_reordered(known):
    known.reset()
    large = [Arrive(n, flow=1, user=(9 - n, 0)) for n in range(5)]
    small = [Arrive(9, flow=2, user=(2 - n, 0)) for n in range(2)]
    known.run([*large, *small])
    assert [result.serial for result in known.run([Leave(20)] * 7)] == [5, 6, 0, 1, 2, 3, 4]
