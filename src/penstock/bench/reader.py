"""How many events a second the reader takes in: a program that does nothing but produce them feeds it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import penstock
from penstock.kernel.program import Program
from penstock.kernel.ringbuf import Ring
from penstock.lang import TC_UNSPEC, RingBuf, Tc, helpers, tc
from penstock.rtt.options import RttOptions
from penstock.rtt.records import Event, EventKind
from penstock.rtt.session import POLL

RATES: Final = (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000)
"""Events per second that are offered, one after the other."""

_PACKET: Final = bytes(64)
_TICK: Final = 0.002
_NO_WAKEUP: Final = 1

events = RingBuf(Event, RttOptions().ring_bytes, name="events")


@tc
def produce(packet: Tc) -> int:
    """Send one event."""
    event = events.reserve()
    if event is None:
        return TC_UNSPEC
    event.timestamp = helpers.ktime_get_ns()
    event.rtt = event.timestamp & 0xFFFF
    event.kind = EventKind.RTT
    event.ifindex = packet.ifindex
    events.submit(event, _NO_WAKEUP)
    return TC_UNSPEC


@dataclass(frozen=True)
class Intake:
    """What was offered, and what became of it. `cpu` is the reader's share of one CPU."""

    offered_per_second: float
    read_per_second: float
    lost: int
    cpu: float


def intakes(rates: Sequence[int] = RATES, seconds: float = 1.0) -> list[Intake]:
    """Offer each of `rates` for so many seconds, and count what the reader gets."""
    with penstock.load(produce) as loaded:
        return [_intake(loaded[produce], loaded[events], rate, seconds) for rate in rates]


def _intake(program: Program, ring: Ring[Event], rate: int, seconds: float) -> Intake:
    offered: list[int] = []
    producer = threading.Thread(target=lambda: offered.append(_produce(program, rate, seconds)))
    lost, read, used, start = ring.lost, 0, time.thread_time(), time.monotonic()
    producer.start()
    while producer.is_alive():
        read += len(ring.read())
        producer.join(min(POLL / 1e9, 0.01))
    read += len(ring.read())
    length = time.monotonic() - start
    return Intake(offered[0] / length, read / length, ring.lost - lost, (time.thread_time() - used) / length)


def _produce(program: Program, rate: int, seconds: float) -> int:
    """Have the program run at this rate, if it can, without the GIL; return how often it ran."""
    start, done = time.monotonic(), 0
    while (passed := time.monotonic() - start) < seconds:
        due = int(min(passed, seconds) * rate) - done
        if due > 0:
            program.test_run(_PACKET, repeat=due)
            done += due
        time.sleep(_TICK)
    return done
