from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.rtt.aggregates import name_prefixes, summarise
from penstock.rtt.histogram import LOWER, MIDDLE, bucket_of, percentiles
from penstock.rtt.records import BUCKETS, Aggregate, Prefix
from tests.rtt.events import packed

MICROSECOND, MINUTE = 1_000, 60_000_000_000
SHARES = (0.5, 0.95, 0.99)
rtts = st.lists(
    st.one_of(st.integers(MICROSECOND, MINUTE), st.integers(MICROSECOND, 10 * MICROSECOND)),
    min_size=1,
    max_size=300,
)


def histogram(values: npt.ArrayLike) -> npt.NDArray[Any]:
    return np.bincount(bucket_of(values), minlength=BUCKETS).astype(np.uint32)


def test_buckets_follow_each_other() -> None:
    assert LOWER[0] == 1024
    assert len(LOWER) == BUCKETS
    assert (np.diff(LOWER) <= LOWER[:-1] / 16).all()
    assert (np.diff(LOWER) > 0).all()
    assert LOWER[-1] * 17 // 16 - 1 >= MINUTE


@given(st.integers(0, 1 << 40))
def test_bucket_holds_its_value(rtt: int) -> None:
    bucket = int(bucket_of(rtt))
    assert bucket == 0 or LOWER[bucket] <= rtt
    assert bucket == BUCKETS - 1 or rtt < LOWER[bucket + 1]


@given(st.integers(MICROSECOND, MINUTE))
def test_error_of_one_value(rtt: int) -> None:
    assert abs(MIDDLE[bucket_of(rtt)] - rtt) <= rtt * (1 / 32 if rtt >= 1088 else 0.05)


@given(st.lists(rtts, min_size=1, max_size=5))
def test_percentiles_are_within_5_percent(many: list[list[int]]) -> None:
    found = percentiles(np.stack([histogram(values) for values in many]), SHARES)
    exact = np.stack([np.percentile(values, [50, 95, 99]) for values in many])
    assert (np.abs(found - exact) <= 0.05 * exact).all()


def test_error_is_reached_nowhere_on_a_fine_grid() -> None:
    grid = np.geomspace(MICROSECOND, MINUTE, 200_000)
    assert np.max(np.abs(MIDDLE[bucket_of(grid)] - grid) / grid) <= 0.05


def record(values: list[int], **counters: Any) -> npt.NDArray[Any]:
    """One CPU's aggregate."""
    made = np.zeros((), Aggregate.__layout__.dtype)
    made["rtt_count"], made["rtt_sum"] = len(values), sum(values)
    made["rtt_min"], made["rtt_max"] = (min(values), max(values)) if values else (0, 0)
    made["histogram"] = histogram(values) if values else 0
    for name, value in counters.items():
        made[name] = value
    return made


def keys(*addresses: str) -> npt.NDArray[Any]:
    made = np.zeros(len(addresses), Prefix.__layout__.dtype)
    for key, address in zip(made, addresses, strict=True):
        key["address"] = np.frombuffer(packed(address), ">u8")
    return made


@given(rtts, st.lists(st.integers(MICROSECOND, MINUTE), max_size=50))
def test_cpus_are_summed(first: list[int], second: list[int]) -> None:
    values = np.array([[record(first, sent_packets=2), record(second, sent_packets=3)]])
    (report,) = summarise(["10.1.2.0/24"], values)
    both = first + second
    assert report.prefix == "10.1.2.0/24"
    assert report.sent.packets == 5
    assert report.rtts is not None
    assert report.rtts.count == len(both)
    assert report.rtts.minimum == min(both)
    assert report.rtts.maximum == max(both)
    assert report.rtts.mean == pytest.approx(np.mean(both))
    assert report.rtts.median == pytest.approx(np.median(both), rel=0.05)
    assert report.rtts.p95 == pytest.approx(np.percentile(both, 95), rel=0.05)
    assert report.rtts.p99 == pytest.approx(np.percentile(both, 99), rel=0.05)
    assert (
        report.rtts.minimum <= report.rtts.median <= report.rtts.p95 <= report.rtts.p99 <= report.rtts.maximum
    )
    assert sum(count for _, count in report.rtts.histogram) == len(both)


def test_idle_prefixes_are_left_out() -> None:
    busy = record([2000], sent_packets=1, sent_bytes=60, tcp_packets=1, tcp_bytes=60, ecn=[0, 0, 0, 1])
    quiet = record([], received_packets=4, received_bytes=400)
    values = np.array([[busy, quiet], [record([]), record([])], [quiet, quiet], [busy, busy]])
    first, second, third = summarise(["a", "b", "c", "d"], values)
    assert [first.prefix, second.prefix, third.prefix] == ["a", "c", "d"]
    assert first.protocols["TCP"] == (1, 60)
    assert first.rtts is not None
    assert (first.rtts.count, first.rtts.minimum) == (1, 2000)
    assert second.rtts is None
    assert second.received == (8, 800)
    assert third.ecn == (0, 0, 0, 2)


def test_prefixes_are_named() -> None:
    found = name_prefixes(keys("10.2.0.0", "2001:db8::"), 16, 32)
    assert found == ["10.2.0.0/16", "2001:db8::/32"]


def test_no_prefixes() -> None:
    assert summarise([], np.zeros((0, 2), Aggregate.__layout__.dtype)) == []
