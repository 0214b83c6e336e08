"""`penstock rtt` in a process of its own."""

import time

import numpy as np
import pytest

from penstock.lab import RTT, LabError, exchange, ping, run_rtt

MS = 1_000_000


@pytest.mark.parametrize("version", [4, 6])
def test_it_sees_what_ping_sees(lab, version):
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    lab.link(a, m)
    towards_b, _ = lab.link(m, b, delay=5 * MS)
    before = time.time()
    with run_rtt(m, towards_b, "--icmp", "--rate-limit", "0") as measuring:
        seen = ping(a, b, count=10, version=version).rtts_ms
    rtts = measuring.rtts()
    there = rtts[rtts["source"] == b.address(version)]
    assert rtts.dtype == RTT
    assert len(there) == len(seen) == 10
    assert np.all(there["rtt"] >= 0.010)
    assert np.all(there["rtt"] * 1e3 < np.array(seen) + 0.1)  # ping says 10.1 of 10.149
    assert np.all(np.diff(rtts["time"]) >= 0)
    assert before < rtts["time"][0] < rtts["time"][-1] < time.time()
    assert set(rtts["protocol"]) == {"ICMP" if version == 4 else "ICMPv6"}


def test_both_directions_of_tcp(middlebox):
    with run_rtt(middlebox.m, middlebox.towards_b, "--rate-limit", "0") as measuring:
        exchange(middlebox.a, middlebox.b, flows=2, exchanges=10).wait()
    rtts = measuring.rtts()
    assert set(rtts["source"]) == {middlebox.a.address(), middlebox.b.address()}
    assert {tuple(sorted(ends)) for ends in zip(rtts["source"], rtts["destination"], strict=True)} == {
        (middlebox.a.address(), middlebox.b.address())
    }
    assert set(rtts["protocol"]) == {"TCP"}


def test_nothing_seen_is_an_empty_array(middlebox):
    with run_rtt(middlebox.m, middlebox.towards_b) as measuring:
        pass
    assert measuring.rtts().shape == (0,)


def test_what_cannot_run_says_why(middlebox):
    with pytest.raises(LabError, match=r"^m: .* rtt pst-b .*: --live and --format exclude each other"):
        run_rtt(middlebox.m, middlebox.towards_b, "--live")
