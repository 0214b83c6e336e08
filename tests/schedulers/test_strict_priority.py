from __future__ import annotations

import heapq

import pytest
from hypothesis import given, settings

from penstock.schedulers.strict_priority import StrictPriority
from tests.schedulers.compare import Model, agree, traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig

pytestmark = NEEDED

LOWER_EFFORT = {1, 8}
ORDER = [
    *(set(range(first, first + 8)) - LOWER_EFFORT for first in (56, 48, 40, 32, 24, 16, 8, 0)),
    LOWER_EFFORT,
]
EF, CS7, AF41, BEST_EFFORT, AF11, LE, CS1 = 46, 56, 34, 0, 10, 1, 8


class StrictPriorityModel(Model):
    def __init__(self):
        self.waiting = []

    def enqueue(self, packet):
        band = next(number for number, members in enumerate(ORDER) if packet.dscp in members)
        heapq.heappush(self.waiting, (band, packet.serial, packet))
        return True

    def dequeue(self, _now):
        return heapq.heappop(self.waiting)[2] if self.waiting else None

    def make_room(self, _now):
        victim = max(self.waiting, key=lambda entry: (entry[0], -entry[1]))
        self.waiting.remove(victim)
        heapq.heapify(self.waiting)
        return victim[2]


@pytest.fixture(scope="module")
def rig():
    with Rig(StrictPriority, 8) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic())
def test_as_the_model(rig, operations):
    agree(rig, StrictPriorityModel(), operations)


def test_well_known_code_points(rig):
    rig.reset()
    codes = [CS1, LE, BEST_EFFORT, AF11, AF41, EF, CS7]
    *_, leaving = [rig.run([Arrive(0, dscp=code) for code in codes]), rig.run([Leave(1)] * len(codes))]
    assert [codes[result.serial] for result in leaving] == [CS7, EF, AF41, AF11, BEST_EFFORT, CS1, LE]
