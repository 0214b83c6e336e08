from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings

from penstock.schedulers.fifo import Fifo
from tests.schedulers.compare import Model, Packet, agree, traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, NextDue, Result, Rig

pytestmark = NEEDED


class FifoModel(Model):
    def __init__(self):
        self.waiting = deque[Packet]()

    def enqueue(self, packet):
        self.waiting.append(packet)
        return True

    def dequeue(self, _now):
        return self.waiting.popleft() if self.waiting else None


@pytest.fixture(scope="module")
def rig():
    with Rig(Fifo, 8) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic())
def test_as_the_model(rig, operations):
    agree(rig, FifoModel(), operations)


def test_what_the_harness_tells(rig):
    rig.reset()
    arrivals = [Arrive(now, length=100 + now) for now in range(9)]
    *_, last, due, first = rig.run([*arrivals, NextDue(20), Leave(21)])
    assert (last, due) == (Result(None, 1), Result(None, 1, due=20))
    assert first == Result(0, 1, first.rank, 100, 0)
    assert rig.run([Leave(22)])[0].serial == 1


def test_more_than_one_run_of_the_program(rig):
    agree(rig, FifoModel(), [Arrive(n) if n % 3 else Leave(n) for n in range(10_000)])
