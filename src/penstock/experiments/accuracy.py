"""Accuracy: RTTs that are known, and what `penstock rtt` says they are."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock import units
from penstock.experiments.experiment import Experiment, Option
from penstock.experiments.pairing import Pairs, as_captured, pair
from penstock.experiments.result import Line, Plot, Result, row
from penstock.lab import Capture, Host, Lab, exchange, ping, run_rtt
from penstock.lab.passive import Matcher
from penstock.lab.pcap import ICMP, TCP, Parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

TRAFFIC: Final = {"ping": ICMP, "tcp": TCP}
"""What is sent, and its protocol's number."""

_INTERVAL: Final = 0.02
"""s between two pings, and two exchanges of a TCP flow: so few are under way that each is timed."""

_CONNECTIONS: Final = 4

_US, _MS, _SECOND = 1e3, 1e6, 1e9


def delays(text: str) -> tuple[int, ...]:
    """Return times of a list with commas, in ns, in order. ValueError if they are none."""
    return tuple(sorted(units.duration(each) for each in text.split(",")))


@dataclass(frozen=True)
class _Traffic:
    """When there was traffic, ns since 1970, and the RTTs that the client itself saw, ms, of each kind."""

    begin: float
    end: float
    seen: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class _Sample:
    """RTTs of one kind of traffic with one delay, in one run."""

    pairs: Pairs
    seen: Sequence[float]

    @property
    def errors(self) -> NDArray[np.float64]:
        """By how much more was reported than captured, µs."""
        return (self.pairs.reported - self.pairs.captured) / _US


class Accuracy(Experiment):
    """RTTs from 0 to 100 ms: what penstock rtt reports of ping and TCP, and what they are.

    An emulated link delays packets between a router and a server, both ways. RTTs are measured on the router,
    before that link, where tcpdump captures the same packets. RTTs by its times are the truth.
    """

    duration = Option(units.duration, "2s", "how long there is traffic with each delay")
    delays = Option(delays, "0ms,1ms,2ms,5ms,10ms,20ms,50ms,100ms", "what the link adds to the RTT")

    def run(self, tell: Callable[[str], None]) -> Result:
        """Measure with all delays, once in each run."""
        found: dict[tuple[str, int], list[_Sample]] = defaultdict(list)
        for number in range(1, self.runs + 1):
            for case, sample in self._measure(lambda what, run=number: tell(f"run {run}: {what}")):
                found[case].append(sample)
        rows = [
            row(f"{kind}_{_text(delay)}", [_figures(sample) for sample in samples], delay_ms=delay / _MS)
            for (kind, delay), samples in found.items()
        ]
        return Result("accuracy", self.summary(), self.parameters, rows, _plots(found))

    def _measure(self, tell: Callable[[str], None]) -> Iterator[tuple[tuple[str, int], _Sample]]:
        """Yield what was found for each kind of traffic and each delay."""
        with Lab() as lab, tempfile.TemporaryDirectory() as directory:
            client, router, server = lab.host("client"), lab.router("router"), lab.host("server")
            lab.link(client, router)
            interface, _ = lab.link(router, server, delay=max(*self.delays, 2) // 2)
            path = Path(directory, "packets.pcap")
            with run_rtt(router, interface, "--rate-limit", "0") as measuring, Capture(interface, path):
                traffic = {delay: self._send(lab, client, server, delay, tell) for delay in self.delays}
            reported = as_captured(measuring.rtts())
            captured = Matcher().feed(Parser().feed(path.read_bytes()))
            address = int(IPv4Address(server.address()))
        for kind, protocol in TRAFFIC.items():
            for delay, sent in traffic.items():
                both = (_select(rtts, sent, address, protocol) for rtts in (reported, captured))
                yield (kind, delay), _Sample(pair(*both), sent.seen[kind])

    def _send(
        self, lab: Lab, client: Host, server: Host, delay: int, tell: Callable[[str], None]
    ) -> _Traffic:
        """Ping, and exchange requests and replies, at the same time."""
        tell(f"RTT {_text(delay)}")
        lab.wires[0].set_delay(delay // 2)
        seconds = self.duration / _SECOND
        begin = time.time() * _SECOND
        with exchange(
            client, server, flows=_CONNECTIONS, seconds=seconds, interval=_INTERVAL, timed=True
        ) as transfer:
            pings = ping(client, server, count=max(round(seconds / _INTERVAL), 1), interval=_INTERVAL)
            exchanges = transfer.wait()
        # The first on each connection has waited for that.
        times = exchanges.times[np.argsort(exchanges.times[:, 0])][_CONNECTIONS:, 1]
        seen = {"ping": pings.rtts_ms, "tcp": (times * 1e3).tolist()}
        return _Traffic(begin, time.time() * _SECOND, seen)


def _select(rtts: NDArray[Any], sent: _Traffic, address: int, protocol: int) -> NDArray[Any]:
    """Return the RTTs to the server that are of this traffic."""
    during = (rtts["time"] >= sent.begin) & (rtts["time"] <= sent.end)
    return rtts[during & (rtts["source"] == address) & (rtts["protocol"] == protocol)]


def _figures(sample: _Sample) -> dict[str, float]:
    pairs, errors = sample.pairs, sample.errors
    low, middle, high = map(float, np.percentile(errors, [1, 50, 99]))
    return {
        "truth_ms": float(np.median(pairs.captured)) / _MS,
        "reported_ms": float(np.median(pairs.reported)) / _MS,
        "client_ms": statistics.median(sample.seen),
        "error_us": middle,
        "error_p1_us": low,
        "error_p99_us": high,
        "pairs": len(errors),
        "alone": pairs.alone,
    }


def _plots(found: Mapping[tuple[str, int], Sequence[_Sample]]) -> list[Plot]:
    medians: list[Line] = []
    errors: list[Line] = []
    ends: list[float] = []
    for kind in TRAFFIC:
        by_delay = [samples for (sent, _), samples in found.items() if sent == kind]
        pairs = [[sample.pairs for sample in samples] for samples in by_delay]
        truth = [np.concatenate([each.captured for each in some]) / _MS for some in pairs]
        reported = [np.concatenate([each.reported for each in some]) / _MS for some in pairs]
        x = _medians(truth)
        ends += x
        medians.append(Line(kind, _medians(reported), x))
        true = np.concatenate(truth)
        errors.append(Line(kind, ((np.concatenate(reported) - true) * _US).tolist(), true.tolist()))
    exact = Line("exact", sorted(ends), sorted(ends))
    return [
        Plot(
            "reported",
            "What is reported, over what is true",
            "true RTT (ms)",
            "reported RTT (ms)",
            [exact, *medians],
            log_x=True,
            log_y=True,
            note="Medians for each delay: all should be on the line that is exact.",
        ),
        Plot(
            "error",
            "How far off each RTT is",
            "true RTT (ms)",
            "reported less true (µs)",
            errors,
            kind="points",
            log_x=True,
            note="A point for each RTT. Errors in proportion to the RTT would go up to the right, and reach "
            "ms there. What is left is the way, twice, between the places in the kernel where penstock and "
            "tcpdump read the clock.",
        ),
    ]


def _medians(values: Sequence[NDArray[np.float64]]) -> list[float]:
    return [float(np.median(each)) for each in values]


def _text(delay: int) -> str:
    return f"{delay / _MS:g}ms"
