from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.schedulers.stfq import MAX_WEIGHT
from penstock.schedulers.wfq import Wfq
from tests.schedulers.compare import Model, agree, traffic
from tests.schedulers.fair import apart, backlogs, shares
from tests.schedulers.harness import NEEDED, Rig

pytestmark = NEEDED

CAPACITY = 24
FLOWS = 8
WEIGHTS = [128, 64, 32, 16, 8, 4, 2, 1]
"""Powers of two, by which lengths are divided without a remainder in fixed point, too."""


class SelfClockedModel(Model):
    """As Golestani has it: all tags are 0 again when the server becomes idle."""

    def __init__(self):
        self.idle()
        self.counts = Counter()
        self.waiting = []

    def idle(self):
        self.now = Fraction()
        self.tags = defaultdict(Fraction)

    def enqueue(self, packet):
        flow = packet.flow % FLOWS
        if self.counts[flow] >= CAPACITY - len(self.waiting):
            return False
        service = Fraction(packet.length, WEIGHTS[packet.dscp >> 3])
        self.tags[flow] = service + max(self.now, self.tags[flow])
        self.counts[flow] += 1
        heapq.heappush(self.waiting, (self.tags[flow], packet.serial, packet))
        return True

    def dequeue(self, _now):
        if not self.waiting:
            self.idle()
            return None
        self.now, _, packet = heapq.heappop(self.waiting)
        self.counts[packet.flow % FLOWS] -= 1
        return packet


def options(weights):
    return {f"cs{number}": weight for number, weight in enumerate(weights)}


@pytest.fixture(scope="module")
def rig():
    with Rig(Wfq, CAPACITY, flows=FLOWS, **options(WEIGHTS)) as rig:
        yield rig


@pytest.fixture(scope="module")
def long():
    with Rig(Wfq, 1024) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic(most=150))
def test_as_the_model(rig, operations):
    agree(rig, SelfClockedModel(), operations)


@given(backlogs, st.lists(st.integers(1, MAX_WEIGHT), min_size=4, max_size=4))
def test_shares_are_as_near_as_the_paper_says(long, flows, weights):
    """Over any time, two flows that wait differ by one largest packet of each, by weight."""
    sent = shares(long, flows, **options(weights))
    for one, other in itertools.combinations(range(len(flows)), 2):
        largest = max(flows[one]) / weights[one] + max(flows[other]) / weights[other]
        assert apart(sent, one, other, weights) <= largest + len(sent) / 256
