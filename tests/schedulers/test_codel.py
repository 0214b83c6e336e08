from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given, settings

from penstock.schedulers.codel import Codel
from tests.schedulers.compare import traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, Rig
from tests.schedulers.model_base import agree
from tests.schedulers.model_codel import ONE, CodelModel, CodelQueue

pytestmark = NEEDED

TARGET, INTERVAL, MTU = 2_000, 20_000, 3_000


@pytest.fixture(scope="module")
def rig():
    with Rig(Codel, 64, target=f"{TARGET}ns", interval=f"{INTERVAL}ns", mtu=str(MTU)) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic(300))
def test_as_the_model(rig, operations):
    agree(rig, CodelModel(TARGET, INTERVAL, MTU), operations)


def overload(ecn: int, packets: int, pause: int = 0) -> list[Arrive | Leave]:
    """For a while two packets come for each that leaves, then none; and so once more after a pause."""
    steps: list[Arrive | Leave] = []
    for start in (0, packets * 1000 + pause):
        for n in range(packets):
            now = start + n * 1000
            steps += [Arrive(now, length=1500, ecn=ecn)] * (2 if n < packets // 2 else 0) + [Leave(now)]
    return steps


@pytest.mark.parametrize("ecn", [0, 1, 2, 3])
def test_drops_or_marks_ever_more_often(rig, ecn):
    results = agree(rig, CodelModel(TARGET, INTERVAL, MTU), overload(ecn, 2000))
    marked = sum(result.mark for result in results)
    assert (marked > 100) == (ecn > 0)
    assert results[-1].dropped > 100


def test_after_a_pause_of_16_intervals_it_begins_anew(rig):
    for eighths in range(8 * 10, 8 * 17):
        agree(rig, CodelModel(TARGET, INTERVAL, MTU), overload(0, 300, pause=eighths * INTERVAL // 8))


def test_the_backlog_of_a_stalled_link_is_dropped_as_far_as_it_is_due(rig):
    late = [Arrive(0, length=1500)] * 64 + [Leave(TARGET), Leave(INTERVAL + TARGET)] + [Leave(10**9)] * 64
    results = agree(rig, CodelModel(TARGET, INTERVAL, MTU), late)
    assert results[-1].dropped > 50


def test_the_reciprocal_root_is_near_the_true_one():
    queue = CodelQueue(TARGET, INTERVAL, MTU, lambda _packet: None)
    for queue.count in range(2, 10_000):
        queue.newton_step()
        assert queue.inverse_root / ONE == pytest.approx(
            1 / sqrt(queue.count), rel=0.3 if queue.count < 8 else 0.02
        )
