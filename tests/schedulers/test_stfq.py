from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.schedulers.stfq import MAX_WEIGHT, Stfq, VirtualTime, weight
from tests.schedulers.compare import Model, agree, traffic
from tests.schedulers.fair import apart, backlogs, shares
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig

pytestmark = NEEDED

CAPACITY = 24
FLOWS = 8
WEIGHTS = [1, 2, 4, 8, 16, 32, 64, 128]
"""Powers of two, by which lengths are divided without a remainder in fixed point, too."""


class StfqModel(Model):
    def __init__(self, weights=WEIGHTS):
        self.weights = weights
        self.now = self.finished = Fraction()
        self.finish = defaultdict(Fraction)
        self.counts = Counter()
        self.waiting = []

    def enqueue(self, packet):
        flow = packet.flow % FLOWS
        if self.counts[flow] >= CAPACITY - len(self.waiting):
            return False
        start = max(self.now, self.finish[flow])
        self.finish[flow] = finish = start + Fraction(packet.length, self.weights[packet.dscp >> 3])
        self.counts[flow] += 1
        heapq.heappush(self.waiting, (start, packet.serial, finish, packet))
        return True

    def dequeue(self, _now):
        if not self.waiting:
            self.now = self.finished
            return None
        self.now, _, finish, packet = heapq.heappop(self.waiting)
        self.finished = max(self.finished, finish)
        self.counts[packet.flow % FLOWS] -= 1
        return packet


def options(weights):
    return {f"cs{number}": weight for number, weight in enumerate(weights)}


@pytest.fixture(scope="module")
def rig():
    with Rig(Stfq, CAPACITY, flows=FLOWS, **options(WEIGHTS)) as rig:
        yield rig


@pytest.fixture(scope="module")
def aged():
    with Rig(Stfq, CAPACITY, flows=FLOWS, **options(WEIGHTS)) as rig:
        late = 2**64 - 2**32
        rig.scheduler.initial[rig.scheduler.time] = VirtualTime(now=late, finished=late)
        yield rig


@pytest.fixture(scope="module")
def long():
    with Rig(Stfq, 1024) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic(most=150))
def test_as_the_model(rig, operations):
    agree(rig, StfqModel(), operations)


@settings(max_examples=300)
@given(traffic(most=150))
def test_after_years(aged, operations):
    """All tags are near the end of what 64 bits hold in 18 years at 1 Gbit/s."""
    agree(aged, StfqModel(), operations)


@given(backlogs, st.lists(st.integers(1, MAX_WEIGHT), min_size=4, max_size=4))
def test_shares_are_as_near_as_the_paper_says(long, flows, weights):
    """Theorem 1: over any time, two flows that wait differ by one largest packet of each, by weight."""
    sent = shares(long, flows, **options(weights))
    for one, other in itertools.combinations(range(len(flows)), 2):
        largest = max(flows[one]) / weights[one] + max(flows[other]) / weights[other]
        assert apart(sent, one, other, weights) <= largest + len(sent) / 256


@pytest.mark.parametrize("text", ["0", "1001", "heavy"])
def test_what_is_no_weight(text):
    with pytest.raises(ValueError, match=r"weight of|number"):
        weight(text)


def test_nobody_takes_all_the_room(rig):
    """Of 24 packets, a greedy flow holds 12, and leaves room for others."""
    rig.reset()
    assert rig.run([Arrive(0, flow=1)] * 100)[-1].dropped == 88
    assert rig.run([Arrive(0, flow=2)] * 6)[-1].dropped == 88


def test_a_weight_changes_while_packets_wait(rig):
    rig.reset()
    rig.set("cs0", 1)
    rig.run([Arrive(0, flow=0, length=100), Arrive(0, flow=0, length=100), Arrive(0, flow=0, length=100)])
    rig.set("cs0", 10)
    rig.run([Arrive(0, flow=1, length=100)] * 3)
    assert [result.serial for result in rig.run([Leave(1)] * 6)] == [0, 3, 4, 5, 1, 2]
