"""The pairing of what was reported with what was captured."""

import json

from tests.truth import Rtt, compare, reported_rtts

MS = 1_000_000


def rtt(timestamp, value, port=1000):
    return Rtt(timestamp, value, "192.0.2.2", port, "192.0.2.1", 2000, "TCP")


def test_equal_but_for_the_clock():
    captured = [rtt(10 * MS, 300_000), rtt(11 * MS, 310_000)]
    reported = [rtt(10 * MS + 2000, 301_000), rtt(11 * MS + 2000, 308_000)]
    comparison = compare(reported, captured)
    assert sorted(comparison.differences) == [-2000, 1000]
    assert comparison.median_error == 1500
    assert not comparison.missing
    assert not comparison.unsupported


def test_the_same_counts_tell_more_than_a_little_time():
    first, second = rtt(10 * MS, 300_000), rtt(11 * MS, 300_000)._replace(sent_packets=2)
    late = [each._replace(timestamp=each.timestamp + MS) for each in (first, second)]
    assert not compare(late, [first, second]).miscounted
    wrong = second._replace(sent_packets=3)
    assert compare([first, wrong], [first, second]).miscounted == [(wrong, second)]


def test_one_is_missing_between_close_neighbours():
    captured = [rtt(time * MS, time * 10_000) for time in (10, 11, 12)]
    comparison = compare([captured[0], captured[2]], captured)
    assert comparison.missing == [captured[1]]
    assert comparison.differences == [0, 0]


def test_a_report_that_nothing_supports():
    real, made_up = rtt(10 * MS, 300_000), rtt(30 * MS, 300_000)
    comparison = compare([real, made_up], [real])
    assert comparison.unsupported == [made_up]


def test_an_rtt_reported_twice_is_supported_once():
    assert compare([rtt(10 * MS, 300_000)] * 2, [rtt(10 * MS, 300_000)]).unsupported == [
        rtt(10 * MS, 300_000)
    ]


def test_an_rtt_far_off_is_no_match():
    comparison = compare([rtt(10 * MS, 20 * MS)], [rtt(10 * MS, 300_000)])
    assert (len(comparison.missing), len(comparison.unsupported)) == (1, 1)


def test_flows_are_told_apart():
    comparison = compare([rtt(10 * MS, 300_000, port=1)], [rtt(10 * MS, 300_000, port=2)])
    assert (len(comparison.missing), len(comparison.unsupported)) == (1, 1)


def test_flow_events_among_the_lines_are_no_rtts():
    event = rtt(10 * MS, 300_000)._asdict()
    lines = [json.dumps({"timestamp": 1, "flow_event": "opening"}), json.dumps({**event, "min_rtt": 1}), "\n"]
    assert reported_rtts(lines) == [rtt(10 * MS, 300_000)]
