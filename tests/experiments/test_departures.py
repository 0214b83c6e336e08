"""Figures of departures that are known."""

import numpy as np
import pytest

from penstock.experiments.departures import Departures, relative_gaps

LENGTH = 1250  # bytes: at 10 Mbit/s a packet takes a ms
RATE = 10_000_000
MS = 1_000_000


def departures(times):
    """Packets at times in ms."""
    return Departures((np.array(times) * MS).astype(np.int64), LENGTH, RATE)


def test_even_ones():
    figures = departures(range(1000)).figures()
    assert figures["achieved_mbps"] == pytest.approx(10)
    assert figures["error_percent"] == figures["worst_100ms_percent"] == pytest.approx(0)
    assert figures["gap_p50_us"] == figures["gap_max_us"] == 1000
    assert figures["burst_mean_packets"] == figures["burst_max_packets"] == 1


def test_too_slow_on_average_and_for_a_while():
    pause = departures([*range(500), *range(600, 1100)]).figures()
    assert pause["error_percent"] == pytest.approx(100 * (999 / 1099 - 1))
    assert pause["worst_100ms_percent"] == pytest.approx(-50, abs=1)
    assert pause["gap_max_us"] == 101_000


def test_bursts():
    """Three packets at a time, a fifth of a ms apart, then one alone."""
    times = [start + 0.2 * number for start in range(0, 300, 3) for number in range(3)]
    figures = departures([*times, 300]).figures()
    assert figures["burst_max_packets"] == 3
    assert figures["burst_mean_packets"] == pytest.approx(301 / 101)
    assert figures["gap_p50_us"] == pytest.approx(200)


def test_gaps_relative_to_the_ideal_one():
    gaps = relative_gaps([departures(range(100)), departures(range(0, 200, 2))])
    assert gaps[0] == 1
    assert gaps[-1] == 2
    assert len(gaps) == 1001


def test_two_packets_are_enough():
    assert departures([0, 20]).figures()["error_percent"] == pytest.approx(-95)
