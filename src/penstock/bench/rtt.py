"""The cost of `penstock rtt` on a box that forwards TCP.

Three network namespaces; the middle one forwards, and measures on one of its interfaces. Every flow asks and
is answered, again and again, so both directions carry data and ACKs. The time per packet is what the kernel
says that the programs took. It counts its own time for that, too: what an empty program takes at the same
place is measured beside it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from penstock.bench.empty import empty_costs
from penstock.kernel.statistics import Statistics, run_statistics
from penstock.lab import Host, Interface, Lab, exchange
from penstock.rtt.formats import FORMATS
from penstock.rtt.monitor import Ingress, Monitor
from penstock.rtt.options import RttOptions
from penstock.rtt.printer import Printer
from penstock.rtt.session import Session

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
ROUNDS: Final = 3
"""Cases take turns so many times: what disturbs the machine for a while does not meet one of them alone."""
WINDOWS: Final = 4
"""A turn is measured in so many parts, after one in which flows are new. The median of all parts counts."""


@dataclass(frozen=True)
class Traffic:
    """What each flow sends: bytes of a request and of its reply, in super-packets (GSO) or as on a wire."""

    request: int
    reply: int
    super_packets: bool


TRAFFIC: Final = {
    "bulk": Traffic(65536, 65536, super_packets=False),
    "super": Traffic(65536, 65536, super_packets=True),
    "small": Traffic(100, 1000, super_packets=False),
}


@dataclass(frozen=True)
class Cost:
    """One program in one case. `reader_cpu` is the share of one CPU that took events and wrote JSON lines."""

    traffic: str
    flows: int
    rate_limit_ms: int
    program: str
    ns_per_packet: float
    empty_ns_per_packet: float
    packets_per_second: float
    rtts_per_second: float
    events_lost: int
    reader_cpu: float


@dataclass(frozen=True)
class _Look:
    """Counts since the start; the difference of two is that of the time between them."""

    programs: dict[str, Statistics]
    seconds: float
    rtts: int
    lost: int
    reader: float

    def __sub__(self, earlier: _Look) -> _Look:
        return _Look(
            {name: each - earlier.programs[name] for name, each in self.programs.items()},
            self.seconds - earlier.seconds,
            self.rtts - earlier.rtts,
            self.lost - earlier.lost,
            self.reader - earlier.reader,
        )


def costs(
    *, traffic: str, flows: Sequence[int], rate_limits: Sequence[int], seconds: float, ingress: Ingress
) -> Iterator[Cost]:
    """Measure each number of flows with each rate limit; yield costs as they are known.

    Args:
        traffic: One of TRAFFIC.
        flows: Numbers of TCP connections, up to 1000.
        rate_limits: In ms.
        seconds: How long to measure each case.
        ingress: Where packets that arrive are seen.

    Raises:
        LabError, KernelError: This user may not, or the kernel cannot.
    """
    part = seconds / (ROUNDS * WINDOWS)
    for count in flows:
        empty: list[dict[str, float]] = []
        parts: dict[int, list[_Look]] = {limit: [] for limit in rate_limits}
        with _box(TRAFFIC[traffic], count) as (host, interface), run_statistics():
            for _ in range(ROUNDS):
                empty.append(empty_costs(host, interface, ingress, part))
                for limit in rate_limits:
                    parts[limit] += _turn(host, interface, limit, ingress, part)
        for limit in rate_limits:
            yield from _costs(traffic, count, limit, parts[limit], empty)


@contextmanager
def _box(traffic: Traffic, flows: int) -> Generator[tuple[Host, Interface]]:
    """Have traffic pass a host; yield it and its interface towards the clients."""
    with Lab() as lab:
        client, middle, server = lab.host("client"), lab.router("middle"), lab.host("server")
        links = lab.link(client, middle), lab.link(middle, server)
        for end in (end for link in links for end in link if not traffic.super_packets):
            end.offload(tso=False, gso=False, gro=False)
        request, reply = traffic.request, traffic.reply
        with exchange(client, server, flows=flows, seconds=3600, request=request, reply=reply, interval=0):
            time.sleep(1 + flows / 500)  # until all flows are there
            yield middle, links[0][1]


def _turn(host: Host, interface: Interface, limit: int, ingress: Ingress, part: float) -> list[_Look]:
    """Measure in parts of so many seconds, with all that `penstock rtt` does but for the terminal."""
    looks: list[_Look] = []
    options = RttOptions(rate_limit=limit * _MS)
    with host.enter(), Monitor([interface.name], options, ingress=ingress) as monitor:
        duration = round((WINDOWS + 1.5) * part * _SECOND)
        session = Session(monitor, Printer(FORMATS["jsonl"](), Path(os.devnull)), duration=duration)
        session.loop.every(round(part * _SECOND), lambda _: looks.append(_look(monitor)))
        session.run()
    if len(looks) <= WINDOWS:  # a session takes Ctrl-C for its end
        raise KeyboardInterrupt
    return [later - earlier for earlier, later in pairwise(looks)]


def _look(monitor: Monitor) -> _Look:
    totals = monitor.totals()
    programs = {program.name: each for program, each in monitor.statistics().items()}
    return _Look(programs, time.monotonic(), totals.rtts, totals.lost, time.thread_time())


def _costs(
    traffic: str, flows: int, limit: int, parts: list[_Look], empty: list[dict[str, float]]
) -> Iterator[Cost]:
    def median(value: Callable[[_Look], float]) -> float:
        return round(statistics.median(map(value, parts)), 4)

    for name in parts[0].programs:
        yield Cost(
            traffic,
            flows,
            limit,
            name,
            ns_per_packet=median(lambda part, name=name: part.programs[name].ns_per_run),
            empty_ns_per_packet=round(statistics.median(each[name] for each in empty), 4),
            packets_per_second=median(lambda part, name=name: part.programs[name].run_count / part.seconds),
            rtts_per_second=median(lambda part: part.rtts / part.seconds),
            events_lost=sum(part.lost for part in parts),
            reader_cpu=median(lambda part: part.reader / part.seconds),
        )
