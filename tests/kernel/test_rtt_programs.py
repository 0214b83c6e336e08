"""The rules of passive ping, each on packets made by hand."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator
from itertools import accumulate

import pytest

from penstock.lab import Interface
from penstock.net.ip import Address
from penstock.rtt.options import RttOptions
from penstock.rtt.records import EventKind, Reason, Trigger
from tests.kernel.rtt_rig import MS, Change, Rig, Rtt
from tests.net import frames
from tests.net.frames import ACK, FIN, RST, SYN, echo, ethernet, ip, ipv4, ipv6, tcp, timestamps, udp

DATA = b"x" * 10
A, B = "10.0.0.1:1000", "10.0.0.2:80"
ALL = RttOptions(rate_limit=0)

Load = Callable[..., Rig]


@pytest.fixture
def load() -> Iterator[Load]:
    rigs: list[Rig] = []

    def load(options: RttOptions = ALL, hook: str = "ingress", *others: str) -> Rig:
        rigs.append(Rig(options, hook, others=others))
        return rigs[-1]

    yield load
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(load: Load) -> Rig:
    return load()


def directions(rtts: list[Rtt]) -> list[tuple[str, str]]:
    return [(rtt.source, rtt.destination) for rtt in rtts]


# What is an RTT


def test_an_rtt_is_from_the_packet_to_its_reply(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    before = time.monotonic_ns()
    flow.a(102, 500, data=DATA)
    timed = time.monotonic_ns()
    time.sleep(0.02)
    replied = time.monotonic_ns()
    flow.b(501, 102)
    after = time.monotonic_ns()
    (rtt,) = rig.rtts()
    assert (rtt.source, rtt.destination, rtt.protocol) == (B, A, 6)
    assert replied - timed <= rtt.rtt <= after - before
    assert replied <= rtt.timestamp <= after
    assert rtt.min_rtt == rtt.rtt
    assert rig.counters.rtts == 1


def test_counts_are_of_packets_and_payload_in_both_directions(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=b"x" * 100)
    flow.a(102, 500, data=b"x" * 50)
    flow.b(501, 102, data=b"x" * 7)
    (rtt,) = rig.rtts()
    assert (rtt.sent, rtt.received) == ((3, 150), (1, 7))


def test_the_minimum_is_kept(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    for value, delay in ((102, 0.02), (103, 0), (104, 0.1)):
        flow.a(value, 500, data=DATA)
        time.sleep(delay)
        flow.b(501, value)
    rtts = rig.rtts()
    assert [rtt.min_rtt for rtt in rtts] == list(accumulate((rtt.rtt for rtt in rtts), min))
    assert rtts[2].min_rtt < rtts[2].rtt


def test_both_directions_are_measured(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    flow.b(501, 102, data=DATA)
    flow.a(103, 501, data=DATA)
    flow.b(502, 103)
    assert directions(rig.rtts()) == [(B, A), (A, B), (B, A)]


@pytest.mark.parametrize("hook", ["ingress", "egress", "ingress_xdp"])
def test_the_hook_of_the_match_is_told(load: Load, hook: str) -> None:
    rig = load(ALL, hook)
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    flow.b(501, 102)
    (rtt,) = rig.rtts()
    assert rtt.on_egress == (hook == "egress")


def test_hooks_share_their_flows(load: Load) -> None:
    rig = load(ALL, "ingress_xdp", "egress")
    flow = rig.connection()
    flow.a(100, 0, data=DATA, hook="egress")
    flow.a(101, 0, data=DATA, hook="egress")
    flow.b(501, 101)
    (rtt,) = rig.rtts()
    assert (rtt.source, rtt.on_egress) == (B, False)


# Which packets are timed


def test_the_first_tsval_of_an_unknown_flow_is_not_timed(rig: Rig) -> None:
    flow = rig.connection()
    flow.a(100, 0, data=DATA)
    flow.b(500, 100, data=DATA)
    flow.a(100, 500, data=DATA)
    assert not rig.rtts()
    flow.a(101, 500, data=DATA)
    flow.b(500, 101)
    assert directions(rig.rtts()) == [(B, A)]


def test_a_handshake_tells_the_first_tsvals(rig: Rig) -> None:
    flow = rig.connection()
    flow.a(100, 0, flags=SYN)
    flow.b(500, 100, flags=SYN | ACK)
    assert not rig.rtts()
    flow.a(101, 500, data=DATA)
    flow.b(501, 101, data=DATA)
    flow.a(102, 501)
    assert directions(rig.rtts()) == [(B, A), (A, B)]


def test_data_with_the_tsval_of_the_handshake_is_not_timed(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands(100, 500)
    flow.b(500, 101, data=DATA)
    flow.a(102, 500)
    flow.a(100, 500, data=DATA)
    flow.b(501, 100)
    assert not rig.rtts()


def test_only_the_first_packet_with_a_tsval_is_timed(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    time.sleep(0.02)
    flow.a(102, 500, data=DATA)
    flow.b(501, 102)
    (rtt,) = rig.rtts()
    assert rtt.rtt >= 20 * MS


def test_a_tsval_is_not_timed_again_after_its_echo(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    flow.b(501, 102)
    flow.a(102, 500, data=DATA)
    flow.b(502, 102)
    assert len(rig.rtts()) == 1


def test_only_the_first_echo_counts(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    for value in (501, 502, 503):
        flow.b(value, 102)
    assert len(rig.rtts()) == 1


def test_an_older_echo_after_a_newer_one_still_counts(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    flow.a(103, 500, data=DATA)
    for echoed in (103, 102, 102, 103):
        flow.b(501, echoed)
    assert len(rig.rtts()) == 2


def test_echoes_of_what_was_not_timed_give_nothing(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    for other in (102 + ALL.slots, 102 + (1 << 23), 102 - ALL.slots):
        flow.b(501, other)
    assert not rig.rtts()
    flow.b(501, 102)
    assert len(rig.rtts()) == 1


def test_pure_acks_are_not_timed(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500)
    flow.b(501, 102, data=DATA)
    assert not rig.rtts()


def test_data_after_a_pure_ack_with_the_same_tsval_is_not_timed(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500)
    flow.a(102, 500, data=DATA)
    flow.b(501, 102, data=DATA)
    assert not rig.rtts()


def test_padding_is_no_data(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    ack = ip("10.0.0.1", "10.0.0.2", frames.TCP, tcp(1000, 80, 102, 500))
    rig.send(ethernet(ack) + bytes(8))
    flow.b(501, 102, data=DATA)
    assert not rig.rtts()


def test_a_fin_is_timed(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, flags=FIN | ACK)
    flow.b(501, 102)
    assert directions(rig.rtts()) == [(B, A)]


def test_a_late_packet_with_an_older_tsval_is_not_timed(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(105, 500, data=DATA)
    flow.a(104, 500, data=DATA)
    flow.b(501, 104)
    assert not rig.rtts()
    flow.a(105, 500, data=DATA)
    flow.b(502, 105)
    assert len(rig.rtts()) == 1


def test_tsvals_wrap_around(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands(2**32 - 3, 2**32 - 1)
    for value in (2**32 - 1, 1, 2):
        flow.a(value, 2**32 - 1, data=DATA)
        flow.b(2**32 - 1, value)
    assert len(rig.rtts()) == 3


def test_tsval_0_is_none(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands(2**32 - 3, 500)
    flow.a(0, 500, data=DATA)
    flow.b(501, 0)
    assert not rig.rtts()
    flow.a(1, 500, data=DATA)
    flow.b(502, 1)
    assert len(rig.rtts()) == 1


def test_tsecr_means_nothing_without_an_ack(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    flow.b(501, 102, data=DATA, flags=0)
    assert not rig.rtts()
    flow.b(501, 102)
    assert len(rig.rtts()) == 1


def test_timestamps_that_are_not_where_most_are(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(None, data=DATA, options=b"\1" + timestamps(102, 500) + b"\1")
    flow.b(None, options=b"\2\4\1\1" + timestamps(501, 102) + b"\0\0")
    assert len(rig.rtts()) == 1


# SYN packets


def test_syn_packets_are_not_timed_unless_asked_for(rig: Rig) -> None:
    rig.connection().shake_hands()
    assert not rig.rtts()


def test_syn_packets_are_timed_if_asked_for(load: Load) -> None:
    rig = load(RttOptions(rate_limit=0, syn=True))
    rig.connection().shake_hands()
    assert directions(rig.rtts()) == [(B, A), (A, B)]


def test_each_syn_is_timed_for_itself(load: Load) -> None:
    rig = load(RttOptions(rate_limit=0, syn=True))
    flow = rig.connection()
    flow.a(100, 0, flags=SYN)
    time.sleep(0.02)
    start = time.monotonic_ns()
    flow.a(1100, 0, flags=SYN)
    flow.b(500, 1100, flags=SYN | ACK)
    (rtt,) = rig.rtts()
    assert rtt.rtt <= time.monotonic_ns() - start


@pytest.mark.parametrize("syn", [False, True])
def test_a_new_connection_by_the_name_of_an_old_one(load: Load, *, syn: bool) -> None:
    rig = load(RttOptions(rate_limit=0, syn=syn))
    flow = rig.connection()
    flow.shake_hands(1_000_000, 2_000_000)
    flow.a(1_000_002, 2_000_000, data=DATA)
    flow.b(2_000_001, 1_000_002, data=DATA)
    flow.a(1_000_003, 2_000_001)
    rig.events()
    flow.shake_hands(100, 500)
    rig.events()
    flow.a(102, 500, data=DATA)
    flow.b(501, 102)
    assert directions(rig.rtts()) == [(B, A)]
    for value in range(103, 103 + ALL.slots + 1):
        flow.a(value, 500, data=DATA)
        flow.b(400 + value, 102, data=DATA)
    assert rig.counters.slots_busy == 2, "what the old one echoed says nothing of the new one's packets"


# How often


def test_the_rate_limit_is_per_flow_and_direction(load: Load) -> None:
    rig = load(RttOptions(rate_limit=500 * MS))
    flow, other = rig.connection(), rig.connection(ports=(1001, 80))
    for each in (flow, other):
        each.shake_hands()
        each.a(102, 500, data=DATA)
        each.b(501, 102, data=DATA)
        each.a(103, 501, data=DATA)
        each.b(502, 103)
    assert len(rig.rtts()) == 4
    time.sleep(0.5)
    flow.a(104, 502, data=DATA)
    flow.b(503, 104)
    assert directions(rig.rtts()) == [(B, A)]


@pytest.mark.parametrize("kind", ["min", "smoothed"])
def test_the_rate_follows_the_rtt(load: Load, kind: str) -> None:
    rig = load(RttOptions(rate_limit=1, rtt_rate=2.5, rtt_type=kind))
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    time.sleep(0.1)
    flow.b(501, 102)
    flow.a(103, 500, data=DATA)
    flow.b(501, 103)
    (first,) = rig.rtts()
    time.sleep(2.5 * first.rtt / 1e9)
    flow.a(104, 500, data=DATA)
    flow.b(501, 104)
    (second,) = rig.rtts()
    assert second.rtt < first.rtt / 10
    time.sleep(2.5 * second.rtt / 1e9)
    flow.a(105, 500, data=DATA)
    flow.b(501, 105)
    assert len(rig.rtts()) == (1 if kind == "min" else 0), "7/8 of the first RTT are in the smoothed one"


def test_until_an_rtt_is_known_the_rate_limit_holds(load: Load) -> None:
    rig = load(RttOptions(rate_limit=10_000 * MS, rtt_rate=0.001))
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    flow.a(103, 500, data=DATA)
    flow.b(501, 103)
    assert not rig.rtts()


# Slots


def test_as_many_packets_are_timed_at_once_as_there_are_slots(rig: Rig) -> None:
    slots = ALL.slots
    flow = rig.connection()
    flow.shake_hands(100, 500)
    for value in range(102, 102 + slots + 3):
        flow.a(value, 500, data=DATA)
    assert rig.counters.slots_busy == 3
    for value in range(102, 102 + slots + 3):
        flow.b(501, value)
    assert len(rig.rtts()) == slots


def test_a_newer_echo_frees_slots(load: Load) -> None:
    rig = load(RttOptions(rate_limit=1))
    slots = rig.tables.options.slots
    flow = rig.connection()
    flow.shake_hands(100, 500)
    for value in range(102, 102 + slots):
        flow.a(value, 500, data=DATA)
    flow.b(501, 101 + slots)
    for value in range(102 + slots, 101 + 2 * slots):
        flow.a(value, 500, data=DATA)
    assert rig.counters.slots_busy == 0


def delay_slots(rig: Rig, seconds: int) -> None:
    """Make all packets that are being timed look so much older: the lowest 40 bits of slots are times."""
    ((key, entry),) = rig.flows.items()
    for slots in entry.slots:
        for place, held in enumerate(slots.tolist()):
            if held:
                slots[place] = held >> 40 << 40 | (held - seconds * 10**9) % 2**40
    rig.loaded[rig.tables.flows][key] = entry


def test_a_slot_is_given_away_after_ten_seconds(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands(100, 500)
    flow.a(102, 500, data=DATA)
    for number, seconds in enumerate((9, 2), 1):
        delay_slots(rig, seconds)
        flow.a(102 + ALL.slots * number, 500, data=DATA)
    assert rig.counters.slots_busy == 1
    flow.b(501, 102 + ALL.slots * 2)
    assert len(rig.rtts()) == 1


def test_a_late_reply_counts_while_its_slot_is_not_given_away(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands(100, 500)
    flow.a(102, 500, data=DATA)
    delay_slots(rig, 60)
    flow.b(501, 102)
    (rtt,) = rig.rtts()
    assert 60_000 * MS <= rtt.rtt < 70_000 * MS


# Echo


@pytest.mark.parametrize(
    ("a", "b", "protocol", "request_kind", "reply"),
    [("10.0.0.1", "10.0.0.2", 1, 8, 0), ("2001:db8::1", "2001:db8::2", 58, 128, 129)],
    ids=["ICMP", "ICMPv6"],
)
class TestEcho:
    """Echo requests and replies."""

    @pytest.fixture(autouse=True)
    def ends(self, rig: Rig, a: str, b: str, protocol: int, request_kind: int, reply: int) -> None:
        self.rig, self.reply_name, self.request_name = rig, f"{b}:77", f"{a}:77"
        self.ask = lambda *args, **more: rig.send(ip(a, b, protocol, echo(request_kind, *args, **more)))
        self.answer = lambda *args, **more: rig.send(ip(b, a, protocol, echo(reply, *args, **more)))
        self.protocol = protocol

    def test_each_request_is_timed(self) -> None:
        for sequence in (0, 1, 2, 65535, 0, 1):
            self.ask(77, sequence, b"x" * 56)
            time.sleep(0.001)
            self.answer(77, sequence, b"x" * 56)
        rtts = self.rig.rtts()
        assert directions(rtts) == [(self.reply_name, self.request_name)] * 6
        assert all(rtt.rtt >= MS and rtt.protocol == self.protocol for rtt in rtts)
        assert (rtts[-1].sent, rtts[-1].received) == ((6, 6 * 56), (6, 6 * 56))

    def test_only_the_first_request_and_the_first_reply_count(self) -> None:
        self.ask(77, 1)
        time.sleep(0.01)
        self.ask(77, 1)
        self.answer(77, 1)
        self.answer(77, 1)
        (rtt,) = self.rig.rtts()
        assert rtt.rtt >= 10 * MS

    def test_identifiers_are_flows(self) -> None:
        self.ask(77, 1)
        self.answer(78, 1)
        assert not self.rig.rtts()

    def test_lost_requests_do_not_stop_it(self) -> None:
        for sequence in range(1, 200):
            self.ask(77, sequence)
        self.answer(77, 199)
        self.ask(77, 200)
        self.answer(77, 200)
        assert len(self.rig.rtts()) >= 1

    def test_other_codes_and_kinds_are_none(self) -> None:
        self.ask(77, 1, code=1)
        self.answer(77, 1)
        self.ask(77, 2)
        self.answer(77, 2, code=1)
        assert not self.rig.rtts()
        assert self.rig.counters.other == 2

    def test_a_reply_alone_is_no_flow(self) -> None:
        self.answer(77, 1)
        assert not self.rig.flows
        assert not self.rig.pending


@pytest.mark.parametrize(
    ("address", "protocol", "kinds"), [("127.0.0.1", 1, (8, 0)), ("::1", 58, (128, 129))]
)
def test_a_host_may_ping_itself(rig: Rig, address: str, protocol: int, kinds: tuple[int, int]) -> None:
    for sequence in (1, 2):
        for kind in kinds:
            rig.send(ip(address, address, protocol, echo(kind, 77, sequence)))
    assert directions(rig.rtts()) == [(f"{address}:77", f"{address}:77")] * 2
    assert len(rig.flows) == 1


def test_icmp_of_the_other_ip_version_is_none(rig: Rig) -> None:
    rig.send(ipv4("10.0.0.1", "10.0.0.2", 58, echo(128, 1, 1)))
    rig.send(ipv6("::1", "::2", 1, echo(8, 1, 1)))
    assert rig.counters.other == 2


# What is a flow


def test_flows_differ_by_every_part_of_their_name(rig: Rig) -> None:
    ends = [
        ("10.0.0.1", "10.0.0.2", (1000, 80)),
        ("10.0.0.3", "10.0.0.2", (1000, 80)),
        ("10.0.0.1", "10.0.0.3", (1000, 80)),
        ("10.0.0.1", "10.0.0.2", (1001, 80)),
        ("10.0.0.1", "10.0.0.2", (1000, 81)),
        ("10.0.0.1", "10.0.0.2", (80, 1000)),
        ("2001:db8::1", "2001:db8::2", (1000, 80)),
        ("2001:db8:1::1", "2001:db8::2", (1000, 80)),
    ]
    for a, b, ports in ends:
        rig.connection(a, b, ports).shake_hands()
    rig.send(ip("10.0.0.1", "10.0.0.2", 1, echo(8, 1000, 1)))
    assert len(rig.flows) == len(ends)
    assert len(rig.pending) == 1


def test_both_ways_are_one_flow_whatever_the_order_of_the_names(rig: Rig) -> None:
    pairs = [
        ("10.0.0.1", "10.0.0.2"),
        ("10.0.0.2", "10.0.0.1"),
        ("200.0.0.1", "1.0.0.200"),
        ("2001:db8::1", "2001:db8::2"),
        ("ff::1", "fe::1"),
        ("::1", "8000::1"),
    ]
    for number, (a, b) in enumerate(pairs):
        flow = rig.connection(a, b, (1000 + number, 80))
        flow.shake_hands()
        flow.a(102, 500, data=DATA)
        flow.b(501, 102)
        (rtt,) = rig.rtts()
        assert (rtt.source, rtt.destination) == (f"{b}:80", f"{a}:{1000 + number}")
    same = rig.connection("10.9.9.9", "10.9.9.9", (2000, 1000))
    same.shake_hands()
    same.a(102, 500, data=DATA)
    same.b(501, 102)
    assert directions(rig.rtts()) == [("10.9.9.9:1000", "10.9.9.9:2000")]
    for a, b in (("2001:db8:1::1", "2001:db8:2::1"), ("2001:db8:2::2", "2001:db8:1::2")):
        twins = rig.connection(a, b, (179, 179))
        twins.shake_hands()
        twins.a(102, 500, data=DATA)
        twins.b(501, 102)
        assert directions(rig.rtts()) == [(f"{b}:179", f"{a}:179")]


def test_interfaces_have_flows_of_their_own(rig: Rig, wire: tuple[Interface, Interface]) -> None:
    veth = wire[0]
    flow = rig.connection()
    for interface in (1, veth.index):
        flow.shake_hands(context={"ifindex": interface})
        flow.a(102, 500, data=DATA, context={"ifindex": interface})
    time.sleep(0.01)
    for interface in (1, veth.index):
        flow.b(501, 102, context={"ifindex": interface})
    assert sorted(key.ifindex for key in rig.flows) == [1, veth.index]
    assert directions(rig.rtts()) == [(B, A), (B, A)]


def test_a_syn_makes_no_entry(rig: Rig) -> None:
    flow = rig.connection()
    flow.a(100, 0, flags=SYN)
    assert not rig.flows
    assert not rig.pending


@pytest.mark.parametrize("syn", [False, True])
def test_a_connection_is_in_the_table_once_its_opener_goes_on(load: Load, *, syn: bool) -> None:
    rig = load(RttOptions(syn=syn))
    flow = rig.connection()
    flow.a(100, 0, flags=SYN)
    assert (len(rig.flows), len(rig.pending)) == (0, syn)
    flow.b(500, 100, flags=SYN | ACK)
    flow.b(500, 100, flags=SYN | ACK)
    flow.a(100, 0, flags=SYN)
    assert (len(rig.flows), len(rig.pending)) == (0, 1)
    flow.a(101, 500)
    assert (len(rig.flows), len(rig.pending)) == (1, 0)


def test_a_flow_that_began_unseen_is_in_the_table_once_its_opener_goes_on(rig: Rig) -> None:
    flow = rig.connection()
    flow.b(500, 100)
    assert (len(rig.flows), len(rig.pending)) == (0, 0)
    flow.a(100, 500, data=DATA)
    flow.a(101, 500, data=DATA)
    assert (len(rig.flows), len(rig.pending)) == (0, 1)
    flow.b(500, 100)
    assert (len(rig.flows), len(rig.pending)) == (0, 1)
    flow.a(102, 500, data=DATA)
    assert (len(rig.flows), len(rig.pending)) == (1, 0)


def test_nothing_is_lost_on_the_way_into_the_table(rig: Rig) -> None:
    flow = rig.connection()
    flow.a(100, 500, data=DATA)
    flow.a(101, 500, data=DATA)
    flow.b(500, 100, data=DATA)
    flow.a(102, 500, data=DATA)
    flow.b(501, 101)
    flow.b(502, 102)
    first, second = rig.rtts()
    assert (first.sent, first.received) == ((3, 30), (2, 10))
    assert second.received == (3, 10)


def test_what_ends_a_flow_begins_none(rig: Rig) -> None:
    flow = rig.connection()
    flow.a(100, 500, data=DATA, flags=FIN | ACK)
    flow.b(500, 100, flags=RST)
    flow.b(500, 100, flags=RST | ACK)
    assert (len(rig.flows), len(rig.pending)) == (0, 0)


def test_a_flow_that_finds_no_room_pushes_out_another(load: Load) -> None:
    rig = load(RttOptions(flows=256))
    for port in range(1, 2000):
        rig.connection(ports=(port, 80)).shake_hands()
    assert rig.counters.flows_created == 1999
    assert len(rig.flows) <= 256
    flows, _ = rig.sweep()
    assert flows == len(rig.flows)


# Flow events


def test_a_direction_opens_when_it_is_answered(load: Load) -> None:
    rig = load(RttOptions(syn=True))
    flow = rig.connection()
    flow.a(100, 0, flags=SYN)
    assert not rig.events()
    flow.b(500, 100, flags=SYN | ACK)
    assert rig.changes() == [Change(B, A, EventKind.OPENING, Reason.SYN, Trigger.DESTINATION)]
    flow.a(101, 500)
    assert rig.changes() == [Change(A, B, EventKind.OPENING, Reason.SYN_ACK, Trigger.DESTINATION)]
    flow.a(102, 500, data=DATA)
    flow.b(501, 102, data=DATA)
    assert not rig.changes()


def test_a_handshake_opens_both_directions_also_if_it_is_not_timed(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.b(501, 101)
    assert rig.changes() == [
        Change(A, B, EventKind.OPENING, Reason.SYN_ACK, Trigger.DESTINATION),
        Change(B, A, EventKind.OPENING, Reason.SYN, Trigger.DESTINATION),
    ]
    assert rig.counters.flows_created == 1


def test_a_flow_that_began_unseen_opens_with_its_first_packet(rig: Rig) -> None:
    flow = rig.connection()
    flow.a(100, 500, data=DATA)
    before = time.monotonic_ns()
    time.sleep(0.01)
    assert not rig.events()
    flow.b(500, 100)
    (record,) = rig.loaded[rig.tables.events].read()
    assert record["timestamp"] <= before, "the time of the packet that opened it, not of its answer"
    assert (record["reason"], record["kind"]) == (Reason.FIRST_PACKET, EventKind.OPENING)
    flow.b(501, 100, data=DATA)
    flow.a(100, 501)
    assert rig.changes() == [Change(A, B, EventKind.OPENING, Reason.FIRST_PACKET, Trigger.DESTINATION)]


def test_a_direction_of_pure_acks_never_opens(rig: Rig) -> None:
    flow = rig.connection()
    flow.a(100, 500, data=DATA)
    flow.b(500, 100)
    flow.a(101, 500, data=DATA)
    flow.b(501, 101)
    flow.a(102, 500)
    assert len(rig.changes()) == 1


def test_pings_open_with_their_first_reply(rig: Rig) -> None:
    for sequence in (1, 2):
        rig.send(ip("10.0.0.1", "10.0.0.2", 1, echo(8, 77, sequence)))
        rig.send(ip("10.0.0.2", "10.0.0.1", 1, echo(0, 77, sequence)))
    opening = Change(
        "10.0.0.2:77", "10.0.0.1:77", EventKind.OPENING, Reason.FIRST_PACKET, Trigger.DESTINATION
    )
    assert rig.changes() == [opening]


def established(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.b(501, 101)
    rig.events()


def test_each_side_closes_its_direction(rig: Rig) -> None:
    established(rig)
    flow = rig.connection()
    flow.a(103, 501, flags=FIN | ACK)
    assert rig.changes() == [Change(B, A, EventKind.CLOSING, Reason.FIN, Trigger.DESTINATION)]
    flow.a(103, 501, flags=FIN | ACK)
    flow.b(502, 103, data=DATA)
    assert not rig.changes()
    flow.b(503, 103, flags=FIN | ACK)
    assert rig.changes() == [Change(A, B, EventKind.CLOSING, Reason.FIN, Trigger.DESTINATION)]


def test_the_last_ack_gives_an_rtt_and_ends_the_flow(rig: Rig) -> None:
    established(rig)
    flow = rig.connection()
    flow.a(103, 501, flags=FIN | ACK)
    flow.b(503, 103, flags=FIN | ACK)
    assert len(rig.flows) == 1
    flow.a(104, 503)
    assert directions(rig.rtts()) == [(B, A), (A, B)]
    assert not rig.flows
    assert rig.counters.flows_closed == 1
    flow.b(504, 104, flags=FIN | ACK)
    flow.a(105, 504)
    assert not rig.flows
    assert not rig.pending


def test_a_reset_closes_both_directions(rig: Rig) -> None:
    established(rig)
    rig.connection().a(103, 501, flags=RST | ACK)
    assert rig.changes() == [
        Change(B, A, EventKind.CLOSING, Reason.RST, Trigger.DESTINATION),
        Change(A, B, EventKind.CLOSING, Reason.RST, Trigger.SOURCE),
    ]
    assert not rig.flows
    assert rig.counters.flows_closed == 1


def test_a_reset_without_timestamps_closes_too(rig: Rig) -> None:
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    flow.b(501, 102, data=DATA)
    rig.events()
    flow.b(None, flags=RST)
    assert rig.changes() == [
        Change(A, B, EventKind.CLOSING, Reason.RST, Trigger.DESTINATION),
        Change(B, A, EventKind.CLOSING, Reason.RST, Trigger.SOURCE),
    ]
    assert (len(rig.flows), rig.counters.no_timestamp) == (0, 0)


def test_a_refused_connection_never_opened(load: Load) -> None:
    rig = load(RttOptions(syn=True))
    flow = rig.connection()
    flow.a(100, 0, flags=SYN)
    flow.b(500, 100, flags=RST | ACK)
    assert not rig.changes()
    assert (len(rig.flows), len(rig.pending)) == (0, 0)
    assert (rig.counters.flows_created, rig.counters.flows_closed) == (0, 0)


@pytest.mark.parametrize("events", ["rtt_events", "flow_events"])
def test_events_that_are_not_wanted(load: Load, events: str) -> None:
    rig = load(RttOptions(rate_limit=0, **{events: False}))
    established(rig)
    flow = rig.connection()
    flow.a(103, 501, data=DATA)
    flow.b(502, 103)
    flow.a(104, 502, flags=RST)
    assert [type(event) for event in rig.events()] == ([Change, Change] if events == "rtt_events" else [Rtt])
    assert rig.counters.rtts == 1


# Time-outs


@pytest.mark.parametrize(("silent", "left"), [(290, 1), (310, 0)])
def test_tcp_flows_time_out_after_300_seconds(rig: Rig, silent: int, left: int) -> None:
    rig.sweep()
    established(rig)
    rig.age(silent)
    assert rig.sweep() == (left, 0)
    ends = [] if left else [(B, A), (A, B)]
    assert rig.changes() == [Change(*e, EventKind.CLOSING, Reason.TIMEOUT, Trigger.NONE) for e in ends]
    assert len(rig.flows) == left
    assert rig.counters.flows_closed == 1 - left


@pytest.mark.parametrize(("silent", "left"), [(25, 1), (35, 0)])
def test_pings_time_out_after_30_seconds(rig: Rig, silent: int, left: int) -> None:
    rig.sweep()
    for sequence in (1, 2):
        rig.send(ip("10.0.0.1", "10.0.0.2", 1, echo(8, 77, sequence)))
        rig.send(ip("10.0.0.2", "10.0.0.1", 1, echo(0, 77, sequence)))
    rig.events()
    rig.age(silent)
    assert rig.sweep() == (left, 0)
    assert len(rig.changes()) == 1 - left


@pytest.mark.parametrize(("silent", "left"), [(25, 1), (35, 0)])
def test_candidates_time_out_after_30_seconds(rig: Rig, silent: int, left: int) -> None:
    rig.sweep()
    rig.connection().a(100, 500, data=DATA)
    rig.age(silent)
    assert rig.sweep() == (0, left)
    assert not rig.events()
    assert rig.counters.flows_closed == 0


def test_a_packet_that_comes_during_a_sweep_ends_no_flow(rig: Rig) -> None:
    established(rig)
    rig.age(-1)
    assert rig.sweep() == (1, 0)
    assert not rig.changes()


def test_a_flow_that_is_just_being_made_is_left_alone(rig: Rig) -> None:
    established(rig)
    ((key, entry),) = rig.flows.items()
    entry.flow.seen = 0
    rig.loaded[rig.tables.flows][key] = entry
    assert rig.sweep() == (1, 0)


def test_packets_keep_a_flow_alive(rig: Rig) -> None:
    rig.sweep()
    established(rig)
    rig.age(310)
    rig.connection().a(103, 501)
    assert rig.sweep() == (1, 0)


# What cannot be measured


def test_what_is_not_measured_is_counted(rig: Rig) -> None:
    a, b = "10.0.0.1", "10.0.0.2"
    rig.send(ethernet(bytes(46), frames.ARP))
    rig.send(ip(a, b, frames.UDP, udp(1, 2, DATA)))
    rig.send(ip(a, b, frames.TCP, tcp(1, 2, data=DATA)))
    rig.send(ethernet(ip(a, b, frames.TCP, tcp(1, 2, 3, 4)))[:60])
    rig.send(ipv4(a, b, frames.TCP, tcp(1, 2, 3, 4), fragment=100))
    rig.send(ipv4(a, b, frames.TCP, tcp(1, 2, 3, 4, words=4)))
    rig.send(ipv4(a, b, frames.TCP, tcp(1, 2, 3, 4), length=51))
    counters = rig.counters
    assert counters.packets == 7
    assert (counters.not_ip, counters.other, counters.no_timestamp, counters.truncated) == (1, 4, 1, 1)
    assert (len(rig.flows), len(rig.pending)) == (0, 0)


def test_protocols_that_are_not_wanted(load: Load) -> None:
    packets = [
        ip("10.0.0.1", "10.0.0.2", frames.TCP, tcp(1, 2, 3, 4, data=DATA)),
        ip("10.0.0.1", "10.0.0.2", frames.ICMP, echo(8, 77, 1)),
        ip("::1", "::2", frames.ICMPV6, echo(128, 77, 1)),
    ]
    for options, other, pending in ((RttOptions(tcp=False), 1, 2), (RttOptions(icmp=False), 2, 1)):
        rig = load(options)
        for packet in packets:
            rig.send(packet)
        assert (rig.counters.other, len(rig.pending)) == (other, pending)


@pytest.mark.parametrize("hook", ["ingress", "egress", "ingress_xdp"])
def test_every_header_cut_at_every_byte_passes(load: Load, hook: str) -> None:
    rig = load(ALL, hook)
    kinds = [0, 43, 60, 44, 51, 135, 139, 140]
    segment = tcp(1, 2, options=b"\2\4\5\xb4\4\2" + timestamps(3, 4) + b"\1\3\3\7", data=b"x")
    first, content = frames.chain([frames.extension(kind) for kind in kinds], kinds, 6, segment)
    packets = [
        ipv6("::1", "::2", first, content),
        ipv4("1.2.3.4", "5.6.7.8", 6, segment, options=bytes(40)),
        ipv4("1.2.3.4", "5.6.7.8", 1, echo(8, 1, 1)),
        ipv6("::1", "::2", 58, echo(128, 1, 1)),
    ]
    for packet in packets:
        frame = ethernet(packet, tags=(frames.QINQ, frames.VLAN, frames.VLAN))
        for length in range(14, len(frame)):
            rig.send(frame[:length])
    assert rig.counters.truncated > 300
    assert rig.counters.candidates == 2, "the segments, without their last byte of data"


# This host's own traffic


def own(rig: Rig, *addresses: str) -> None:
    for text in addresses:
        address = Address()
        packed = frames.ip_address(text).packed.rjust(16, b"\0")
        packed = packed if ":" in text else bytes(10) + b"\xff\xff" + packed[12:]
        address.data[()] = (int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:], "big"))
        rig.loaded[rig.tables.own][address] = 1


@pytest.mark.parametrize(("a", "b"), [("10.0.0.1", "10.0.0.2"), ("2001:db8::9", "2001:db8::1")])
@pytest.mark.parametrize("local", [True, False])
def test_packets_for_this_host_are_not_timed_unless_wanted(
    load: Load, a: str, b: str, *, local: bool
) -> None:
    rig = load(RttOptions(rate_limit=0, local=local), "ingress", "egress")
    if not local:
        own(rig, b)
    flow = rig.connection(a, b)
    flow.a(100, 0, flags=SYN)
    flow.b(500, 100, flags=SYN | ACK, hook="egress")
    flow.a(101, 500, data=DATA)
    flow.b(501, 101, data=DATA, hook="egress")
    flow.a(102, 501)
    expected = [(f"{a}:1000", f"{b}:80")]
    assert directions(rig.rtts()) == ([(f"{b}:80", f"{a}:1000"), *expected] if local else expected)


def test_forwarded_packets_are_timed_in_any_case(load: Load) -> None:
    rig = load(RttOptions(rate_limit=0, local=False))
    own(rig, "10.0.0.9", "2001:db8::9")
    flow = rig.connection()
    flow.shake_hands()
    flow.a(102, 500, data=DATA)
    flow.b(501, 102)
    assert directions(rig.rtts()) == [(B, A)]


# The ring buffer


@contextlib.contextmanager
def one_cpu() -> Iterator[None]:
    """Stay on one CPU, as its counts do."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


def test_what_finds_no_room_is_counted(load: Load) -> None:
    rig = load(RttOptions(rate_limit=0, ring_bytes=4096, flow_events=False))
    flow = rig.connection()
    flow.shake_hands()
    for value in range(102, 202):
        flow.a(value, 500, data=DATA)
        flow.b(501, value)
    assert rig.counters.rtts == 100
    assert len(rig.rtts()) + rig.loaded[rig.tables.events].lost == 100


def test_the_reader_is_woken_by_amount(load: Load) -> None:
    rig = load(RttOptions(rate_limit=0, ring_bytes=32768, flow_events=False))
    ring = rig.loaded[rig.tables.events]
    each = rig.tables.events_per_wakeup
    assert 32768 / 32 < each * os.cpu_count() * 112 <= 32768 / 8
    flow = rig.connection()
    flow.shake_hands()
    wakings = []
    with select.epoll() as poll, one_cpu():
        poll.register(ring.fileno(), select.EPOLLIN | select.EPOLLET)
        for number in range(1, 5 * each):
            flow.a(101 + number, 500, data=DATA)
            flow.b(501, 101 + number)
            if poll.poll(0.001):
                wakings.append(number)
    assert wakings == [each, 2 * each, 3 * each, 4 * each]
