"""The kernel's own queue."""

import pytest

from penstock.lab import LabError, iperf, ping
from penstock.lab.qdisc import shaped

MBIT = 1_000_000


def test_a_rate_holds_while_the_block_lasts(middlebox):
    a, b = middlebox.a, middlebox.b
    with shaped(middlebox.towards_b, 20 * MBIT):
        assert iperf(a, b, seconds=2).wait().goodput == pytest.approx(20 * MBIT * 1448 / 1514, rel=0.05)
    assert iperf(a, b, seconds=1).wait().goodput > 100 * MBIT


def test_what_waits_is_limited_in_frames_however_packets_were_merged(middlebox):
    a, b = middlebox.a, middlebox.b
    with shaped(middlebox.towards_b, 10 * MBIT, limit=50), iperf(a, b, seconds=2) as bulk:
        rtts = ping(a, b, count=20, interval=0.05).rtts_ms
        bulk.wait()
    assert 20 < max(rtts) < 1.2 * (50 + 2) * 1514 * 8 / 10_000


def test_what_cannot_be_says_why(middlebox):
    for rate in (9_999, 1 << 36):
        with (
            pytest.raises(LabError, match=f"cannot shape pst-b to {rate} bit/s: from 10000 to 343"),
            shaped(middlebox.towards_b, rate),
        ):
            pass
    with (
        shaped(middlebox.towards_b, MBIT),
        pytest.raises(LabError, match=r"cannot shape pst-b, by tbf: .*[Ee]xist"),
        shaped(middlebox.towards_b, MBIT),
    ):
        pass
