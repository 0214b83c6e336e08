"""What the programs make of packets that mean harm, against what an independent reader makes of them.

By default a million for each program, always the same; `pytest tests/kernel/test_rtt_fuzz.py --fuzz-seed X
--fuzz-packets N` makes others, and more of them.
"""

from __future__ import annotations

import itertools
import random
import struct
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from penstock.kernel.program import Program
from penstock.net.ip import Protocol
from penstock.rtt.options import RttOptions
from penstock.rtt.records import EventKind, Reason, Trigger
from tests.kernel.rtt_rig import PASS, Rig
from tests.net import frames
from tests.net.frames import ACK, FIN, RST, SYN, chain, echo, ethernet, extension, ipv4, ipv6, tcp, timestamps
from tests.truth import parse

BATCH = 10_000
SHORTEST = 54
"""Test runs in tc refuse an IP packet that ends within its header; behind a tag they take it."""

KINDS = [
    frames.HOP_BY_HOP,
    frames.ROUTING,
    frames.DESTINATION,
    frames.FRAGMENT,
    frames.AUTHENTICATION,
    frames.MOBILITY,
    frames.HIP,
    frames.SHIM6,
]
SEGMENTS = [
    tcp(1000, 80, 100, 0, flags=SYN, options=b"\2\4\5\xb4\4\2" + timestamps(100, 0) + b"\1\3\3\7"),
    tcp(80, 1000, flags=SYN | ACK, options=b"\2\4\5\xb4\4\2" + timestamps(50, 100) + b"\1\3\3\7"),
    tcp(1000, 80, 101, 50, data=b"request"),
    tcp(80, 1000, options=b"\1\1" + timestamps(51, 101) + b"\1\1\5\x12" + bytes(16), data=b"x"),
    tcp(80, 1000, 52, 101, flags=FIN | ACK),
    tcp(80, 1000, flags=RST),
]
TAGS = [(), (frames.VLAN,), (frames.QINQ, frames.VLAN), (frames.QINQ, frames.QINQ, frames.VLAN)]


def corpus() -> list[bytes]:
    """A frame of every kind, with every link header."""
    packets = [ipv4("10.0.0.1", "10.0.0.2", 6, each) for each in SEGMENTS]
    packets += [ipv4("10.0.0.2", "10.0.0.1", 6, each, options=bytes(8)) for each in SEGMENTS]
    packets += [ipv4("10.0.0.1", "10.0.0.2", 6, SEGMENTS[2], fragment=each) for each in (0x2000, 0x4000, 100)]
    packets += [ipv6("fd00::1", "fd00::2", 6, each) for each in SEGMENTS]
    for count, segment in itertools.product(range(1, 9), SEGMENTS):
        kinds = KINDS[:count]
        packets.append(ipv6("fd00::1", "fd00::2", *chain([extension(k) for k in kinds], kinds, 6, segment)))
    for kind, reply, protocol, make, ends in (
        (8, 0, frames.ICMP, ipv4, ("10.0.0.1", "10.0.0.2")),
        (128, 129, frames.ICMPV6, ipv6, ("fd00::1", "fd00::2")),
    ):
        packets += [make(*ends, protocol, echo(each, 7, 1, b"data")) for each in (kind, reply, 3)]
    return [ethernet(packet, tags=tags) for packet in packets for tags in TAGS]


def cut(good: list[bytes]) -> Iterator[bytes]:
    """Each packet, cut at every byte."""
    return (frame[:length] for frame in good for length in range(14, len(frame)))


def spoiled(good: list[bytes]) -> Iterator[bytes]:
    """Each byte of each packet, changed to what lies, and each bit turned: lengths, offsets, kinds, all."""
    for frame in good[:: len(TAGS)] + good[2 :: len(TAGS)]:
        for at, byte in enumerate(frame[12:], start=12):
            for value in {0, 1, 2, 4, 5, 10, 0x7F, 0xFF, *(byte ^ 1 << bit for bit in range(8))} - {byte}:
                yield frame[:at] + bytes([value]) + frame[at + 1 :]


