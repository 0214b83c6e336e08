"""RTTs that tcpdump and a reader measure."""

import time

import numpy as np

from penstock.lab import exchange, run_rtt
from penstock.lab.pcap_rtts import PcapRtt


def test_it_finds_what_penstock_finds(middlebox):
    with (
        run_rtt(middlebox.m, middlebox.towards_b, "--rate-limit", "0") as kernel,
        PcapRtt(middlebox.towards_b) as capture,
    ):
        exchange(middlebox.a, middlebox.b, flows=4, exchanges=50, interval=0.005).wait()
        time.sleep(1.5)  # few packets reach tcpdump only when its second is over
    found, own = kernel.rtts(), capture.rtts()
    assert capture.processed() == 1
    assert 0 <= len(found) - len(own) <= 2 * 4  # a SYN tells penstock that the first TSval is new
    assert abs(np.median(found["rtt"]) * 1e9 - np.median(own["rtt"])) < 50_000
    assert len(set(capture.pids)) == 2


def test_nothing_to_see(middlebox):
    with PcapRtt(middlebox.towards_b) as capture:
        pass
    assert len(capture.rtts()) == 0
