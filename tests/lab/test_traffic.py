"""Real TCP, ping and floods between hosts."""

import statistics
import time

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader

from penstock.lab import Capture, bulk, exchange, flood, ping
from penstock.lab.namespace import LabError
from tests.truth import parse, rtts_of
from tests.truth.packet import RAW_IP


def frames(path):
    with RawPcapReader(str(path)) as reader:
        return [data for data, _ in reader]


@pytest.mark.parametrize("version", [4, 6])
def test_exchanges(middlebox, version):
    totals = exchange(middlebox.a, middlebox.b, flows=10, exchanges=20, interval=0, version=version).wait()
    assert (totals.connections, totals.exchanges) == (10, 200)
    assert (totals.bytes_sent, totals.bytes_received) == (200 * 100, 200 * 1000)


def test_each_exchange_is_timed(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, delay=5_000_000)
    for reconnect, least in ((False, 0.010), (True, 0.020)):  # an RTT for the reply, and one to connect
        before = time.time()
        totals = exchange(a, b, exchanges=10, interval=0.01, reconnect=reconnect, timed=True).wait()
        began, took = totals.times.T
        assert len(took) == totals.exchanges == 10
        assert before < began[0]
        assert np.all(np.diff(began) > took[:-1])
        assert least <= took.min() <= np.median(took) < least + 0.002
    assert exchange(a, b, exchanges=2).wait().times.shape == (0, 2)


def test_short_flows(middlebox):
    totals = exchange(middlebox.a, middlebox.b, flows=5, exchanges=20, interval=0, reconnect=True).wait()
    assert (totals.connections, totals.exchanges) == (100, 100)


def test_a_thousand_flows(middlebox):
    totals = exchange(middlebox.a, middlebox.b, flows=1000, exchanges=3, interval=0.05, seconds=20).wait()
    assert (totals.connections, totals.exchanges) == (1000, 3000)


@pytest.mark.parametrize("version", [4, 6])
def test_bulk_of_a_size(middlebox, version):
    totals = bulk(middlebox.a, middlebox.b, flows=3, size=1_000_000, seconds=20, version=version).wait()
    assert totals.bytes_sent == 3_000_000


def test_bulk_for_a_time(middlebox):
    totals = bulk(middlebox.a, middlebox.b, flows=2, seconds=0.5).wait()
    assert totals.bytes_sent > 1_000_000
    assert 0.5 <= totals.seconds < 2


def test_pacing(middlebox):
    totals = bulk(middlebox.a, middlebox.b, size=500_000, pacing=1_000_000, seconds=5).wait()
    assert totals.bytes_sent == 500_000


def test_traffic_stops_with_its_block(middlebox):
    with exchange(middlebox.a, middlebox.b, seconds=60) as transfer:
        pass
    assert transfer._client.returncode is not None


def test_a_server_that_nobody_reaches(middlebox):
    transfer = exchange(middlebox.a, middlebox.b, flows=2, seconds=0.5)
    middlebox.b.run(["ip", "link", "set", "pst-m", "down"])
    with pytest.raises(LabError, match="2 of 2 TCP connections failed"):
        transfer.wait()


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_marked(middlebox, tmp_path, version):
    with Capture(middlebox.towards_a, tmp_path / "marked.pcap") as capture:
        exchange(middlebox.a, middlebox.b, exchanges=5, dscp=46, version=version).wait()
        ping(middlebox.a, middlebox.b, count=3, dscp=10, version=version)
    packets = [Ether(frame) for frame in frames(capture.path) if parse(frame)]
    sent = [packet for packet in packets if packet.src == middlebox.a.interfaces[0].mac]
    marks = [packet[IP].tos >> 2 if version == 4 else packet[IPv6].tc >> 2 for packet in sent]
    assert (set(marks), marks.count(10)) == ({46, 10}, 3)


def test_ping_without_replies_is_no_error(middlebox):
    middlebox.b.run(["ip", "link", "set", "pst-m", "down"])
    result = ping(middlebox.a, middlebox.b, count=2)
    assert (result.sent, result.rtts_ms) == (2, ())