def optioned(source: random.Random) -> Iterator[bytes]:
    """Options of any kind and length, before and behind timestamps; lengths of IP that lie about them."""
    for kind, length, place in itertools.product((0, 1, 2, 8, 253), (0, 1, 2, 9, 10, 11, 40, 255), range(14)):
        options = bytes([kind, length]) + source.randbytes(place) + timestamps(7, 9)
        segment = tcp(1000, 80, options=options + bytes(-len(options) % 4), data=b"data")
        for lie in (None, 0, 1, 19, 20, 39, 40, 51, 65535):
            yield ethernet(ipv4("10.0.0.1", "10.0.0.2", 6, segment, length=lie))
            yield ethernet(ipv6("fd00::1", "fd00::2", 6, segment, length=lie))


def chained(source: random.Random) -> Iterator[bytes]:
    """Extension headers in any order, of any length, as many as the programs promise."""
    while True:
        kinds = source.choices(KINDS, k=source.randrange(1, 9))
        headers = [extension(kind, units=source.choice((0, 0, 1, 3, 60))) for kind in kinds]
        packet = ipv6("fd00::1", "fd00::2", *chain(headers, kinds, 6, source.choice(SEGMENTS)))
        yield ethernet(packet, tags=source.choice(TAGS))


def spoiled_at_random(source: random.Random, good: list[bytes]) -> Iterator[bytes]:
    """Packets with a few bytes changed, cut somewhere, or of nothing but noise behind the Ethernet header."""
    while True:
        frame = bytearray(source.choice(good))
        for _ in range(source.randrange(1, 4)):
            frame[source.randrange(12, len(frame))] = source.randrange(256)
        if source.random() < 0.2:
            del frame[source.randrange(14, len(frame)) :]
        if source.random() < 0.05:
            frame[source.choice((14, 34, 54)) :] = source.randbytes(source.randrange(80))
        yield bytes(frame)


def packets(seed: str, count: int) -> Iterator[bytes]:
    source, good = random.Random(seed), corpus()
    at_random = itertools.chain.from_iterable(
        zip(chained(source), spoiled_at_random(source, good), strict=True)
    )
    everything = itertools.chain(good, cut(good), spoiled(good), optioned(source), at_random)
    for frame in itertools.islice(everything, count):
        padded = frame if len(frame) >= 14 else frame.ljust(14, b"\0")
        yield padded if len(padded) >= SHORTEST else padded[:12] + b"\x81\0\0\1" + padded[12:]


def usable(rig: Rig) -> int:
    """How many packets the programs could use."""
    counted = rig.counters
    return counted.packets - counted.not_ip - counted.truncated - counted.other - counted.no_timestamp


