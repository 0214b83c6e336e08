from __future__ import annotations

import heapq

import pytest
from hypothesis import given, settings

from penstock.schedulers.edf import Edf
from tests.schedulers.compare import Model, agree, traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig

pytestmark = NEEDED

SLACK = [10**9, 10**8, 10**6, 10**5, 3000, 500, 20, 0]


class EdfModel(Model):
    def __init__(self):
        self.waiting = []

    def enqueue(self, packet):
        heapq.heappush(self.waiting, (packet.arrival + SLACK[packet.dscp >> 3], packet.serial, packet))
        return True

    def dequeue(self, _now):
        return heapq.heappop(self.waiting)[2] if self.waiting else None


@pytest.fixture(scope="module")
def rig():
    with Rig(Edf, 16, **{f"cs{n}": slack for n, slack in enumerate(SLACK)}) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic())
def test_as_the_model(rig, operations):
    agree(rig, EdfModel(), operations)


def test_slack_changes_while_packets_wait(rig):
    rig.reset()
    rig.run([Arrive(0, dscp=0), Arrive(1, dscp=40)])
    rig.set("cs0", 1)
    rig.run([Arrive(2, dscp=0)])
    assert [result.serial for result in rig.run([Leave(3)] * 3)] == [2, 1, 0]
