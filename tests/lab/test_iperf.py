"""Bulk traffic by iperf3."""

import time

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader

from penstock.lab import Capture, LabError, iperf, sent_bytes

MBIT = 1_000_000
MS = 1_000_000


@pytest.fixture
def ends(lab):
    a, b = lab.host("a"), lab.host("b")
    return a, b, *lab.link(a, b, rate=20 * MBIT, delay=2 * MS)


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_fills_the_link(ends, version):
    a, b, near, _ = ends
    before, sent = time.time(), sent_bytes(near)
    arrived = iperf(a, b, seconds=2, flows=2, version=version).wait()
    assert before <= arrived.start < before + 1
    assert 17 * MBIT < arrived.goodput < 20 * MBIT * 1448 / 1514
    assert arrived.shares.sum() == pytest.approx(arrived.goodput)
    assert arrived.rates.shape in {(2, 20), (2, 21)}
    assert np.median(arrived.rates.sum(axis=0)) == pytest.approx(arrived.goodput, rel=0.1)
    assert sent_bytes(near) - sent > arrived.goodput / 8 * 2
    assert arrived.lost == 0
    assert 0.004 < arrived.rtt < 0.004 + 1000 * 1514 * 8 / (20 * MBIT)


def test_udp_beyond_the_link_is_lost(ends):
    a, b, *_ = ends
    arrived = iperf(a, b, seconds=2, udp=40 * MBIT, length=1400).wait()
    assert arrived.goodput == pytest.approx(20 * MBIT * 1400 / 1442, rel=0.03)
    assert arrived.lost > 500
    assert (arrived.retransmits, arrived.rtt) == (0, 0)


def test_two_at_once(ends):
    a, b, *_ = ends
    both = iperf(a, b, seconds=2), iperf(b, a, seconds=2)
    assert all(each.wait().goodput > 5 * MBIT for each in both)


def test_codepoints(ends, tmp_path):
    a, b, near, _ = ends
    with Capture(near, tmp_path / "marked.pcap") as capture:
        iperf(a, b, seconds=1, dscp=46).wait()
    with RawPcapReader(str(capture.path)) as reader:
        packets = [packet for packet in (Ether(data) for data, _ in reader) if TCP in packet]
    data = [
        packet[IP].tos >> 2 for packet in packets if packet[IP].src == a.address() and packet[IP].len > 1000
    ]
    assert len(data) > 100
    assert set(data) == {46}


def test_what_cannot_be_says_why(ends):
    a, b, *_ = ends
    with pytest.raises(LabError, match=r"^a: iperf3 to b: unable to set TCP_CONGESTION"):
        iperf(a, b, seconds=1, congestion="none").wait()
