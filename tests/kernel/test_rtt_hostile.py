"""A million packets that mean harm: random ones, and good ones with something changed. All must pass."""

from __future__ import annotations

import random

import numpy as np
import pytest

from penstock.rtt.options import RttOptions
from tests.kernel.rtt_rig import PASS, Rig
from tests.net import frames
from tests.net.frames import chain, echo, ethernet, extension, ipv4, ipv6, tcp, timestamps, udp

ROUNDS, EACH = 40, 10_000


def good_packets() -> list[bytes]:
    """One of every kind that the programs know."""
    kinds = [frames.HOP_BY_HOP, frames.ROUTING, frames.DESTINATION, frames.FRAGMENT, frames.AUTHENTICATION]
    segments = [
        tcp(1000, 80, 100, 50, data=b"x" * 20),
        tcp(80, 1000, 50, 100),
        tcp(80, 1000, 50, 100, flags=frames.SYN | frames.ACK),
        tcp(1000, 80, 100, 50, flags=frames.FIN | frames.ACK),
        tcp(1000, 80, options=b"\2\4\5\xb4\4\2" + timestamps(1, 2) + b"\1\3\3\7"),
    ]
    packets = [ipv4("10.0.0.1", "10.0.0.2", 6, segment) for segment in segments]
    packets += [
        ipv6("fd00::1", "fd00::2", *chain([extension(k) for k in kinds], kinds, 6, s)) for s in segments
    ]
    packets += [
        ipv4("10.0.0.1", "10.0.0.2", 6, segments[0], options=bytes(40)),
        ipv4("10.0.0.1", "10.0.0.2", 1, echo(8, 7, 1)),
        ipv4("10.0.0.2", "10.0.0.1", 1, echo(0, 7, 1)),
        ipv6("fd00::1", "fd00::2", 58, echo(128, 7, 1)),
        ipv6("fd00::1", "fd00::2", 17, udp(1, 2)),
    ]
    tags = [(), (frames.VLAN,), (frames.QINQ, frames.VLAN)]
    return [ethernet(packet, tags=tags[n % 3]) for n, packet in enumerate(packets)]


def mutated(source: random.Random, good: list[bytes]) -> bytes:
    """A good packet with a few bytes changed, cut, or doubled, or one of nothing but noise."""
    if source.random() < 0.1:
        return good[0][:12] + b"\x81\0\0\1" + source.randbytes(source.randrange(2, 120))
    packet = bytearray(source.choice(good))
    for _ in range(source.randrange(4)):
        packet[source.randrange(len(packet))] = source.choice(
            (0, 1, 4, 5, 8, 0x7F, 0x80, 0xFF, source.randrange(256))
        )
    if source.random() < 0.3:
        del packet[source.randrange(14, len(packet)) :]
    if source.random() < 0.1:
        at = source.randrange(14, len(packet) + 1)
        packet[at:at] = packet[14:at]
    if len(packet) < 54:  # a tag before it, since test runs in tc refuse an IP packet shorter than its header
        packet[12:12] = b"\x81\0\0\1"
    return bytes(packet)


@pytest.mark.slow
@pytest.mark.parametrize("hook", ["ingress_xdp", "ingress", "egress"])
def test_every_packet_passes(hook: str) -> None:
    source, good = random.Random(hook), good_packets()
    rig = Rig(RttOptions(rate_limit=0, syn=True, aggregate=True, local=False), hook)
    try:
        program = rig.loaded[getattr(rig.programs.ethernet, hook)]
        for _ in range(ROUNDS):
            verdicts = program.test_runs([mutated(source, good) for _ in range(EACH)])
            assert np.all(verdicts == PASS[program.kind])
            rig.loaded[rig.tables.events].read()
        counters = rig.counters
        assert counters.packets == ROUNDS * EACH
        reasons = counters.not_ip, counters.truncated, counters.other, counters.no_timestamp, counters.rtts
        assert all(count > 100 for count in reasons), counters
    finally:
        rig.close()
