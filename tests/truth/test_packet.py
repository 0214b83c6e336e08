"""The parser of the judge, against packets that scapy builds."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether

from tests.truth.packet import RAW_IP, parse

ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # given, lest scapy asks the network
V4 = IP(src="192.0.2.1", dst="192.0.2.2")
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
STAMPED = TCP(sport=1000, dport=2000, flags="A", options=[("Timestamp", (7, 5))])
ENDS = {
    4: (
        (socket.inet_pton(socket.AF_INET, "192.0.2.1"), 1000),
        (socket.inet_pton(socket.AF_INET, "192.0.2.2"), 2000),
    ),
    6: (
        (socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 1000),
        (socket.inet_pton(socket.AF_INET6, "2001:db8::2"), 2000),
    ),
}
MANY_HEADERS = (
    IPv6ExtHdrHopByHop()
    / IPv6ExtHdrDestOpt()
    / IPv6ExtHdrRouting(addresses=["2001:db8::9"])
    / IPv6ExtHdrFragment(offset=0, m=1)
    / AH(icv=bytes(12))
    / IPv6ExtHdrDestOpt()
    / IPv6ExtHdrDestOpt()
)


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        (ETHERNET / V4, 4),
        (ETHERNET / V6, 6),
        (ETHERNET / Dot1Q(vlan=100) / V4, 4),
        (ETHERNET / Dot1AD(vlan=100) / Dot1Q(vlan=200) / V6, 6),
        (ETHERNET / V6 / MANY_HEADERS, 6),
    ],
    ids=["v4", "v6", "vlan", "qinq", "seven extension headers"],
)
def test_tcp_with_timestamps_is_found_behind(headers, version):
    packet = parse(bytes(headers / STAMPED / b"data"))
    assert packet is not None
    assert (packet.source, packet.target) == ENDS[version]
    assert (packet.offers, packet.answers, packet.timed, packet.syn) == (7, 5, True, False)


def test_a_packet_without_ethernet_header():
    packet = parse(bytes(V6 / STAMPED / b"data"), RAW_IP)
    assert packet is not None
    assert (packet.source, packet.target) == ENDS[6]


def test_ipv4_options_are_skipped():
    options = IP(src="192.0.2.1", dst="192.0.2.2", options=b"\x07\x07\x04\x00\x00\x00\x00\x00")
    packet = parse(bytes(ETHERNET / options / STAMPED / b"data"))
    assert packet is not None
    assert packet.offers == 7


def test_other_tcp_options_around_the_timestamps():
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 5)), ("NOP", None), ("WScale", 7)]
    packet = parse(bytes(ETHERNET / V4 / TCP(flags="S", options=options)))
    assert packet is not None
    assert (packet.offers, packet.answers, packet.timed, packet.syn) == (7, None, True, True)


@pytest.mark.parametrize(
    ("flags", "data", "timed"),
    [("A", b"", False), ("A", b"x", True), ("FA", b"", True), ("R", b"", False), ("SA", b"", True)],
)
def test_pure_acks_are_not_timed(flags, data, timed):
    stamped = TCP(flags=flags, options=[("Timestamp", (7, 5))])
    packet = parse(bytes(ETHERNET / V4 / stamped / data))
    assert packet is not None
    assert packet.timed is timed


def test_padding_of_a_short_frame_is_no_payload():
    packet = parse(bytes(ETHERNET / V4 / STAMPED) + bytes(20))
    assert packet is not None
    assert not packet.timed


def test_zero_is_no_timestamp():
    packet = parse(bytes(ETHERNET / V4 / TCP(flags="A", options=[("Timestamp", (0, 0))]) / b"data"))
    assert packet is not None
    assert (packet.offers, packet.answers) == (None, None)


def test_without_ack_nothing_is_answered():
    packet = parse(bytes(ETHERNET / V4 / TCP(flags="P", options=[("Timestamp", (7, 5))]) / b"data"))
    assert packet is not None
    assert packet.answers is None


@pytest.mark.parametrize(
    ("echo", "offers", "answers"),
    [
        (V4 / ICMP(type=8, id=77, seq=3), 3, None),
        (V4 / ICMP(type=0, id=77, seq=3), None, 3),
        (V6 / ICMPv6EchoRequest(id=77, seq=0), 0, None),
        (V6 / ICMPv6EchoReply(id=77, seq=0), None, 0),
    ],
)
def test_echo(echo, offers, answers):
    packet = parse(bytes(ETHERNET / echo))
    assert packet is not None
    assert (packet.offers, packet.answers, packet.timed) == (offers, answers, offers is not None)
    assert packet.source[1] == packet.target[1] == 77


UNUSABLE = {
    "no IP": ETHERNET / ARP(),
    "UDP": ETHERNET / V4 / UDP() / b"data",
    "TCP without timestamps": ETHERNET / V4 / TCP(flags="A") / b"data",
    "a malformed option": ETHERNET / V4 / TCP(flags="A", options=[(8, bytes(4)), ("EOL", None)]) / b"data",
    "an ICMP error": ETHERNET / V4 / ICMP(type=3) / b"unreachable",
    "an echo with a code": ETHERNET / V4 / ICMP(type=8, code=1),
    "ICMPv6 in IPv4": ETHERNET / IP(proto=58) / ICMPv6EchoRequest(),
    "a later fragment of IPv4": ETHERNET / IP(frag=10) / STAMPED / b"data",
    "a later fragment of IPv6": ETHERNET / V6 / IPv6ExtHdrFragment(offset=10) / STAMPED / b"data",
}


@pytest.mark.parametrize("frame", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_passive_ping_cannot_use(frame):
    assert parse(bytes(frame)) is None


@given(st.binary(max_size=200), st.sampled_from([1, RAW_IP]))
def test_any_bytes_are_read_without_error(frame, link_type):
    parse(frame, link_type)


@pytest.mark.parametrize("version", [V4, V6 / MANY_HEADERS])
def test_a_frame_cut_anywhere_gives_nothing_or_the_same(version):
    frame = bytes(ETHERNET / version / STAMPED / b"data")
    whole = parse(frame)
    assert {parse(frame[:size]) for size in range(len(frame))} == {None, whole}
