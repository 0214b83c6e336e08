"""Which RTT of a report is which of a capture."""

import numpy as np

from penstock.experiments.pairing import as_captured, pair
from penstock.lab import RTT
from penstock.lab.passive import PASSIVE_RTT

FLOW = (6, 1, 80, 2, 4000)
OTHER = (6, 1, 80, 2, 4001)
MS = 1_000_000


def rtts(*rows):
    """RTTs of flows, as (time in ms, RTT in ns, flow)."""
    return np.array([(round(time * MS), rtt, *flow) for time, rtt, flow in rows], PASSIVE_RTT)


def pairs(reported, captured):
    found = pair(rtts(*reported), rtts(*captured))
    return sorted(zip(found.captured.tolist(), found.reported.tolist(), strict=True)), found.alone


def test_the_same_flow_at_the_same_time():
    captured = [(0, 100, FLOW), (10, 200, FLOW), (10, 300, OTHER)]
    reported = [(11, 301, OTHER), (1, 101, FLOW), (11, 201, FLOW)]
    assert pairs(reported, captured) == ([(100, 101), (200, 201), (300, 301)], 0)


def test_replies_that_follow_each_other_closely():
    captured = [(0, 100, FLOW), (1, 200, FLOW), (2, 300, FLOW)]
    reported = [(0.1, 101, FLOW), (1.1, 201, FLOW), (2.1, 301, FLOW)]
    assert pairs(reported, captured) == ([(100, 101), (200, 201), (300, 301)], 0)


def test_what_is_in_one_only():
    assert pairs([(0, 100, FLOW), (20, 101, FLOW)], [(0, 99, FLOW), (40, 9, FLOW)]) == ([(99, 100)], 2)


def test_each_is_in_one_pair():
    assert pairs([(0, 100, FLOW), (1, 101, FLOW)], [(0, 99, FLOW)]) == ([(99, 100)], 1)
    assert pairs([], [(0, 99, FLOW)]) == ([], 1)
    assert pairs([], []) == ([], 0)


def test_a_report_in_the_terms_of_a_capture():
    reported = np.array([(1.5, 0.001, "198.18.1.2", 80, "0.0.0.2", 4000, "TCP")], RTT)
    assert as_captured(reported).tolist() == [(1_500_000_000, MS, 6, 0xC6120102, 80, 2, 4000)]
