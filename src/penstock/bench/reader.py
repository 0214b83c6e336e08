"""How many events a second the reader takes in: a program that does nothing but produce them feeds it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import penstock
from penstock.kernel.program import Program
from penstock.kernel.ringbuf import Ring
from penstock.lang import TC_UNSPEC, Global, Tc, be16, helpers, tc, u16
from penstock.net.ip import Protocol
from penstock.rtt.events import send_rtt
from penstock.rtt.formats import FORMATS
from penstock.rtt.loop import Loop
from penstock.rtt.options import RttOptions
from penstock.rtt.printer import Printer
from penstock.rtt.records import Event
from penstock.rtt.session import POLL
from penstock.rtt.tables import Flow, FlowKey, make_tables

RATES: Final = (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000)
"""Events per second that are offered, one after the other."""

OUTPUTS: Final = ("arrays", "jsonl")
"""What the reader makes of them: NumPy arrays, or JSON lines on their way to /dev/null."""

_PACKET: Final = bytes(64)
_TICK: Final = 0.002
_SECOND: Final = 1_000_000_000
_FLOWS: Final = 1024

tables = make_tables(RttOptions())
flow = Global(Flow, name="flow")


@tc
def produce(packet: Tc) -> int:
    """Send one event, of one of many flows in turn."""
    counters = tables.counters.lookup(0)
    if counters is not None:
        key = FlowKey(protocol=Protocol.TCP, ifindex=packet.ifindex)
        key.low_port = be16(u16(counters.events & (_FLOWS - 1)))
        send_rtt(tables, key, 0, flow.value, counters, now=helpers.ktime_get_ns(), rtt=1, on_egress=True)
    return TC_UNSPEC


@dataclass(frozen=True)
class Intake:
    """What was offered, and what became of it. `cpu` is the reader's share of one CPU."""

    output: str
    offered_per_second: float
    read_per_second: float
    lost: int
    cpu: float


def intakes(rates: Sequence[int] = RATES, seconds: float = 1.0) -> Iterator[Intake]:
    """Offer each of `rates` for so many seconds, for each of OUTPUTS, and count what the reader gets."""
    with penstock.load(produce) as loaded:
        for output in OUTPUTS:
            for rate in rates:
                yield _intake(loaded[produce], loaded[tables.events], output, rate, seconds)


class _Reader:
    """Takes events as a session does, and counts them."""

    def __init__(self, ring: Ring[Event], output: str) -> None:
        self._ring = ring
        self._printer = Printer(FORMATS[output](), Path(os.devnull)) if output in FORMATS else None
        self.read = 0

    def take(self) -> None:
        events = self._ring.read()
        self.read += len(events)
        if self._printer is not None:
            self._printer.events(events)

    def run(self, seconds: float) -> None:
        loop = Loop()
        loop.on(self._ring, self.take, edge=True)
        loop.every(POLL, lambda _: self.take())
        loop.every(round(seconds * _SECOND), lambda _: loop.stop())
        loop.run()
        loop.close()

    def end(self) -> None:
        self.take()
        if self._printer is not None:
            self._printer.end()


def _intake(program: Program, ring: Ring[Event], output: str, rate: int, seconds: float) -> Intake:
    reader = _Reader(ring, output)
    offered: list[int] = []
    producer = threading.Thread(target=lambda: offered.append(_produce(program, rate, seconds)))
    lost, used, start = ring.lost, time.thread_time(), time.monotonic()
    producer.start()
    reader.run(seconds)
    producer.join()
    reader.end()
    length, cpu = time.monotonic() - start, time.thread_time() - used
    return Intake(output, offered[0] / length, reader.read / length, ring.lost - lost, cpu / length)


def _produce(program: Program, rate: int, seconds: float) -> int:
    """Have the program run at this rate, if it can, without the GIL; return how often it ran."""
    start, done = time.monotonic(), 0
    while (passed := time.monotonic() - start) < seconds:
        due = int(passed * rate) - done
        if due > 0:
            program.test_run(_PACKET, repeat=due)
            done += due
        time.sleep(_TICK)
    return done
