"""Flows of all sizes: their plan, their times and their marks."""

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader

from penstock.lab import Capture, LabError, sent_bytes
from penstock.lab.sender import remaining
from penstock.lab.workload import PLAN, heavy_tailed, send_flows

MS = 1_000_000


def planned(*flows):
    return np.array([*flows], PLAN)


def test_a_plan_is_as_random_as_its_seed():
    plans = [heavy_tailed(seed, 10e6, 5) for seed in (1, 1, 2)]
    assert np.array_equal(plans[0], plans[1])
    assert not np.array_equal(plans[0][:10], plans[2][:10])


def test_a_plan_offers_what_it_should():
    plan = heavy_tailed(1, 70e6, 20)
    assert 70e6 <= plan["bytes"].sum() * 8 / 20 < 72e6
    assert 0 <= plan["start"][0] <= plan["start"][-1] < 20
    assert np.all(np.diff(plan["start"]) >= 0)


def test_most_flows_are_short_and_most_bytes_in_others():
    sizes = heavy_tailed(1, 1e9, 20)["bytes"]
    assert 10_000 <= sizes.min() < 10_100
    assert 3_000_000 < sizes.max() <= 5_000_000
    assert np.median(sizes) == pytest.approx(10_000 * 2 ** (1 / 1.1), rel=0.02)
    assert np.mean(sizes < 100_000) > 0.9
    assert sizes[sizes > 100_000].sum() > 0.5 * sizes.sum()


@pytest.mark.parametrize("version", [4, 6])
def test_flows_take_their_time(lab, version):
    a, b = lab.host("a"), lab.host("b")
    end, _ = lab.link(a, b, delay=5 * MS)
    plan = planned((0.0, 1000), (0.1, 10_000), (0.3, 200_000))
    before = sent_bytes(end)
    flows = send_flows(a, b, plan, version=version).wait()
    assert np.array_equal(flows["bytes"], plan["bytes"])
    assert np.allclose(flows["start"] - flows["start"][0], plan["start"], atol=1e-6)
    connecting, sending = 0.010, 0.010
    assert np.all(flows["seconds"] >= connecting + sending)
    assert np.all(flows["seconds"][:2] < 0.030)
    assert flows["seconds"][2] >= connecting + 4 * sending  # slow start from 10 segments
    assert 211_000 < sent_bytes(end) - before < 250_000


def test_flows_do_not_wait_for_others(lab):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, rate=10_000_000)
    flows = send_flows(a, b, planned((0.0, 500_000), (0.1, 10_000))).wait()
    assert flows["start"][1] + flows["seconds"][1] < flows["start"][0] + flows["seconds"][0]


@pytest.mark.parametrize("version", [4, 6])
def test_marks_say_what_is_still_to_come(middlebox, tmp_path, version):
    with Capture(middlebox.towards_a, tmp_path / "marks.pcap") as capture:
        send_flows(middlebox.a, middlebox.b, planned((0.0, 1_000_000)), marked=True, version=version).wait()
    with RawPcapReader(str(capture.path)) as reader:
        packets = [Ether(data) for data, _ in reader]
    sent = [packet for packet in packets if TCP in packet and packet.src == middlebox.a.interfaces[0].mac]
    marks = [packet[IP].tos >> 2 if version == 4 else packet[IPv6].tc >> 2 for packet in sent]
    assert marks[0] == remaining(1_000_000) == 39
    assert np.all(np.diff(marks) <= 0)
    assert marks[-1] <= remaining(1 << 15)
    assert len(set(marks)) > 10


def test_marks_of_sizes():
    assert [remaining(size) for size in (0, 1000, 2000, 4000, 56_000_000, 1 << 40)] == [0, 4, 6, 9, 63, 63]


def test_no_flows(middlebox):
    assert len(send_flows(middlebox.a, middlebox.b, planned()).wait()) == 0


def test_a_server_that_is_gone(middlebox):
    workload = send_flows(middlebox.a, middlebox.b, planned((0.5, 1000), (0.6, 1000)))
    workload._server.kill()
    with pytest.raises(LabError, match="2 of 2 flows failed"):
        workload.wait()
