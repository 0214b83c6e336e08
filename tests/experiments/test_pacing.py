"""Queues keep to their rate, a poller is the most even, and a swap stops nothing for long."""

import pytest

from penstock.experiments import find, report
from penstock.experiments.pacing import SWAPPED, WAYS
from tests.experiments.browser import check_report

RATES = {"10mbit": 10, "100mbit": 100, "1gbit": 1000}


@pytest.fixture(scope="module")
def result():
    options = {"duration": "500ms", "runs": "1", "rates": ",".join(RATES)}
    return find("pacing")(**options).run(lambda _: None)


@pytest.fixture(scope="module")
def rows(result):
    return {row["case"]: row for row in result.results}


def test_there_is_a_row_for_each_way_and_rate_and_for_swaps(rows):
    assert list(rows) == [
        *(f"{way}_{rate}" for way in WAYS for rate in RATES),
        *(f"swap_{drain}" for drain in SWAPPED),
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rate", RATES)
def test_more_arrives_than_the_rate_and_that_is_what_leaves(rows, way, rate):
    row = rows[f"{way}_{rate}"]
    assert row["rate_mbps"] == RATES[rate]
    assert row["offered_mbps"] > 1.1 * row["rate_mbps"]
    assert row["achieved_mbps"] == pytest.approx(row["rate_mbps"], rel=0.04)


@pytest.mark.parametrize("way", ["prompt", "poll", "carousel"])
def test_without_patience_packets_leave_one_by_one(rows, way):
    for rate in ("10mbit", "100mbit"):
        row = rows[f"{way}_{rate}"]
        assert row["gap_p50_us"] == pytest.approx(row["ideal_gap_us"], rel=0.1)
        assert row["burst_mean_packets"] < 1.2
    assert rows["sleep_100mbit"]["burst_mean_packets"] > 1.4


def test_a_poller_is_the_most_even(rows):
    assert rows["poll_100mbit"]["gap_p99_us"] < 0.85 * rows["prompt_100mbit"]["gap_p99_us"]
    assert rows["poll_1gbit"]["gap_p99_us"] < 0.5 * rows["prompt_1gbit"]["gap_p99_us"]


@pytest.mark.parametrize("drain", SWAPPED)
def test_a_swap_stops_packets_for_some_ms_at_most(rows, drain):
    row = rows[f"swap_{drain}"]
    assert row["swap_longest_us"] < row["steady_longest_us"] + 20_000


def test_its_report(result, tmp_path):
    assert set(result.as_json()["series"]) == {
        "error",
        "worst_100ms",
        *(f"gaps_{rate}" for rate in RATES),
        "swap",
    }
    check_report(report.write(tmp_path, [result]), plots=6)
