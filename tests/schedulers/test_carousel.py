from __future__ import annotations

import pytest
from hypothesis import given, settings

from penstock.schedulers.carousel import Carousel
from tests.schedulers.compare import traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, NextDue, Rig
from tests.schedulers.model_base import agree
from tests.schedulers.model_carousel import CarouselModel

pytestmark = NEEDED

OPTIONS = {"flow_rate": 1_000_000_000, "horizon": 200_000, "flows": 16}


@pytest.fixture(scope="module")
def rig():
    with Rig(Carousel, 32, **OPTIONS) as rig:
        yield rig


@settings(max_examples=3000)
@given(traffic(150))
def test_as_the_model(rig, operations):
    agree(rig, CarouselModel(**OPTIONS), operations)


def test_flows_leave_at_their_rate_and_those_beyond_the_horizon_not_at_all(rig):
    rig.reset()
    rig.run([Arrive(0, flow, length=1250) for _ in range(15) for flow in (1, 2)])
    left = {1: [], 2: []}
    now, due = 0, rig.run([NextDue(0)])[0].due
    while due < 10**9:
        now = max(now, due)
        result = rig.run([Leave(now)])[0]
        left[1 + result.serial % 2].append(now)
        due = rig.run([NextDue(now)])[0].due
    assert left[1] == left[2] == [10_000 * n for n in range(15)]


def test_a_rate_changes_for_the_packets_that_come(rig):
    """Also after one at which the last packet would have taken 10 s."""
    rig.reset(flow_rate=1000)
    rig.run([Arrive(0, length=1250)])
    rig.set("flow_rate", 100_000_000)
    assert rig.run([Leave(0), Arrive(0, length=1250), NextDue(0)])[-1].due == 100_000
    rig.set("flow_rate", 200_000_000)
    assert rig.run([Leave(100_000), Arrive(100_000), NextDue(100_000)])[-1].due == 150_000


def test_the_horizon(rig):
    rig.reset()
    results = rig.run([Arrive(0, length=1250)] * 25)
    assert [result.dropped for result in results] == [0] * 21 + [1, 2, 3, 4]
