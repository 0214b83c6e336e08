"""Spoofed sources, up to a million, whose packets are answered, beside flows that keep talking."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from penstock.rtt.options import RttOptions
from tests.kernel.rtt_rig import Flow, Rig
from tests.net import frames
from tests.net.frames import ACK, SYN, echo, ethernet, ip, tcp

ESTABLISHED, BURST = 1000, 20_000
DATA = b"x"
VICTIM = "198.51.100.1"


def spoofed(packet: bytes, sources: range, at: int) -> Iterator[bytes]:
    """The packet from each of these sources, or to them, as `at` is where the address stands."""
    before, after = packet[:at], packet[at + 4 :]
    return (before + struct.pack("!I", 0x0A000000 + source) + after for source in sources)


def flood(kind: str, sources: range) -> list[bytes]:
    """What the attackers send, and the answers that they draw from the victim."""
    nobody = "10.0.0.0"
    asked, answered = {
        "SYN": (tcp(1, 80, 7, flags=SYN), tcp(80, 1, 9, 7, flags=SYN | ACK)),
        "data": (tcp(1, 80, 7, 8, data=DATA), tcp(80, 1, 9, 7)),
        "ping": (echo(8, 1, 1), echo(0, 1, 1)),
    }[kind]
    protocol = frames.ICMP if kind == "ping" else frames.TCP
    requests = spoofed(ethernet(ip(nobody, VICTIM, protocol, asked)), sources, 26)
    replies = spoofed(ethernet(ip(VICTIM, nobody, protocol, answered)), sources, 30)
    return [packet for pair in zip(requests, replies, strict=True) for packet in pair]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "sources"), [("SYN", 1_000_000), ("data", 200_000), ("ping", 200_000)])
def test_a_flood_pushes_out_no_flow_that_keeps_talking(kind: str, sources: int) -> None:
    rig = Rig(RttOptions(rate_limit=0, syn=True, flows=16_384, flow_events=False))
    try:
        program = rig.loaded[rig.programs.ethernet.ingress]
        flows = [
            rig.connection(f"192.0.2.{n % 250}", VICTIM, (1000 + n // 250, 80)) for n in range(ESTABLISHED)
        ]
        for flow in flows:
            flow.shake_hands()
        rig.events()
        for number, start in enumerate(range(0, sources, BURST)):
            program.test_runs(flood(kind, range(start, start + BURST)))
            talking = flows[number % 5 :: 5]
            for flow in talking:
                talk(flow, 102 + number)
            ports = rig.loaded[rig.tables.events].read()["destination_port"]
            assert np.count_nonzero(ports >= 1000) == len(talking), "an RTT for each that talks"
        assert len(rig.flows) == ESTABLISHED
        assert rig.counters.candidates >= sources
        assert rig.counters.flows_refused == 0
    finally:
        rig.close()


def talk(flow: Flow, value: int) -> None:
    """A packet with data, and its acknowledgement."""
    flow.a(value, 500, data=DATA)
    flow.b(500, value)
