from __future__ import annotations

import pytest
from hypothesis import given, settings

from penstock.schedulers.token_bucket import TokenBucket, bucket_size
from tests.schedulers.compare import traffic
from tests.schedulers.harness import NEEDED, Arrive, Leave, NextDue, Rig
from tests.schedulers.model_base import agree
from tests.schedulers.model_token_bucket import TokenBucketModel

pytestmark = NEEDED

NS = [1, 2, 5, 10, 20, 100, 1000, 8000]
"""For each byte; whole numbers, so that the kernel's times are exact."""
DEPTH = 8_000
SECOND = 10**9
LATER = 65_536 * 8 * SECOND // 64_000_000
"""ns, in which 64 kB leave at 64 Mbit/s: nothing waits longer for its first packet."""
CAPACITY = 24


@pytest.fixture(scope="module")
def rig():
    rates = {f"cs{n}": 8 * 10**9 // ns for n, ns in enumerate(NS)}
    with Rig(TokenBucket, CAPACITY, depth=DEPTH, **rates) as rig:
        yield rig


@settings(max_examples=2000)
@given(traffic(150))
def test_as_the_model(rig, operations):
    agree(rig, TokenBucketModel(NS, DEPTH, CAPACITY), operations)


@pytest.mark.parametrize("rate", [100_000, 3_333_333, 1_000_000_000])
def test_a_class_leaves_at_its_rate(rig, rate):
    """After a burst, and within a ten-thousandth, whether the rate divides evenly or not."""
    rig.reset()
    rig.set("cs3", rate)
    rig.run([Arrive(0, length=1000, dscp=24) for _ in range(10)])
    now, left = 0, []
    while len(left) < 1000:
        now = max(now, rig.run([NextDue(now)])[0].due)
        sent, _ = rig.run([Leave(now), Arrive(now, length=1000, dscp=24)])
        assert sent.serial is not None
        left.append(now)
    assert left[7] == 0 < left[8]
    assert (left[-1] - left[7]) * rate == pytest.approx(992 * 8000 * 10**9, rel=0.0001)


def test_a_rate_that_was_too_low_by_mistake_is_forgotten_within_a_second(rig):
    """At 1 bit/s the second packet would have 64,000 s to wait for."""
    rig.reset(cs3=1)
    rig.run([Arrive(0, length=8000, dscp=24), Arrive(0, length=8000, dscp=24)])
    assert [result.serial for result in rig.run([Leave(0), Leave(5 * SECOND)])] == [0, None]
    rig.set("cs3", 64_000_000)
    assert rig.run([NextDue(5 * SECOND)])[0].due == 6 * SECOND
    steps = [Leave(6 * SECOND), NextDue(6 * SECOND)]
    assert [(result.serial, result.due) for result in rig.run(steps)] == [
        (None, 0),
        (None, 6 * SECOND + LATER),
    ]
    assert rig.run([Leave(6 * SECOND + LATER)])[0].serial == 1


def test_a_class_without_tokens_keeps_no_other_waiting(rig):
    rig.reset()
    rig.run([Arrive(0, length=8000, dscp=dscp) for dscp in (56, 56, 0, 0)])
    assert [result.serial for result in rig.run([Leave(n) for n in (0, 0, 7999, 8000)])] == [0, 2, None, 3]


def test_what_is_no_depth():
    assert bucket_size("1gb") == 1 << 30
    with pytest.raises(ValueError, match="a depth of 2gb: it must be at most 1gb"):
        bucket_size("2gb")
