"""Sampling on real traffic: what is reported is in the capture, and what is not was not yet due."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.lab import exchange
from tests.conftest import Middlebox
from tests.kernel.rtt_measure import Measurement, one_cpu
from tests.truth import Rtt, compare, rtts_of

MS = 1_000_000
CLOCKS = 20_000
"""ns by which the times of capture and hook may be apart, as much as RTTs may be."""

Wait = Callable[[list[Rtt]], float]
"""How long after a timed packet the next may be, given the RTTs that were known by then."""


def fixed(_: list[Rtt]) -> float:
    return 100 * MS


def of_minimum(known: list[Rtt]) -> float:
    return 5000 * min(rtt.rtt for rtt in known)


def of_smoothed(known: list[Rtt]) -> float:
    """RFC 6298, 2.3, in whole ns."""
    smoothed = known[0].rtt
    for each in known[1:]:
        smoothed += (each.rtt >> 3) - (smoothed >> 3)
    return 5000 * smoothed


@pytest.mark.parametrize(
    ("options", "wait"),
    [
        (["--rate-limit=100ms"], fixed),
        (["--rate-limit=0", "--rtt-rate=5000"], of_minimum),
        (["--rate-limit=0", "--rtt-rate=5000", "--rtt-type=smoothed"], of_smoothed),
    ],
    ids=["rate limit", "rate of the minimum", "rate of the smoothed"],
)
def test_rtts_are_as_far_apart_as_asked_for_and_no_further(
    middlebox: Middlebox, tmp_path: Path, options: list[str], wait: Wait
) -> None:
    with Measurement(tmp_path, middlebox.towards_a, options=options) as measured, one_cpu():
        exchange(middlebox.a, middlebox.b, flows=10, seconds=3, interval=0.002).wait()
    reported = measured.rtts(middlebox.towards_a)
    captured = rtts_of(measured.capture(middlebox.towards_a))
    comparison = compare(reported, captured)
    assert not comparison.unsupported, comparison
    assert len(comparison.missing) > len(reported) > 50
    assert comparison.median_error < 20_000
    flows: defaultdict[object, list[Rtt]] = defaultdict(list)
    for each in sorted(reported):
        flows[each.flow].append(each)
    for found in flows.values():
        for number in range(1, len(found)):
            apart = start(found[number]) - start(found[number - 1])
            assert apart >= wait(known_at(found[:number], start(found[number]))) - CLOCKS
    for each in comparison.missing:
        assert not is_due(flows[each.flow], start(each), wait), each


def start(rtt: Rtt) -> int:
    """When its packet was timed."""
    return rtt.timestamp - rtt.rtt


def known_at(found: list[Rtt], time: int) -> list[Rtt]:
    return found[: bisect_right(found, time + CLOCKS, key=lambda rtt: rtt.timestamp)]


def is_due(found: list[Rtt], time: int, wait: Wait) -> bool:
    """Whether a packet at that time surely had to be timed."""
    earlier = [each for each in found if start(each) < time]
    known = known_at(earlier, time - 2 * CLOCKS)
    return not earlier or (bool(known) and time - start(earlier[-1]) > wait(known) + MS)
