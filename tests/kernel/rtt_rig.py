"""The RTT programs, loaded but attached to nothing, and packets to run them on."""

from __future__ import annotations

import ipaddress
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import penstock
from penstock.lang import TC_UNSPEC, XDP_PASS
from penstock.lang.program import ProgramKind
from penstock.rtt.options import RttOptions
from penstock.rtt.programs import rtt_programs
from penstock.rtt.records import Counters, EventKind, Reason, Trigger
from penstock.rtt.tables import Entry, FlowKey
from tests.net import frames
from tests.net.frames import ACK, ethernet, ip, tcp

MS = 1_000_000
TICK = time.clock_getres(6)  # CLOCK_MONOTONIC_COARSE
PASS = {ProgramKind.XDP: XDP_PASS, ProgramKind.SCHED_CLS: TC_UNSPEC}


class Rtt(NamedTuple):
    """An RTT event. The source sent the reply."""

    source: str
    destination: str
    protocol: int
    sent: tuple[int, int]
    received: tuple[int, int]
    on_egress: bool
    rtt: int
    min_rtt: int
    timestamp: int


class Change(NamedTuple):
    """A flow event."""

    source: str
    destination: str
    kind: EventKind
    reason: Reason
    trigger: Trigger


class Rig:
    """Programs and tables in the kernel."""

    def __init__(self, options: RttOptions, hook: str = "ingress", *, others: tuple[str, ...] = ()) -> None:
        self.programs = rtt_programs(options)
        self.tables = self.programs.tables
        self.hook = hook
        with ExitStack() as owned:
            wanted = [getattr(self.programs.ethernet, name) for name in (hook, *others)]
            self.loaded = owned.enter_context(penstock.load(*wanted, self.programs.sweep))
            self._owned = owned.pop_all()

    def close(self) -> None:
        self._owned.close()

    def send(self, packet: bytes, hook: str | None = None, **context: int) -> None:
        """Run a program on an IP packet in a frame, or on a frame; it must let it pass."""
        frame = packet if packet[:1] == b"\2" else ethernet(packet)
        program = self.loaded[getattr(self.programs.ethernet, hook or self.hook)]
        assert program.test_run(frame, context=context or None).retval == PASS[program.kind]

    def connection(
        self, a: str = "10.0.0.1", b: str = "10.0.0.2", ports: tuple[int, int] = (1000, 80)
    ) -> Flow:
        return Flow(self, a, b, ports)

    def sweep(self) -> tuple[int, int]:
        """Run the sweep; the flows and candidates that it leaves."""
        assert self.loaded[self.programs.sweep].run() == 0
        left = self.loaded[self.tables.occupancy].value
        return left.flows, left.candidates

    def age(self, seconds: float) -> None:
        """Make all flows look as if they had been silent for so long."""
        for table in (self.loaded[self.tables.flows], self.loaded[self.tables.pending]):
            for key, entry in table.items():
                entry.flow.seen -= int(seconds / TICK)
                table[key] = entry

    def events(self) -> list[Rtt | Change]:
        """Take all events out of the ring."""
        return [_event(record) for record in self.loaded[self.tables.events].read()]

    def rtts(self) -> list[Rtt]:
        return [event for event in self.events() if isinstance(event, Rtt)]

    def changes(self) -> list[Change]:
        return [event for event in self.events() if isinstance(event, Change)]

    @property
    def counters(self) -> Counters:
        return self.loaded[self.tables.counters].total(0)

    @property
    def flows(self) -> dict[FlowKey, Entry]:
        return dict(self.loaded[self.tables.flows].items())

    @property
    def pending(self) -> dict[FlowKey, Entry]:
        return dict(self.loaded[self.tables.pending].items())


@dataclass
class Flow:
    """A conversation between `a` and `b`; each call is a packet that one of them sends."""

    rig: Rig
    a_address: str
    b_address: str
    ports: tuple[int, int]

    def a(self, value: int | None, echo: int = 0, **fields: Any) -> None:
        self._send(self.a_address, self.b_address, self.ports, value, echo, **fields)

    def b(self, value: int | None, echo: int = 0, **fields: Any) -> None:
        self._send(self.b_address, self.a_address, self.ports[::-1], value, echo, **fields)

    def shake_hands(self, a: int = 100, b: int = 500, **fields: Any) -> None:
        """The three packets that open a connection; `a` and `b` are the TSvals of SYN and SYN-ACK."""
        self.a(a, 0, flags=frames.SYN, **fields)
        self.b(b, a, flags=frames.SYN | ACK, **fields)
        self.a(a + 1, b, **fields)

    def _send(
        self,
        source: str,
        target: str,
        ports: tuple[int, int],
        value: int | None,
        echo: int,
        *,
        hook: str | None = None,
        context: dict[str, int] | None = None,
        **fields: Any,
    ) -> None:
        packet = ip(source, target, frames.TCP, tcp(*ports, value, echo, **fields))
        self.rig.send(packet, hook, **(context or {}))


def _event(record: Any) -> Rtt | Change:
    source = f"{_text(record['source'])}:{record['source_port']}"
    destination = f"{_text(record['destination'])}:{record['destination_port']}"
    assert record["family"] == (6 if source.count(":") > 1 else 4)
    if record["kind"] != EventKind.RTT:
        kinds = EventKind(record["kind"]), Reason(record["reason"]), Trigger(record["trigger"])
        return Change(source, destination, *kinds)
    return Rtt(
        source,
        destination,
        int(record["protocol"]),
        (int(record["sent_packets"]), int(record["sent_bytes"])),
        (int(record["received_packets"]), int(record["received_bytes"])),
        bool(record["on_egress"]),
        int(record["rtt"]),
        int(record["min_rtt"]),
        int(record["timestamp"]),
    )


def _text(address: Any) -> str:
    found = ipaddress.IPv6Address(address.tobytes())
    return str(found.ipv4_mapped or found)
