"""The rules of the judge, on captures whose RTTs are known."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from tests.truth import rtts_of

ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # given, lest scapy asks the network
A, B = ("192.0.2.1", 1000), ("192.0.2.2", 2000)
US = 1000  # ns
START = 1_700_000_000 * 10**9  # ns; times in tests are µs, a second later


def segment(time, source, target, tsval, tsecr, data=b"data", flags="A"):
    """A TCP segment at a time in µs."""
    tcp = TCP(sport=source[1], dport=target[1], flags=flags, options=[("Timestamp", (tsval, tsecr))])
    return time, ETHERNET / IP(src=source[0], dst=target[0]) / tcp / data


def ack(time, source, target, tsval, tsecr):
    return segment(time, source, target, tsval, tsecr, data=b"")


@pytest.fixture
def judge(tmp_path):
    """RTTs of packets, as (µs of the reply, RTT in µs, who replied).

    Before the packets there is one in every direction of the flows, with the TSval `earlier`.
    """

    def rtts(packets, *, earlier=1, syn=False):
        ways = {
            (f[IP].src, f[TCP].sport, f[IP].dst, f[TCP].dport) for _, f in packets if earlier and TCP in f
        }
        before = [segment(-10, way[:2], way[2:], earlier, 1) for way in sorted(ways)]
        for time, frame in before + packets:
            frame.time = START // 10**9 + 1 + time / 10**6
        path = tmp_path / "made.pcap"
        wrpcap(str(path), [frame for _, frame in before + packets], nano=False)
        found = rtts_of(path, syn=syn)
        return [((rtt.timestamp - START) // US - 10**6, rtt.rtt // US, rtt.src_ip) for rtt in found]

    return rtts


def test_data_and_its_ack(judge):
    assert judge([segment(0, A, B, 10, 5), ack(150, B, A, 6, 10)]) == [(150, 150, B[0])]


def test_both_directions_at_once(judge):
    packets = [segment(0, A, B, 10, 5), segment(100, B, A, 6, 10), ack(400, A, B, 11, 6)]
    assert judge(packets) == [(100, 100, B[0]), (400, 300, A[0])]


def test_only_the_first_packet_of_a_tsval_is_timed(judge):
    packets = [segment(0, A, B, 10, 5), segment(80, A, B, 10, 5), ack(150, B, A, 6, 10)]
    assert judge(packets) == [(150, 150, B[0])]


def test_only_the_first_match_counts(judge):
    packets = [segment(0, A, B, 10, 5), ack(150, B, A, 6, 10), ack(160, B, A, 6, 10)]
    assert judge(packets) == [(150, 150, B[0])]


def test_a_tsval_that_was_answered_is_not_timed_again(judge):
    packets = [segment(0, A, B, 10, 5), ack(9, B, A, 6, 10), segment(20, A, B, 10, 5), ack(29, B, A, 6, 10)]
    assert judge(packets) == [(9, 9, B[0])]


def test_pure_acks_are_not_timed(judge):
    assert judge([ack(0, A, B, 10, 5), ack(150, B, A, 6, 10)]) == []


def test_data_is_not_timed_if_a_pure_ack_was_first_with_its_tsval(judge):
    assert judge([ack(0, A, B, 10, 5), segment(30, A, B, 10, 5), ack(150, B, A, 6, 10)]) == []


def test_a_fin_is_timed(judge):
    packets = [segment(0, A, B, 10, 5, data=b"", flags="FA"), ack(150, B, A, 6, 10)]
    assert judge(packets) == [(150, 150, B[0])]


def test_an_older_tsval_is_not_timed(judge):
    packets = [segment(0, A, B, 10, 5), segment(10, A, B, 9, 5), ack(50, B, A, 6, 9), ack(60, B, A, 6, 10)]
    assert judge(packets) == [(60, 60, B[0])]


def test_tsvals_wrap_around(judge):
    packets = [segment(0, A, B, 2**32 - 1, 5), ack(5, B, A, 6, 2**32 - 1)]
    packets += [segment(10, A, B, 3, 5), ack(17, B, A, 6, 3)]
    assert judge(packets, earlier=2**32 - 9) == [(5, 5, B[0]), (17, 7, B[0])]


def test_zero_is_neither_timed_nor_matched(judge):
    assert judge([segment(0, A, B, 0, 5), ack(50, B, A, 6, 0)]) == []


def test_several_may_be_under_way(judge):
    packets = [segment(0, A, B, 10, 5), segment(10, A, B, 11, 5), ack(60, B, A, 6, 11), ack(70, B, A, 7, 10)]
    assert judge(packets) == [(60, 50, B[0]), (70, 70, B[0])]


def test_flows_do_not_answer_each_other(judge):
    other = (A[0], 1001)
    packets = [segment(0, A, B, 10, 5), segment(10, other, B, 10, 5), ack(60, B, other, 6, 10)]
    assert judge(packets) == [(60, 50, B[0])]


def test_the_first_tsval_seen_is_not_timed(judge):
    packets = [segment(0, A, B, 10, 5), ack(9, B, A, 6, 10), segment(20, A, B, 11, 5), ack(31, B, A, 6, 11)]
    assert judge(packets, earlier=None) == [(31, 11, B[0])]


HANDSHAKE = [
    segment(0, A, B, 10, 0, data=b"", flags="S"),
    segment(40, B, A, 5, 10, data=b"", flags="SA"),
    ack(90, A, B, 10, 5),
]


def test_syn_packets_are_skipped(judge):
    assert judge(HANDSHAKE, earlier=None) == []


def test_syn_packets_count_if_asked_for(judge):
    assert judge(HANDSHAKE, earlier=None, syn=True) == [(40, 40, B[0]), (90, 50, A[0])]


@pytest.mark.parametrize("syn", [False, True])
def test_after_a_syn_the_next_tsval_is_timed_at_once(judge, syn):
    packets = [*HANDSHAKE, segment(100, A, B, 11, 5), ack(130, B, A, 5, 11)]
    assert judge(packets, earlier=None, syn=syn)[-1] == (130, 30, B[0])


def test_data_with_the_tsval_of_its_syn_is_not_timed(judge):
    packets = [*HANDSHAKE, segment(100, A, B, 10, 5), ack(130, B, A, 5, 10)]
    assert judge(packets, earlier=None) == []


def test_a_new_connection_of_the_same_name_starts_anew(judge):
    packets = [segment(-5, A, B, 2**30, 7), *HANDSHAKE, segment(100, A, B, 11, 5), ack(130, B, A, 5, 11)]
    assert judge(packets, earlier=None) == [(130, 30, B[0])]


def test_pure_acks_begin_no_flow(judge):
    packets = [ack(0, A, B, 10, 5), segment(9, A, B, 11, 5), ack(20, B, A, 6, 11)]
    packets += [segment(30, A, B, 12, 6), ack(45, B, A, 7, 12)]
    assert judge(packets, earlier=None) == [(45, 15, B[0])]


ENDING = [
    segment(0, A, B, 10, 5),
    segment(1, A, B, 11, 5, data=b"", flags="FA"),
    segment(20, B, A, 6, 11, data=b"", flags="FA"),
]


def test_what_comes_before_the_last_ack_counts(judge):
    packets = [*ENDING, segment(30, B, A, 6, 10, flags="FA"), ack(50, A, B, 12, 6)]
    assert judge(packets) == [(20, 19, B[0]), (30, 30, B[0]), (50, 30, A[0])]


def test_what_comes_after_the_last_ack_answers_nothing(judge):
    assert judge([*ENDING, ack(50, A, B, 12, 6), ack(51, B, A, 6, 10)]) == [(20, 19, B[0]), (50, 30, A[0])]


def test_a_reset_without_timestamps_ends_a_flow(judge):
    reset = ETHERNET / IP(src=B[0], dst=A[0]) / TCP(sport=B[1], dport=A[1], flags="R")
    packets = [segment(0, A, B, 10, 5), (5, reset), ack(20, B, A, 6, 10)]
    assert judge(packets) == []


def test_packets_and_payload_are_counted(tmp_path):
    ways = (A, B), (B, A)
    packets = [segment(0, *way, 1, 1, data=b"12") for way in ways]
    packets += [segment(10, A, B, 2, 1, data=b"345"), ack(20, B, A, 2, 2)]
    path = tmp_path / "made.pcap"
    wrpcap(str(path), [frame for _, frame in packets])
    (rtt,) = rtts_of(path)
    assert rtt.counts == (2, 5, 2, 2)


def test_icmp(judge):
    def echo(time, source, target, kind, sequence):
        return time, ETHERNET / IP(src=source[0], dst=target[0]) / ICMP(type=kind, id=9, seq=sequence)

    packets = [echo(0, A, B, 8, 0), echo(30, B, A, 0, 0), echo(31, B, A, 0, 0)]
    packets += [echo(100, A, B, 8, 1), echo(120, A, B, 8, 1), echo(130, B, A, 0, 1)]
    assert judge(packets) == [(30, 30, B[0]), (130, 30, B[0])]


def test_icmpv6_with_nanoseconds(tmp_path):
    ends = IPv6(src="2001:db8::1", dst="2001:db8::2"), IPv6(src="2001:db8::2", dst="2001:db8::1")
    frames = [
        ETHERNET / ends[0] / ICMPv6EchoRequest(id=9, seq=1),
        ETHERNET / ends[1] / ICMPv6EchoReply(id=9, seq=1),
    ]
    frames[0].time, frames[1].time = 1.0, 1.000000125
    wrpcap(str(tmp_path / "nano.pcap"), frames, nano=True)
    (rtt,) = rtts_of(tmp_path / "nano.pcap")
    assert rtt[:7] == (1_000_000_125, 125, "2001:db8::2", 9, "2001:db8::1", 9, "ICMPv6")
