"""What `penstock rtt` reports is what the RTT is."""

import pytest

from penstock.experiments import find, report
from tests.experiments.browser import check_report

DELAYS = (0, 1, 10, 100)


@pytest.fixture(scope="module")
def result():
    options = {"duration": "400ms", "runs": "1", "delays": "0ms,1ms,10ms,100ms"}
    return find("accuracy")(**options).run(lambda _: None)


@pytest.fixture(scope="module")
def rows(result):
    return {row["case"]: row for row in result.results}


def test_each_delay_has_a_row_for_ping_and_one_for_tcp(rows):
    assert list(rows) == [f"{kind}_{delay}ms" for kind in ("ping", "tcp") for delay in DELAYS]
    assert [row["delay_ms"] for row in rows.values()] == [*DELAYS, *DELAYS]


def test_what_is_captured_is_what_the_link_was_told(rows):
    for row in rows.values():
        assert row["delay_ms"] < row["truth_ms"] < row["delay_ms"] + 2
        assert row["truth_ms"] - 0.5 < row["client_ms"] < row["truth_ms"] + 2  # ping says 100 of 100.4


def test_what_is_reported_is_what_is_captured(rows):
    for row in rows.values():
        assert row["pairs"] >= 10
        assert row["alone"] <= 0.02 * row["pairs"]
        assert abs(row["error_us"]) < 50
        assert abs(row["reported_ms"] - row["truth_ms"]) < 0.05


def test_its_report(result, tmp_path):
    assert set(result.as_json()["series"]) == {"reported", "error"}
    check_report(report.write(tmp_path, [result]), plots=2)
