"""Captures, read in bulk: against the judge, which reads them packet by packet."""

from collections import Counter

import pytest

from penstock.lab import Capture, bulk, exchange, ping
from penstock.lab.passive import Matcher
from penstock.lab.pcap import ICMP, TCP, Parser
from tests.truth import captured_packets, rtts_of

NUMBERS = {"TCP": TCP, "ICMP": ICMP}


@pytest.fixture
def capture(middlebox, tmp_path):
    """A capture of bulk traffic, exchanges and ping, of IPv4 and a bit of IPv6."""
    path = tmp_path / "packets.pcap"
    with Capture(middlebox.towards_b, path):
        with bulk(middlebox.a, middlebox.b, flows=3, seconds=0.3) as transfer:
            ping(middlebox.a, middlebox.b, count=10, interval=0.02)
            transfer.wait()
        exchange(middlebox.a, middlebox.b, flows=5, exchanges=20, interval=0.003).wait()
        ping(middlebox.a, middlebox.b, count=3, version=6)
    return path


def fed(path, size):
    """What comes of a capture that is read in pieces of some bytes: the parser, and the packets and RTTs."""
    parser, matcher, data = Parser(), Matcher(), path.read_bytes()
    packets, rtts = [], []
    for start in range(0, len(data), size):
        found = parser.feed(data[start : start + size])
        packets += found.tolist()
        rtts += matcher.feed(found).tolist()
    return parser, packets, rtts


def test_packets_and_rtts_are_those_of_the_judge(capture):
    parser, packets, rtts = fed(capture, 1 << 30)
    judged = [(time, each) for time, each in captured_packets(capture) if len(each.source[0]) == 4]
    wanted = [(time, each) for time, each in judged if not each.syn]
    assert len(packets) == len(wanted) > 500
    assert parser.records > len(packets)  # those of IPv6, SYNs and ARP
    assert [packet[0] for packet in packets] == [time for time, _ in wanted]
    assert [packet[-1] for packet in packets] == [each.timed for _, each in wanted]
    # The first RTTs of a flow are the judge's alone: it knows from the SYN that a TSval is new.
    known = Counter((rtt.timestamp, rtt.rtt, NUMBERS.get(rtt.protocol, 0)) for rtt in rtts_of(capture))
    found = Counter(rtt[:3] for rtt in rtts)
    flows = {rtt[2:] for rtt in rtts}
    assert not found - known
    assert (known - found).total() <= len(flows) + 3  # of IPv6
    assert found.total() > 200


@pytest.mark.parametrize("size", [997, 65536])
def test_pieces_make_no_difference(capture, size):
    assert fed(capture, size)[1:] == fed(capture, 1 << 30)[1:]


def test_nothing_yet():
    parser = Parser()
    assert len(parser.feed(bytes(10))) == len(parser.feed(bytes(14))) == parser.records == 0