def test_what_the_middle_sees_of_ping_is_less_than_ping_sees(middlebox, tmp_path):
    with Capture(middlebox.towards_a, tmp_path / "ping.pcap") as capture:
        seen = ping(middlebox.a, middlebox.b, count=20).rtts_ms
    rtts = [rtt.rtt / 1e6 for rtt in rtts_of(capture.path)]
    assert len(rtts) == len(seen) == 20
    assert all(inner < outer for inner, outer in zip(rtts, seen, strict=True))
    assert statistics.median(rtts) > 0


def test_linux_tcp_has_timestamps(middlebox, tmp_path):
    with Capture(middlebox.towards_a, tmp_path / "tcp.pcap") as capture:
        exchange(middlebox.a, middlebox.b, flows=4, exchanges=5).wait()
    packets = [parse(frame) for frame in frames(capture.path)]
    assert {packet.source for packet in packets if packet and packet.syn and packet.answers is None} == {
        packet.source for packet in packets if packet and packet.source[0][-1] == 1
    }
    assert len(rtts_of(capture.path)) >= 4 * 5


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("tags", "header"),
    [((100,), b"\x81\x00\x00\x64"), ((100, 200), b"\x88\xa8\x00\x64\x81\x00\x00\xc8")],
    ids=["vlan", "qinq"],
)
def test_tagged_tcp_through_a_bridge(lab, tmp_path, version, tags, header):
    a, m, b = lab.host("a"), lab.bridge("m"), lab.host("b")
    _, port = lab.link(a, m, tags=tags)
    lab.link(b, m, tags=tags)
    with Capture(port, tmp_path / "tagged.pcap") as capture:
        totals = exchange(a, b, flows=5, exchanges=20, version=version).wait()
        bulk(a, b, size=200_000, version=version).wait()
        assert len(ping(a, b, count=3, version=version).rtts_ms) == 3
    assert totals.exchanges == 100
    ours = [frame for frame in frames(capture.path) if parse(frame)]
    assert len(ours) > 200
    assert {frame[12 : 12 + len(header)] for frame in ours} == {header}
    assert len(rtts_of(capture.path)) >= 100


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_over_an_interface_without_ethernet(lab, tmp_path, version):
    a, m, b = lab.host("a"), lab.router("m"), lab.host("b")
    lab.link(a, m)
    tunnel, _ = lab.link(m, b, ethernet=False)
    with Capture(tunnel, tmp_path / "raw.pcap") as capture:
        exchange(a, b, flows=5, exchanges=20, version=version).wait()
        bulk(a, b, size=200_000, version=version).wait()
    assert {frame[0] >> 4 for frame in frames(capture.path) if parse(frame, RAW_IP)} == {version}
    assert len(rtts_of(capture.path)) >= 100


@pytest.mark.parametrize("kind", ["syn", "data", "udp"])
def test_a_flood_has_as_many_sources_as_packets(middlebox, tmp_path, kind):
    end = middlebox.a.interfaces[0]
    with Capture(middlebox.towards_b, tmp_path / "flood.pcap") as capture:
        result = flood(end, middlebox.towards_a, middlebox.b.address(), kind=kind, packets=5000)
    assert result.packets == 5000
    sent = [frame for frame in frames(capture.path) if frame[26] == 100]
    assert len({frame[26:30] for frame in sent}) == 5000
    for frame in sent[:: len(sent) // 10]:
        packet = Ether(frame)
        again = IP(bytes(packet[IP]))
        del again.chksum
        assert IP(bytes(again)).chksum == packet[IP].chksum
    if kind != "udp":
        assert Ether(sent[0])[TCP].flags == {"syn": "S", "data": "PA"}[kind]


def test_a_flood_of_too_many(middlebox):
    with pytest.raises(LabError, match="cannot flood with 5000000 packets"):
        flood(middlebox.a.interfaces[0], middlebox.towards_a, middlebox.b.address(), packets=5_000_000)
