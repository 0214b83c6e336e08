"""Latency beside bulk flows: who waits, who does not, and that both measurements say so."""

import pytest

from penstock.experiments import find
from penstock.experiments.report import write
from tests.experiments.browser import check_report

LINK = 95.6
"""Mbit/s of goodput that the link has room for."""

AT_ONCE = ("fq_codel_10", "stfq_10", "strict_priority_10", "drr_10")
"""Where interactive traffic is let go first, or has a share of its own."""


@pytest.fixture(scope="module")
def result():
    options = {"duration": "500ms", "runs": "1", "flows": "10", "extra": "drr"}
    return find("bufferbloat")(**options).run(print)


@pytest.fixture
def cases(result):
    return {row["case"]: row for row in result.results}


def test_cases(cases):
    assert [*cases] == ["idle", "fifo_10", "codel_10", *AT_ONCE]
    assert (cases["codel_10"]["scheduler"], cases["codel_10"]["flows"]) == ("codel", 10)
    assert "goodput_mbps" not in cases["idle"]


def test_an_idle_link_takes_its_own_time(cases):
    for who in ("ping", "router_ping", "request", "router_request"):
        assert 10 <= cases["idle"][f"{who}_p50_ms"] < 11.5


def test_fifo_has_everything_wait(cases):
    for who in ("ping", "router_ping", "request", "router_request"):
        assert cases["fifo_10"][f"{who}_p50_ms"] > 40


def test_codel_is_between(cases):
    fifo, codel = (cases[case]["ping_p50_ms"] for case in ("fifo_10", "codel_10"))
    assert cases["idle"]["ping_p99_ms"] < codel < 0.9 * fifo


@pytest.mark.parametrize("case", AT_ONCE)
def test_interactive_traffic_hardly_waits(cases, case):
    for who in ("ping", "request"):
        assert cases[case][f"{who}_p50_ms"] < cases["idle"][f"{who}_p50_ms"] + 4
    assert cases[case]["ping_lost_percent"] == 0


def test_low_latency_costs_no_goodput(cases):
    assert all(0.9 * LINK < row["goodput_mbps"] < 1.02 * LINK for row in cases.values() if row["flows"])


def test_router_and_host_agree(cases):
    for row in cases.values():
        for figure, margin in (("ping_p50", 0.03), ("ping_p99", 0.05), ("request_p50", 0.1)):
            host, router = row[f"{figure}_ms"], row[f"router_{figure}_ms"]
            assert router == pytest.approx(host, rel=margin, abs=1), (row["case"], figure)


def test_every_ping_is_seen_on_the_router(result):
    lines = result.as_json()["series"]["latency_cdf"]
    losses = {row["scheduler"]: row["ping_lost_percent"] for row in result.results if row["flows"]}
    for scheduler, lost in losses.items():
        assert len(lines[scheduler]["y"]) == pytest.approx(50 * (1 - lost / 100), abs=0.5)


def test_report(result, tmp_path):
    check_report(write(tmp_path, [result]), plots=5)


def test_flows_are_numbers():
    with pytest.raises(ValueError, match="flows: 'many' is not a whole number"):
        find("bufferbloat")(flows="1,many")
