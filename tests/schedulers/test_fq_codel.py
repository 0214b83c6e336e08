from __future__ import annotations

import pytest
from hypothesis import given, settings

from penstock.schedulers.fq_codel import MAX_VISITS, FqCodel, quantum_size, queue_count
from tests.schedulers.compare import traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, NextDue, Rig
from tests.schedulers.model_base import agree
from tests.schedulers.model_fq_codel import FqCodelModel

pytestmark = NEEDED

OPTIONS = {"queues": 8, "quantum": 1514, "target": 2_000, "interval": 20_000, "mtu": 3_000}


@pytest.fixture(scope="module", params=[16, 200])
def rig(request):
    with Rig(FqCodel, request.param, **OPTIONS) as rig:
        yield rig


@settings(max_examples=1000)
@given(traffic(300))
def test_as_the_model(rig, operations):
    agree(rig, FqCodelModel(**OPTIONS), operations)


@pytest.mark.parametrize("ecn", [0, 1])
def test_greedy_flows_are_kept_short_and_a_sparse_one_waits_for_none(rig, ecn):
    steps: list[Arrive | Leave] = []
    sparse = []
    for n in range(3000):
        steps += [Arrive(n * 1000, flow, 1500, ecn=ecn) for flow in ((1, 2) if n % 4 else (1, 2, 3))]
        sparse += [len(steps) - 1] if n % 4 == 0 and n >= 2000 else []
        steps += [Leave(n * 1000)]
    results = agree(rig, FqCodelModel(**OPTIONS), steps)
    # `agree` asks for the next due time after each step: hence two results for each.
    assert [results[2 * (n + 1)].serial for n in sparse] == [2 * n for n in sparse]
    assert any(result.mark for result in results) == (ecn == 1)


def test_a_full_pool_drops_from_the_head_of_the_longest_queue(rig):
    room = rig.packets.capacity
    steps = [Arrive(0, flow=4)] + [Arrive(1, flow=5)] * (room - 1) + [Arrive(2, flow=6)]
    results = agree(rig, FqCodelModel(**OPTIONS), [*steps, *[Leave(3)] * 3])
    assert results[2 * room].dropped == min(room // 2, 64)
    assert [results[2 * (room + n)].serial for n in (1, 2)] == [0, 2 + 2 * min(room // 2, 64)]


def test_a_tiny_quantum_takes_several_dequeues(rig):
    """Each visits so many queues at most; meanwhile the next packet is due at once."""
    rig.reset()
    rig.set("quantum", 1)
    rig.run([Arrive(0, length=MAX_VISITS + 2)] * 2)
    results = rig.run([Leave(0), NextDue(0), Leave(0), NextDue(0), Leave(0)])
    assert [result.serial for result in results] == [0, None, None, None, 1]


@pytest.mark.parametrize("text", ["0", "63", "1048577"])
def test_what_is_no_quantum(text):
    with pytest.raises(ValueError, match="at least 64 bytes, and at most 1mb"):
        quantum_size(text)


def test_how_many_queues_there_may_be():
    assert queue_count("65536") == 65536
    with pytest.raises(ValueError, match="65537 queues: there may be 65536"):
        queue_count("65537")
