"""Gauges over time."""

import itertools
import time

import numpy as np
import pytest

from penstock.lab import Series, cpu_seconds


def test_gauges_are_read_at_their_interval():
    counter = itertools.count()
    before = time.time()
    with Series(0.02, count=lambda: next(counter), cpu=cpu_seconds) as series:
        time.sleep(0.5)
    table = series.read()
    assert table.dtype.names == ("time", "count", "cpu")
    assert 15 <= len(table) <= 26
    assert list(table["count"]) == list(range(len(table)))
    assert before < table["time"][0] < before + 0.1
    assert np.median(np.diff(table["time"])) == pytest.approx(0.02, rel=0.2)


def test_cpu_time_passes_when_it_is_used():
    before, end = cpu_seconds(), time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    assert cpu_seconds() - before > 0.3


def test_a_gauge_that_fails_is_told_of():
    def gone():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"), Series(0.01, gone=gone):
        time.sleep(0.1)