@pytest.mark.slow
@pytest.mark.parametrize("hook", ["ingress", "egress", "ingress_xdp"])
def test_packets_are_read_as_the_judge_reads_them(pytestconfig: pytest.Config, hook: str) -> None:
    seed, count = pytestconfig.getoption("fuzz_seed"), pytestconfig.getoption("fuzz_packets")
    source, begin, rtts = packets(seed, count), time.monotonic_ns(), 0
    rig = Rig(RttOptions(rate_limit=0, syn=True), hook)
    try:
        program = rig.loaded[getattr(rig.programs.ethernet, hook)]
        while batch := list(itertools.islice(source, BATCH)):
            before = usable(rig)
            assert np.all(program.test_runs(batch) == PASS[program.kind])
            if usable(rig) - before != sum(parse(frame) is not None for frame in batch):
                pytest.fail(f"read otherwise by the judge: {first_difference(rig, program, batch)}")
            rtts += check_events(rig, begin, on_egress=hook == "egress")
        assert rig.counters.packets == count
        assert rtts == rig.counters.rtts > min(count // 1000, 1000)
    finally:
        rig.close()


def first_difference(rig: Rig, program: Program, batch: list[bytes]) -> str:
    for frame in batch:
        before = usable(rig)
        program.test_runs([frame])
        if usable(rig) - before != (parse(frame) is not None):
            return f"{frame.hex()} {parse(frame)}"
    return "none of them alone"


def check_events(rig: Rig, begin: int, *, on_egress: bool) -> int:
    """Every event must make sense; returns the number of RTTs."""
    events = rig.loaded[rig.tables.events].read()
    now = time.monotonic_ns()
    rtts = events[events["kind"] == EventKind.RTT]
    changes = events[events["kind"] != EventKind.RTT]
    assert set(changes["kind"].tolist()) <= {EventKind.OPENING, EventKind.CLOSING}
    assert set(changes["reason"].tolist()) <= set(Reason) - {Reason.NONE, Reason.TIMEOUT}
    assert set(changes["trigger"].tolist()) <= {Trigger.SOURCE, Trigger.DESTINATION}
    assert np.all((events["timestamp"] >= begin) & (events["timestamp"] <= now))
    assert np.all((rtts["rtt"] > 0) & (rtts["rtt"] < now - begin))
    assert np.all((rtts["min_rtt"] > 0) & (rtts["min_rtt"] <= rtts["rtt"]))
    assert np.all((rtts["sent_packets"] > 0) & (rtts["received_packets"] > 0))
    assert np.all(rtts["on_egress"] == on_egress)
    addresses = np.ascontiguousarray(events["source"]).view(np.uint8).reshape(-1, 16)
    mapped = np.all(addresses[:, :12] == MAPPED, axis=1)
    assert np.all(events["family"] == np.where(mapped, 4, 6))
    assert set(events["protocol"].tolist()) <= {Protocol.TCP, Protocol.ICMP, Protocol.ICMPV6}
    return len(rtts)


MAPPED = np.frombuffer(bytes(10) + b"\xff\xff", np.uint8)

Noise = Callable[[random.Random], bytes]

BEYOND: dict[str, Noise] = {
    "noise": lambda source: source.randbytes(source.randrange(SHORTEST, 2000)),
    "noise in IPv4": lambda source: NEUTRAL + b"\x08\0\x45" + source.randbytes(source.randrange(51, 200)),
    "noise in IPv6": lambda source: NEUTRAL + b"\x86\xdd\x60" + source.randbytes(source.randrange(51, 400)),
    "tags": lambda source: NEUTRAL + b"\x81\0\0\1" * source.randrange(20, 300),
    "extension headers": lambda source: (
        NEUTRAL
        + b"\x86\xdd"
        + ipv6("fd00::1", "fd00::2", 60, struct.pack("!BB6x", 60, 0) * source.randrange(9, 200))
    ),
    "padding": lambda source: ethernet(
        ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 2, options=b"\1" * 40)), tags=TAGS[source.randrange(4)]
    ),
}
"""Packets beyond what the programs promise to read."""

NEUTRAL = b"\2" * 12


@pytest.mark.parametrize("what", BEYOND)
@pytest.mark.parametrize("hook", ["ingress", "egress", "ingress_xdp"])
def test_whatever_comes_passes(pytestconfig: pytest.Config, hook: str, what: str) -> None:
    source = random.Random(pytestconfig.getoption("fuzz_seed") + what)
    rig = Rig(RttOptions(rate_limit=0, syn=True, aggregate=True, local=False), hook)
    try:
        program = rig.loaded[getattr(rig.programs.ethernet, hook)]
        verdicts = program.test_runs([BEYOND[what](source) for _ in range(BATCH)])
        assert np.all(verdicts == PASS[program.kind])
        assert rig.counters.packets == BATCH
        assert rig.counters.rtts == 0
    finally:
        rig.close()
