"""Bufferbloat: what pings and small requests wait while others fill the link."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock import units
from penstock.experiments.buffer import PAYLOAD
from penstock.experiments.contenders import case, schedulers
from penstock.experiments.dumbbell import Dumbbell, dumbbell
from penstock.experiments.experiment import Experiment, Option
from penstock.experiments.latency import PROTOCOLS, Asked, ask, watch
from penstock.experiments.lines import line
from penstock.experiments.result import Line, Plot, Result, row
from penstock.lab import Iperf, Lab, LabError, iperf

SCHEDULERS: Final = ("fifo", "codel", "fq_codel", "stfq", "strict_priority")

IDLE: Final = "idle"
"""The case without bulk flows."""

_BEFORE: Final = 0.5
"""s that bulk flows have to fill the queue before anything is measured."""

_SLOWNESS: Final = 2.0
"""How much longer than asked for ping takes at most: it sends late while replies take long to come."""

_SECOND: Final = 1e9
_MS: Final = 1e3
_MEGA: Final = 1e6

_TELLING: Final = (
    "ping_p50_ms",
    "ping_p99_ms",
    "router_ping_p99_ms",
    "request_p50_ms",
    "request_p99_ms",
    "ping_lost_percent",
    "goodput_mbps",
)

Key = tuple[str, int]
"""A scheduler and a number of bulk flows."""


@dataclass(frozen=True)
class _Sample:
    """One run of a case."""

    asked: Asked
    rtts: Mapping[str, NDArray[Any]]
    """What the router saw of it."""
    goodput: float | None
    """bit/s of all bulk flows, if there were any."""

    def pings(self) -> NDArray[np.float64]:
        """Return the RTTs of pings, ms, as the router saw them."""
        return self.rtts["ping"]["rtt"] * _MS

    def figures(self) -> dict[str, float]:
        """Return what the row of the case has."""
        by_host = self.asked.times()
        found: dict[str, float] = {}
        for kind in PROTOCOLS:
            for who, times in (("", by_host[kind]), ("router_", self.rtts[kind]["rtt"] * _MS)):
                for share in (50, 99):
                    found[f"{who}{kind}_p{share}_ms"] = float(np.percentile(times, share))
        found["ping_lost_percent"] = 100 * self.asked.lost
        if self.goodput is not None:
            found["goodput_mbps"] = self.goodput / _MEGA
        return found


class Bufferbloat(Experiment):
    """Latency beside bulk TCP: how long pings and small requests take, by scheduler.

    Bulk flows fill the link behind a router, while another host pings over the same link, and sends requests
    that are answered at once. The router's queue has one scheduler after the other. Latency is measured
    twice: by the host that waits, and passively by `penstock rtt` on the router.
    """

    duration = Option(units.duration, "1.2s", "how long latency is measured in each case")
    rate = Option(units.rate, "100mbit", "what the link carries")
    delay = Option(units.duration, "5ms", "how long packets take over the link, each way")
    slots = Option(units.count, "1000", "how many packets may wait")
    flows = Option(units.counts, "1,10", "numbers of bulk flows, with commas between them")
    congestion = Option(str, "cubic", "congestion control of bulk flows")
    extra = Option(schedulers, "", "other schedulers, names or files, with commas between them")

    def run(self, tell: Callable[[str], None]) -> Result:
        """Measure all cases, once in each run."""
        found: dict[Key, list[_Sample]] = defaultdict(list)
        with Lab() as lab:
            net = dumbbell(lab, "user", "bulk", delay=self.delay)
            for number in range(1, self.runs + 1):
                for key, sample in self._measure(net, lambda what, run=number: tell(f"run {run}: {what}")):
                    found[key].append(sample)
        rows = [
            row(_name(key), [sample.figures() for sample in samples], scheduler=key[0], flows=key[1])
            for key, samples in found.items()
        ]
        plots = self._plots(found, rows)
        return Result("bufferbloat", self.summary(), self.parameters, rows, plots, telling=_TELLING)

    def _measure(self, net: Dumbbell, tell: Callable[[str], None]) -> Iterator[tuple[Key, _Sample]]:
        """Yield what was found for each case: the idle link first."""
        for scheduler in dict.fromkeys(SCHEDULERS + self.extra):
            with net.queue(scheduler, self.rate, slots=self.slots):
                counts = (0, *self.flows) if scheduler == SCHEDULERS[0] else self.flows
                for flows in counts:
                    key = (case(scheduler), flows)
                    tell(_name(key))
                    yield key, self._loaded(net, flows) if flows else self._idle(net)

    def _idle(self, net: Dumbbell) -> _Sample:
        with watch(net, "user") as watching:
            asked = self._ask(net)
        return _Sample(asked, asked.select(watching.rtts(), net.receiver), None)

    def _loaded(self, net: Dumbbell, flows: int) -> _Sample:
        seconds = math.ceil(_BEFORE + _SLOWNESS * self.duration / _SECOND)
        with watch(net, "user") as watching, self._bulk(net, seconds, flows) as bulk:
            time.sleep(_BEFORE)
            asked = self._ask(net)
            arrived = bulk.wait()
        rtts = asked.select(watching.rtts(), net.receiver)
        if rtts["ping"]["time"].max(initial=0) > arrived.start + seconds:
            raise LabError("bulk flows ended before all was measured: the machine is too busy")
        return _Sample(asked, rtts, arrived.goodput)

    def _bulk(self, net: Dumbbell, seconds: int, flows: int) -> Iperf:
        sender = net.senders["bulk"]
        return iperf(sender, net.receiver, seconds=seconds, flows=flows, congestion=self.congestion)

    def _ask(self, net: Dumbbell) -> Asked:
        asked = ask(net.senders["user"], net.receiver, self.duration / _SECOND)
        if not asked.pings.rtts_ms:
            raise LabError(f"none of {asked.pings.sent} pings had a reply: this is no latency")
        return asked

    def _plots(self, found: Mapping[Key, Sequence[_Sample]], rows: Sequence[Mapping[str, Any]]) -> list[Plot]:
        most = max(self.flows)
        heaviest = {_label(key): samples for key, samples in found.items() if key[1] in (0, most)}
        beside = f"beside {most} bulk flow{'s' if most > 1 else ''}"
        return [
            Plot(
                "latency_cdf",
                f"Latency of pings {beside}",
                "RTT (ms)",
                "share of pings",
                [
                    Line(label, np.concatenate([each.pings() for each in samples]).tolist())
                    for label, samples in heaviest.items()
                ],
                "cdf",
                log_x=True,
                note="The further to the left, the less packets wait. Nothing is faster than the idle link.",
            ),
            Plot(
                "latency_over_time",
                f"Latency of pings {beside}, over time",
                "time (s)",
                "RTT (ms)",
                [_over_time(label, samples[0]) for label, samples in heaviest.items()],
                log_y=True,
                note="Of the first run, as penstock rtt saw each ping on the router.",
            ),
            self._latency_bars(rows),
            self._goodput_bars(rows),
            _agreement(rows),
        ]

    def _latency_bars(self, rows: Sequence[Mapping[str, Any]]) -> Plot:
        lines = [
            line(
                f"{what}, {flows} bulk",
                loaded := [row for row in rows if row["flows"] == flows],
                f"router_ping_{figure}_ms",
                [row["scheduler"] for row in loaded],
            )
            for flows in self.flows
            for figure, what in (("p50", "median"), ("p99", "99 %"))
        ]
        idle = next(row["router_ping_p50_ms"] for row in rows if row["case"] == IDLE)
        return Plot(
            "latency",
            "Latency of pings",
            "scheduler",
            "RTT (ms)",
            lines,
            "bars",
            marks={"idle": idle},
            note="What is beyond the idle link's is time in the queue.",
        )

    def _goodput_bars(self, rows: Sequence[Mapping[str, Any]]) -> Plot:
        lines = [
            line(
                f"{flows} bulk",
                loaded := [row for row in rows if row["flows"] == flows],
                "goodput_mbps",
                [row["scheduler"] for row in loaded],
            )
            for flows in self.flows
        ]
        return Plot(
            "goodput",
            "Goodput of the bulk flows",
            "scheduler",
            "goodput (Mbit/s)",
            lines,
            "bars",
            marks={"link": self.rate / _MEGA * PAYLOAD},
            note="What low latency costs, from the first packet on. The link's is without headers.",
        )


def _name(key: Key) -> str:
    scheduler, flows = key
    return f"{scheduler}_{flows}" if flows else IDLE


def _label(key: Key) -> str:
    return key[0] if key[1] else IDLE


def _over_time(label: str, sample: _Sample) -> Line:
    seen = sample.rtts["ping"]
    return Line(label, sample.pings().tolist(), (seen["time"] - sample.asked.begin).tolist())


def _agreement(rows: Sequence[Mapping[str, Any]]) -> Plot:
    lines = [
        line(
            f"{kind}, {what}",
            rows,
            f"router_{kind}_{figure}_ms",
            [row[f"{kind}_{figure}_ms"] for row in rows],
        )
        for kind in PROTOCOLS
        for figure, what in (("p50", "median"), ("p99", "99 %"))
    ]
    return Plot(
        "agreement",
        "Two measurements of the same latency",
        "by the host that waits (ms)",
        "by penstock rtt on the router (ms)",
        lines,
        "points",
        log_x=True,
        log_y=True,
        note="A point for each case: on the diagonal, both say the same. To the right of it are requests "
        "that were lost: a host waits until TCP has sent them again, which is in no packet's RTT.",
    )
