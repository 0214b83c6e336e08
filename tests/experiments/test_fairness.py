"""Who gets how much of a link, and who is done when."""

import numpy as np
import pytest

from penstock.experiments import find
from penstock.experiments.report import write
from penstock.experiments.shares import Group, Shares, jain, together
from penstock.lab import Arrived
from tests.experiments.browser import check_report

LINK = 95.6
"""Mbit/s of goodput that the link has room for."""

EQUAL = ("fifo", "fq_codel", "stfq", "drr")
COMPLETION = ("fifo", "stfq", "las", "srpt", "drr")


@pytest.fixture(scope="module")
def result():
    return find("fairness")(duration="1s", runs="1", extra="drr").run(print)


@pytest.fixture
def cases(result):
    return {row["case"]: row for row in result.results}


def test_cases(cases):
    sharing = ["weights_stfq", "hierarchy_hpfq", "hierarchy_stfq", *(f"equal_{name}" for name in EQUAL)]
    assert [*cases] == [*sharing, *(f"completion_{name}" for name in COMPLETION)]
    assert cases["equal_fq_codel"]["scheduler"] == "fq_codel"
    assert all(0.95 * LINK < cases[case]["goodput_mbps"] < 1.05 * LINK for case in sharing)


def test_flows_get_what_is_due_to_their_weights(cases):
    assert cases["weights_stfq"]["error_percent"] < 5
    assert cases["weights_stfq"]["jain"] > 0.99


def test_only_a_hierarchy_is_fair_to_classes(cases):
    assert cases["hierarchy_hpfq"]["jain"] > 0.99
    assert cases["hierarchy_hpfq"]["error_percent"] < 5
    assert cases["hierarchy_stfq"]["error_percent"] == pytest.approx(60, abs=5)


@pytest.mark.parametrize("scheduler", ["fq_codel", "stfq", "drr"])
def test_equal_flows_get_the_same(cases, scheduler):
    assert cases[f"equal_{scheduler}"]["jain"] > 0.99
    assert cases[f"equal_{scheduler}"]["jain"] > cases["equal_fifo"]["jain"]


def test_short_flows_are_done_far_sooner_than_first_in_first_out(cases):
    fifo, srpt = cases["completion_fifo"], cases["completion_srpt"]
    assert srpt["short_p50_ms"] < 0.4 * fifo["short_p50_ms"]
    assert srpt["short_p99_ms"] < 0.4 * fifo["short_p99_ms"]


def test_the_shortest_first_hurts_neither_the_mean_nor_the_long_flow(cases):
    fifo, fair, srpt = (cases[f"completion_{name}"] for name in ("fifo", "stfq", "srpt"))
    assert srpt["mean_ms"] < 0.5 * fifo["mean_ms"]
    assert srpt["mean_ms"] < 1.1 * fair["mean_ms"]
    assert srpt["long_goodput_mbps"] > 0.8 * fifo["long_goodput_mbps"]


def test_the_same_flows_for_each(result):
    lines = result.as_json()["series"]["short_completion"]
    assert [*lines] == [*COMPLETION]
    assert len({len(line["y"]) for line in lines.values()}) == 1
    assert len(lines["fifo"]["y"]) > 50


def test_report(result, tmp_path):
    check_report(write(tmp_path, [result]), plots=6)


def test_index_of_fairness():
    assert jain(np.array([3.0, 3.0, 3.0])) == 1
    assert jain(np.array([5.0, 0.0, 0.0, 0.0])) == 0.25


def test_what_is_due():
    settling = np.zeros((1, 10))
    rates = {
        "a": np.hstack([settling, np.full((1, 2), 60.0)]),
        "b": np.hstack([np.repeat(settling, 2, axis=0), [[25.0, 15.0], [20.0, 20.0]]]),
    }
    shares = Shares({"a": Group(0.5), "b": Group(0.5, flows=2)}, rates)
    assert shares.percent() == pytest.approx({"a": 60, "b": 40})
    figures = shares.figures()
    assert (figures["goodput_mbps"], figures["error_percent"]) == (100, pytest.approx(20))
    assert figures["jain"] == pytest.approx(jain(np.array([1.2, 0.8, 0.8])))


def test_transfers_that_begin_one_after_the_other():
    first, second = (
        Arrived(
            start=start,
            rates=1e6 * np.arange(10.0)[None],
            goodput=0,
            shares=np.zeros(1),
            retransmits=0,
            lost=0,
            rtt=0,
        )
        for start in (5.0, 5.32)
    )
    assert [rates.tolist() for rates in together([first, second])] == [
        [[3, 4, 5, 6, 7, 8]],
        [[0, 1, 2, 3, 4, 5]],
    ]
