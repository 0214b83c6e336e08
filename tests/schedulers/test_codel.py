from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given, settings

from penstock.schedulers.codel import MAX_DROPS, Codel
from tests.schedulers.compare import traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig
from tests.schedulers.model_base import agree
from tests.schedulers.model_codel import ONE, CodelModel, CodelQueue

pytestmark = NEEDED

TARGET, INTERVAL, MTU = 2_000, 20_000, 3_000
OPTIONS = {"target": TARGET, "interval": INTERVAL, "mtu": MTU}


@pytest.fixture(scope="module")
def rig():
    with Rig(Codel, 64, **OPTIONS) as rig:
        yield rig


@pytest.fixture(scope="module")
def large():
    with Rig(Codel, 512, **OPTIONS) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic(300))
def test_as_the_model(rig, operations):
    agree(rig, CodelModel(**OPTIONS), operations)


def overload(ecn: int, packets: int, pause: int = 0) -> list[Arrive | Leave]:
    """For a while two packets come for each that leaves, then none; and so once more after a pause."""
    steps: list[Arrive | Leave] = []
    for start in (0, packets * 1000 + pause):
        for n in range(packets):
            now = start + n * 1000
            steps += [Arrive(now, length=1500, ecn=ecn)] * (2 if n < packets // 2 else 0) + [Leave(now)]
    return steps


@pytest.mark.parametrize("ecn", [0, 1, 2, 3])
def test_drops_or_marks_ever_more_often(large, ecn):
    results = agree(large, CodelModel(**OPTIONS), overload(ecn, 2000))
    marked = sum(result.mark for result in results)
    assert (marked > 100) == (ecn > 0)
    assert results[-1].dropped > 100


def test_after_a_pause_of_16_intervals_it_begins_anew(large):
    for eighths in range(8 * 10, 8 * 17):
        agree(large, CodelModel(**OPTIONS), overload(0, 300, pause=eighths * INTERVAL // 8))


def test_after_a_long_stall_so_many_are_dropped_at_a_time(large):
    """And the rest at the next."""
    steps = [Leave(TARGET), Leave(TARGET + INTERVAL), *[Leave(10**9)] * 3]
    results = agree(large, CodelModel(**OPTIONS), [Arrive(0, length=1500)] * 512 + steps)
    assert [results[2 * (512 + n)].dropped for n in range(2, 5)] == [1 + n * MAX_DROPS for n in (1, 2, 3)]


def test_the_reciprocal_root_is_near_the_true_one():
    queue = CodelQueue(**OPTIONS, drop=lambda _packet: None)
    for queue.count in range(2, 10_000):
        queue.newton_step()
        assert queue.inverse_root / ONE == pytest.approx(
            1 / sqrt(queue.count), rel=0.3 if queue.count < 8 else 0.02
        )
