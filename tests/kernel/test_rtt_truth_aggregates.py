"""Sums, histograms and losses on real traffic, against a capture of the same packets."""

from __future__ import annotations

import socket
from collections import Counter, defaultdict
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader

from penstock.lab import Capture, bulk, exchange, ping
from penstock.rtt.monitor import Monitor
from penstock.rtt.options import RttOptions
from penstock.rtt.records import EventKind
from tests.conftest import Middlebox
from tests.kernel.rtt_measure import Measurement, one_cpu
from tests.truth import rtts_of

KINDS = {6: "TCP", 17: "UDP", 1: "ICMP", 58: "ICMP"}
ECN = ("no_ECT", "ECT1", "ECT0", "CE")


def prefix(address: str) -> str:
    bits = 24 if ip_address(address).version == 4 else 48
    return str(ip_network(f"{address}/{bits}", strict=False))


def is_of_the_link(address: str) -> bool:
    return ip_address(address).is_link_local or ip_address(address).is_multicast


def captured_sums(path: Path) -> dict[str, Counter[str]]:
    """Packets and bytes by prefix: from it, to it, by protocol, by ECN.

    Without those that links speak of themselves, also before the measurement begins.
    """
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with RawPcapReader(str(path)) as reader:
        for data, _ in reader:
            frame = Ether(data)
            if IP in frame:
                header, size, kind, ecn = frame[IP], frame[IP].len, frame[IP].proto, frame[IP].tos & 3
            elif IPv6 in frame:
                header, size, kind, ecn = (
                    frame[IPv6],
                    frame[IPv6].plen + 40,
                    frame[IPv6].nh,
                    frame[IPv6].tc & 3,
                )
            else:
                continue
            for way, address in (("rx", header.src), ("tx", header.dst)):
                if is_of_the_link(address):
                    continue
                count = sums[prefix(address)]
                for name in (way, KINDS.get(kind, "other")):
                    count[f"{name} packets"] += 1
                    count[f"{name} bytes"] += size
                count[ECN[ecn]] += 1
    return dict(sums)


def reported_sums(reports: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for report in reports:
        traffic = {"rx": report["rx_stats"], "tx": report["tx_stats"], **report["protocol_counters"]}
        count = sums[report["ip_prefix"]]
        for name, each in traffic.items():
            count[f"{name} packets"] += each["packets"]
            count[f"{name} bytes"] += each["bytes"]
        count.update(report["ecn_counters"])
    return {name: +count for name, count in sums.items() if not is_of_the_link(name.partition("/")[0])}


def send_datagrams(box: Middlebox, count: int) -> None:
    with box.a.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, number % 4)
            sender.sendto(b"x" * number, (box.b.address(4), 9))


@pytest.mark.parametrize("ingress", ["tc", "xdp"])
def test_sums_of_all_intervals(middlebox: Middlebox, tmp_path: Path, ingress: str) -> None:
    options = ("--rate-limit=0", "--aggregate=1", "--ingress", ingress)
    with Measurement(tmp_path, middlebox.towards_a, options=options) as measured, one_cpu():
        middlebox.a.sysctl("net.ipv4.tcp_ecn", 1)
        exchange(middlebox.a, middlebox.b, flows=10, seconds=2.5).wait()
        exchange(middlebox.a, middlebox.b, flows=10, seconds=0.5, reconnect=True, version=6).wait()
        bulk(middlebox.b, middlebox.a, flows=2, seconds=0.5).wait()
        ping(middlebox.a, middlebox.b, count=50, interval=0.002, version=6)
        send_datagrams(middlebox, 100)
    about, *reports = measured.objects
    assert about["aggregation_interval_ns"] == 1_000_000_000
    assert reported_sums(reports) == captured_sums(measured.capture(middlebox.towards_a))
    rtts = Counter(prefix(rtt.src_ip) for rtt in rtts_of(measured.capture(middlebox.towards_a)))
    counts: Counter[str] = Counter()
    for report in reports:
        counts[report["ip_prefix"]] += report.get("count_rtt", 0)
        assert sum(count for _, count in report.get("histogram", [])) == report.get("count_rtt", 0)
    assert +counts == rtts
    assert rtts.total() > 1000


@pytest.mark.parametrize("ingress", ["tc", "xdp"])
def test_percentiles(middlebox: Middlebox, tmp_path: Path, ingress: str) -> None:
    """They may be off by 5 %, for the buckets, and by as much as RTTs may be at the median.

    The maximum is one RTT, and something may have interrupted the CPU between hook and capture just then.
    """
    options = ("--rate-limit=0", "--aggregate=600", "--ingress", ingress)
    with Measurement(tmp_path, middlebox.towards_a, options=options) as measured, one_cpu():
        bulk(middlebox.a, middlebox.b, flows=20, seconds=1.5).wait()
    found = rtts_of(measured.capture(middlebox.towards_a))
    reports = [each for each in measured.objects if each.get("count_rtt", 0) > 1000]
    assert reports
    for report in reports:
        rtts = np.array([rtt.rtt for rtt in found if prefix(rtt.src_ip) == report["ip_prefix"]])
        assert report["count_rtt"] == len(rtts)
        expected = {
            "min_rtt": rtts.min(),
            "mean_rtt": rtts.mean(),
            "median_rtt": np.median(rtts),
            "p95_rtt": np.percentile(rtts, 95),
            "p99_rtt": np.percentile(rtts, 99),
        }
        assert report["max_rtt"] == pytest.approx(rtts.max(), abs=1_000_000)
        for name, value in expected.items():
            bucket = 0.05 * value if name in {"median_rtt", "p95_rtt", "p99_rtt"} else 0
            assert report[name] == pytest.approx(value, abs=bucket + 20_000), (name, report, expected)


def test_events_that_were_lost_are_counted_exactly(middlebox: Middlebox, tmp_path: Path) -> None:
    options = RttOptions(rate_limit=0, flow_events=False, ring_bytes=1 << 16)
    path = tmp_path / "rtt.pcap"
    with (
        Capture(middlebox.towards_a, path, snapshot=192),
        middlebox.m.enter(),
        Monitor([middlebox.towards_a.name], options) as monitor,
    ):
        with one_cpu():
            exchange(middlebox.a, middlebox.b, flows=10, seconds=1).wait()
        monitor.detach()
        events, totals = monitor.read(), monitor.totals()
    captured = len(rtts_of(path))
    assert np.count_nonzero(events["kind"] == EventKind.RTT) == len(events)
    assert len(events) + totals.lost == totals.rtts == captured
    assert totals.lost > 100
    assert f"{totals.lost} events lost" in str(totals)
