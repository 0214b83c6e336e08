"""The cost of `penstock rtt` on a box that forwards TCP.

Three network namespaces; the middle one forwards bulk TCP and measures on one of its interfaces. The time
per packet is what the kernel says the programs took, its own 20 to 30 ns for taking the time included. A
packet is what the hook sees: in tc one may be a super-packet of up to 64 kB.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from penstock.kernel.statistics import Statistics, run_statistics
from penstock.lab import Host, Interface, Lab, bulk
from penstock.rtt.monitor import Ingress, Monitor
from penstock.rtt.options import RttOptions
from penstock.rtt.session import POLL

FLOWS: Final = (1, 10, 100, 1000)
RATE_LIMITS_MS: Final = (0, 10, 100, 1000)

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_WINDOWS: Final = 5
"""Each case is measured so many times; the median counts."""


@dataclass(frozen=True)
class Cost:
    """One program in one case. `reader_cpu` is the share of one CPU that reading the events took."""

    flows: int
    rate_limit_ms: int
    program: str
    ns_per_packet: float
    packets_per_second: float
    rtts_per_second: float
    events_lost: int
    reader_cpu: float


@dataclass(frozen=True)
class _Window:
    programs: dict[str, Statistics]
    seconds: float
    rtts: int
    lost: int
    reader: float


def costs(
    flows: Sequence[int], rate_limits_ms: Sequence[int], seconds: float, ingress: Ingress
) -> Iterator[Cost]:
    """Measure each number of flows with each rate limit, for `seconds`; yield costs as they are known.

    LabError or KernelError if this user may not, or the kernel cannot.
    """
    for count in flows:
        with Lab() as lab:
            client, middle, server = lab.host("client"), lab.router("middle"), lab.host("server")
            _, interface = lab.link(client, middle)
            lab.link(middle, server)
            length = (seconds + 2) * len(rate_limits_ms) + 10
            with bulk(client, server, flows=count, seconds=length):
                time.sleep(1 + count / 500)  # until all flows are there
                for limit in rate_limits_ms:
                    yield from _case(middle, interface, count, limit, seconds, ingress)


def _case(
    host: Host, interface: Interface, flows: int, limit_ms: int, seconds: float, ingress: Ingress
) -> Iterator[Cost]:
    with ExitStack() as measuring:
        measuring.enter_context(run_statistics())
        with host.enter():
            options = RttOptions(rate_limit=limit_ms * _MS, flow_events=False)
            monitor = measuring.enter_context(Monitor([interface.name], options, ingress=ingress))
        _read_for(monitor, seconds / (2 * _WINDOWS))  # flows are new at first
        windows = [_measure(monitor, seconds / _WINDOWS) for _ in range(_WINDOWS)]
    for program in windows[0].programs:

        def median(value: Callable[[_Window], float]) -> float:
            return statistics.median(map(value, windows))

        yield Cost(
            flows=flows,
            rate_limit_ms=limit_ms,
            program=program,
            ns_per_packet=median(lambda window, name=program: window.programs[name].ns_per_run),
            packets_per_second=median(
                lambda window, name=program: window.programs[name].run_count / window.seconds
            ),
            rtts_per_second=median(lambda window: window.rtts / window.seconds),
            events_lost=sum(window.lost for window in windows),
            reader_cpu=median(lambda window: window.reader / window.seconds),
        )


def _measure(monitor: Monitor, seconds: float) -> _Window:
    programs, totals, start = monitor.statistics(), monitor.totals(), time.monotonic_ns()
    reader = _read_for(monitor, seconds)
    now, end = monitor.totals(), time.monotonic_ns()
    later = monitor.statistics()
    return _Window(
        programs={name: later[name] - programs[name] for name in programs},
        seconds=(end - start) / _SECOND,
        rtts=now.rtts - totals.rtts,
        lost=now.lost - totals.lost,
        reader=reader,
    )


def _read_for(monitor: Monitor, seconds: float) -> float:
    """Read events as a session does; return the CPU time that took, in seconds."""
    poll, end = POLL / _SECOND, time.monotonic() + seconds
    used = _cpu_time()
    while time.monotonic() < end:
        monitor.read()
        monitor.wait(min(poll, max(0.0, end - time.monotonic())))
    monitor.read()
    return _cpu_time() - used


def _cpu_time() -> float:
    times = os.times()
    return times.user + times.system
